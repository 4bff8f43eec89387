//! The machine that the hypervisor is started on: QEMU's command line, and the archive that QEMU hands
//! over as the initial RAM disk (guest trees, guest images, and what to do at start).

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context as _, Result, bail, ensure};

use crate::arch::Arch;
use crate::board::Board;
use crate::build::Profile;
use crate::context::{Context, is_fresh, make_folder, read, write};
use crate::cpio::Archive;
use crate::setup::Image;
use crate::shell;
use crate::start::{Files, Start};

/// What the hypervisor does at start unless told otherwise.
const BOOT_COMMAND: &str = "vfs mount initrd /;vfs run /boot.xscript";

/// The folder of device trees that describe guests; in the sources one for each architecture.
const GUESTS: &str = "guests";

/// The tree of guests that run our own test program, and the program's name in the archive.
pub(crate) const TEST_GUEST: &str = "test-guest";

/// MiB that the hypervisor's machine gets beyond the guests' memory.
const MEMORY_BESIDE_GUESTS: u64 = 512;

/// MiB of a guest as the guest trees have it.
const MEMORY_OF_A_GUEST: u64 = 256;

/// A machine, its hypervisor and its guests.
pub(crate) struct Machine {
    pub(crate) board: Board,
    /// The value of `-cpu` where it differs from the board's.
    pub(crate) cpu: Option<String>,
    /// How many CPUs; the board's own number if none.
    pub(crate) cpus: Option<u32>,
    /// MiB; what the board has and the guests need if none.
    pub(crate) memory: Option<u64>,
    /// How the hypervisor is compiled, if that is not to be chosen.
    pub(crate) profile: Option<Profile>,
    /// Who starts the hypervisor.
    pub(crate) start: Start,
    pub(crate) guests: Guests,
    /// What the hypervisor does at start instead of making the guests.
    pub(crate) boot_command: Option<String>,
    /// More words for the hypervisor's command line.
    pub(crate) append: String,
    /// The console shows the first guest's in the end, instead of the prompt.
    pub(crate) attach: bool,
    /// What becomes of the device tree that QEMU makes (as source) before the hypervisor gets it.
    pub(crate) change_tree: Option<fn(&str) -> String>,
    /// More words for QEMU.
    pub(crate) words: Vec<String>,
}

/// The guests that are made at start, all alike.
#[derive(Clone)]
pub(crate) struct Guests {
    pub(crate) count: u32,
    /// The name of their tree in `guests/ARCH/`, without `.dts`.
    pub(crate) tree: String,
    /// Virtual CPUs of each.
    pub(crate) cpus: u32,
    /// A kernel instead of Debian's.
    pub(crate) kernel: Option<PathBuf>,
    /// An initial RAM file system instead of ours.
    pub(crate) initrd: Option<PathBuf>,
    /// The image of our test program, for guests whose tree names it.
    pub(crate) test_guest: Option<PathBuf>,
    /// The kernel's command line instead of the tree's.
    pub(crate) append: Option<String>,
}

impl Guests {
    /// One guest of the architecture's usual kind.
    pub(crate) fn of(arch: &Arch) -> Self {
        Self {
            count: 1,
            tree: arch.guest.to_owned(),
            cpus: 1,
            kernel: None,
            initrd: None,
            test_guest: None,
            append: None,
        }
    }
}

/// Where the serial console goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// To the terminal, with QEMU's monitor behind Ctrl-A; Ctrl-C goes to the guest.
    User,
    /// To the standard input and output and nothing else.
    Pipes,
}

impl Machine {
    /// The board as it is, with one guest.
    pub(crate) fn new(board: Board) -> Self {
        let guests = Guests::of(board.arch);
        Self {
            board,
            cpu: None,
            cpus: None,
            memory: None,
            profile: None,
            start: Start::default(),
            guests,
            boot_command: None,
            append: String::new(),
            attach: false,
            change_tree: None,
            words: Vec::new(),
        }
    }

