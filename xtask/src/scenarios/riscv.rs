//! RISC-V hosts whose harts have more or less than the boards', what their trees may lack, and the SBI: the one
//! that they have, and the one that guests get.

use anyhow::{Context as _, Result, bail, ensure};

use super::linux::{attach, shell_and_off};
use super::{BOOT, LINUX, LINUX_UP, SHELL, Scenario, shell};
use crate::machine::{Machine, TEST_GUEST};
use crate::test::console::Console;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "host-without-h",
        about: "a hart without the H extension: one message that says so, and nothing else",
        boards: &["qemu-riscv64-virt"],
        machine: |machine| {
            cpu(machine, "rv64,h=false");
            machine.guests.count = 0;
        },
        script: |console| {
            console.expect(
                "Xvisor: this hart has no hypervisor extension (H): guests can't run, and neither can we.\n",
                BOOT,
            )?;
            ensure!(console.expect("\n", 2).is_err(), "it goes on");
            Ok(())
        },
    },
    Scenario {
        name: "memory-of-the-firmware",
        about: "what the firmware keeps from us by PMP is refused by name, where an access would be a fault of ours",
        boards: &["qemu-riscv64-virt"],
        machine: |machine| {
            // The profile's harts have no PMP.
            cpu(machine, "rv64");
            machine.guests.count = 0;
        },
        script: |console| {
            console.prompt(BOOT)?;
            let kept = "the firmware keeps what is at 0x0000000080000000 for itself";
            console.check("memory dump8 0x80000000 16", kept)?;
            console.check("memory modify8 0x80000000 1", kept)?;
            console.check("memory crc32 0x80000000 16", kept).map(drop)
        },
    },
    Scenario {
        name: "host-without-plic",
        about: "harts have timers and interrupts of their own: without a PLIC only devices are missed, by name",
        boards: &["qemu-riscv64-virt"],
        machine: |machine| {
            machine.guests.count = 0;
            machine.cpus = Some(2);
            machine.change_tree = Some(|tree| {
                tree.replace("riscv,plic0", "acme,plic0").replace("sifive,plic-1.0.0", "acme,plic-1.0.0")
            });
        },
        script: |console| {
            console
                .expect("WARNING: /soc/serial@10000000: driver ns16550 waits for /soc/plic@c000000", BOOT)?;
            console.expect("brought up 2 CPUs", 10)?;
            console.expect("WARNING: no console: the terminal cannot be used", 10)?;
            console.prompt(10).map(drop)
        },
    },
    Scenario {
        name: "linux-on-rv64",
        about: "harts that conform to no profile, with Sv57's tables",
        boards: &["qemu-riscv64-virt", "qemu-riscv64-aplic", "qemu-riscv64-imsic"],
        machine: |machine| cpu(machine, "rv64"),
        script: |console| with_tables(console, "Sv57, guests Sv57x4"),
    },
    Scenario {
        name: "linux-on-rv-max",
        about: "everything that QEMU knows",
        boards: &["qemu-riscv64-virt"],
        machine: |machine| cpu(machine, "max"),
        script: |console| with_tables(console, "Sv57, guests Sv57x4"),
    },
    Scenario {
        name: "linux-on-sv39",
        about: "harts that have no larger tables than Sv39's, for themselves and for guests",
        boards: &["qemu-riscv64-virt"],
        machine: |machine| cpu(machine, "rv64,sv48=off,sv57=off"),
        script: |console| with_tables(console, "Sv39, guests Sv39x4"),
    },
    Scenario {
        name: "linux-on-sv48",
        about: "harts that have no larger tables than Sv48's",
        boards: &["qemu-riscv64-virt"],
        machine: |machine| cpu(machine, "rv64,sv57=off"),
        script: |console| with_tables(console, "Sv48, guests Sv48x4"),
    },
    Scenario {
        name: "linux-without-sstc",
        about: "harts without Sstc: alarms by the firmware, of the host and of the guest's two CPUs",
        boards: &["qemu-riscv64-virt"],
        machine: |machine| {
            cpu(machine, "rva23s64,sstc=off");
            machine.cpus = Some(2);
            machine.guests.cpus = 2;
        },
        script: |console| {
            console.prompt(BOOT)?;
            ensure!(!console.command("host cpu info")?.contains("sstc"), "the hart has Sstc");
            attach(console, "guest0")?;
            shell(console, "echo so many: $(grep -c sstc /proc/cpuinfo)", "many: 0")?;
            shell(console, "sleep 1; echo wo''ken on $(nproc)", "woken on 2")?;
            console.detach()
        },
    },
    Scenario {
        name: "linux-by-isa-string",
        about: "a host's tree that tells of the harts' extensions by riscv,isa alone",
        boards: &["qemu-riscv64-virt"],
        machine: |machine| {
            machine.change_tree = Some(|tree| {
                let is_new =
                    |line: &&str| !line.contains("riscv,isa-extensions") && !line.contains("riscv,isa-base");
                tree.lines().filter(is_new).map(|line| format!("{line}\n")).collect()
            });
        },
        script: |console| {
            console.prompt(BOOT)?;
            let told = console.command("host cpu info")?;
            ensure!(told.contains("_sstc_") && told.contains("_zicntr_"), "extensions are missing:\n{told}");
            shell_and_off(console)
        },
    },
    Scenario {
        name: "linux-where-less-is-there",
        about: "a host's tree that names extensions which the firmware keeps, or which are not there: nobody uses them",
        boards: &["qemu-riscv64-virt"],
        machine: |machine| {
            two_harts(machine);
            cpu(machine, "rv64,sstc=off");
            machine.change_tree =
                Some(|tree| tree.replace("\\0zicntr\\0", "\\0zicntr\\0sstc\\0svpbmt\\0smstateen\\0ssaia\\0"));
        },
        script: |console| {
            console.expect("kept by the firmware", BOOT)?;
            console.prompt(BOOT)?;
            for name in ["sstc", "svpbmt", "smstateen", "ssaia"] {
                console.check("log show", &format!("{name}: in the device tree, but not there, or kept"))?;
                ensure!(!console.command("host cpu info")?.contains(name), "{name} is used");
            }
            attach(console, "guest0")?;
            let count = "echo so many: $(grep -cE 'sstc|svpbmt|ssaia' /proc/cpuinfo)";
            shell(console, count, "many: 0")?;
            shell(console, "sleep 1; echo wo''ken on $(nproc)", "woken on 2")?;
            console.detach()
        },
    },
    Scenario {
        name: "linux-on-unequal-harts",
        about: "what one of two harts lacks neither we nor guests use: their CPUs go from one to the other",
        boards: &["qemu-riscv64-virt"],
        machine: |machine| {
            two_harts(machine);
            // One with vectors and Sstc.
            cpu(machine, "rva23s64");
            machine.change_tree = Some(|tree| {
                let (before, last) = tree.rsplit_once("riscv,isa-extensions").unwrap_or_default();
                let (list, after) = last.split_once(';').unwrap_or_default();
                let list = list.replace("\\0v\\0", "\\0").replace("\\0sstc\\0", "\\0");
                format!("{before}riscv,isa-extensions{list};{after}")
            });
        },
        script: |console| {
            console.prompt(BOOT)?;
            let told = console.command("host cpu info")?;
            ensure!(told.contains("_svpbmt_"), "extensions are missing:\n{told}");
            ensure!(
                !told.contains("sstc") && told.contains("rv64imafdch_"),
                "the second hart lacks these:\n{told}"
            );
            attach(console, "guest0")?;
            let count = "echo sstc $(grep -c sstc /proc/cpuinfo), v $(grep -c 'rv64[a-z]*v' /proc/cpuinfo)";
            shell(console, count, "sstc 0, v 0")?;
            shell(console, "sleep 1; echo wo''ken on $(nproc)", "woken on 2")?;
            console.detach()
        },
    },
    Scenario {
        name: "linux-without-ssaia",
        about: "interrupt files in a host's tree that says nothing of Ssaia: ours are used, guests get none",
        boards: &["qemu-riscv64-imsic"],
        machine: |machine| {
            machine.memory = Some(1024);
            machine.change_tree = Some(|tree| tree.replace("ssaia", "ssxyz"));
        },
        script: |console| {
            console.prompt(BOOT)?;
            console.command("vfs guest_fdt_load files /guests/virt64-imsic.dtb 2")?;
            console.check("guest create files", "Ssaia")?;
            shell_and_off(console)
        },
    },
    Scenario {
        name: "imsic-guest-refused",
        about: "a guest with interrupt files is refused in words on a host whose harts have no Ssaia",
        boards: &["qemu-riscv64-aplic"],
        machine: |machine| machine.guests.count = 0,
        script: |console| {
            console.prompt(BOOT)?;
            console.command("vfs guest_fdt_load files /guests/virt64-imsic.dtb 2")?;
            console.check("guest create files", "Ssaia")?;
            ensure!(!console.command("guest list")?.contains("files"), "it is there");
            Ok(())
        },
    },
    Scenario {
        name: "ipis-by-sswi",
        about: "CPUs interrupt each other by the ACLINT's registers, without the firmware",
        boards: &["qemu-riscv64-virt"],
        machine: two_harts,
        script: |console| ipis(console, "ACLINT SSWI"),
    },
    Scenario {
        name: "ipis-by-imsic",
        about: "CPUs interrupt each other by messages to their interrupt files; only what is used is listed",
        boards: &["qemu-riscv64-imsic"],
        machine: two_harts,
        script: |console| {
            ipis(console, "IMSIC")?;
            let lines = console.command("host irq stats")?;
            ensure!(lines.matches("aplic@").count() <= 4, "there are lines that nobody uses:\n{lines}");
            ensure!(lines.contains("serial@"), "a line is missing:\n{lines}");
            Ok(())
        },
    },
    Scenario {
        name: "ipis-by-sbi",
        about: "CPUs interrupt each other by the firmware where the harts have nothing for it",
        boards: &["qemu-riscv64-virt"],
        machine: |machine| {
            machine.board.machine = "virt,aia=none".into();
            two_harts(machine);
        },
        script: |console| ipis(console, "SBI"),
    },
    Scenario {
        name: "units-in-turns",
        about: "two guests whose floating-point and vector registers are never idle, on one hart and from one to another",
        boards: &["qemu-riscv64-virt"],
        machine: |machine| {
            machine.cpus = Some(2);
            machine.memory = Some(1024);
            machine.guests.count = 2;
            machine.guests.tree = TEST_GUEST.to_owned();
            machine.guests.append = Some("mischief=units".to_owned());
            machine.append = "vmm.loglevel=4".to_owned();
        },
        script: units_in_turns,
    },
    Scenario {
        name: "cycles-of-its-own",
        about: "a guest that counts cycles by its firmware finds those of its own alone, beside one that takes half",
        boards: &["qemu-riscv64-virt"],
        machine: |machine| {
            machine.cpus = Some(1);
            machine.memory = Some(1024);
            machine.guests.tree = TEST_GUEST.to_owned();
            machine.guests.append = Some("mischief=counts".to_owned());
            machine.append = "vmm.loglevel=4".to_owned();
        },
        script: cycles_of_its_own,
    },
    Scenario {
        name: "off-by-sbi",
        about: "a host whose tree has no syscon: reset and power-off by SBI SRST",
        boards: &["qemu-riscv64-virt", "qemu-riscv64-imsic"],
        machine: |machine| {
            machine.guests.count = 0;
            machine.change_tree = Some(without_driver);
        },
        script: |console| {
            console.prompt(BOOT)?;
            console.line("reset")?;
            console.expect("INIT: ", BOOT)?;
            console.prompt(BOOT)?;
            console.line("shutdown")?;
            console.ended(20)
        },
    },
    Scenario {
        name: "guest-off-by-syscon",
        about: "a guest without SRST resets itself and switches itself off by the test device",
        boards: &["qemu-riscv64-virt"],
        machine: |machine| machine.guests.count = 0,
        script: guest_off_by_syscon,
    },
    Scenario {
        name: "sbi-withheld",
        about: "a guest has no extension of the SBI that is withheld from it, and all others",
        boards: &["qemu-riscv64-virt"],
        machine: |machine| {
            machine.guests.count = 0;
            machine.append = "vmm.loglevel=4".to_owned();
        },
        script: sbi_withheld,
    },
];

