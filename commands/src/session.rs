//! Running lines.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use crate::arguments::Args;
use crate::{COMMANDS, Command, Failed, Form, Terminal};

/// How a line ended.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// All its commands did what they were asked.
    Done,
    /// One did not, and said why; those behind it were not run.
    Failed,
}

/// Scripts that run scripts end here.
const MAX_DEPTH: u32 = 8;
/// Bytes collected before they are sent, unless a line ends earlier.
const BUFFER: usize = 512;

/// One user's, or one script's, conversation: where its output goes, and what it did last.
pub struct Session<'t> {
    terminal: &'t mut dyn Terminal,
    buffer: Vec<u8>,
    depth: u32,
}

impl<'t> Session<'t> {
    /// A session on this terminal.
    pub fn new(terminal: &'t mut dyn Terminal) -> Self {
        Self { terminal, buffer: Vec::new(), depth: 0 }
    }

    /// Runs a line: commands separated by `;`, until one fails.
    pub fn run_line(&mut self, line: &str) -> Status {
        let commands = match cmdline::split(line) {
            Ok(commands) => commands,
            Err(error) => {
                self.complain(format_args!("Error: {error}"));
                return Status::Failed;
            }
        };
        for words in commands {
            if self.run_command(&words) == Status::Failed {
                return Status::Failed;
            }
        }
        Status::Done
    }

    /// Runs the lines of a script (`#` begins a comment), until one fails: says which one that was,
    /// counted from 1.
    ///
    /// # Errors
    /// A line failed and has said so, or scripts run scripts too deep.
    pub fn run_script(&mut self, text: &str) -> Result<(), Failed> {
        if self.depth >= MAX_DEPTH {
            return Err(Failed::because("scripts run scripts too deep"));
        }
        self.depth += 1;
        let failed = text.lines().zip(1_u32..).find(|(line, _)| self.run_line(line) == Status::Failed);
        self.depth -= 1;
        match failed {
            Some((_, number)) => Err(Failed::Because(format!("line{number}: failed"))),
            None => Ok(()),
        }
    }

    /// Runs one command, given as its words.
    pub fn run_command(&mut self, words: &[String]) -> Status {
        let Some((name, rest)) = words.split_first() else { return Status::Done };
        let Some(command) = find(name) else {
            self.complain(format_args!("Error: unknown command {name}"));
            return Status::Failed;
        };
        if rest.len() == 1 && rest.first().is_some_and(|word| word == "help") && command.name != "help" {
            self.show_usage(command);
            return Status::Done;
        }
        let result = match choose(command, rest) {
            Ok((form, arguments)) => {
                Args::new(form.arguments, arguments).and_then(|args| (form.run)(self, &args))
            }
            Err(failed) => Err(failed),
        };
        if let Err(failed) = &result {
            if matches!(failed, Failed::Usage(_)) {
                self.show_usage(command);
            }
            self.complain(format_args!("Error: command {name} failed: {failed}"));
        }
        self.flush();
        if result.is_ok() { Status::Done } else { Status::Failed }
    }

    fn show_usage(&mut self, command: &Command) {
        // A terminal that does not take it cannot be told so either.
        let _ = usage(self, command);
        self.flush();
    }

    fn complain(&mut self, text: fmt::Arguments<'_>) {
        let _ = writeln!(self, "{text}");
        self.flush();
    }

    /// The terminal, after all output was sent: for commands that read, or write bytes as they are.
    pub fn terminal(&mut self) -> &mut dyn Terminal {
        self.flush();
        self.terminal
    }

    /// Sends what was collected.
    pub fn flush(&mut self) {
        if !self.buffer.is_empty() {
            self.terminal.write(&self.buffer);
            self.buffer.clear();
        }
    }
}

impl fmt::Write for Session<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                self.buffer.extend_from_slice(b"\r\n");
            }
            self.buffer.extend_from_slice(line.as_bytes());
        }
        if text.ends_with('\n') || self.buffer.len() > BUFFER {
            self.flush();
        }
        Ok(())
    }
}