    /// QEMU with everything but the hypervisor: the board, its CPUs, its memory and the console.
    pub(crate) fn bare(&self, context: &Context, terminal: Terminal) -> Result<Command> {
        let board = &self.board;
        let cpus = self.cpus.unwrap_or(board.cpus);
        ensure!(
            (1..=board.cpus_most).contains(&cpus),
            "the board {} has 1 to {} CPUs, not {cpus}",
            board.name,
            board.cpus_most
        );
        let needed = MEMORY_BESIDE_GUESTS + MEMORY_OF_A_GUEST * u64::from(self.guests.count);
        let memory = self.memory.unwrap_or_else(|| board.memory.max(needed.next_multiple_of(1024)));
        let mut qemu = Command::new(board.arch.emulator.program);
        qemu.arg("-M").arg(format!("{}{}", board.machine, self.start.machine()));
        if let Some(cpu) = self.cpu.as_ref().or(board.cpu.as_ref()) {
            qemu.args(["-cpu", cpu]);
        }
        qemu.args([
            "-smp",
            &cpus.to_string(),
            "-m",
            &format!("{memory}M"),
            "-display",
            "none",
            "-nic",
            "none",
        ]);
        match terminal {
            Terminal::User => qemu.args(["-serial", "mon:stdio"]),
            Terminal::Pipes => qemu.args(["-serial", "stdio", "-monitor", "none"]),
        };
        if let Some(tree) = &board.tree {
            qemu.arg("-dtb").arg(context.images(board.arch).join(tree));
        }
        qemu.args(&board.words);
        Ok(qemu)
    }

    /// QEMU's whole command line.
    pub(crate) fn command(
        &self,
        context: &Context,
        image: &Path,
        archive: &Path,
        terminal: Terminal,
    ) -> Result<Command> {
        let mut qemu = self.bare(context, terminal)?;
        let boot = self.boot_command.as_deref().unwrap_or(BOOT_COMMAND);
        ensure!(!boot.contains('"'), "the boot command must have no double quotes: {boot}");
        let mut append = format!("vmm.bootcmd=\"{boot}\"");
        if !self.append.is_empty() {
            append = format!("{append} {}", self.append);
        }
        let files = Files { image, archive, append: &append };
        self.start.add_to(context, self.board.arch, &mut qemu, &files)?;
        if let Some(change) = self.change_tree {
            qemu.arg("-dtb").arg(self.changed_tree(context, archive, change)?);
        }
        qemu.args(&self.words);
        Ok(qemu)
    }

    /// The tree that QEMU makes, changed; a file beside the archive.
    fn changed_tree(&self, context: &Context, archive: &Path, change: fn(&str) -> String) -> Result<PathBuf> {
        let [made, source, changed] =
            ["made.dtb", "changed.dts", "changed.dtb"].map(|end| archive.with_extension(end));
        let mut dump = self.bare(context, Terminal::Pipes)?;
        dump.arg("-machine").arg(format!("dumpdtb={}", made.display()));
        shell::logged(context, &mut dump, &archive.with_extension("dump.log"))?;
        let dtc = |from: &Path, to: &Path, formats: [&str; 2]| {
            let mut dtc = Command::new("dtc");
            dtc.args(["-q", "-I", formats[0], "-O", formats[1], "-o"]).arg(to).arg(from);
            shell::logged(context, &mut dtc, &archive.with_extension("dtc.log"))
        };
        dtc(&made, &source, ["dtb", "dts"])?;
        let before = fs::read_to_string(&source).context("the tree that QEMU made")?;
        let after = change(&before);
        ensure!(before != after, "the tree that QEMU made has nothing to change");
        write(&source, after.as_bytes())?;
        dtc(&source, &changed, ["dts", "dtb"])?;
        Ok(changed)
    }

    /// Writes the archive that goes with it.
    pub(crate) fn write_archive(&self, context: &Context, path: &Path) -> Result<()> {
        let arch = self.board.arch;
        let trees = compile_trees(context, arch)?;
        if context.dry_run {
            eprintln!("# then packs the guests' trees and images into {}", context.show(path));
            return Ok(());
        }
        let wanted = &self.guests.tree;
        if self.guests.count > 0 && !trees.iter().any(|(name, _)| name == wanted) {
            let names: Vec<&str> = trees.iter().map(|(name, _)| name.as_str()).collect();
            bail!("there is no guest `{wanted}` in {GUESTS}/{}; there are: {}", arch.name, names.join(", "));
        }
        let mut archive = Archive::default();
        archive.file("/boot.xscript", 0o644, self.boot_script()?.as_bytes());
        archive.folder("/system");
        archive.file("/system/banner.txt", 0o644, self.banner().as_bytes());
        archive.folder("/guests");
        for (name, file) in &trees {
            archive.file(&format!("/guests/{name}.dtb"), 0o644, &read(file)?);
        }
        archive.folder("/images");
        for (image, own) in
            [(Image::Linux, &self.guests.kernel), (Image::Initrd, &self.guests.initrd), (Image::UBoot, &None)]
        {
            let file = own.clone().unwrap_or_else(|| image.path(context, arch));
            archive.file(&format!("/images/{}", image.name()), 0o644, &read(&file)?);
        }
        if let Some(program) = &self.guests.test_guest {
            archive.file(&format!("/images/{TEST_GUEST}"), 0o644, &read(program)?);
        }
        write(path, &archive.finish())
    }

