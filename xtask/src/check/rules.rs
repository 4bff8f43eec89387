//! House rules that can be seen in the text of a file.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::floors::is_inside;
use crate::context::{Context, read_text};
use crate::shell;

/// A file of more lines has a second subject, or so it is suspected.
const PAGE: usize = 500;

/// Places that have no business in the sources: folders of somebody's own machine.
const PLACES: &[&str] = &[concat!("/", "root/"), concat!("/", "home/")];

/// The hosts that this machine takes its packages from: what its own configuration names is not to be named
/// in the sources.
fn registries() -> Vec<String> {
    let mut files = vec![std::path::PathBuf::from("/etc/apt/sources.list")];
    if let Ok(folder) = std::fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(folder.flatten().map(|entry| entry.path()));
    }
    let texts = files.iter().filter_map(|file| std::fs::read_to_string(file).ok());
    let mut hosts: Vec<String> = texts
        .flat_map(|text| {
            let urls = text.split("://").skip(1).filter_map(|rest| rest.split(['/', ' ', '\n']).next());
            urls.map(str::to_owned).collect::<Vec<_>>()
        })
        .filter(|host| host.contains('.'))
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts
}

/// Lines that name one of `hosts`, counted from 1.
fn named<'a>(hosts: &'a [String], text: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    text.lines().enumerate().filter_map(|(index, line)| {
        hosts.iter().find(|host| line.contains(host.as_str())).map(|host| (index + 1, host.as_str()))
    })
}

/// Words that stand for any name in a document's paths.
const ANY: &[&str] = &["NAME", "ARCH", "CLASS", "*"];

/// Paths in a document that are none of `files` and no folder of one: in backticks, on one line, below a folder at the
/// top. With their lines, counted from 1.
fn lost<'a>(files: &[&str], text: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let is_in =
        |file: &str, folder: &str| file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    let words = text.lines().enumerate().flat_map(|(index, line)| {
        line.split('`').skip(1).step_by(2).map(move |word| (index + 1, word.trim_end_matches('/')))
    });
    words.filter(move |(_, path)| {
        let is_path = path.split_once('/').is_some_and(|(top, _)| files.iter().any(|file| is_in(file, top)))
            && !path.contains(char::is_whitespace)
            && !ANY.iter().any(|any| path.contains(any));
        is_path && !files.iter().any(|file| file == path || is_in(file, path))
    })
}

/// This file has to name what is not to be named.
const THIS_FILE: &str = "xtask/src/check/rules.rs";

/// Where each rule has its exceptions.
struct Homes {
    unsafe_code: Vec<String>,
    target_arch: Vec<String>,
    atomics: Vec<String>,
}

impl Homes {
    fn parse(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse().map_err(|error| anyhow::anyhow!("{error}"))?;
        let folders = |name: &str| -> Result<Vec<String>> {
            let folders =
                table.get(name).and_then(|table| table.get("folders")).and_then(toml::Value::as_array);
            let folders = folders.with_context(|| format!("no folders in [{name}]"))?;
            Ok(folders.iter().filter_map(|folder| folder.as_str().map(str::to_owned)).collect())
        };
        Ok(Self {
            unsafe_code: folders("unsafe")?,
            target_arch: folders("target-arch")?,
            atomics: folders("atomics")?,
        })
    }
}

/// Looks at every file that is or may be committed; every breach is printed.
pub(super) fn check(context: &Context) -> Result<bool> {
    let homes =
        Homes::parse(&read_text(&context.root.join("xtask/floors.toml"))?).context("in xtask/floors.toml")?;
    let mut git = Command::new("git");
    git.current_dir(&context.root).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let files = shell::ask(&mut git).context("the rules are checked in a git checkout")?;
    let hosts = registries();
    let known: Vec<&str> = files.lines().collect();
    let mut well = true;
    for file in files.lines().filter(|file| *file != THIS_FILE && *file != "Cargo.lock") {
        // What is no text, or was just removed, has nothing to say.
        let Ok(text) = std::fs::read_to_string(context.root.join(file)) else { continue };
        for (line, breach) in breaches(&homes, file, &text) {
            eprintln!("{file}:{line}: {breach}");
            well = false;
        }
        for (line, path) in lost(&known, &text).filter(|_| file.ends_with(".md")) {
            eprintln!("{file}:{line}: documents-name-what-is-there: there is no `{path}`");
            well = false;
        }
        for (line, host) in named(&hosts, &text) {
            eprintln!("{file}:{line}: no-places: the package host {host} is the machine's business");
            well = false;
        }
    }
    Ok(well)
}