/// The command of this name.
pub(crate) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().copied().find(|command| command.name == name)
}

/// Prints how a command is used.
pub(crate) fn usage(out: &mut dyn Write, command: &Command) -> fmt::Result {
    writeln!(out, "Usage:")?;
    for form in command.forms {
        write!(out, "   {}", command.name)?;
        for part in [form.words, form.arguments] {
            if !part.is_empty() {
                write!(out, " {part}")?;
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

/// The form whose words these begin with, and the arguments behind them.
fn choose<'w>(
    command: &'static Command,
    words: &'w [String],
) -> Result<(&'static Form, &'w [String]), Failed> {
    for form in command.forms {
        let count = form.words.split_whitespace().count();
        if let Some((chosen, arguments)) = words.split_at_checked(count)
            && form.words.split_whitespace().eq(chosen.iter().map(String::as_str))
        {
            return Ok((form, arguments));
        }
    }
    Err(Failed::Usage(match unknown_word(command, words) {
        Some(word) => format!("unknown word \"{word}\""),
        None => String::from("a word is missing"),
    }))
}

/// The first word with which no form goes on.
fn unknown_word<'w>(command: &Command, words: &'w [String]) -> Option<&'w str> {
    let known = |count: usize| {
        command.forms.iter().any(|form| {
            let mut own = form.words.split_whitespace();
            words.iter().take(count).all(|word| own.next() == Some(word))
        })
    };
    (1..=words.len()).find(|count| !known(*count)).and_then(|count| words.get(count - 1)).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::{Session, Status};
    use crate::terminal::fake::Terminal;

    fn run(line: &str) -> (Status, std::string::String) {
        let mut terminal = Terminal::default();
        let status = Session::new(&mut terminal).run_line(line);
        (status, terminal.text())
    }

    #[test]
    fn commands_are_chained_and_words_are_quoted() {
        assert_eq!(run("echo a  b; echo \"c  d\""), (Status::Done, "a b\nc  d\n".into()));
        assert_eq!(run(""), (Status::Done, "".into()));
        assert_eq!(run(" ; ;"), (Status::Done, "".into()));
    }

    #[test]
    fn a_failing_command_ends_its_line() {
        let (status, text) = run("echo a; no_such; echo b");
        assert_eq!(status, Status::Failed);
        assert_eq!(text, "a\nError: unknown command no_such\n");
    }

    #[test]
    fn an_error_names_the_word_that_is_wrong() {
        let error = |line| run(line).1.lines().last().unwrap_or_default().replace("Error: ", "");
        assert_eq!(error("guest creat x"), "command guest failed: unknown word \"creat\"");
        assert_eq!(error("host cpu inof"), "command host failed: unknown word \"inof\"");
        assert_eq!(error("host cpu"), "command host failed: a word is missing");
        assert_eq!(error("sleep secs"), "command sleep failed: <count> is missing");
        assert_eq!(error("version 1"), "command version failed: \"1\" is one word too many");
        assert!(error("echo \"a").contains("column 6"));
    }

    #[test]
    fn every_command_explains_itself() {
        for command in crate::COMMANDS {
            if command.name != "help" {
                let (status, text) = run(&std::format!("{} help", command.name));
                assert_eq!(status, Status::Done);
                assert!(text.starts_with(&std::format!("Usage:\n   {}", command.name)), "{text}");
            }
        }
    }

    #[test]
    fn a_script_stops_at_the_line_that_fails() {
        let mut terminal = Terminal::default();
        let result = Session::new(&mut terminal).run_script("# one\necho a\n\nwrong\necho b\n");
        assert_eq!(result.unwrap_err().to_string(), "line4: failed");
        assert_eq!(terminal.text(), "a\nError: unknown command wrong\n");
    }
}