/// The firmware uses the system controller, and we don't.
fn without_driver(tree: &str) -> String {
    ["syscon-poweroff", "syscon-reboot"].iter().fold(tree.to_owned(), |tree, name| {
        let line = format!("compatible = \"{name}\";");
        tree.replace(&line, &format!("{line} xvisor,passthrough;"))
    })
}

fn two_harts(machine: &mut Machine) {
    machine.cpus = Some(2);
    machine.guests.cpus = 2;
}

/// Two CPUs, one of which comes back, and those of a guest reach each other in this way.
fn ipis(console: &mut Console, way: &str) -> Result<()> {
    console.expect(&format!("brought up 2 CPUs; IPIs by {way}\n"), BOOT)?;
    console.prompt(BOOT)?;
    console.check("host cpu offline 1", "Offline")?;
    console.check("host cpu online 1", "Online")?;
    console.check("host info", &format!("Interrupts between CPUs  : {way}\n"))?;
    let answers = console.command("host cpu poke")?;
    ensure!(answers.matches("Done").count() == 2, "not all answer:\n{answers}");
    attach(console, "guest0")?;
    shell(console, "seq 1 2000 | grep -c 7 && echo done on $(nproc)", "done on 2")?;
    console.detach()
}

fn units_in_turns(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    for guest in ["guest0", "guest1"] {
        console.check(&format!("vcpu set_affinity {guest}/vcpu0 1"), "set")?;
        console.check(&format!("vcpu set_time_slice {guest}/vcpu0 1ms"), "1 ms set")?;
    }
    for home in ["1", "0", "1", "0"] {
        console.check(&format!("vcpu set_affinity guest0/vcpu0 {home}"), "set")?;
        for guest in ["guest0", "guest1"] {
            console.attach(&format!("{guest}/uart0"))?;
            for _ in 0..4 {
                let told = console.expect("units: intact", 30)?;
                ensure!(!told.contains("FAIL "), "{guest} has another's registers:\n{told}");
            }
            console.detach()?;
        }
    }
    Ok(())
}

