//! What the word at the end of a line could become.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::arguments::parameter_name;
use crate::{COMMANDS, Command, objects, session};

/// The words that the last word of `line` could become (the empty word after a blank): of commands, of
/// their forms, and names of objects. Each begins with what is typed already; they are sorted.
pub fn complete(line: &str) -> Vec<String> {
    let command = line.rsplit(';').next().unwrap_or_default();
    let mut words: Vec<&str> = command.split_whitespace().collect();
    let typed = if command.ends_with(char::is_whitespace) { "" } else { words.pop().unwrap_or_default() };
    let mut found = match words.split_first() {
        None => COMMANDS.iter().map(|command| command.name.to_string()).collect(),
        Some((name, rest)) => {
            session::find(name).map(|command| after(command, rest, typed)).unwrap_or_default()
        }
    };
    found.retain(|word| word.starts_with(typed));
    found.sort_unstable();
    found.dedup();
    found
}

/// What may follow `words` in the forms of `command`.
fn after(command: &Command, words: &[&str], typed: &str) -> Vec<String> {
    let mut found = Vec::new();
    for form in command.forms {
        let mut own = form.words.split_whitespace();
        let mut given = words.iter();
        let wrong = loop {
            match (own.next(), given.next()) {
                (Some(own), Some(given)) if own == *given => {}
                (Some(_), Some(_)) => break true,
                (Some(own), None) => {
                    found.push(own.to_string());
                    break true;
                }
                (None, _) => break false,
            }
        };
        let index = words.len().saturating_sub(form.words.split_whitespace().count());
        if !wrong && let Some(parameter) = parameter_name(form.arguments, index) {
            found.extend(objects::names(parameter, typed));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::complete;

    #[test]
    fn words_are_completed_from_the_table_of_commands() {
        assert_eq!(complete("ver"), ["version"]);
        assert_eq!(complete("echo a; sle"), ["sleep"]);
        assert_eq!(complete("host c"), ["class_device_list", "class_list", "cpu"]);
        assert_eq!(complete("host cpu "), ["info", "offline", "online", "poke", "stats"]);
        assert_eq!(complete("help gu"), ["guest"]);
        assert!(complete("no_such ").is_empty());
        assert!(complete("").len() == crate::COMMANDS.len());
    }
}
