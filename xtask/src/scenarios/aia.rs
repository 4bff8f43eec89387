//! RISC-V guests with the newer interrupt controllers: an APLIC, and interrupt files (IMSIC), in software and in hardware.

use anyhow::{Result, ensure};

use super::linux::attach;
use super::mischief::{selfcheck, selfcheck_machine};
use super::smp::two_sockets;
use super::{BOOT, SHELL, Scenario, shell};
use crate::machine::Machine;
use crate::test::console::Console;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "linux-with-aplic",
        about: "a Linux with two CPUs whose controller is an APLIC with wires",
        boards: &["qemu-riscv64-virt", "qemu-riscv64-imsic"],
        machine: |machine| {
            machine.guests.tree = "virt64-aplic".into();
            machine.guests.cpus = 2;
        },
        script: |console| linux(console, "APLIC-DIRECT"),
    },
    Scenario {
        name: "linux-with-imsic",
        about: "a Linux with two CPUs that have interrupt files, on a host whose harts have none for guests",
        boards: &["qemu-riscv64-imsic"],
        machine: |machine| {
            machine.board.machine = "virt,aia=aplic-imsic".into();
            machine.guests.tree = "virt64-imsic".into();
            machine.guests.cpus = 2;
        },
        script: |console| linux(console, "APLIC-MSI"),
    },
    Scenario {
        name: "eight-vcpus-with-aplic",
        about: "a Linux with eight CPUs whose controller is an APLIC with wires, on two harts",
        boards: &["qemu-riscv64-imsic"],
        machine: |machine| eight_vcpus(machine, "virt64-aplic"),
        script: |console| eight(console, "APLIC-DIRECT"),
    },
    Scenario {
        name: "eight-vcpus-with-imsic",
        about: "a Linux with eight CPUs that have interrupt files, six of them in the hardware of two harts",
        boards: &["qemu-riscv64-imsic"],
        machine: |machine| eight_vcpus(machine, "virt64-imsic"),
        script: |console| eight(console, "APLIC-MSI"),
    },
    Scenario {
        name: "guest-interrupt-files",
        about: "interrupts between a guest's CPUs take no exit, and none is lost when its CPUs move",
        boards: &["qemu-riscv64-imsic"],
        machine: |machine| {
            machine.guests.tree = "virt64-imsic".into();
            machine.guests.cpus = 4;
            machine.cpus = Some(4);
        },
        script: files,
    },
    Scenario {
        name: "files-in-two-groups",
        about: "the same with two sockets, whose files are two groups: CPUs move from one to the other and back",
        boards: &["qemu-riscv64-imsic"],
        machine: |machine| {
            two_sockets(machine, 2);
            machine.guests.tree = "virt64-imsic".into();
        },
        script: files,
    },
    Scenario {
        name: "selfcheck-with-imsic",
        about: "a guest finds its interrupt files as promised, on a host with files for guests",
        boards: &["qemu-riscv64-imsic"],
        machine: |machine| {
            selfcheck_machine(machine);
            machine.guests.tree = MESSAGES.to_owned();
        },
        script: selfcheck,
    },
    Scenario {
        name: "selfcheck-with-imsic-in-software",
        about: "the same where harts have no files for guests",
        boards: &["qemu-riscv64-imsic"],
        machine: |machine| {
            selfcheck_machine(machine);
            machine.board.machine = "virt,aia=aplic-imsic".into();
            machine.guests.tree = MESSAGES.to_owned();
        },
        script: selfcheck,
    },
    Scenario {
        name: "messages-on-the-move",
        about: "messages between a guest's CPUs come exactly once while these move, take files from each other and have none",
        boards: &["qemu-riscv64-imsic"],
        machine: |machine| {
            machine.append = "vmm.loglevel=4".to_owned();
            machine.guests.tree = MESSAGES.to_owned();
            machine.guests.append = Some("mischief=messages".to_owned());
            machine.guests.cpus = RING;
            machine.cpus = Some(2);
        },
        script: moves,
    },
    Scenario {
        name: "no-interrupt-files",
        about: "a description with interrupt files is refused in words, by a host without Ssaia and where it is wrong",
        boards: &["qemu-riscv64-imsic"],
        machine: |machine| machine.guests.count = 0,
        script: refusals,
    },
];

/// The tree of guests with interrupt files that run our own test program.
const MESSAGES: &str = "test-guest-imsic";

/// Virtual CPUs among which messages go round: more than a hart has files.
const RING: u32 = 5;

fn moves(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    let mut rounds = go_round(console, 0)?;
    for turn in 0..6 {
        for vcpu in 0..RING {
            let command = format!("vcpu set_affinity guest0/vcpu{vcpu} {}", (turn + vcpu) % 2);
            console.slow_command(&command, 60)?;
        }
        rounds = go_round(console, rounds)?;
    }
    for vcpu in 0..RING {
        console.slow_command(&format!("vcpu set_affinity guest0/vcpu{vcpu} 0 1"), 60)?;
    }
    for _ in 0..3 {
        for order in ["offline", "online"] {
            console.slow_command(&format!("host cpu {order} 1"), 60)?;
            rounds = go_round(console, rounds)?;
        }
    }
    for order in ["pause", "resume"] {
        console.command(&format!("guest {order} guest0"))?;
    }
    go_round(console, rounds)?;
    // A new beginning: what was pending is nobody's.
    console.command("guest reset guest0")?;
    console.command("guest kick guest0")?;
    go_round(console, 0)?;
    console.command("guest destroy guest0").map(drop)
}

