//! What goes wrong, or is asked for at the worst time: a clear word, and nothing lost.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::smp::frames_in;
use super::{BOOT, Scenario};
use crate::machine::{Machine, TEST_GUEST};
use crate::test::console::Console;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "destroyed-while-it-spins",
        about: "a guest that spins on 4 CPUs, one with interrupts masked, is destroyed; its memory is back at once",
        boards: &["virt-gicv3", "virt-gicv2", "qemu-riscv64-virt"],
        machine: |machine| no_guests(machine, 4),
        script: destroyed_while_it_spins,
    },
    Scenario {
        name: "paused-in-a-firmware-call",
        about: "pauses while CPUs go on, off and to sleep, and while the guest switches itself off, lose nothing",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| no_guests(machine, 4),
        script: paused_in_a_firmware_call,
    },
    Scenario {
        name: "ipi-storm",
        about: "4 virtual CPUs that interrupt each other without end, on 2 CPUs: the terminal answers, all end",
        boards: &["virt-gicv3", "virt-gicv2", "qemu-riscv64-virt", "qemu-riscv64-imsic"],
        machine: |machine| no_guests(machine, 2),
        script: ipi_storm,
    },
    Scenario {
        name: "wrong-orders",
        about: "absent CPUs and priorities out of range are refused in words; the terminal's own CPU goes offline",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| no_guests(machine, 4),
        script: wrong_orders,
    },
];

fn no_guests(machine: &mut Machine, cpus: u32) {
    machine.cpus = Some(cpus);
    machine.guests.count = 0;
    machine.append = "vmm.loglevel=4".to_owned();
}

/// Makes `bad` known: 4 CPUs, and this program.
fn load(console: &mut Console, mischief: &str) -> Result<()> {
    let order = format!(
        "vfs guest_fdt_load bad /guests/{TEST_GUEST}.dtb 4 \"chosen,bootargs,string,mischief={mischief}\""
    );
    console.command(&order).map(drop)
}

/// Waits until so many of its CPUs run.
fn running(console: &mut Console, wanted: usize) -> Result<()> {
    let begun = Instant::now();
    loop {
        let list = console.command("vcpu list")?;
        let count = list.lines().filter(|line| line.contains("bad/vcpu") && line.contains("Running")).count();
        if count >= wanted {
            return Ok(());
        }
        ensure!(begun.elapsed() < Duration::from_secs(60), "{wanted} are to run, and these do:\n{list}");
        console.command("sleep msecs 20")?;
    }
}

fn destroyed_while_it_spins(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    load(console, "spins")?;
    let round = |console: &mut Console| -> Result<u64> {
        console.command("guest create bad;guest kick bad")?;
        // The terminal needs a CPU for the moment in which it asks.
        running(console, 3)?;
        // In one line: what is not free at once is not counted.
        frames_in(&console.command("guest destroy bad;host ram info;heap info")?)
    };
    // The first ones may leave something behind that is kept for all.
    round(console)?;
    let before = round(console)?;
    for number in 0..10 {
        let after = round(console).with_context(|| format!("round {number}"))?;
        ensure!(before == after, "round {number}: {before} frames became {after}");
    }
    ensure!(!console.command("guest list")?.contains("bad"), "the destroyed guest is still there");
    Ok(())
}

fn paused_in_a_firmware_call(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    load(console, "hotplug")?;
    console.command("guest create bad;guest kick bad")?;
    // Each pause meets the calls somewhere else.
    let mut pauses = 0;
    while pauses < 100 {
        let vcpu = pauses % 4;
        let told = console.command("guest pause bad;guest resume bad")?;
        pauses += 1;
        if told.contains("not possible") {
            break;
        }
        // Refused where the CPU is off.
        console.command(&format!("vcpu pause bad/vcpu{vcpu};vcpu resume bad/vcpu{vcpu}"))?;
    }
    ensure!(pauses > 10, "the guest was through after {pauses} pauses");
    halted(console)?;
    let told = console.command("vserial dump bad/uart0")?;
    ensure!(told.contains("MISCHIEF hotplug done"), "the guest did not come to its end:\n{told}");
    ensure!(!told.contains("FAIL"), "the guest is not content:\n{told}");
    console.command("guest destroy bad")?;

    load(console, "off")?;
    console.command("guest create bad")?;
    for round in 0..20 {
        console.command("guest kick bad;guest pause bad;guest resume bad")?;
        halted(console).with_context(|| format!("round {round}"))?;
        console.command("guest reset bad")?;
    }
    console.command("guest destroy bad").map(drop)
}

