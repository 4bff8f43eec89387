//! What `guest` does to guests: create, kick, pause, resume, reset, halt, destroy.

use anyhow::{Context as _, Result, ensure};

use super::{BOOT, LINUX, LINUX_UP, SHELL, Scenario, shell};
use crate::build::Profile;
use crate::machine::TEST_GUEST;
use crate::test::console::Console;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "life-cycle",
        about: "pause, resume, reset, halt, destroy and create do what they say",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |_| {},
        script: life_cycle,
    },
    Scenario {
        name: "a-thousand-guests",
        about: "creating and destroying a guest 1 000 times leaves the same memory free",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| machine.guests.count = 0,
        script: a_thousand_guests,
    },
    Scenario {
        name: "more-guests-than-vmids",
        about: "six guests of two CPUs have two VMIDs and one that they share: each keeps its memory, on four CPUs",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| {
            machine.guests.count = 0;
            machine.cpus = Some(4);
            machine.memory = Some(2048);
            machine.profile = Some(Profile::Debug);
            // What guests say when they end would stand in the middle of a command.
            machine.append = "vmm.loglevel=4".to_owned();
        },
        script: more_guests_than_vmids,
    },
    Scenario {
        name: "guest-powers-off",
        about: "a guest that powers itself off or restarts is the only one that does",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |_| {},
        script: guest_powers_off,
    },
];

/// Waits for a Linux that is starting while its console is bound.
fn up(console: &mut Console) -> Result<()> {
    console.expect(LINUX_UP, LINUX)?;
    console.expect(SHELL, 60).map(drop)
}

fn life_cycle(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    console.attach("guest0/uart0")?;
    up(console)?;
    console.detach()?;

    console.command("guest pause guest0")?;
    console.check("vcpu list", "Paused")?;
    console.attach("guest0/uart0")?;
    console.line("echo paused guests do not $((1 + 1))")?;
    ensure!(console.expect("do not 2", 3).is_err(), "a paused guest answers");
    console.detach()?;
    console.command("guest resume guest0")?;
    console.attach("guest0/uart0")?;
    console.line("")?;
    console.expect(SHELL, 30)?;
    shell(console, "echo three is $((1 + 2))", "is 3")?;
    console.detach()?;

    console.command("guest reset guest0")?;
    console.command("guest kick guest0")?;
    console.attach("guest0/uart0")?;
    up(console)?;
    console.detach()?;

    console.command("guest halt guest0")?;
    console.check("vcpu list", "Halted")?;
    console.command("guest destroy guest0")?;
    ensure!(!console.command("guest list")?.contains("guest0"), "the destroyed guest is still there");

    console.command("guest create guest0")?;
    console.command("guest kick guest0")?;
    console.attach("guest0/uart0")?;
    up(console)?;
    console.detach()
}

fn a_thousand_guests(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    let tree = console.arch.guest;
    console.command(&format!("vfs guest_fdt_load guest0 /guests/{tree}.dtb 1"))?;
    let cycle = |console: &mut Console| -> Result<()> {
        console.command("guest create guest0;guest destroy guest0").map(drop)
    };
    // The first ones may leave something behind that is kept for all: the heap has grown.
    for _ in 0..20 {
        cycle(console)?;
    }
    let before = free_memory(console)?;
    for _ in 0..1000 {
        cycle(console)?;
    }
    let after = free_memory(console)?;
    ensure!(before == after, "memory is lost:\n{before}\nbecame\n{after}");
    Ok(())
}

/// The lines of `host ram info` that tell of free memory.
pub(super) fn free_memory(console: &mut Console) -> Result<String> {
    let output = console.command("host ram info")?;
    let lines: Vec<&str> = output.lines().filter(|line| line.to_ascii_lowercase().contains("free")).collect();
    ensure!(!lines.is_empty(), "`host ram info` tells nothing of free memory:\n{output}");
    Ok(lines.join("\n"))
}

fn guest_powers_off(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    console.attach("guest0/uart0")?;
    up(console)?;
    console.line("reboot")?;
    // What the hypervisor says stands on a line of its own, and the guest's line goes on behind it.
    console.expect("INFO: guest0: resets itself\n[guest0/uart0] ", 30)?;
    up(console).context("after the guest's own reboot")?;
    console.line("(sleep 4; poweroff) &")?;
    console.expect(SHELL, 10)?;
    console.detach()?;
    // The same while a line is being typed.
    console.send("echo half and")?;
    console.expect("INFO: guest0: switched itself off\nXVisor# echo half and", 60)?;
    console.line(" half")?;
    console.expect("\nhalf and half\n", 10)?;
    console.prompt(10)?;
    console.check("guest list", "guest0").map(drop)
}

/// In debug builds (`arch/parts/src/remembered.rs`) a map that is loaded where another's translations may stand is a panic.
/// The guests end and come again one by one, so that numbers go from one to another while others run.
fn more_guests_than_vmids(console: &mut Console) -> Result<()> {
    const GUESTS: usize = 6;
    let name = |guest: usize| format!("guest{guest}");
    let create = |console: &mut Console, guest: usize, secret: usize| -> Result<()> {
        let guest = name(guest);
        console.command(&format!(
            "vfs guest_fdt_load {guest} /guests/{TEST_GUEST}.dtb 2 \"chosen,bootargs,string,keep={secret}\""
        ))?;
        console.check(&format!("guest create {guest}"), "Created").map(drop)
    };
    console.prompt(BOOT)?;
    (0..GUESTS).try_for_each(|guest| create(console, guest, guest + 1))?;
    // All at once.
    let kicks: Vec<String> = (0..GUESTS).map(|guest| format!("guest kick {}", name(guest))).collect();
    console.command(&kicks.join(";"))?;
    for turn in 0..2 * GUESTS {
        let guest = name(turn % GUESTS);
        let secret = turn + 1;
        console.attach(&format!("{guest}/uart0"))?;
        let told = console.expect(&format!("KEEP {secret} done"), 120).with_context(|| guest.clone())?;
        console.detach()?;
        ensure!(told.contains("PASS ") && !told.contains("FAIL"), "{guest} is not content:\n{told}");
        console.command(&format!("guest destroy {guest}"))?;
        if turn < GUESTS {
            create(console, turn, GUESTS + secret)?;
            console.command(&format!("guest kick {guest}"))?;
        }
    }
    ensure!(!console.command("guest list")?.contains("guest0"), "a guest is left");
    Ok(())
}
