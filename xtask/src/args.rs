//! Options of the sub-commands: one table each, from which both the parser and the help are made.

use std::fmt::Write as _;
use std::str::FromStr;

use anyhow::{Result, anyhow, bail};

use crate::context::Context;

/// One option of a sub-command.
pub(crate) struct Opt {
    /// The long name, without dashes.
    pub(crate) long: &'static str,
    /// The one-letter name, where there is one.
    pub(crate) short: Option<char>,
    /// What stands for the value in the help; `None` for a plain switch.
    pub(crate) value: Option<&'static str>,
    /// One or several lines for the help.
    pub(crate) help: &'static str,
}

impl Opt {
    /// A switch: `--name`.
    pub(crate) const fn switch(long: &'static str, help: &'static str) -> Self {
        Self { long, short: None, value: None, help }
    }

    /// An option with a value: `--name VALUE` or `--name=VALUE`.
    pub(crate) const fn value(long: &'static str, value: &'static str, help: &'static str) -> Self {
        Self { long, short: None, value: Some(value), help }
    }

    /// The same with a one-letter name.
    pub(crate) const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }
}

/// What every sub-command takes.
const COMMON: &[Opt] = &[
    Opt::value("output", "DIR", "keep everything that is made in DIR instead of build/"),
    Opt::switch("verbose", "print every command before it runs").short('v'),
    Opt::switch("dry-run", "print the commands and run none of them").short('n'),
    Opt::switch("help", "print this text").short('h'),
];

/// A sub-command: its name, its help, its options and the function that does it.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// One line for the overview.
    pub(crate) summary: &'static str,
    /// A few paragraphs: what it does, in which order, and what it leaves behind.
    pub(crate) about: &'static str,
    pub(crate) options: &'static [Opt],
    /// What may follow the options, for the usage line; none if empty.
    pub(crate) operands: &'static str,
    /// Command lines, each with what it is good for.
    pub(crate) examples: &'static [(&'static str, &'static str)],
    pub(crate) run: fn(&Context, &Parsed) -> Result<()>,
}

/// The options that were given.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    given: Vec<(&'static str, String)>,
    /// What stood behind the options or behind `--`.
    pub(crate) operands: Vec<String>,
}

impl Parsed {
    /// Whether the switch was given.
    pub(crate) fn flag(&self, long: &str) -> bool {
        self.given.iter().any(|(name, _)| *name == long)
    }

    /// The value of an option; the last one where it was given several times.
    pub(crate) fn value(&self, long: &str) -> Option<&str> {
        self.given.iter().rev().find(|(name, _)| *name == long).map(|(_, value)| value.as_str())
    }

    /// All values of an option, in order.
    pub(crate) fn values<'a>(&'a self, long: &'a str) -> impl Iterator<Item = &'a str> {
        self.given.iter().filter(move |(name, _)| *name == long).map(|(_, value)| value.as_str())
    }

    /// The value of an option as a number or the like; an error that names the option if it is none.
    pub(crate) fn number<T: FromStr>(&self, long: &str) -> Result<Option<T>> {
        self.value(long)
            .map(|text| text.parse().map_err(|_| anyhow!("--{long} takes a number, and `{text}` is none")))
            .transpose()
    }
}

