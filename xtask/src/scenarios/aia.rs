//! RISC-V guests with the newer interrupt controllers: an APLIC, and interrupt files (IMSIC) in software.

use anyhow::Result;

use super::linux::attach;
use super::{BOOT, Scenario, shell};
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
        script: |console| {
            console.prompt(BOOT)?;
            console.check("host info", "Total Online CPUs")?;
            linux_up(console, "APLIC-MSI")?;
            shell(console, "grep -c 'IPI.*Rescheduling' /proc/interrupts", "1")?;
            console.detach()
        },
    },
];

fn linux(console: &mut Console, chip: &str) -> Result<()> {
    console.prompt(BOOT)?;
    linux_up(console, chip)?;
    console.detach()
}

/// Two CPUs are up, and the serial port's interrupt comes by `chip`.
fn linux_up(console: &mut Console, chip: &str) -> Result<()> {
    attach(console, "guest0")?;
    shell(console, "echo so many: $(nproc)", "many: 2")?;
    shell(console, "cat /proc/interrupts", chip)?;
    shell(console, "dmesg | grep -c 'Call trace'", "0")?;
    shell(console, "seq 1 2000; echo the end", "\n[guest0/uart0] 1999\n")
}
