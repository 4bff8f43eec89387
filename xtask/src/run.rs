//! `cargo xtask run`.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use crate::arch;
use crate::args::{self, Command, Opt, Parsed};
use crate::board::{self, Board};
use crate::build::{self, Profile};
use crate::context::Context;
use crate::machine::{Guests, Machine, TEST_GUEST, Terminal};
use crate::start::Start;
use crate::{setup, shell};

/// The sub-command.
pub(crate) const COMMAND: Command = Command {
    name: "run",
    summary: "Boot the hypervisor and its guests in QEMU",
    about: "\
Sets up what is missing, builds the hypervisor, packs the guests' device trees and images into an
archive, and starts QEMU with its console on this terminal. The hypervisor runs at EL2, mounts the
archive and starts the guests; then there is the prompt:

    XVisor# vserial bind guest0/uart0       the guest's console; ESC x q leaves it
    XVisor# guest list                      and: help
    XVisor# shutdown                        ends

Ctrl-C goes to the guest. Ctrl-A x ends QEMU whatever state it is in; Ctrl-A c is QEMU's monitor.",
    options: &[
        Opt::value(
            "board",
            "NAME",
            "the machine to emulate: one of boards/*.toml (virt-gicv3);\n`--board list` lists them",
        ),
        Opt::value(
            "cpu",
            "MODEL",
            "the CPU's model instead of the board's: cortex-a53, a57, a72,\na76, max, …",
        ),
        Opt::value("cpus", "N", "how many CPUs the machine has (1)"),
        Opt::value("memory", "SIZE", "the machine's memory: 512M, 4G (1G, more if the guests need it)"),
        Opt::value("guests", "N", "how many guests to start (1); each has 256 MiB"),
        Opt::switch("no-guests", "start none; their trees and images are there to be loaded by hand"),
        Opt::value("guest", "NAME", "the guests' tree: one of guests/*/*.dts (virt-v8, virt64)"),
        Opt::value("guest-cpus", "N", "virtual CPUs of each guest (1)"),
        Opt::value("kernel", "FILE", "a kernel for the guests instead of Debian's: Image or Image.gz"),
        Opt::value("initrd", "FILE", "an initial RAM file system for the guests instead of the busybox"),
        Opt::value("append", "TEXT", "the guests' kernel command line instead of the tree's"),
        Opt::value(
            "bootcmd",
            "COMMANDS",
            "what the hypervisor does at start, separated by semicolons,\ninstead of starting guests",
        ),
        Opt::value("host-append", "TEXT", "more words for the hypervisor's own command line"),
        Opt::value(
            "start",
            "HOW",
            "who starts the hypervisor: kernel (QEMU itself), u-boot,\ngrub (EDK2 and GRUB), efi (EDK2 alone); on RISC-V\nsbi-1.0, sbi-next (QEMU behind other versions of OpenSBI) (kernel)",
        ),
        Opt::switch("gdb", "wait for a debugger on port 1234 before the first instruction"),
        Opt::value("qemu-args", "TEXT", "more words for QEMU; what follows -- goes there, too"),
        build::RELEASE,
        build::DEBUG,
    ],
    operands: "[-- QEMU WORDS]",
    examples: &[
        ("cargo xtask run", "one Debian guest on QEMU's virt board with a GICv3"),
        ("cargo xtask run --guests 2 --cpu max", "two of them, on a CPU with everything that QEMU knows"),
        ("cargo xtask run --board zcu102", "the same image on another board"),
        ("cargo xtask run --board qemu-riscv64-virt", "another architecture"),
        (
            "cargo xtask run --kernel Image --initrd root.cpio.gz --append 'console=ttyAMA0 quiet'",
            "your own kernel as a guest",
        ),
        ("cargo xtask run --bootcmd 'version;host info' --debug", "no guests, and a debug build"),
        ("cargo xtask run -n", "only show the commands"),
        ("cargo xtask run -- -d int -D qemu.log", "let QEMU log every exception"),
    ],
    run,
};

fn run(context: &Context, parsed: &Parsed) -> Result<()> {
    if parsed.value("board") == Some("list") {
        for name in board::names(context)? {
            println!("{name:<18} {}", Board::load(context, &name)?.description);
        }
        return Ok(());
    }
    let mut machine = machine(context, parsed)?;
    let profile = Profile::chosen(parsed)?;
    let arch = machine.board.arch;
    setup::prepare_machine(context, arch, machine.start.images())?;
    let built = build::build(context, arch, profile)?;
    if machine.guests.tree.starts_with(TEST_GUEST) {
        machine.guests.test_guest = Some(build::test_guest(context, arch)?);
    }
    let archive = context.out.join("run/host.cpio");
    machine.write_archive(context, &archive)?;
    let mut qemu = machine.command(context, &built.image, &archive, Terminal::User)?;
    if parsed.flag("gdb") {
        qemu.args(["-gdb", "tcp:localhost:1234", "-S"]);
        eprintln!("waiting for: gdb-multiarch {} -ex 'target remote :1234'", context.show(&built.elf));
    }
    shell::run(context, &mut qemu)
}

/// The machine that the options describe.
fn machine(context: &Context, parsed: &Parsed) -> Result<Machine> {
    let board = Board::load(context, parsed.value("board").unwrap_or(arch::DEFAULT.board))?;
    let mut machine = Machine::new(board);
    machine.cpu = parsed.value("cpu").map(str::to_owned);
    machine.cpus = parsed.number("cpus")?;
    machine.memory = parsed.value("memory").map(board::megabytes).transpose()?;
    machine.boot_command = parsed.value("bootcmd").map(str::to_owned);
    machine.append = parsed.value("host-append").unwrap_or_default().to_owned();
    machine.start = parsed.value("start").map(Start::find).transpose()?.unwrap_or_default();
    let without = parsed.flag("no-guests") || machine.boot_command.is_some();
    let defaults = Guests::of(machine.board.arch);
    machine.guests = Guests {
        count: if without { 0 } else { parsed.number("guests")?.unwrap_or(defaults.count) },
        tree: parsed.value("guest").map_or(defaults.tree, str::to_owned),
        cpus: parsed.number("guest-cpus")?.unwrap_or(defaults.cpus),
        kernel: own_file(parsed, "kernel")?,
        initrd: own_file(parsed, "initrd")?,
        test_guest: None,
        append: parsed.value("append").map(str::to_owned),
    };
    for line in parsed.values("qemu-args") {
        machine.words.extend(args::split_words(line).context("--qemu-args")?);
    }
    machine.words.extend(parsed.operands.iter().cloned());
    Ok(machine)
}

fn own_file(parsed: &Parsed, option: &str) -> Result<Option<PathBuf>> {
    let Some(name) = parsed.value(option) else { return Ok(None) };
    let path = PathBuf::from(name);
    ensure!(path.is_file(), "--{option}: there is no file {name}");
    Ok(Some(path))
}
