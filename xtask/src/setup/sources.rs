//! Where this machine gets its Debian packages from, and what follows from it for other suites.
//!
//! The sources are read in both forms of sources.list(5), and written again with only the suites'
//! names changed, so that mirrors, keys and proxies stay those that the machine's owner chose.

use std::fmt::Write as _;
use std::path::Path;

/// One `deb` source.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    uris: String,
    suites: Vec<String>,
    components: Vec<String>,
    /// The value of Signed-By as deb822 has it; it may be a whole key of several lines.
    signed_by: Option<String>,
    trusted: bool,
}

/// The machine's sources for its own release.
pub(crate) struct Sources {
    /// The release's code name, such as `bookworm`.
    pub(crate) codename: String,
    main: Source,
    security: Option<Source>,
}

impl Sources {
    /// Reads the machine's sources; `None` where it has no Debian release or no source for one.
    pub(crate) fn of_this_machine() -> Option<Self> {
        let release = std::fs::read_to_string("/etc/os-release").ok()?;
        let codename =
            release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?.trim_matches('"');
        let mut found = Vec::new();
        let mut add = |path: &Path| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("sources") => found.extend(parse_stanzas(&text)),
                Some("list") => found.extend(parse_lines(&text)),
                _ => {}
            }
        };
        add(Path::new("/etc/apt/sources.list"));
        let parts = std::fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
        let mut parts: Vec<_> = parts.map(|part| part.path()).collect();
        parts.sort();
        parts.iter().for_each(|part| add(part));
        Self::choose(codename, &found)
    }

    fn choose(codename: &str, found: &[Source]) -> Option<Self> {
        let own = [codename, "stable", "oldstable", "testing"];
        let with = |wanted: &dyn Fn(&str) -> bool| {
            let has_main = |source: &&Source| source.components.iter().any(|component| component == "main");
            found
                .iter()
                .filter(has_main)
                .find(|source| source.suites.iter().any(|suite| wanted(suite)))
                .cloned()
        };
        let main = with(&|suite| own.contains(&suite))?;
        let security = with(&|suite| suite.strip_suffix("-security").is_some_and(|name| own.contains(&name)));
        Some(Self { codename: codename.to_owned(), main, security })
    }

    /// The same sources for the release `suite`, in deb822 form; with its backports if wanted.
    pub(crate) fn for_suite(&self, suite: &str, backports: bool) -> String {
        let mut suites = format!("{suite} {suite}-updates");
        if backports {
            let _ = write!(suites, " {suite}-backports");
        }
        let mut text = self.main.stanza(&suites);
        if let Some(security) = &self.security {
            text.push('\n');
            text.push_str(&security.stanza(&format!("{suite}-security")));
        }
        text
    }
}

impl Sources {
    /// The release `suite` without its updates and security fixes: a release that is still being made has none.
    pub(crate) fn for_suite_alone(&self, suite: &str) -> String {
        self.main.stanza(suite)
    }
}

impl Source {
    fn stanza(&self, suites: &str) -> String {
        let mut text = format!("Types: deb\nURIs: {}\nSuites: {suites}\nComponents: main\n", self.uris);
        if let Some(key) = &self.signed_by {
            let _ = writeln!(text, "Signed-By: {key}");
        }
        if self.trusted {
            text.push_str("Trusted: yes\n");
        }
        text
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The deb822 form: stanzas of `Field: value`, continued on lines that begin with a blank.
fn parse_stanzas(text: &str) -> Vec<Source> {
    let text: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    text.split(|line| line.trim().is_empty()).filter_map(parse_stanza).collect()
}

fn parse_stanza(lines: &[&str]) -> Option<Source> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        if line.starts_with([' ', '\t']) {
            let (_, value) = fields.last_mut()?;
            value.push('\n');
            value.push_str(line);
        } else {
            let (name, value) = line.split_once(':')?;
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let field = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
    let is = |name: &str, value: &str| field(name).is_some_and(|text| text.eq_ignore_ascii_case(value));
    if is("enabled", "no") || !words(field("types")?).iter().any(|kind| kind == "deb") {
        return None;
    }
    Some(Source {
        uris: words(field("uris")?).join(" "),
        suites: words(field("suites")?),
        components: words(field("components")?),
        signed_by: field("signed-by").map(str::to_owned),
        trusted: is("trusted", "yes"),
    })
}

/// The one-line form: `deb [option=value …] URI suite component…`.
fn parse_lines(text: &str) -> Vec<Source> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let option = |name: &str| {
        let value = |word: &str| {
            word.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
        };
        options.split_whitespace().find_map(value)
    };
    let mut rest = rest.split_whitespace();
    Some(Source {
        uris: rest.next()?.to_owned(),
        suites: vec![rest.next()?.to_owned()],
        components: rest.map(str::to_owned).collect(),
        signed_by: option("signed-by").map(|keys| keys.replace(',', " ")),
        trusted: option("trusted").is_some_and(|value| value == "yes"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANZAS: &str = "\
# a comment
Types: deb deb-src
URIs: mirror://a/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/k.gpg

Types: deb
URIs: mirror://a/security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN-----
 .
 abc

Types: deb
URIs: mirror://other
Suites: nodistro
Components: main
";

    #[test]
    fn stanzas_are_carried_over_to_another_suite() {
        let sources = Sources::choose("bookworm", &parse_stanzas(STANZAS)).unwrap();
        let text = sources.for_suite("trixie", true);
        assert_eq!(
            text,
            "Types: deb\nURIs: mirror://a/debian\nSuites: trixie trixie-updates trixie-backports\n\
             Components: main\nSigned-By: /usr/share/keyrings/k.gpg\n\n\
             Types: deb\nURIs: mirror://a/security\nSuites: trixie-security\nComponents: main\n\
             Signed-By: \n -----BEGIN-----\n .\n abc\n"
        );
    }

    #[test]
    fn one_line_sources_are_understood() {
        let found = parse_lines(
            "# deb mirror://x bookworm main\n\
             deb-src mirror://x bookworm main\n\
             deb [arch=amd64 signed-by=/k.gpg] mirror://x/debian bookworm main non-free # why\n\
             deb mirror://x/security bookworm-security main\n",
        );
        let sources = Sources::choose("bookworm", &found).unwrap();
        assert_eq!(
            sources.for_suite("bookworm", false),
            "Types: deb\nURIs: mirror://x/debian\nSuites: bookworm bookworm-updates\nComponents: main\n\
             Signed-By: /k.gpg\n\nTypes: deb\nURIs: mirror://x/security\nSuites: bookworm-security\nComponents: main\n"
        );
    }

    #[test]
    fn disabled_and_foreign_sources_are_left_out() {
        assert!(
            Sources::choose(
                "bookworm",
                &parse_stanzas("Enabled: no\nTypes: deb\nURIs: x\nSuites: bookworm\nComponents: main")
            )
            .is_none()
        );
        assert!(Sources::choose("noble", &parse_stanzas(STANZAS)).is_none());
    }

    #[test]
    fn a_suite_by_its_role_is_the_machine_s_own() {
        let found = parse_lines("deb mirror://x stable main");
        assert!(
            Sources::choose("trixie", &found)
                .unwrap()
                .for_suite("trixie", false)
                .contains("Suites: trixie trixie-updates")
        );
    }

    #[test]
    fn no_text_makes_the_parsers_fail() {
        for cut in 0..STANZAS.len() {
            parse_stanzas(&STANZAS[..cut]);
            parse_lines(&STANZAS[cut..].replace('\n', " [ deb "));
        }
    }
}