fn cycles_of_its_own(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    let alone = share_of_cycles(console)?;
    ensure!((90..=110).contains(&alone), "alone it has {alone} % of the cycles");
    create(console, TEST_GUEST, "", "mischief=spin")?;
    let beside = share_of_cycles(console)?;
    ensure!((25..=75).contains(&beside), "beside a guest that spins it has {beside} % of the cycles");
    console.check("guest destroy g", "Destroyed")?;
    Ok(())
}

/// What guest0 says of the time from now on, in percent.
fn share_of_cycles(console: &mut Console) -> Result<u32> {
    console.attach("guest0/uart0")?;
    for _ in 0..2 {
        console.expect(" % of the cycles", 30)?;
    }
    let told = console.expect(" % of the cycles", 30)?;
    console.detach()?;
    let percent = told.trim_end_matches(" % of the cycles").rsplit(' ').next().unwrap_or_default();
    percent.parse().with_context(|| format!("no share in {told:?}"))
}

fn cpu(machine: &mut Machine, cpu: &str) {
    machine.cpu = Some(cpu.to_owned());
}

/// What the hart has is told, and a guest comes up on it.
fn with_tables(console: &mut Console, tables: &str) -> Result<()> {
    console.prompt(BOOT)?;
    console.check("host cpu info", tables)?;
    shell_and_off(console)
}

