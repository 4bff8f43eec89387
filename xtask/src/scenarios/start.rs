//! Who may start the hypervisor beside QEMU's own loader: U-Boot, GRUB, EFI firmware, other versions of OpenSBI.

use anyhow::{Result, ensure};

use super::{LINUX_UP, Scenario, shell};
use crate::machine::Machine;
use crate::start::Start;
use crate::test::console::Console;

/// Seconds from power-on to the first prompt: the firmware is slow, and waits for keys.
const FIRMWARE: u64 = 120;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "started-by-u-boot",
        about: "U-Boot finds the image and the archive on a disk and starts them; a guest comes up",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| machine.start = Start::UBoot,
        script: guest_comes_up,
    },
    Scenario {
        name: "started-by-grub",
        about: "EDK2 starts GRUB, and GRUB the image as an EFI application; a guest comes up",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| {
            machine.start = Start::Grub;
            machine.cpu = Some("max".to_owned());
            machine.memory = Some(4096);
        },
        script: guest_comes_up,
    },
    Scenario {
        name: "started-by-efi",
        about: "EDK2 finds the image on a disk and starts it",
        boards: &["virt-gicv2", "qemu-riscv64-virt"],
        machine: efi,
        script: |console| {
            console.prompt(FIRMWARE)?;
            // What the firmware keeps is not ours, all else is.
            let output = console.command("host info")?;
            let line = output.lines().find(|line| line.contains("Total RAM")).unwrap_or_default();
            let digits = line.split(|letter: char| !letter.is_ascii_digit());
            let total: u64 = digits.filter_map(|digits| digits.parse::<u64>().ok()).sum();
            ensure!((1000..=1024).contains(&total), "of 1024 MB it finds: {line}");
            console.line("shutdown")?;
            console.ended(20)
        },
    },
    Scenario {
        name: "on-sbi-1.0",
        about: "OpenSBI 1.1, an SBI firmware of version 1.0: all harts come up, go and come back; a guest, power-off",
        boards: &["qemu-riscv64-virt", "qemu-riscv64-imsic"],
        machine: |machine| on_four(machine, Start::Sbi10),
        script: |console| {
            console.expect("SBI v1.0 detected in firmware.", FIRMWARE)?;
            another_firmware(console)
        },
    },
    Scenario {
        name: "on-sbi-next",
        about: "the same with the newest OpenSBI that Debian has",
        boards: &["qemu-riscv64-virt", "qemu-riscv64-imsic"],
        machine: |machine| on_four(machine, Start::NextSbi),
        script: another_firmware,
    },
    Scenario {
        name: "efi-below-el2",
        about: "firmware at EL1 is told why the hypervisor cannot start, and goes on",
        boards: &["virt-gicv3"],
        machine: |machine| {
            efi(machine);
            machine.words.extend(["-machine", "virtualization=off"].map(str::to_owned));
        },
        script: |console| told(console, "the firmware runs at EL1"),
    },
    Scenario {
        name: "efi-without-tree",
        about: "firmware that has ACPI only is told what is missing, and goes on",
        boards: &["virt-gicv3"],
        machine: |machine| {
            efi(machine);
            machine.words.extend(["-machine", "acpi=on"].map(str::to_owned));
        },
        script: |console| told(console, "the firmware gives no device tree"),
    },
];

fn efi(machine: &mut Machine) {
    machine.start = Start::Efi;
    machine.memory = Some(1024);
    machine.guests.count = 0;
}

fn guest_comes_up(console: &mut Console) -> Result<()> {
    console.prompt(FIRMWARE)?;
    linux_answers(console)
}

fn linux_answers(console: &mut Console) -> Result<()> {
    console.attach("guest0/uart0")?;
    console.send("\r")?;
    console.expect_any(&[LINUX_UP, super::SHELL], super::LINUX)?;
    console.send("\r")?;
    console.expect(super::SHELL, super::LINUX)?;
    shell(console, "echo six times seven is $((6 * 7))", "is 42")?;
    console.detach()?;
    console.line("shutdown")?;
    console.ended(20)
}

fn on_four(machine: &mut Machine, start: Start) {
    machine.start = start;
    machine.cpus = Some(4);
}

fn another_firmware(console: &mut Console) -> Result<()> {
    console.expect("brought up 4 CPUs", FIRMWARE)?;
    console.prompt(FIRMWARE)?;
    for (command, online) in [("host cpu offline 1", 3), ("host cpu online 1", 4), ("host cpu poke", 4)] {
        let output = console.command(command)?;
        ensure!(!output.contains("rror"), "{command}: {output}");
        console.check("host info", &format!("Total Online CPUs        : {online}"))?;
    }
    linux_answers(console)
}

/// What the firmware's console shows, and that the firmware is still there.
fn told(console: &mut Console, why: &str) -> Result<()> {
    console.expect("Xvisor cannot start: ", FIRMWARE)?;
    console.expect(why, 5)?;
    console.expect("Shell>", FIRMWARE).map(drop)
}
