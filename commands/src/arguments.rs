//! The arguments of a command: how many there may be, and what is in them.

use alloc::format;
use alloc::string::String;

use crate::Failed;

/// The words after those that chose a form. There are as many as the form allows.
pub struct Args<'a> {
    /// As [`Form::arguments`](crate::Form::arguments) has it.
    parameters: &'static str,
    words: &'a [String],
}

/// What one parameter of a form allows.
enum Parameter {
    Needed,
    Optional,
    /// Any number of the one before.
    More,
}

fn parameters(text: &'static str) -> impl Iterator<Item = (Parameter, &'static str)> {
    text.split_whitespace().map(|parameter| {
        let name = parameter.trim_matches(['[', ']', '<', '>']);
        match parameter.as_bytes().first() {
            Some(b'[') => (Parameter::Optional, name),
            Some(b'.') => (Parameter::More, name),
            _ => (Parameter::Needed, name),
        }
    })
}

/// The name of parameter `index` in a form's list; of the last one where any number of it may follow.
pub(crate) fn parameter_name(text: &'static str, index: usize) -> Option<&'static str> {
    let mut last = None;
    for (number, (parameter, name)) in parameters(text).enumerate() {
        if matches!(parameter, Parameter::More) {
            return last;
        }
        if number == index {
            return Some(name);
        }
        last = Some(name);
    }
    None
}

impl<'a> Args<'a> {
    /// Checks how many words there are.
    pub(crate) fn new(text: &'static str, words: &'a [String]) -> Result<Self, Failed> {
        let mut most = 0;
        for (parameter, name) in parameters(text) {
            match parameter {
                Parameter::Needed if words.len() <= most => {
                    return Err(Failed::Usage(format!("<{name}> is missing")));
                }
                Parameter::More => most = usize::MAX,
                Parameter::Needed | Parameter::Optional => most += 1,
            }
        }
        match words.get(most) {
            Some(extra) => Err(Failed::Usage(format!("\"{extra}\" is one word too many"))),
            None => Ok(Self { parameters: text, words }),
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.words.len()
    }

    /// Argument `index`, when it was given.
    pub fn given(&self, index: usize) -> Option<&'a str> {
        self.words.get(index).map(String::as_str)
    }

    /// Argument `index`.
    ///
    /// # Errors
    /// It was not given.
    pub fn text(&self, index: usize) -> Result<&'a str, Failed> {
        self.given(index).ok_or_else(|| Failed::Usage(format!("<{}> is missing", self.name(index))))
    }

    /// Argument `index` and those after it.
    pub fn rest(&self, index: usize) -> &'a [String] {
        self.words.get(index..).unwrap_or_default()
    }

    /// Argument `index` as a number: see [`cmdline::parse::number`].
    ///
    /// # Errors
    /// It was not given, is no number, or is too large.
    pub fn number<T: TryFrom<u64>>(&self, index: usize) -> Result<T, Failed> {
        number(self.name(index), self.text(index)?)
    }

    /// Argument `index` as a number, or `default` when it was not given.
    ///
    /// # Errors
    /// It is no number, or is too large.
    pub fn number_or<T: TryFrom<u64>>(&self, index: usize, default: T) -> Result<T, Failed> {
        if self.given(index).is_some() { self.number(index) } else { Ok(default) }
    }

    /// Argument `index` as what `parser` makes of it.
    ///
    /// # Errors
    /// It was not given, or the parser refuses it.
    pub fn parsed<T>(
        &self,
        index: usize,
        parser: impl FnOnce(&str) -> Result<T, cmdline::parse::What>,
    ) -> Result<T, Failed> {
        let word = self.text(index)?;
        parser(word).map_err(|what| Failed::because(format!("<{}>: \"{word}\" {what}", self.name(index))))
    }

    fn name(&self, index: usize) -> &'static str {
        parameter_name(self.parameters, index).unwrap_or("argument")
    }
}

/// `word` as a number; `name` says in the error what it should have been.
pub(crate) fn number<T: TryFrom<u64>>(name: &str, word: &str) -> Result<T, Failed> {
    let wrong = |what| Failed::because(format!("<{name}>: \"{word}\" {what}"));
    let value = cmdline::parse::number(word).map_err(wrong)?;
    T::try_from(value).map_err(|_| wrong("is too large a number"))
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};
    use std::vec::Vec;

    use super::{Args, parameter_name};

    fn words(count: usize) -> Vec<String> {
        (0..count).map(|n| alloc::format!("{n}")).collect()
    }

    #[test]
    fn the_count_of_words_is_what_the_usage_says() {
        let fits = |text, count| Args::new(text, &words(count)).is_ok();
        assert!(fits("", 0) && !fits("", 1));
        assert!(
            !fits("<a> [<b>]", 0) && fits("<a> [<b>]", 1) && fits("<a> [<b>]", 2) && !fits("<a> [<b>]", 3)
        );
        assert!(!fits("<a> <b> ...", 1) && fits("<a> <b> ...", 2) && fits("<a> <b> ...", 9));
        assert!(fits("[<a>] ...", 0) && fits("[<a>] ...", 9));
    }

    #[test]
    fn the_last_parameter_repeats() {
        assert_eq!(parameter_name("<a> [<b>] ...", 1), Some("b"));
        assert_eq!(parameter_name("<a> [<b>] ...", 7), Some("b"));
        assert_eq!(parameter_name("<a>", 1), None);
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused_by_name() {
        let words = [String::from("0x1ff"), String::from("zwei")];
        let args = Args::new("<first> <second>", &words).unwrap();
        assert_eq!(args.number::<u32>(0), Ok(511));
        assert!(args.number::<u8>(0).unwrap_err().to_string().contains("<first>"));
        assert!(args.number::<u8>(1).unwrap_err().to_string().contains("zwei"));
    }
}
