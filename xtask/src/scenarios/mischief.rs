//! Guests that run our own program (`tests/guests`): one checks what it was promised, the others do what
//! no guest should, while a second guest and the terminal must not notice.

use anyhow::{Context as _, Result, ensure};

use super::{BOOT, LINUX, LINUX_UP, SHELL, Scenario, shell};
use crate::build::Profile;
use crate::machine::{Machine, TEST_GUEST};
use crate::test::console::Console;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "selfcheck",
        about: "a guest finds the firmware, the registers, the interrupt controller, the timer and the UART as promised",
        boards: &["virt-gicv3", "qemu-riscv64-virt", "qemu-riscv64-aplic", "qemu-riscv64-imsic"],
        machine: selfcheck_machine,
        script: selfcheck,
    },
    Scenario {
        name: "selfcheck-on-debug-build",
        about: "the same with assertions; on RISC-V, where instructions are fetched instead of told by the hart",
        boards: &["qemu-riscv64-virt"],
        machine: |machine| {
            selfcheck_machine(machine);
            machine.profile = Some(Profile::Debug);
        },
        script: selfcheck,
    },
    Scenario {
        name: "selfcheck-gicv2",
        about: "the same on a host with a GICv2",
        boards: &["virt-gicv2"],
        machine: selfcheck_machine,
        script: selfcheck,
    },
    Scenario {
        name: "mischief-that-ends",
        about: "every register of every device, forged calls, cache maintenance: beside a Linux guest",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: quiet,
        script: |console| beside_linux(console, console.arch.ending, true),
    },
    Scenario {
        name: "mischief-with-aia",
        about: "every register of an APLIC with wires, of one with messages and of interrupt files: beside a Linux guest",
        boards: &["qemu-riscv64-imsic"],
        machine: quiet,
        script: |console| {
            linux(console)?;
            for tree in ["test-guest-aplic", "test-guest-imsic"] {
                misbehave(console, tree, "devices", true).with_context(|| tree.to_owned())?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "mischief-without-end",
        about: "jumps to nothing, never yields, floods console and log: beside a Linux guest",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: quiet,
        script: |console| beside_linux(console, console.arch.endless, false),
    },
    Scenario {
        name: "selfcheck-on-four-cpus",
        about: "the self-check's CPUs run at the same time, on a host with four",
        boards: &["virt-gicv3", "virt-gicv2", "qemu-riscv64-virt", "qemu-riscv64-imsic"],
        machine: |machine| {
            selfcheck_machine(machine);
            machine.cpus = Some(4);
        },
        script: selfcheck,
    },
    Scenario {
        name: "mischief-on-two-cpus",
        about: "what never ends, beside a Linux guest, on a host with two CPUs",
        boards: &["virt-gicv3", "qemu-riscv64-imsic"],
        machine: |machine| {
            quiet(machine);
            machine.cpus = Some(2);
        },
        script: |console| beside_linux(console, console.arch.endless, false),
    },
    Scenario {
        name: "timer-storm",
        about: "a guest whose timer never stops ringing takes no interrupt from the host: typing beside it",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: quiet,
        script: timer_storm,
    },
    Scenario {
        name: "guests-in-turns",
        about: "a guest that naps, beside one that never stops leaving and is interrupted while it is being answered",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: quiet,
        script: in_turns,
    },
    Scenario {
        name: "flooded-log",
        about: "a guest that causes as many log lines as it can, with the log on the console",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| machine.guests.count = 0,
        script: flooded_log,
    },
];

/// Log lines stay off the console: they would stand in the middle of what the guests print. There is memory for two
/// guests.
fn quiet(machine: &mut Machine) {
    machine.memory = Some(1024);
    machine.append = "vmm.loglevel=4".to_owned();
}

pub(super) fn selfcheck_machine(machine: &mut Machine) {
    quiet(machine);
    machine.memory = None;
    machine.guests.tree = TEST_GUEST.to_owned();
    machine.guests.append = Some("selfcheck".to_owned());
    machine.guests.cpus = 2;
    machine.attach = true;
}

pub(super) fn selfcheck(console: &mut Console) -> Result<()> {
    let told = console.expect("SELFCHECK done", BOOT + 60)?;
    let failed: Vec<&str> = told.lines().filter(|line| line.contains("FAIL ")).collect();
    ensure!(failed.is_empty(), "the guest is not content:\n{}", failed.join("\n"));
    ensure!(told.contains("PASS "), "the guest has checked nothing");
    console.detach()
}

/// Runs one bad guest after the other; after each the terminal and the good guest must answer.
fn beside_linux(console: &mut Console, mischiefs: &[&str], end: bool) -> Result<()> {
    linux(console)?;
    for mischief in mischiefs {
        misbehave(console, TEST_GUEST, mischief, end).with_context(|| format!("mischief={mischief}"))?;
    }
    Ok(())
}

/// Waits for the good guest's shell.
fn linux(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    console.attach("guest0/uart0")?;
    console.send("\r")?;
    console.expect_any(&[LINUX_UP, SHELL], LINUX)?;
    console.send("\r")?;
    console.expect(SHELL, LINUX)?;
    console.detach()
}

/// Many short waits and wake-ups beside the storm: each needs the host's own alarm, or its UART's interrupt,
/// which may come at the very moment at which the storm's is taken.
fn timer_storm(console: &mut Console) -> Result<()> {
    linux(console)?;
    start(console, "timer")?;
    console.attach("guest0/uart0")?;
    console.send("\r")?;
    console.expect(SHELL, 60)?;
    for round in 0..40 {
        shell(
            console,
            &format!("echo $(({round} * 7)) is the answer"),
            &format!("{} is the answer", round * 7),
        )
        .with_context(|| format!("round {round}"))?;
    }
    console.detach()?;
    console.command("guest destroy bad").map(drop)
}

fn misbehave(console: &mut Console, tree: &str, mischief: &str, end: bool) -> Result<()> {
    start_with(console, tree, mischief)?;
    console.attach("bad/uart0")?;
    console.expect(&format!("MISCHIEF {mischief} start"), 60)?;
    if end {
        let told = console.expect(&format!("MISCHIEF {mischief} done"), 180)?;
        ensure!(!told.contains("FAIL"), "the guest is not content:\n{told}");
    } else {
        std::thread::sleep(std::time::Duration::from_secs(2));
    }
    console.detach()?;
    console.check("echo still here", "still here")?;

    console.attach("guest0/uart0")?;
    console.send("\r")?;
    console.expect(SHELL, 60)?;
    shell(console, "echo six times seven is $((6 * 7))", "is 42")?;
    console.detach()?;

    console.command("guest destroy bad")?;
    ensure!(!console.command("guest list")?.contains("bad"), "the destroyed guest is still there");
    Ok(())
}

/// A thread that answers its guest is interrupted, another one's guest runs and waits, and the first thread goes on
/// where it was: in the hypervisor, not in the guest that ran last.
fn in_turns(console: &mut Console) -> Result<()> {
    linux(console)?;
    start(console, "flood")?;
    console.check("vcpu set_time_slice bad/vcpu0 1ms", "1 ms set")?;
    console.attach("guest0/uart0")?;
    console.send("\r")?;
    console.expect(SHELL, 60)?;
    let naps = "i=0; while [ $i -lt 300 ]; do sleep 0.002; i=$((i + 1)); done; echo $i naps";
    shell(console, naps, "300 naps")?;
    console.detach()?;
    console.command("guest destroy bad").map(drop)
}

fn flooded_log(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    start(console, "log")?;
    std::thread::sleep(std::time::Duration::from_secs(5));
    // A line of the log may cut what is typed, which is shown again behind it: only what is answered counts.
    for (command, answer) in [("echo still here", "still here"), ("guest destroy bad", "bad: Destroyed")] {
        console.line(command)?;
        console.expect(&format!("\n{answer}\n"), 20)?;
    }
    console.prompt(20).map(drop)
}

/// Makes a guest called `bad`.
fn start(console: &mut Console, mischief: &str) -> Result<()> {
    start_with(console, TEST_GUEST, mischief)
}

/// The same, of another description.
fn start_with(console: &mut Console, tree: &str, mischief: &str) -> Result<()> {
    console.command(&format!(
        "vfs guest_fdt_load bad /guests/{tree}.dtb 1 \"chosen,bootargs,string,mischief={mischief}\""
    ))?;
    console.command("guest create bad")?;
    console.command("guest kick bad").map(drop)
}
