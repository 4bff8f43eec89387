//! From power-on to the prompt and to power-off.

use anyhow::ensure;

use super::{BOOT, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "boot-to-prompt",
        about: "without guests: the log, the prompt, the version, power-off",
        boards: &["virt-gicv3", "qemu-riscv64-virt", "qemu-riscv64-aplic", "qemu-riscv64-imsic"],
        machine: |machine| machine.guests.count = 0,
        script: |console| {
            console.expect("INIT: ", BOOT)?;
            console.prompt(BOOT)?;
            console.check("version", "Xvisor")?;
            console.check("echo one two", "one two")?;
            console.line("shutdown")?;
            console.ended(20)
        },
    },
    Scenario {
        name: "boot-command",
        about: "vmm.bootcmd is done before the prompt, each command of it",
        boards: &["virt-gicv2"],
        machine: |machine| {
            machine.guests.count = 0;
            machine.boot_command = Some("echo first;echo second".to_owned());
        },
        script: |console| {
            console.expect("\nfirst\n", BOOT)?;
            console.expect("\nsecond\n", BOOT)?;
            console.prompt(BOOT).map(drop)
        },
    },
    Scenario {
        name: "reset",
        about: "`reset` starts the machine again",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| machine.guests.count = 0,
        script: |console| {
            console.prompt(BOOT)?;
            console.line("reset")?;
            console.expect("INIT: ", BOOT)?;
            console.prompt(BOOT).map(drop)
        },
    },
    Scenario {
        name: "four-gigabytes",
        about: "4 GiB of memory are all found",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| {
            machine.guests.count = 0;
            machine.memory = Some(4096);
        },
        script: |console| {
            console.prompt(BOOT)?;
            let output = console.command("host info")?;
            let line = output.lines().find(|line| line.contains("Total RAM")).unwrap_or_default();
            let digits = line.split(|letter: char| !letter.is_ascii_digit());
            let total: u64 = digits.filter_map(|digits| digits.parse::<u64>().ok()).sum();
            // The hypervisor itself and what the firmware keeps may be left out.
            ensure!((4000..=4096).contains(&total), "of 4096 MB it finds: {line}");
            Ok(())
        },
    },
];
