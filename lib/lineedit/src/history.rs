//! The lines that were entered before.

use alloc::collections::VecDeque;
use alloc::string::String;

/// The last lines, and which of them is shown.
pub(crate) struct History {
    lines: VecDeque<String>,
    capacity: usize,
    /// How many lines back; 0 is the line being written.
    back: usize,
    /// The line being written, kept while older ones are shown.
    draft: String,
}

impl History {
    pub(crate) fn new(capacity: usize) -> Self {
        History { lines: VecDeque::new(), capacity, back: 0, draft: String::new() }
    }

    /// Keeps a line, unless it is blank or the same as the last, and goes back to the newest.
    pub(crate) fn push(&mut self, line: &str) {
        self.rewind();
        if line.trim().is_empty() || self.capacity == 0 || self.lines.back().is_some_and(|last| last == line)
        {
            return;
        }
        if self.lines.len() >= self.capacity {
            self.lines.pop_front();
        }
        self.lines.push_back(line.into());
    }

    pub(crate) fn rewind(&mut self) {
        self.back = 0;
        self.draft.clear();
    }

    /// The line before the shown one, which now is `current`.
    pub(crate) fn older(&mut self, current: &str) -> Option<String> {
        let index = self.lines.len().checked_sub(self.back + 1)?;
        if self.back == 0 {
            self.draft = current.into();
        }
        self.back += 1;
        self.lines.get(index).cloned()
    }

    /// The line behind the shown one; at last the one being written.
    pub(crate) fn newer(&mut self) -> Option<String> {
        self.back = self.back.checked_sub(1)?;
        if self.back == 0 {
            return Some(core::mem::take(&mut self.draft));
        }
        self.lines.get(self.lines.len().checked_sub(self.back)?).cloned()
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}
