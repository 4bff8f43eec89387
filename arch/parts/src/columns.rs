//! Registers in columns, as `vcpu dumpreg` and a crash print them.

use core::fmt::{self, Write};

/// Prints registers, so many in a line.
pub struct Columns<'a> {
    out: &'a mut dyn Write,
    width: usize,
    columns: u32,
    filled: u32,
    result: fmt::Result,
}

impl<'a> Columns<'a> {
    /// `columns` in a line; their names are `width` characters wide.
    pub fn new(out: &'a mut dyn Write, columns: u32, width: usize) -> Self {
        Self { out, width, columns, filled: 0, result: Ok(()) }
    }

    /// One more register.
    pub fn put(&mut self, name: &str, value: u64) {
        if self.result.is_err() {
            return;
        }
        self.filled += 1;
        let last = self.filled.is_multiple_of(self.columns);
        let (width, end) = (self.width, if last { "\n" } else { "" });
        self.result = write!(self.out, "{name:>width$}=0x{value:016x}{end}");
    }

    /// Ends the line that is begun.
    ///
    /// # Errors
    /// What was printed on took no more.
    pub fn end(self) -> fmt::Result {
        if self.filled.is_multiple_of(self.columns) {
            self.result
        } else {
            self.result.and_then(|()| self.out.write_str("\n"))
        }
    }
}

impl fmt::Debug for Columns<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Columns").field("filled", &self.filled).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    #[test]
    fn lines_are_filled_and_the_last_one_is_ended() {
        let mut text = String::new();
        let mut columns = Columns::new(&mut text, 2, 4);
        for (name, value) in [("A", 1), ("BC", 2), ("D", 3)] {
            columns.put(name, value);
        }
        columns.end().unwrap();
        assert_eq!(text, "   A=0x0000000000000001  BC=0x0000000000000002\n   D=0x0000000000000003\n");
    }
}
