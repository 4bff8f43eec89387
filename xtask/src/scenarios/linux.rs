//! Unmodified Debian as a guest, on every host that it must run on.

use anyhow::Result;

use super::{BOOT, LINUX, LINUX_UP, SHELL, Scenario, shell};
use crate::build::Profile;
use crate::test::console::Console;

const RISCV: [&str; 3] = ["qemu-riscv64-virt", "qemu-riscv64-aplic", "qemu-riscv64-imsic"];

/// A scenario that boots Linux to its shell on a host of some kind.
macro_rules! on_host {
    ($name:literal, $board:literal, $about:literal, $machine:expr) => {
        on_host!($name, [$board], $about, $machine)
    };
    ($name:literal, $boards:expr, $about:literal, $machine:expr) => {
        Scenario { name: $name, about: $about, boards: &$boards, machine: $machine, script: to_shell }
    };
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "linux-shell",
        about: "a guest boots to its shell, is typed at, and left with ESC x q",
        boards: &["virt-gicv3", "qemu-riscv64-virt", "qemu-riscv64-aplic", "qemu-riscv64-imsic"],
        machine: |_| {},
        script: use_shell,
    },
    Scenario {
        name: "two-guests",
        about: "two guests on one CPU, each with its own console",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| {
            machine.guests.count = 2;
            machine.memory = Some(1024);
        },
        script: two_guests,
    },
    Scenario {
        name: "wall-clock",
        about: "the host's clock sets the wall clock, which has a zone, and which a guest reads",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| {
            machine.words.extend(["-rtc", "base=2024-02-29T22:30:00,clock=vm"].map(str::to_owned));
        },
        script: wall_clock,
    },
    on_host!("linux-on-gicv2", "virt-gicv2", "a host with a GICv2", |_| {}),
    on_host!("linux-on-a53", "virt-gicv3", "cortex-a53", |machine| machine.cpu = Some("cortex-a53".into())),
    on_host!("linux-on-a57", "virt-gicv2", "cortex-a57, GICv2", |machine| machine.cpu =
        Some("cortex-a57".into())),
    on_host!("linux-on-a76", "virt-gicv3", "cortex-a76: VHE, no AArch32", |machine| {
        machine.cpu = Some("cortex-a76".into());
    }),
    on_host!("linux-on-max", "virt-gicv3", "everything that QEMU knows", |machine| machine.cpu =
        Some("max".into())),
    on_host!("linux-on-4g", "virt-gicv3", "4 GiB of memory", |machine| machine.memory = Some(4096)),
    on_host!(
        "linux-on-debug-build",
        "virt-gicv3",
        "a hypervisor with assertions and lock ranks",
        |machine| {
            machine.profile = Some(Profile::Debug);
        }
    ),
    on_host!("linux-on-rv-debug-build", "qemu-riscv64-virt", "the same on RISC-V", |machine| {
        machine.profile = Some(Profile::Debug);
    }),
    on_host!("linux-on-three-banks", "virt-gicv3", "memory in three banks of different sizes", |machine| {
        machine.memory = Some(1024);
        for (bank, size) in ["256M", "128M", "640M"].into_iter().enumerate() {
            machine.words.extend([
                "-object".to_owned(),
                format!("memory-backend-ram,id=bank{bank},size={size}"),
                "-numa".to_owned(),
                format!("node,nodeid={bank},memdev=bank{bank}"),
            ]);
        }
    }),
    on_host!("linux-on-512m", RISCV, "512 MiB of memory", |machine| machine.memory = Some(512)),
    on_host!("linux-on-2g", RISCV, "2 GiB of memory", |machine| machine.memory = Some(2048)),
    on_host!("linux-on-zcu102", "zcu102", "another board: Cadence UART, memory in two banks", |_| {}),
];

/// Attaches to a guest and waits for its shell.
pub(super) fn attach(console: &mut Console, guest: &str) -> Result<()> {
    console.attach(&format!("{guest}/uart0"))?;
    // It may have come up before we attached; then what it printed may be gone, and a new line
    // makes the shell prompt again.
    console.send("\r")?;
    console.expect_any(&[LINUX_UP, SHELL], LINUX)?;
    console.send("\r")?;
    console.expect(SHELL, LINUX).map(drop)
}

fn to_shell(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    shell_and_off(console)
}

/// The guest comes to its shell, and the machine is switched off.
pub(super) fn shell_and_off(console: &mut Console) -> Result<()> {
    attach(console, "guest0")?;
    shell(console, "echo six times seven is $((6 * 7))", "is 42")?;
    console.detach()?;
    console.line("shutdown")?;
    console.ended(20)
}

fn use_shell(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    console.check("guest list", "guest0")?;
    attach(console, "guest0")?;
    shell(console, "echo six times seven is $((6 * 7))", "is 42")?;
    let name = console.arch.name;
    shell(console, "uname -m", name)?;
    shell(console, "dmesg | grep -c 'Call trace'", "0")?;
    // Ctrl-C ends a command and not the shell: the console passes it on.
    console.line("sleep 1000")?;
    // Until it runs, the shell would take the key for its own.
    std::thread::sleep(std::time::Duration::from_secs(1));
    console.send("\x03")?;
    console.expect(SHELL, 30)?;
    // A tenth of a megabyte of output arrives whole.
    shell(console, "seq 1 4000; echo the end", "\n[guest0/uart0] 3999\n")?;
    // Time passes: the timer's interrupt arrives while the guest is idle.
    shell(console, "sleep 2; echo wo''ken", "woken\n")?;
    console.detach()?;
    console.check("vcpu list", "guest0/vcpu0").map(drop)
}

fn wall_clock(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    console.check("wallclock get_time", "Thu Feb 29 22:3")?;
    console.check("wallclock get_timezone", "UTC")?;
    console.command("wallclock set_timezone +5:30")?;
    console.check("wallclock get_time", "Fri Mar  1 04:0")?;
    attach(console, "guest0")?;
    // What a guest's clock shows is the wall clock's time, in Greenwich.
    shell(console, "cat /sys/class/rtc/rtc0/date /sys/class/rtc/rtc0/time", "2024-02-29\n")?;
    console.detach()
}

fn two_guests(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    for guest in ["guest0", "guest1"] {
        attach(console, guest)?;
        shell(console, &format!("echo here is {guest} > /tmp/name"), "")?;
        console.detach()?;
    }
    for guest in ["guest1", "guest0"] {
        console.attach(&format!("{guest}/uart0"))?;
        shell(console, "cat /tmp/name", &format!("here is {guest}"))?;
        console.detach()?;
    }
    Ok(())
}
