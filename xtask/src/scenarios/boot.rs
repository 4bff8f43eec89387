//! From power-on to the prompt and to power-off.

use anyhow::ensure;

use super::{BOOT, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "host-without-interrupt-controller",
        about: "a host's tree without an interrupt controller: start-up says that it is missing, and which are known",
        boards: &["virt-gicv3"],
        machine: |machine| {
            machine.guests.count = 0;
            machine.change_tree = Some(|tree| tree.replace("arm,gic-v3", "acme,gic-v9"));
        },
        script: |console| {
            console.expect(
                "PANIC: the host's device tree has no usable interrupt controller (known are ",
                BOOT,
            )?;
            console.expect("Halted.", 10).map(drop)
        },
    },
    Scenario {
        name: "host-without-timer",
        about: "a host's tree without a timer: start-up says that it is missing",
        boards: &["virt-gicv3"],
        machine: |machine| {
            machine.guests.count = 0;
            machine.change_tree = Some(|tree| {
                tree.replace("arm,armv8-timer", "acme,timer").replace("arm,armv7-timer", "acme,clock")
            });
        },
        script: |console| {
            // The interrupt controller's driver is the first that needs it.
            console.expect("driver gicv3: the tree has no arm,armv8-timer", BOOT)?;
            console.expect("PANIC: the host's device tree has no usable ", 10)?;
            console.expect("Halted.", 10).map(drop)
        },
    },
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
        boards: &["virt-gicv2", "qemu-riscv64-virt"],
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
