//! From a line to commands and their words.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::iter::Peekable;
use core::str::CharIndices;

/// Why a line can't be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitError {
    /// The character, from 1, that has no end.
    pub column: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

impl fmt::Display for SplitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.what)
    }
}

impl core::error::Error for SplitError {}

/// The commands of a line (or of several), each as its words. Commands without words are left out.
///
/// Blanks separate words, `;` and line ends separate commands, `#` at the beginning of a word makes the
/// rest of the line a comment. `'…'` takes everything as it is; `"…"` everything but `\"` and `\\`;
/// elsewhere a backslash takes the next character as it is. Quotes may stand anywhere in a word, and
/// make an empty one: `""`.
///
/// ```
/// let commands = cmdline::split("vfs mount initrd / ; echo 'a; b' # both").unwrap();
/// assert_eq!(commands, [vec!["vfs", "mount", "initrd", "/"], vec!["echo", "a; b"]]);
/// ```
///
/// # Errors
/// A quote without its end, or a backslash at the end of the line.
pub fn split(line: &str) -> Result<Vec<Vec<String>>, SplitError> {
    let mut splitter = Splitter { line, rest: line.char_indices().peekable() };
    let mut commands = Vec::new();
    let mut words = Vec::new();
    while let Some(&(_, character)) = splitter.rest.peek() {
        match character {
            ';' | '\n' => {
                splitter.rest.next();
                if !words.is_empty() {
                    commands.push(core::mem::take(&mut words));
                }
            }
            '#' => while splitter.rest.next_if(|&(_, character)| character != '\n').is_some() {},
            blank if blank.is_whitespace() => {
                splitter.rest.next();
            }
            _ => words.push(splitter.word()?),
        }
    }
    if !words.is_empty() {
        commands.push(words);
    }
    Ok(commands)
}

struct Splitter<'a> {
    line: &'a str,
    rest: Peekable<CharIndices<'a>>,
}

impl Splitter<'_> {
    /// Reads one word, which begins here.
    fn word(&mut self) -> Result<String, SplitError> {
        let mut word = String::new();
        while let Some((at, character)) = self.rest.next_if(|&(_, character)| !ends_word(character)) {
            match character {
                '\'' | '"' => self.quoted(at, character, &mut word)?,
                '\\' => match self.rest.next() {
                    Some((_, escaped)) => word.push(escaped),
                    None => return Err(self.error(at, "nothing follows the backslash")),
                },
                _ => word.push(character),
            }
        }
        Ok(word)
    }

    /// Reads up to the end of a quotation which began at `start`.
    fn quoted(&mut self, start: usize, quote: char, word: &mut String) -> Result<(), SplitError> {
        while let Some((_, character)) = self.rest.next() {
            if character == quote {
                return Ok(());
            }
            let escaped = match character {
                '\\' if quote == '"' => self.rest.next_if(|&(_, next)| matches!(next, '"' | '\\')),
                _ => None,
            };
            word.push(escaped.map_or(character, |(_, escaped)| escaped));
        }
        Err(self.error(start, "the quotation has no end"))
    }

    fn error(&self, at: usize, what: &'static str) -> SplitError {
        SplitError { column: self.line.get(..at).map_or(0, |before| before.chars().count()) + 1, what }
    }
}

fn ends_word(character: char) -> bool {
    character == ';' || character.is_whitespace()
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};
    use std::vec::Vec;
    use std::{format, vec};

    use super::split;

    fn one(line: &str) -> Vec<String> {
        let mut commands = split(line).unwrap();
        assert!(commands.len() <= 1, "{commands:?}");
        commands.pop().unwrap_or_default()
    }

    #[test]
    fn blanks_separate_words() {
        assert_eq!(one("  guest\tcreate   guest0 "), ["guest", "create", "guest0"]);
        assert_eq!(one(""), [""; 0]);
        assert_eq!(one(" ;; ; "), [""; 0]);
    }

    #[test]
    fn semicolons_and_line_ends_separate_commands() {
        assert_eq!(split("a b;c\nd").unwrap(), [vec!["a", "b"], vec!["c"], vec!["d"]]);
        assert_eq!(split("a';'b").unwrap(), [vec!["a;b"]]);
    }

    #[test]
    fn comments_begin_words_and_end_with_the_line() {
        assert_eq!(split("a #b;c\nd#e").unwrap(), [vec!["a"], vec!["d#e"]]);
        assert_eq!(one("echo '#'"), ["echo", "#"]);
    }

    #[test]
    fn quotes_keep_what_is_inside() {
        assert_eq!(one(r#"a"b c"'d "e'  "" ''"#), ["ab cd \"e", "", ""]);
        assert_eq!(one(r#""a\"b\\c\d" 'a\'"#), ["a\"b\\c\\d", "a\\"]);
        assert_eq!(one(r"a\ b \; \#x"), ["a b", ";", "#x"]);
    }

    #[test]
    fn what_has_no_end_is_named_by_its_column() {
        assert_eq!(split("ü 'b").unwrap_err().to_string(), "column 3: the quotation has no end");
        assert_eq!(split("a\\").unwrap_err().to_string(), "column 2: nothing follows the backslash");
        assert_eq!(format!("{}", split("\"\\\"").unwrap_err()), "column 1: the quotation has no end");
    }
}