/// Waits until messages have gone round at least twice more; says how often they have.
fn go_round(console: &mut Console, before: u64) -> Result<u64> {
    console.attach("guest0/uart0")?;
    loop {
        let text = console.expect(" rounds", 120)?;
        ensure!(!text.contains("FAIL"), "the guest is not content:\n{text}");
        let count =
            text.rsplit_once("messages: ").and_then(|(_, number)| number.split(' ').next()?.parse().ok());
        if let Some(rounds) = count.filter(|rounds| *rounds > before + 50) {
            console.detach()?;
            return Ok(rounds);
        }
    }
}

fn linux(console: &mut Console, chip: &str) -> Result<()> {
    console.prompt(BOOT)?;
    linux_up(console, 2, chip)?;
    console.detach()
}

fn eight_vcpus(machine: &mut Machine, tree: &str) {
    machine.guests.tree = tree.to_owned();
    machine.guests.cpus = 8;
    machine.cpus = Some(2);
}

fn eight(console: &mut Console, chip: &str) -> Result<()> {
    console.prompt(BOOT)?;
    linux_up(console, 8, chip)?;
    load(console)?;
    console.detach()
}

/// The CPUs are up, and the serial port's interrupt comes by `chip`.
fn linux_up(console: &mut Console, cpus: u32, chip: &str) -> Result<()> {
    attach(console, "guest0")?;
    shell(console, "echo so many: $(nproc)", &format!("many: {cpus}"))?;
    shell(console, "cat /proc/interrupts", chip)?;
    shell(console, "dmesg | grep -c 'Call trace'", "0")?;
    shell(console, "seq 1 2000; echo the end", "\n[guest0/uart0] 1999\n")
}

/// Processes that come and go on all CPUs: each end is told to other CPUs by an interrupt.
///
/// In a shell of its own, which does not print which of its jobs ended.
const LOAD: &str = "sh -c 'for i in $(seq 60); do (ls / | cat) & (ls / | cat) & (ls / | cat) & wait; done' > /dev/null; echo do''ne";

fn load(console: &mut Console) -> Result<()> {
    console.line(LOAD)?;
    console.expect("done\n", 120)?;
    console.expect(SHELL, 30).map(drop)
}

fn files(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    linux_up(console, 4, "APLIC-MSI")?;
    let sent = interrupts(console)?;
    console.detach()?;
    let before = exits(console)?;
    console.attach("guest0/uart0")?;
    load(console)?;
    console.detach()?;
    let exits = exits(console)? - before;
    console.attach("guest0/uart0")?;
    let sent = interrupts(console)? - sent;
    console.detach()?;
    ensure!(sent > 500, "only {sent} interrupts were sent");
    // Each would be one to send, and four to claim. What there is is the echo of a line.
    ensure!(exits < sent, "{sent} interrupts between CPUs, and {exits} accesses left the guest");
    // A CPU leaves and comes back, and the guest's CPUs with it, which give their files back and take others.
    for step in ["host cpu offline 3", "host cpu offline 2", "host cpu online 3", "host cpu online 2"] {
        console.slow_command(step, 60)?;
        console.attach("guest0/uart0")?;
        load(console)?;
        console.detach()?;
    }
    console.check("guest list", "guest0").map(drop)
}

/// Interrupts that the guest's CPUs sent each other, all in all.
fn interrupts(console: &mut Console) -> Result<u64> {
    console.line("grep IPI /proc/interrupts; echo th''at")?;
    let text = console.expect("that\n", 30)?;
    console.expect(SHELL, 30)?;
    let lines = text.lines().filter_map(|line| line.split_once("IPI")?.1.split_once(':'));
    let counts =
        lines.flat_map(|(_, rest)| rest.split_whitespace().map_while(|word| word.parse::<u64>().ok()));
    Ok(counts.sum())
}

/// Accesses to devices and system registers that left the guest, of all its CPUs.
fn exits(console: &mut Console) -> Result<u64> {
    let mut sum = 0;
    for vcpu in 0..4 {
        let text = console.command(&format!("vcpu dumpstat guest0/vcpu{vcpu}"))?;
        let lines = text.lines().filter_map(|line| line.trim().strip_prefix("Exits: "));
        let wanted =
            lines.filter(|line| line.starts_with("Device Write") || line.starts_with("System Register"));
        let counts =
            wanted.filter_map(|line| line.split_once(": ")?.1.split_whitespace().next()?.parse::<u64>().ok());
        sum += counts.sum::<u64>();
    }
    Ok(sum)
}

fn refusals(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    for (change, wanted) in [
        ("/soc/imsics@28000000,riscv,guest-index-bits,uint32,2", "harts have no guests' files"),
        ("/soc/imsics@28000000,reg,uint32,0 0x28000000 0 0x1000", "2 harts take 0x2000 bytes"),
    ] {
        console.command(&format!("vfs guest_fdt_load bad /guests/virt64-imsic.dtb 2 \"{change}\""))?;
        console.check("guest create bad", wanted)?;
    }
    Ok(())
}