/// Makes the test program's guest `g` (or Linux), without these extensions.
fn create(console: &mut Console, tree: &str, without: &str, bootargs: &str) -> Result<()> {
    let names = without.replace(',', " ");
    let withheld = match names.as_str() {
        "" => String::new(),
        names => format!(" \"cpus,xvisor,sbi-without,strings,{names}\""),
    };
    console.command(&format!(
        "vfs guest_fdt_load g /guests/{tree}.dtb 1 \"chosen,bootargs,string,{bootargs}\"{withheld}"
    ))?;
    console.check("guest create g", "Created")?;
    console.check("guest kick g", "Kicked").map(drop)
}

fn sbi_withheld(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    for without in [
        "",
        "time",
        "ipi",
        "rfence",
        "hsm",
        "srst",
        "pmu",
        "dbcn",
        "susp",
        "sta",
        "legacy",
        "pmu,dbcn,legacy",
    ] {
        create(console, TEST_GUEST, without, &format!("firmware without={without}"))?;
        console.attach("g/uart0")?;
        let told = console.expect("SELFCHECK done", 60).with_context(|| format!("without {without}"))?;
        ensure!(!told.contains("FAIL "), "without {without}, the guest is not content:\n{told}");
        ensure!(told.matches("PASS ").count() > 40, "the guest has checked little:\n{told}");
        console.detach()?;
        console.check("guest destroy g", "Destroyed")?;
    }
    console.command(&format!(
        "vfs guest_fdt_load g /guests/{TEST_GUEST}.dtb 1 \"cpus,xvisor,sbi-without,strings,base\""
    ))?;
    console.check("guest create g", "\"base\" is always there")?;
    console.command(&format!(
        "vfs guest_fdt_load g /guests/{TEST_GUEST}.dtb 1 \"cpus,xvisor,sbi-without,strings,xyz\""
    ))?;
    console.check("guest create g", "there is no extension \"xyz\"").map(drop)
}

fn guest_off_by_syscon(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    let tree = console.arch.guest;
    create(console, tree, "srst", &format!("console={}", console.arch.console))?;
    console.attach("g/uart0")?;
    let up = |console: &mut Console| -> Result<()> {
        console.expect(LINUX_UP, LINUX)?;
        console.expect(SHELL, 60).map(drop)
    };
    up(console)?;
    shell(console, "echo found: $(dmesg | grep -c 'SBI SRST extension detected')", "found: 0")?;
    console.line("reboot")?;
    console.expect("INFO: g: resets itself\n", 30)?;
    up(console).context("after the guest's own reboot")?;
    console.line("poweroff")?;
    console.expect("INFO: g: switched itself off\n", 30)?;
    console.detach()?;
    // It says so before it is.
    for _ in 0..20 {
        if console.command("guest list")?.contains("Halted") {
            return Ok(());
        }
        console.command("sleep msecs 500")?;
    }
    bail!("the guest is not halted:\n{}", console.command("guest list")?)
}
