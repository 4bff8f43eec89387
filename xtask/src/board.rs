//! Host boards: one TOML file each in `boards/`, which says how QEMU makes the machine.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::arch::{self, Arch};
use crate::context::{Context, read_text};

/// What `boards/NAME.toml` says.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    pub(crate) name: String,
    /// One line for people.
    pub(crate) description: String,
    /// Of its processors.
    pub(crate) arch: &'static Arch,
    /// The value of `-M`.
    pub(crate) machine: String,
    /// The value of `-cpu`; none where the machine has only one kind.
    pub(crate) cpu: Option<String>,
    /// How many CPUs unless said otherwise.
    pub(crate) cpus: u32,
    /// The most that the machine has.
    pub(crate) cpus_most: u32,
    /// Memory in MiB unless said otherwise.
    pub(crate) memory: u64,
    /// The device tree to give, by its name among the images, where the machine brings none.
    pub(crate) tree: Option<String>,
    /// More words for the emulator.
    pub(crate) words: Vec<String>,
}

impl Board {
    /// Reads the board called `name`.
    pub(crate) fn load(context: &Context, name: &str) -> Result<Self> {
        let path = folder(context).join(format!("{name}.toml"));
        if !path.is_file() {
            bail!("there is no board `{name}`; there are: {}", names(context)?.join(", "));
        }
        Self::parse(name, &read_text(&path)?).with_context(|| format!("in {}", context.show(&path)))
    }

    fn parse(name: &str, text: &str) -> Result<Self> {
        let table: toml::Table = text.parse().map_err(|error| anyhow::anyhow!("{error}"))?;
        let known = ["description", "arch", "machine", "cpu", "cpus", "cpus-most", "memory", "tree", "words"];
        if let Some(word) = table.keys().find(|key| !known.contains(&key.as_str())) {
            bail!("`{word}` is no property of a board");
        }
        let text = |key: &str| table.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        let needed = |key: &str| text(key).with_context(|| format!("`{key}` is missing or no text"));
        let number = |key: &str| {
            table.get(key).and_then(toml::Value::as_integer).and_then(|number| u32::try_from(number).ok())
        };
        let words = table.get("words").and_then(toml::Value::as_array).into_iter().flatten();
        Ok(Self {
            name: name.to_owned(),
            description: needed("description")?,
            arch: text("arch").map_or(Ok(arch::DEFAULT), |name| Arch::find(&name))?,
            machine: needed("machine")?,
            cpu: text("cpu"),
            cpus: number("cpus").context("`cpus` is missing or no number")?,
            cpus_most: number("cpus-most").context("`cpus-most` is missing or no number")?,
            memory: megabytes(&needed("memory")?)?,
            tree: text("tree"),
            words: words.filter_map(|word| word.as_str().map(str::to_owned)).collect(),
        })
    }
}

fn folder(context: &Context) -> PathBuf {
    context.root.join("boards")
}

/// The names of all boards.
pub(crate) fn names(context: &Context) -> Result<Vec<String>> {
    let folder = folder(context);
    let files = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths = files.flatten().map(|file| file.path());
    let toml = paths.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let mut names: Vec<String> =
        toml.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect();
    names.sort();
    Ok(names)
}

/// `512`, `512M` or `4G` as a number of MiB.
pub(crate) fn megabytes(text: &str) -> Result<u64> {
    let short = text.strip_suffix("iB").unwrap_or(text);
    let (digits, factor) = match short.strip_suffix(['G', 'g']) {
        Some(digits) => (digits, 1024),
        None => (short.strip_suffix(['M', 'm']).unwrap_or(short), 1),
    };
    let number: u64 =
        digits.parse().map_err(|_| anyhow::anyhow!("`{text}` is no amount of memory: say 512M or 4G"))?;
    number.checked_mul(factor).with_context(|| format!("`{text}` is too much memory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_memory_are_understood() {
        for (text, amount) in [("512", 512), ("512M", 512), ("4G", 4096), ("4GiB", 4096), ("64MiB", 64)] {
            assert_eq!(megabytes(text).unwrap(), amount, "{text}");
        }
        for text in ["", "G", "x", "4T", "-1M"] {
            assert!(megabytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_wrong_property_is_named() {
        let error = Board::parse("x", "colour = 'red'").unwrap_err();
        assert!(error.to_string().contains("colour"));
        let error = Board::parse("x", "description = 'x'\narch = 'z80'").unwrap_err();
        assert!(error.to_string().contains("z80"));
        assert!(Board::parse("x", "description = 'x'").unwrap_err().to_string().contains("machine"));
    }
}
