//! The plugin for QEMU that counts instructions by exception level: compiled, told what to look for,
//! and read.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::arch::Arch;
use crate::context::{Context, is_fresh, make_folder, read_text, write};
use crate::shell;

/// The compiled plugin.
pub(super) struct Counter {
    /// The data register of the board's UART.
    uart: u64,
    /// The board's [`Arch::ipis`].
    ipis: Option<u64>,
    library: PathBuf,
}

/// Instructions at EL0 to EL3 up to some moment, and how often EL2 was entered from below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    levels: [u64; 4],
    pub(super) entries: u64,
    /// Instructions between an interrupt that the hypervisor sent to another CPU and its own guest's next one: the
    /// median.
    pub(super) way_back: u64,
}

impl Counts {
    /// Every instruction.
    pub(super) fn all(&self) -> u64 {
        self.levels.iter().sum()
    }

    /// Those of the hypervisor.
    pub(super) fn hypervisor(&self) -> u64 {
        self.levels[2]
    }

    /// Those of a guest, or of a kernel without hypervisor.
    pub(super) fn guest(&self) -> u64 {
        self.levels[0] + self.levels[1]
    }
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// A machine with the hypervisor.
    Hosted,
    /// The same work without it.
    Native,
}

impl Counter {
    /// Compiles the plugin if it is out of date.
    pub(super) fn build(context: &Context, arch: &Arch) -> Result<Self> {
        let source = context.root.join("tests/plugin/elcount.c");
        let folder = context.out.join("bench");
        make_folder(&folder)?;
        let library = folder.join("elcount.so");
        if !is_fresh(&library, std::slice::from_ref(&source)) {
            ensure!(
                shell::find_program("cc").is_some(),
                "the plugin that counts is written in C, and there is no `cc`: install gcc and libc6-dev"
            );
            let mut compile = Command::new("cc");
            compile
                .args(["-std=c11", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o"])
                .arg(&library)
                .arg(&source);
            shell::logged(context, &mut compile, &folder.join("elcount.log"))?;
        }
        Ok(Self { uart: arch.uart, ipis: arch.ipis, library })
    }

    fn results(context: &Context) -> PathBuf {
        context.out.join("bench/counts")
    }

    /// QEMU's words for counting up to each of `marks`, texts on the console; the empty one stands
    /// for the end of the first line.
    pub(super) fn words(&self, context: &Context, marks: &[&str], side: Side) -> Result<Vec<String>> {
        let file = context.out.join("bench/marks");
        write(&file, format!("{}\n", marks.join("\n")).as_bytes())?;
        let plugin = format!(
            "{},out={},uart={:#x},marks={}{}{}",
            self.library.display(),
            Self::results(context).display(),
            self.uart,
            file.display(),
            self.ipis.map_or_else(String::new, |ipis| format!(",ipis={ipis:#x}")),
            if side == Side::Native { ",native=on" } else { "" }
        );
        ensure!(
            !context.out.display().to_string().contains(','),
            "QEMU wants an output folder without a comma in its name"
        );
        Ok(vec!["-plugin".to_owned(), plugin])
    }

    /// The counts when the hypervisor began: what firmware did before.
    pub(super) fn begun(context: &Context) -> Result<Counts> {
        let text = read_text(&Self::results(context))?;
        parse(&text, "BEGIN 0 ").context("the plugin has seen no hypervisor")
    }

    /// The counts when the first guest began.
    pub(super) fn guest_began(context: &Context) -> Result<Counts> {
        let text = read_text(&Self::results(context))?;
        parse(&text, "GUEST 0 ").context("the plugin has seen no guest")
    }

    /// The counts at each of the marks, as soon as they are there.
    pub(super) fn wait(&self, context: &Context, marks: usize) -> Result<Vec<Counts>> {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let text = read_text(&Self::results(context))?;
            let counts: Option<Vec<Counts>> =
                (0..marks).map(|mark| parse(&text, &format!("MARK {mark} "))).collect();
            match counts {
                Some(counts) => return Ok(counts),
                None if Instant::now() > deadline => bail!("the plugin has not seen every mark:\n{text}"),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

fn parse(text: &str, what: &str) -> Option<Counts> {
    let line = text.lines().find_map(|line| line.strip_prefix(what))?;
    let mut numbers = line.split(' ').map_while(|word| word.parse().ok());
    let mut next = || numbers.next();
    Some(Counts { levels: [next()?, next()?, next()?, next()?], entries: next()?, way_back: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_by_mark() {
        let text = "MARK 0 0 0 10 0 1 0\nMARK 1 1 2 30 4 5 6\nEND 9 1 2 33 4 5 6\n";
        let counts = parse(text, "MARK 1 ").unwrap();
        assert_eq!((counts.all(), counts.hypervisor(), counts.guest(), counts.entries), (37, 30, 3, 5));
        assert_eq!(counts.way_back, 6);
        assert_eq!(parse(text, "MARK 2 "), None);
    }
}
