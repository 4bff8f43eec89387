//! The management terminal: wrong words, editing, and scripts.

use anyhow::{Result, ensure};

use super::{BOOT, Scenario};
use crate::machine::Machine;
use crate::test::console::Console;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "wrong-words",
        about: "commands with wrong words and numbers get an error, and the terminal stays",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: no_guests,
        script: wrong_words,
    },
    Scenario {
        name: "line-editing",
        about: "history, cursor keys and completion",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: no_guests,
        script: line_editing,
    },
];

fn no_guests(machine: &mut Machine) {
    machine.guests.count = 0;
}

fn wrong_words(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    let tree = console.arch.guest;
    let many = format!("vfs guest_fdt_load x /guests/{tree}.dtb many");
    for line in [
        "nonsense",
        "guest",
        "guest nonsense",
        "guest create",
        "guest create nobody",
        "guest kick nobody",
        "guest destroy nobody",
        "vserial bind nobody/uart0",
        "vfs cat /no/such/file",
        "vfs run /no/such/file",
        "vfs guest_fdt_load",
        "vfs guest_fdt_load x /guests/none.dtb 1",
        "vfs guest_fdt_load x /boot.xscript 1",
        &many,
        "memory dump8 zzz 1",
        "sleep -1",
        "echo \"not closed",
    ] {
        let output = console.command(line)?;
        ensure!(!output.trim().is_empty(), "`{line}` was taken without a word");
        ensure!(!output.contains("panic"), "`{line}` made it panic:\n{output}");
    }
    console.check("echo still here", "still here").map(drop)
}

fn line_editing(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    console.check("echo abc", "abc")?;
    // The line before, with its last letter taken away.
    console.send("\x1b[A\x7f\r")?;
    console.expect("\nab\n", 10)?;
    console.prompt(10)?;
    // Cursor to the left, then a letter in the middle.
    console.check("echo ac\x1b[Db", "abc")?;
    // Completion of a command's name.
    console.send("versio\t\r")?;
    console.expect("Xvisor", 10)?;
    console.prompt(10).map(drop)
}
