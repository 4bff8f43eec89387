//! The words of a command, taken one by one.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;

use crate::parse;

/// What is wrong with the words of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgError {
    /// A word is missing; what it would have meant.
    Missing(&'static str),
    /// A word is not what it has to be.
    Bad {
        /// What it means.
        meaning: &'static str,
        /// The word.
        word: String,
        /// What is wrong with it: `is not a number`.
        what: parse::What,
    },
    /// A word which is not one of those that are possible here.
    NoChoice {
        /// What it means.
        meaning: &'static str,
        /// The word.
        word: String,
        /// What is possible.
        choices: &'static [&'static str],
    },
    /// A word too many.
    Unexpected(String),
}

impl fmt::Display for ArgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArgError::Missing(meaning) => write!(f, "<{meaning}> is missing"),
            ArgError::Bad { meaning, word, what } => write!(f, "<{meaning}>: \"{word}\" {what}"),
            ArgError::NoChoice { meaning, word, choices } => {
                write!(f, "<{meaning}>: \"{word}\" is not one of")?;
                choices.iter().try_for_each(|choice| write!(f, " {choice}"))
            }
            ArgError::Unexpected(word) => write!(f, "unexpected word \"{word}\""),
        }
    }
}

impl core::error::Error for ArgError {}

/// The words that a command has not looked at yet.
///
/// Each getter is given the word's meaning, for the error: `args.number::<u64>("address")?`.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    rest: &'a [String],
}

impl<'a> Args<'a> {
    /// All of `words`.
    pub fn new(words: &'a [String]) -> Self {
        Args { rest: words }
    }

    /// The words that are left.
    pub fn rest(&self) -> &'a [String] {
        self.rest
    }

    /// The next word, without taking it.
    pub fn peek(&self) -> Option<&'a str> {
        self.rest.first().map(String::as_str)
    }

    /// Takes the next word, if there is one.
    pub fn optional(&mut self) -> Option<&'a str> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// Takes the next word if it is this one, and says whether it was.
    pub fn flag(&mut self, word: &str) -> bool {
        self.peek() == Some(word) && self.optional().is_some()
    }

    /// Takes the next word.
    ///
    /// # Errors
    /// There is none.
    pub fn word(&mut self, meaning: &'static str) -> Result<&'a str, ArgError> {
        self.optional().ok_or(ArgError::Missing(meaning))
    }

    /// Takes the next word as a number: see [`parse::number`].
    ///
    /// # Errors
    /// There is none, it is not a number, or does not fit the type.
    pub fn number<N: TryFrom<u64>>(&mut self, meaning: &'static str) -> Result<N, ArgError> {
        let too_large = |_| "is too large a number";
        self.parsed(meaning, |word| N::try_from(parse::number(word)?).map_err(too_large))
    }

    /// Takes the next word as a number, if there is one.
    ///
    /// # Errors
    /// It is not a number, or does not fit the type.
    pub fn optional_number<N: TryFrom<u64>>(&mut self, meaning: &'static str) -> Result<Option<N>, ArgError> {
        if self.rest.is_empty() { Ok(None) } else { self.number(meaning).map(Some) }
    }

    /// Takes the next word as what `parser` makes of it, such as [`parse::time`].
    ///
    /// # Errors
    /// There is none, or the parser refuses it.
    pub fn parsed<T>(
        &mut self,
        meaning: &'static str,
        parser: impl FnOnce(&str) -> Result<T, parse::What>,
    ) -> Result<T, ArgError> {
        let word = self.word(meaning)?;
        parser(word).map_err(|what| ArgError::Bad { meaning, word: word.to_owned(), what })
    }

    /// Takes the next word as one of `choices`, and gives its index.
    ///
    /// # Errors
    /// There is none, or it is none of these.
    pub fn choice(
        &mut self,
        meaning: &'static str,
        choices: &'static [&'static str],
    ) -> Result<usize, ArgError> {
        let word = self.word(meaning)?;
        let position = choices.iter().position(|&choice| choice == word);
        position.ok_or_else(|| ArgError::NoChoice { meaning, word: word.to_owned(), choices })
    }

    /// Checks that no word is left.
    ///
    /// # Errors
    /// One is.
    pub fn end(&self) -> Result<(), ArgError> {
        self.peek().map_or(Ok(()), |word| Err(ArgError::Unexpected(word.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};
    use std::vec::Vec;

    use super::Args;
    use crate::parse;

    fn words(line: &str) -> Vec<String> {
        crate::split(line).unwrap().pop().unwrap_or_default()
    }

    #[test]
    fn words_are_taken_in_order() {
        let words = words("guest0 0x1000 4K -v on 10:20");
        let mut args = Args::new(&words);
        assert_eq!(args.word("guest").unwrap(), "guest0");
        assert_eq!(args.number::<u32>("address").unwrap(), 0x1000);
        assert_eq!(args.optional_number::<usize>("size").unwrap(), Some(4096));
        assert!(!args.flag("-x") && args.flag("-v"));
        assert_eq!(args.choice("state", &["off", "on"]).unwrap(), 1);
        assert_eq!(args.parsed("time", parse::time).unwrap().minute, 20);
        assert_eq!((args.end(), args.optional()), (Ok(()), None));
        assert_eq!(args.optional_number::<u8>("count").unwrap(), None);
    }

    #[test]
    fn errors_name_the_word() {
        let words = words("300 x y z");
        let mut args = Args::new(&words);
        assert_eq!(args.number::<u8>("cpu").unwrap_err().to_string(), "<cpu>: \"300\" is too large a number");
        assert_eq!(args.number::<u8>("cpu").unwrap_err().to_string(), "<cpu>: \"x\" is not a number");
        assert_eq!(
            args.choice("state", &["on", "off"]).unwrap_err().to_string(),
            "<state>: \"y\" is not one of on off"
        );
        assert_eq!(args.end().unwrap_err().to_string(), "unexpected word \"z\"");
        args.optional();
        assert_eq!(args.word("guest").unwrap_err().to_string(), "<guest> is missing");
    }
}