/// Waits until the guest is off.
fn halted(console: &mut Console) -> Result<()> {
    let begun = Instant::now();
    loop {
        let list = console.command("guest list")?;
        if list.lines().any(|line| line.contains("bad") && line.contains("Halted")) {
            return Ok(());
        }
        ensure!(begun.elapsed() < Duration::from_secs(60), "the guest does not end:\n{list}");
        console.command("sleep msecs 100")?;
    }
}

fn ipi_storm(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    load(console, "ipi")?;
    console.command("guest create bad;guest kick bad")?;
    console.attach("bad/uart0")?;
    console.expect("CPU 3 powered on: 0", 30)?;
    console.expect("taken", 60)?;
    console.detach()?;
    let begun = Instant::now();
    for round in 0..10 {
        console.check(&format!("echo round {round}"), &format!("round {round}"))?;
    }
    ensure!(begun.elapsed() < Duration::from_secs(20), "ten answers took {:?}", begun.elapsed());
    // Each character interrupts, in the midst of calls out of guests: none of the two may be taken for the other.
    let line = "x".repeat(60);
    for round in 0..1000 {
        console.check(&format!("echo {round} {line}"), &format!("{round} {line}"))?;
    }
    let answers = console.command("host cpu poke")?;
    ensure!(answers.matches("Done").count() == 2, "not all answer:\n{answers}");
    console.check("guest pause bad", "Paused")?;
    console.check("guest resume bad", "Resumed")?;
    console.check("guest destroy bad", "Destroyed").map(drop)
}

fn wrong_orders(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    load(console, "spins")?;
    console.command("guest create bad;guest kick bad")?;
    let before = console.command("vcpu list")?;
    for (order, word) in [
        ("vcpu set_affinity bad/vcpu0 9", "CPU9 is not online"),
        ("vcpu set_affinity bad/vcpu0 0 4096", "CPU4096 is not online"),
        ("vcpu set_affinity bad/vcpu0 x", "x"),
        ("vcpu set_hcpu bad/vcpu0 4", "CPU4 is not online"),
        ("vcpu set_priority bad/vcpu0 8", "8 is none of 0 to 7"),
        ("vcpu set_affinity bad/vcpu9 1", "bad/vcpu9"),
        ("vcpu pause mterm", "mterm is a thread of the hypervisor, no guest's CPU"),
        ("vcpu dumpstat mterm", "Running Time"),
    ] {
        console.check(order, word)?;
    }
    let affinity = |list: &str| -> Vec<String> {
        list.lines().filter_map(|line| Some(line[line.find('{')?..].to_owned())).collect()
    };
    let after = console.command("vcpu list")?;
    ensure!(
        affinity(&before) == affinity(&after),
        "what was refused has changed something:\n{before}\n{after}"
    );

    // Whichever CPU the terminal is on, it answers when that one is gone.
    for _ in 0..4 {
        let cpu = terminal_cpu(console)?;
        console.check(&format!("host cpu offline {cpu}"), "Offline")?;
        let now = terminal_cpu(console)?;
        ensure!(now != cpu, "the terminal is on CPU{cpu}, which is offline");
        console.check(&format!("host cpu online {cpu}"), "Online")?;
    }
    console.check("guest destroy bad", "Destroyed").map(drop)
}

/// The CPU that runs the terminal.
fn terminal_cpu(console: &mut Console) -> Result<u32> {
    let list = console.command("thread list")?;
    let line = list.lines().find(|line| line.contains("mterm")).context("no terminal")?;
    let word = line.split('|').nth(2).or_else(|| line.split_whitespace().nth(1)).context("no CPU")?;
    word.trim().parse().with_context(|| format!("no CPU in `{line}`"))
}
