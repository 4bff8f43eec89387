//! A kernel's command line, in the form that Linux and its boot loaders know.

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// What stands before the `=`.
    pub key: &'a str,
    /// What stands behind it, without its quotes; `None` if there is no `=`.
    pub value: Option<&'a str>,
}

/// The parameters of a command line. Allocates nothing, so it can be used before there is a heap.
///
/// Blanks separate parameters, except between `"` and `"`. The quotes are taken off if they stand around
/// a whole value or a whole parameter; there is no escape. A quotation without end reaches to the end.
///
/// ```
/// let mut all = cmdline::parameters(r#"vmm.bootcmd="vfs mount initrd /;help" quiet"#);
/// assert_eq!(all.next().unwrap().value, Some("vfs mount initrd /;help"));
/// assert_eq!(all.next().unwrap().key, "quiet");
/// ```
pub fn parameters(line: &str) -> impl Iterator<Item = Parameter<'_>> {
    let mut rest = line;
    core::iter::from_fn(move || {
        rest = rest.trim_start();
        let mut quoted = false;
        let end = rest.find(|character: char| {
            quoted ^= character == '"';
            !quoted && character.is_whitespace()
        });
        let (word, behind) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        rest = behind;
        if word.is_empty() {
            return None;
        }
        let word = word.strip_prefix('"').map_or(word, |inner| inner.strip_suffix('"').unwrap_or(inner));
        Some(match word.split_once('=') {
            Some((key, value)) => Parameter { key, value: Some(unquoted(value)) },
            None => Parameter { key: word, value: None },
        })
    })
}

/// The value of the last parameter with this key; of one without value it is empty.
pub fn parameter<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    parameters(line).filter(|parameter| parameter.key == key).last().map(|last| last.value.unwrap_or(""))
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').map_or(value, |inner| inner.strip_suffix('"').unwrap_or(inner))
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::{parameter, parameters};

    #[test]
    fn parameters_have_keys_and_perhaps_values() {
        let line = " console=ttyAMA0,115200  vmm.bootcmd=\"a /;b c\" \"d=e f\" flag x= k=\"v=w\"";
        let all: Vec<_> = parameters(line).map(|parameter| (parameter.key, parameter.value)).collect();
        assert_eq!(
            all,
            [
                ("console", Some("ttyAMA0,115200")),
                ("vmm.bootcmd", Some("a /;b c")),
                ("d", Some("e f")),
                ("flag", None),
                ("x", Some("")),
                ("k", Some("v=w")),
            ]
        );
        assert_eq!((parameter(line, "flag"), parameter(line, "none")), (Some(""), None));
        assert_eq!(parameter("a=1 a=2", "a"), Some("2"));
    }

    #[test]
    fn odd_lines_end() {
        for line in ["", "   ", "\"", "a=\"b c", "\"\"", "= \"=\" ü=ö"] {
            assert!(parameters(line).count() <= 3, "{line}");
        }
        assert_eq!(parameter("a=\"b c", "a"), Some("b c"));
    }
}