impl Command {
    fn all_options(&self) -> impl Iterator<Item = &'static Opt> {
        self.options.iter().chain(COMMON)
    }

    fn unknown(&self, word: &str) -> anyhow::Error {
        anyhow!(
            "`{word}` is no option of `cargo xtask {}`; `cargo xtask {} --help` lists them",
            self.name,
            self.name
        )
    }

    /// Takes the words behind the sub-command's name apart.
    pub(crate) fn parse(&self, words: &[String]) -> Result<Parsed> {
        let mut parsed = Parsed::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                parsed.operands.extend(words.by_ref().cloned());
                break;
            }
            let (name, attached) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (word.as_str(), None),
            };
            let option = if let Some(long) = name.strip_prefix("--") {
                self.all_options().find(|option| option.long == long)
            } else if let Some(letters) = name.strip_prefix('-') {
                let mut letters = letters.chars();
                let letter = letters.next().filter(|_| letters.next().is_none());
                self.all_options().find(|option| letter.is_some() && option.short == letter)
            } else {
                parsed.operands.push(word.clone());
                continue;
            };
            let option = option.ok_or_else(|| self.unknown(word))?;
            let value = match (option.value, attached) {
                (None, None) => String::new(),
                (None, Some(_)) => bail!("--{} takes no value", option.long),
                (Some(_), Some(value)) => value,
                (Some(what), None) => words
                    .next()
                    .cloned()
                    .ok_or_else(|| anyhow!("--{} needs a value: --{} {what}", option.long, option.long))?,
            };
            parsed.given.push((option.long, value));
        }
        if self.operands.is_empty()
            && let Some(word) = parsed.operands.first()
        {
            return Err(self.unknown(word));
        }
        Ok(parsed)
    }

    /// The text of `--help`.
    pub(crate) fn help(&self) -> String {
        let mut text = format!("{}\n\nUsage: cargo xtask {} [OPTIONS]", self.summary, self.name);
        if !self.operands.is_empty() {
            let _ = write!(text, " {}", self.operands);
        }
        let _ = write!(text, "\n\n{}\n\nOptions:\n", self.about.trim());
        for option in self.all_options() {
            let short = option.short.map_or_else(|| "    ".to_owned(), |letter| format!("-{letter}, "));
            let value = option.value.map(|value| format!(" {value}")).unwrap_or_default();
            let head = format!("  {short}--{}{value}", option.long);
            let _ = writeln!(text, "{head:<25} {}", indent(option.help, &" ".repeat(26)));
        }
        if !self.examples.is_empty() {
            text.push_str("\nExamples:\n");
            for (line, purpose) in self.examples {
                let _ = writeln!(text, "  {line}\n      {}", indent(purpose, "      "));
            }
        }
        text
    }
}

/// The text of `cargo xtask help`.
pub(crate) fn overview(commands: &[&Command]) -> String {
    let mut text = String::from(
        "Builds, runs and tests the hypervisor; fetches what it needs by itself.\n\n\
         Usage: cargo xtask COMMAND [OPTIONS]\n\nCommands:\n",
    );
    for command in commands {
        let _ = writeln!(text, "  {:<8} {}", command.name, command.summary);
    }
    text.push_str("  help     this text; `help COMMAND` tells all about one of them\n\n");
    text.push_str("To begin: `cargo xtask run` boots it in QEMU, `cargo xtask test` runs every test.\n");
    text
}

/// `text` with `prefix` before every line but the first.
pub(crate) fn indent(text: &str, prefix: &str) -> String {
    text.replace('\n', &format!("\n{prefix}"))
}

/// Splits a line into words as a shell does: blanks separate, single and double quotes keep together.
pub(crate) fn split_words(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for letter in line.chars() {
        match quote {
            Some(open) if letter == open => quote = None,
            Some(_) => word.get_or_insert_default().push(letter),
            None if letter == '\'' || letter == '"' => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            None if letter.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(letter),
        }
    }
    if let Some(open) = quote {
        bail!("a quote {open} is not closed in: {line}");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: Command = Command {
        name: "sample",
        summary: "A sample",
        about: "Does nothing.",
        options: &[Opt::value("cpus", "N", "how many"), Opt::switch("gdb", "wait").short('g')],
        operands: "[-- WORDS]",
        examples: &[],
        run: |_, _| Ok(()),
    };

    fn parse(line: &str) -> Result<Parsed> {
        SAMPLE.parse(&split_words(line).expect("the line is well quoted"))
    }

    #[test]
    fn a_value_may_be_attached_or_follow() {
        for line in ["--cpus 3", "--cpus=3"] {
            assert_eq!(parse(line).unwrap().number::<u32>("cpus").unwrap(), Some(3));
        }
    }

    #[test]
    fn the_last_of_several_values_counts() {
        assert_eq!(parse("--cpus 3 --cpus 4").unwrap().value("cpus"), Some("4"));
    }

    #[test]
    fn words_behind_two_dashes_are_operands() {
        let parsed = parse("-g -- --cpus -x").unwrap();
        assert!(parsed.flag("gdb"));
        assert_eq!(parsed.operands, ["--cpus", "-x"]);
    }

    #[test]
    fn wrong_words_are_named() {
        for (line, word) in [("--cpu 3", "--cpu"), ("-z", "-z"), ("--gdb=1", "--gdb"), ("--cpus", "--cpus")] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(word), "{line}: {error}");
        }
        assert!(parse("--cpus x").unwrap().number::<u32>("cpus").is_err());
    }

    #[test]
    fn help_names_every_option() {
        let help = SAMPLE.help();
        for word in ["--cpus N", "-g, --gdb", "--verbose", "--output DIR"] {
            assert!(help.contains(word), "{word} is missing in {help}");
        }
    }

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(split_words("a 'b c' \"d 'e\" '' f").unwrap(), ["a", "b c", "d 'e", "", "f"]);
        assert!(split_words("a 'b").is_err());
    }
}