/// The breaches in one file: line and what is wrong, beginning with the rule's name.
fn breaches(homes: &Homes, file: &str, text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let at_home = |folders: &[String]| folders.iter().any(|folder| is_inside(file, folder));
    let is_rust = Path::new(file).extension().is_some_and(|extension| extension == "rs");
    for (index, line) in text.lines().enumerate() {
        let mut breach = |text: String| found.push((index + 1, text));
        if let Some(place) = PLACES.iter().find(|place| line.contains(**place)) {
            breach(format!("no-machine-names: `{place}` is true on one machine only"));
        }
        if !is_rust {
            continue;
        }
        let code = line.split("//").next().unwrap_or_default();
        if code.contains("target_arch") && !at_home(&homes.target_arch) {
            breach("target-arch-only-in-arch: ask arch (select) instead".to_owned());
        }
        let atomic = ["core::sync::atomic", "alloc::sync"].iter().find(|path| code.contains(**path));
        if let Some(path) = atomic
            && !at_home(&homes.atomics)
        {
            breach(format!("atomics-behind-one-crate: `{path}` comes from lib/atomic"));
        }
        let opens =
            ["allow(", "expect("].iter().any(|word| code.contains(word)) && code.contains("unsafe_code");
        if opens && !at_home(&homes.unsafe_code) {
            breach("unsafe-has-a-home: and it is not here".to_owned());
        }
    }
    let lines = text.lines().count();
    if is_rust && lines > PAGE {
        found.push((
            lines,
            format!("a-file-is-a-page: {lines} lines; above {PAGE} look for the second subject"),
        ));
    }
    let is_root = is_rust && (file.ends_with("src/lib.rs") || file.ends_with("src/main.rs"));
    // A crate with a file in which unsafe code is at home cannot forbid it; the workspace denies it.
    let crate_folder = file.split("/src/").next().unwrap_or_default();
    let has_home = homes.unsafe_code.iter().any(|home| is_inside(home, crate_folder));
    if is_root && !at_home(&homes.unsafe_code) && !has_home && !text.contains("forbid(unsafe_code)") {
        found.push((1, "unsafe-has-a-home: this crate begins with #![forbid(unsafe_code)]".to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(file: &str, text: &str) -> Vec<(usize, String)> {
        let homes = Homes::parse(
            "[unsafe]\nfolders = ['arch']\n[target-arch]\nfolders = ['arch']\n[atomics]\nfolders = ['lib/atomic']",
        );
        let name =
            |(line, text): (usize, String)| (line, text.split(':').next().unwrap_or_default().to_owned());
        breaches(&homes.unwrap(), file, text).into_iter().map(name).collect()
    }

    fn breach(file: &str, text: &str) -> Option<(usize, String)> {
        rules(file, text).into_iter().next()
    }

    #[test]
    fn each_rule_is_seen_with_its_line() {
        for (text, name) in [
            ("\n#[cfg(target_arch = \"arm\")]", "target-arch-only-in-arch"),
            ("\nuse core::sync::atomic::AtomicU32;", "atomics-behind-one-crate"),
            ("\n#![expect(unsafe_code, reason = \"x\")]", "unsafe-has-a-home"),
            ("\n/* /home/me */", "no-machine-names"),
        ] {
            assert_eq!(breach("vm/bus/src/x.rs", text), Some((2, name.to_owned())), "{text}");
        }
        assert_eq!(breach("x.rs", &"\n".repeat(501)), Some((501, "a-file-is-a-page".to_owned())));
    }

    #[test]
    fn at_home_nothing_is_wrong() {
        assert_eq!(
            breach("arch/x/src/lib.rs", "#![expect(unsafe_code)] #[cfg(target_arch = \"arm\")]"),
            None
        );
        assert_eq!(breach("lib/atomic/src/x.rs", "use core::sync::atomic;"), None);
    }

    #[test]
    fn a_path_in_a_document_is_a_file_or_a_folder() {
        let files = ["vm/bus/src/lib.rs", "boards/zcu102.toml"];
        let text = "`vm/bus`, `vm/bus/`\n`boards/NAME.toml`, `boards/zcu102.toml` and `boards/zcu`\n`/images/linux` `a/b`";
        let found: Vec<_> = lost(&files, text).collect();
        assert_eq!(found, [(2, "boards/zcu")]);
    }

    #[test]
    fn comments_may_say_the_words() {
        assert_eq!(breach("vm/x.rs", "// no target_arch here"), None);
    }

    #[test]
    fn a_crate_outside_forbids_unsafe_code() {
        assert_eq!(breach("vm/bus/src/lib.rs", "//! A bus."), Some((1, "unsafe-has-a-home".to_owned())));
        assert_eq!(breach("vm/bus/src/lib.rs", "#![forbid(unsafe_code)]"), None);
    }
}