    /// The commands that make the guests.
    fn boot_script(&self) -> Result<String> {
        let Guests { count, tree, cpus, append, .. } = &self.guests;
        let mut overrides = String::new();
        if let Some(append) = append {
            ensure!(
                !append.contains('"'),
                "a guest's command line must have no double quotes here: {append}"
            );
            let _ = write!(overrides, " \"chosen,bootargs,string,{append}\"");
        }
        let mut script = String::new();
        for number in 0..*count {
            let _ = writeln!(script, "vfs guest_fdt_load guest{number} /guests/{tree}.dtb {cpus}{overrides}");
            let _ = writeln!(script, "guest create guest{number}");
            let _ = writeln!(script, "guest kick guest{number}");
        }
        script.push_str(if self.attach {
            "vserial bind guest0/uart0\n"
        } else {
            "vfs cat /system/banner.txt\n"
        });
        Ok(script)
    }

    /// What a person reads first.
    fn banner(&self) -> String {
        let mut text = String::from("\n");
        match self.guests.count {
            0 => text
                .push_str("There are no guests yet: their trees are in /guests, their images in /images.\n"),
            1 => text.push_str("guest0 is starting. To use its console, and to come back from it:\n"),
            count => {
                let _ = writeln!(
                    text,
                    "guest0 to guest{} are starting. To use a console, and to come back:",
                    count - 1
                );
            }
        }
        for number in 0..self.guests.count.min(2) {
            let _ = writeln!(text, "    vserial bind guest{number}/uart0        leave it with ESC x q");
        }
        text.push_str("Others to try: guest list, vcpu list, host info, log show. All of them: help\n");
        text.push_str("To end: shutdown. If nothing answers: Ctrl-A x ends QEMU.\n\n");
        text
    }
}

/// Compiles the architecture's guest trees, and returns their names and files.
fn compile_trees(context: &Context, arch: &Arch) -> Result<Vec<(String, PathBuf)>> {
    // Tests prepare several machines at a time.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock();
    let folder = context.root.join(GUESTS).join(arch.name);
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    let made = context.out.join(GUESTS).join(arch.name);
    make_folder(&made)?;
    let mut trees = Vec::new();
    for source in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "dts")) {
        let name = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let tree = made.join(format!("{name}.dtb"));
        // A tree may include any of the others, so any of them may have changed it.
        if !is_fresh(&tree, &files) {
            compile_tree(context, &folder, source, &tree)?;
        }
        trees.push((name, tree));
    }
    Ok(trees)
}

fn compile_tree(context: &Context, folder: &Path, source: &Path, tree: &Path) -> Result<()> {
    let plain = tree.with_extension("plain.dts");
    let mut cpp = Command::new("cpp");
    cpp.args(["-nostdinc", "-undef", "-x", "assembler-with-cpp", "-I"]).arg(folder).arg(source).arg(&plain);
    let log = tree.with_extension("log");
    shell::logged(context, &mut cpp, &log)?;
    let partial = tree.with_extension("partial");
    let mut dtc = Command::new("dtc");
    dtc.args(["-I", "dts", "-O", "dtb", "-o"]).arg(&partial).arg(&plain);
    shell::logged(context, &mut dtc, &log)?;
    if context.dry_run {
        return Ok(());
    }
    fs::rename(&partial, tree).with_context(|| format!("cannot write {}", tree.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine::new(Board {
            name: "b".to_owned(),
            description: String::new(),
            arch: crate::arch::DEFAULT,
            machine: "virt".to_owned(),
            cpu: None,
            cpus: 1,
            cpus_most: 4,
            memory: 1024,
            tree: None,
            words: Vec::new(),
        })
    }

    #[test]
    fn each_guest_is_loaded_created_and_kicked() {
        let mut machine = machine();
        machine.guests.count = 2;
        machine.guests.append = Some("console=ttyAMA0,115200 quiet".to_owned());
        let script = machine.boot_script().unwrap();
        let line = "vfs guest_fdt_load guest1 /guests/virt-v8.dtb 1 \"chosen,bootargs,string,console=ttyAMA0,115200 quiet\"\n\
                    guest create guest1\nguest kick guest1\nvfs cat /system/banner.txt\n";
        assert!(script.ends_with(line), "{script}");
    }

    #[test]
    fn quotes_that_would_break_the_script_are_refused() {
        let mut machine = machine();
        machine.guests.append = Some("a=\"b\"".to_owned());
        assert!(machine.boot_script().is_err());
    }

    #[test]
    fn the_banner_says_how_to_attach_and_to_leave() {
        let banner = machine().banner();
        assert!(banner.contains("vserial bind guest0/uart0") && banner.contains("ESC x q"));
    }
}
