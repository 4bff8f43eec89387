//! Paths.

use alloc::string::String;

use crate::error::{Error, Why};

/// An absolute path without `.`, `..`, and doubled or trailing `/`; the root's parent is the root.
///
/// # Errors
/// It is not absolute.
pub fn normalize(path: &str) -> Result<String, Error> {
    let rest = path.strip_prefix('/').ok_or_else(|| Why::NotAbsolute.at(path))?;
    Ok(join(String::new(), rest))
}

/// `base` (normalized, or empty for the root) and a relative path from there.
pub(crate) fn join(mut base: String, relative: &str) -> String {
    if base == "/" {
        base.clear();
    }
    for name in relative.split('/') {
        match name {
            "" | "." => {}
            ".." => base.truncate(base.rfind('/').unwrap_or(0)),
            name => {
                base.push('/');
                base.push_str(name);
            }
        }
    }
    if base.is_empty() {
        base.push('/');
    }
    base
}

/// What of the normalized `path` lies below the normalized `directory`: empty for the directory itself.
pub(crate) fn below<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(directory)?;
    if directory == "/" || rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_normal_form() {
        let normal = |path| normalize(path).map_err(|error| error.why);
        assert_eq!(normal("/"), Ok("/".into()));
        assert_eq!(normal("//a/./b//"), Ok("/a/b".into()));
        assert_eq!(normal("/a/../../b/c/.."), Ok("/b".into()));
        assert_eq!(normal("/a/.."), Ok("/".into()));
        assert_eq!(normal("a"), Err(Why::NotAbsolute));
        assert_eq!(normal(""), Err(Why::NotAbsolute));
    }

    #[test]
    fn below_is_by_whole_names() {
        assert_eq!(below("/a/b", "/"), Some("a/b"));
        assert_eq!(below("/", "/"), Some(""));
        assert_eq!(below("/a/b", "/a"), Some("b"));
        assert_eq!(below("/a", "/a"), Some(""));
        assert_eq!(below("/ab", "/a"), None);
    }
}
