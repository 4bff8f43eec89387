//! Several CPUs: of the host, of guests, and threads that go from one to another.

use anyhow::{Context as _, Result, ensure};

use super::{BOOT, LINUX, LINUX_UP, SHELL, Scenario, shell};
use crate::test::console::Console;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "two-cpus",
        about: "two host CPUs come up, answer, go offline and come back",
        boards: &["virt-gicv3"],
        machine: |machine| {
            machine.cpus = Some(2);
            machine.guests.count = 0;
        },
        script: two_cpus,
    },
    Scenario {
        name: "eight-cpus-gicv2",
        about: "as many CPUs as a GICv2 serves, and a guest with as many",
        boards: &["virt-gicv2"],
        machine: |machine| {
            machine.cpus = Some(8);
            machine.guests.cpus = 8;
        },
        script: |console| as_many(console, 8),
    },
    Scenario {
        name: "thirty-two-cpus",
        about: "32 host CPUs, and a guest with 32",
        boards: &["virt-gicv3"],
        machine: |machine| {
            machine.cpus = Some(32);
            machine.guests.cpus = 32;
        },
        script: |console| as_many(console, 32),
    },
    Scenario {
        name: "smp-linux",
        about: "Linux with 4 CPUs under load is paused, moved, and its host's CPUs go and come",
        boards: &["virt-gicv3"],
        machine: |machine| {
            machine.cpus = Some(4);
            machine.guests.cpus = 4;
        },
        script: smp_linux,
    },
];

/// The guest's Linux says that it is up, and shows its shell.
fn up(console: &mut Console) -> Result<()> {
    console.attach("guest0/uart0")?;
    console.line("")?;
    console.expect(SHELL, LINUX)?;
    Ok(())
}

fn two_cpus(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    console.check("host info", "Total Online CPUs        : 2")?;
    let answers = console.command("host cpu poke")?;
    ensure!(answers.matches("Done").count() == 2, "not all answer:\n{answers}");
    for cpu in ["1", "0"] {
        console.check(&format!("host cpu offline {cpu}"), "Offline")?;
        console.check(&format!("host cpu offline {}", 1 - cpu.parse::<u32>()?), "the last one online")?;
        console.check("host info", "Total Online CPUs        : 1")?;
        console.check(&format!("host cpu online {cpu}"), "Online")?;
    }
    console.check("host cpu offline 7", "there is no CPU7")?;
    console.check("host cpu online 1", "CPU1 is online already")?;
    console.check("host cpu info", "CPU1 State               : online (psci)").map(drop)
}

/// `count` CPUs of the host, and of a Linux.
fn as_many(console: &mut Console, count: u32) -> Result<()> {
    console.prompt(BOOT)?;
    console.check("host info", &format!("Total Online CPUs        : {count}"))?;
    let answers = console.command("host cpu poke")?;
    ensure!(answers.matches("Done").count() == count as usize, "not all answer:\n{answers}");
    console.attach("guest0/uart0")?;
    console.expect(&format!("{count} CPU"), 3 * LINUX)?;
    console.expect(SHELL, LINUX)?;
    shell(console, "echo so many: $(nproc)", &format!("many: {count}"))?;
    console.detach()
}

fn smp_linux(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    console.attach("guest0/uart0")?;
    console.expect(LINUX_UP, LINUX)?;
    console.expect(SHELL, LINUX)?;
    shell(console, "echo so many: $(nproc)", "many: 4")?;
    // A CPU of the guest goes and comes back.
    shell(console, "echo 0 > /sys/devices/system/cpu/cpu1/online; echo left: $(nproc)", "left: 3")?;
    console.detach()?;
    console.check("vcpu list", "Reset")?;
    console.attach("guest0/uart0")?;
    shell(console, "echo 1 > /sys/devices/system/cpu/cpu1/online; echo back: $(nproc)", "back: 4")?;
    // A loop for each CPU, pipes and forks.
    shell(console, "for i in 1 2 3 4; do while :; do :; done & done; echo loops", "loops")?;
    shell(console, "(while :; do echo x | cat | cat > /dev/null; done) & echo pipes", "pipes")?;
    console.detach()?;
    for round in 0..3 {
        storm(console, round).with_context(|| format!("round {round}"))?;
        up(console)?;
        shell(console, "echo alive: $((40 + 2)) on $(nproc)", "alive: 42 on 4")?;
        console.detach()?;
    }
    up(console)?;
    shell(console, "dmesg | grep -c -e stall -e BUG -e Oops -e lockup; echo counted", "0")?;
    console.detach()?;
    console.check("guest destroy guest0", "Destroyed").map(drop)
}

/// What can happen to a guest's CPUs, while they work.
fn storm(console: &mut Console, round: u32) -> Result<()> {
    for vcpu in 0..4 {
        let target = (vcpu + round + 1) % 4;
        console.check(&format!("vcpu set_hcpu guest0/vcpu{vcpu} {target}"), "set")?;
    }
    console.check("guest pause guest0", "Paused")?;
    console.check("guest resume guest0", "Resumed")?;
    console.check("vcpu pause guest0/vcpu2", "Paused")?;
    console.check("vcpu set_affinity guest0/vcpu2 1 3", "set")?;
    console.check("vcpu resume guest0/vcpu2", "Resumed")?;
    let gone = round % 4;
    console.check(&format!("host cpu offline {gone}"), "Offline")?;
    let vcpus = console.command("vcpu list")?;
    ensure!(!vcpus.contains(&format!("{{{gone}")), "a thread may still run there:\n{vcpus}");
    console.check(&format!("host cpu online {gone}"), "Online")?;
    console.check("vcpu set_affinity guest0/vcpu2 0 1 2 3", "set")?;
    for vcpu in 0..4 {
        console.check(&format!("vcpu set_hcpu guest0/vcpu{vcpu} {vcpu}"), "set")?;
    }
    Ok(())
}
