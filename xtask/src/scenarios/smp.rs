//! Several CPUs: of the host, of guests, and threads that go from one to another.

use anyhow::{Context as _, Result, ensure};

use super::{BOOT, LINUX, LINUX_UP, SHELL, Scenario, shell};
use crate::build::Profile;
use crate::machine::Machine;
use crate::test::console::Console;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "two-cpus",
        about: "two host CPUs come up, answer, go offline and come back",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
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
        name: "four-cpus",
        about: "the four CPUs of another board, by PSCI, and a guest with as many",
        boards: &["zcu102"],
        machine: |machine| {
            machine.cpus = Some(4);
            machine.guests.cpus = 4;
        },
        script: |console| as_many(console, 4),
    },
    Scenario {
        name: "spin-table",
        about: "four CPUs that wait in a spin table, and a guest with as many",
        boards: &["raspi4"],
        machine: |machine| machine.guests.cpus = 4,
        script: |console| {
            as_many(console, 4)?;
            console.check("host cpu info", "CPU3 State               : online (spin-table)")?;
            console.check("host cpu offline 2", "cannot stop it so that it could come back").map(drop)
        },
    },
    Scenario {
        name: "eight-harts",
        about: "eight harts, and a guest with as many CPUs",
        boards: &["qemu-riscv64-imsic", "qemu-riscv64-aplic", "qemu-riscv64-virt"],
        machine: |machine| {
            machine.cpus = Some(8);
            machine.guests.cpus = 8;
        },
        script: |console| as_many(console, 8),
    },
    Scenario {
        name: "two-sockets",
        about: "harts, memory and interrupt controllers in two sockets; interrupts stay where they can come",
        boards: &["qemu-riscv64-virt", "qemu-riscv64-aplic"],
        machine: |machine| two_sockets(machine, 2),
        script: |console| {
            as_many(console, 4)?;
            own_controllers(console)
        },
    },
    Scenario {
        name: "two-groups",
        about: "two sockets with three harts each, whose interrupt files are two groups; a guest with four",
        boards: &["qemu-riscv64-imsic"],
        machine: |machine| two_sockets(machine, 3),
        script: |console| {
            as_many_of(console, 6, 4)?;
            let irq = uart(console)?;
            console.check(&format!("host irq set_affinity {irq} 4"), "goes to CPU4")?;
            console.check("host info", "Total Online CPUs        : 6").map(drop)
        },
    },
    Scenario {
        name: "thirty-two-cpus",
        about: "32 host CPUs, and a guest with 32",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| {
            machine.cpus = Some(32);
            machine.guests.cpus = 32;
        },
        script: |console| as_many(console, 32),
    },
    Scenario {
        name: "smp-linux",
        about: "Linux with 4 CPUs under load is paused, moved, and its host's CPUs go and come",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| {
            machine.cpus = Some(4);
            machine.guests.cpus = 4;
        },
        script: smp_linux,
    },
    Scenario {
        name: "balance",
        about: "virtual CPUs that wait for a host CPU go to another one, unless that is switched off",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| {
            machine.cpus = Some(4);
            machine.guests.cpus = 4;
        },
        script: balance,
    },
    Scenario {
        name: "balance-off",
        about: "with vmm.balance=off they stay where they are put",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| {
            machine.cpus = Some(2);
            machine.guests.cpus = 2;
            machine.append.push_str(" vmm.balance=off");
        },
        script: balance_off,
    },
    Scenario {
        name: "five-hundred-orders",
        about: "500 orders to four guests on 4 CPUs, drawn from a seed, end with the memory they began with",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| {
            machine.cpus = Some(4);
            machine.guests.count = 0;
            machine.memory = Some(2048);
        },
        script: five_hundred_orders,
    },
    Scenario {
        name: "orders-on-debug-build",
        about: "the hypervisor's own tests and 100 orders, with assertions and lock ranks",
        boards: &["virt-gicv3", "qemu-riscv64-imsic"],
        machine: |machine| {
            machine.cpus = Some(4);
            machine.guests.count = 0;
            machine.memory = Some(2048);
            machine.profile = Some(Profile::Debug);
        },
        script: orders_on_debug_build,
    },
    Scenario {
        name: "a-cpu-that-is-not-there",
        about: "a CPU that the host's tree lists and the firmware refuses is named, and the boot goes on",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| {
            machine.cpus = Some(2);
            machine.guests.count = 0;
            machine.change_tree = Some(|tree| {
                let more = if tree.contains("riscv,isa") {
                    "compatible = \"riscv\"; riscv,isa = \"rv64imafdch\";"
                } else {
                    "compatible = \"arm,cortex-a72\"; enable-method = \"psci\";"
                };
                let ghost = format!("cpu@7 {{ device_type = \"cpu\"; reg = <7>; {more} }}; cpu@0 {{");
                tree.replacen("cpu@0 {", &ghost, 1)
            });
        },
        script: a_cpu_that_is_not_there,
    },
    Scenario {
        name: "sixteen-guests",
        about: "16 guests of one CPU on 4 CPUs boot to their shells",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| {
            machine.cpus = Some(4);
            machine.guests.count = 16;
        },
        script: sixteen_guests,
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
    // The last time, what came back is what the console's interrupt goes to.
    for cpu in ["1", "0", "1"] {
        console.check(&format!("host cpu offline {cpu}"), "Offline")?;
        console.check(&format!("host cpu offline {}", 1 - cpu.parse::<u32>()?), "the last one online")?;
        console.check("host info", "Total Online CPUs        : 1")?;
        console.check(&format!("host cpu online {cpu}"), "Online")?;
    }
    console.check("host cpu offline 7", "there is no CPU7")?;
    console.check("host cpu online 1", "CPU1 is online already")?;
    let method = console.arch.cpu_method;
    console.check("host cpu info", &format!("CPU1 State               : online ({method})")).map(drop)
}

/// Two sockets with so many harts each, and as many banks of memory.
pub(super) fn two_sockets(machine: &mut Machine, harts: u32) {
    machine.cpus = Some(2 * harts);
    machine.guests.cpus = 4;
    machine.memory = Some(1024);
    for socket in 0..2 {
        let (first, last) = (socket * harts, socket * harts + harts - 1);
        machine.words.extend([
            "-object".to_owned(),
            format!("memory-backend-ram,id=bank{socket},size=512M"),
            "-numa".to_owned(),
            format!("node,nodeid={socket},memdev=bank{socket},cpus={first}-{last}"),
        ]);
    }
}

/// The number of the UART's interrupt.
fn uart(console: &mut Console) -> Result<u32> {
    let table = console.command("host irq stats")?;
    let row = table.lines().find(|row| row.contains("serial@")).context("the UART has no interrupt")?;
    Ok(row.split_whitespace().next().context("an empty row")?.parse()?)
}

/// Each socket has a controller: the UART's interrupt comes to the harts of its own, and follows them.
fn own_controllers(console: &mut Console) -> Result<()> {
    let irq = uart(console)?;
    console.check(&format!("host irq set_affinity {irq} 2"), "its controller does not reach CPU2")?;
    console.check(&format!("host irq set_affinity {irq} 1"), "goes to CPU1")?;
    let order = |console: &mut Console, order: &str, cpu: u32, wanted: &str| {
        console.slow_command(&format!("host cpu {order} {cpu}"), 60)?;
        console.check("host cpu info", &format!("CPU{cpu} State               : {wanted}")).map(drop)
    };
    order(console, "offline", 1, "offline")?;
    console.check("host cpu offline 0", "its controller reaches no other CPU that is online")?;
    // The terminal is still heard, wherever its interrupt goes.
    order(console, "online", 1, "online")?;
    order(console, "offline", 0, "offline")?;
    for (what, wanted) in [("offline", "offline"), ("online", "online")] {
        order(console, what, 2, wanted)?;
        order(console, what, 3, wanted)?;
    }
    order(console, "online", 0, "online")?;
    console.check("host info", "Total Online CPUs        : 4").map(drop)
}

/// `count` CPUs of the host, and of a Linux.
fn as_many(console: &mut Console, count: u32) -> Result<()> {
    as_many_of(console, count, count)
}

/// The host has so many CPUs, and its guest as many as it is to have.
fn as_many_of(console: &mut Console, host: u32, count: u32) -> Result<()> {
    console.prompt(BOOT)?;
    console.check("host info", &format!("Total Online CPUs        : {host}"))?;
    let answers = console.command("host cpu poke")?;
    ensure!(answers.matches("Done").count() == host as usize, "not all answer:\n{answers}");
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

/// Whether each of the guest's CPUs 0 to `count` - 1 is on a host CPU of its own.
fn are_spread(console: &mut Console, count: usize) -> Result<bool> {
    let list = console.command("vcpu list")?;
    let mut cpus: Vec<&str> = list
        .lines()
        .filter(|line| line.contains("guest0/vcpu"))
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    ensure!(cpus.len() == count, "not {count} virtual CPUs:\n{list}");
    cpus.sort_unstable();
    cpus.dedup();
    Ok(cpus.len() == count)
}

fn busy(console: &mut Console, count: u32) -> Result<()> {
    console.prompt(BOOT)?;
    console.attach("guest0/uart0")?;
    console.expect(LINUX_UP, LINUX)?;
    console.expect(SHELL, LINUX)?;
    shell(console, &format!("for i in $(seq {count}); do while :; do :; done & done; echo loops"), "loops")?;
    console.detach()?;
    for vcpu in 0..count {
        console.check(&format!("vcpu set_hcpu guest0/vcpu{vcpu} 0"), "set")?;
    }
    Ok(())
}

fn balance(console: &mut Console) -> Result<()> {
    busy(console, 4)?;
    for _ in 0..30 {
        console.command("sleep msecs 500")?;
        if are_spread(console, 4)? {
            return Ok(());
        }
    }
    anyhow::bail!("after 15 s they are still together:\n{}", console.command("vcpu list")?)
}

fn balance_off(console: &mut Console) -> Result<()> {
    busy(console, 2)?;
    console.command("sleep secs 8")?;
    ensure!(!are_spread(console, 2)?, "somebody moved one");
    Ok(())
}

/// A xorshift generator (Marsaglia, 2003): what is drawn is the same for the same seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// The ghost in the tree has no number; those that are there work.
fn a_cpu_that_is_not_there(console: &mut Console) -> Result<()> {
    console.expect("WARNING: /cpus/cpu@7: ", BOOT)?;
    console.expect("; going on without it", 5)?;
    console.prompt(BOOT)?;
    console.check("host info", "Total Online CPUs        : 2")?;
    let answers = console.command("host cpu poke")?;
    ensure!(answers.matches("Done").count() == 2, "not all answer:\n{answers}");
    Ok(())
}

/// A wrong order of locks ends in a panic here.
fn orders_on_debug_build(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    let output = console.slow_command("selftest", 120)?;
    ensure!(output.contains(" passed, 0 failed"), "not all is well:\n{output}");
    seeded(console, 100)
}

fn five_hundred_orders(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    seeded(console, 500)
}

/// So many orders, from a seed that is printed.
fn seeded(console: &mut Console, count: usize) -> Result<()> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let seed = match std::env::var("SEED") {
        Ok(seed) => seed.parse()?,
        Err(_) => now.as_secs() | 1,
    };
    println!("  {count} orders: SEED={seed}");
    orders(console, &mut Draw(seed), count).with_context(|| format!("SEED={seed}"))
}

const GUESTS: usize = 4;

fn orders(console: &mut Console, draw: &mut Draw, count: usize) -> Result<()> {
    let tree = console.arch.guest;
    for guest in 0..GUESTS {
        console.command(&format!("vfs guest_fdt_load guest{guest} /guests/{tree}.dtb 2"))?;
    }
    // The first round may leave something behind that is kept for all: the heap has grown.
    let all = |console: &mut Console, order: &str| -> Result<()> {
        (0..GUESTS).try_for_each(|guest| console.command(&format!("guest {order} guest{guest}")).map(drop))
    };
    all(console, "create")?;
    all(console, "kick")?;
    all(console, "destroy")?;
    let before = frames(console)?;
    for _ in 0..count {
        let guest = draw.below(GUESTS);
        let order = match draw.below(14) {
            0..=2 => format!("guest create guest{guest}"),
            3..=5 => format!("guest kick guest{guest}"),
            6 => format!("guest pause guest{guest}"),
            7 => format!("guest resume guest{guest}"),
            8 => format!("guest reset guest{guest}"),
            9 => format!("guest halt guest{guest}"),
            10 => format!("guest destroy guest{guest}"),
            11 => format!("vcpu set_hcpu guest{guest}/vcpu{} {}", draw.below(2), draw.below(4)),
            12 => format!("vcpu pause guest{guest}/vcpu0;vcpu resume guest{guest}/vcpu0"),
            _ => format!("vcpu set_affinity guest{guest}/vcpu1 {} {}", draw.below(4), draw.below(4)),
        };
        // Refused, where the guest is in no state for it.
        console.command(&order)?;
    }
    all(console, "destroy")?;
    ensure!(!console.command("guest list")?.contains("guest0"), "a guest is left");
    let after = frames(console)?;
    ensure!(before == after, "memory is lost: {before} frames became {after}");
    Ok(())
}

/// Frames that are free or the heap's, which keeps what it grew by.
fn frames(console: &mut Console) -> Result<u64> {
    frames_in(&console.command("host ram info;heap info")?)
}

/// The same, out of what both commands printed.
pub(super) fn frames_in(output: &str) -> Result<u64> {
    Ok(number(output, "Total Free Frames")? + number(output, "Total Size")? / 4)
}

/// The whole number in a row of what a command printed.
fn number(output: &str, row: &str) -> Result<u64> {
    let line =
        output.lines().find(|line| line.trim_start().starts_with(row)).context("the row is missing")?;
    let digits = line.split(':').nth(1).unwrap_or_default().trim();
    let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end).unwrap_or_default().parse().with_context(|| format!("no number in `{line}`"))
}

fn sixteen_guests(console: &mut Console) -> Result<()> {
    console.prompt(4 * BOOT)?;
    let begun = std::time::Instant::now();
    for guest in 0..16 {
        console.attach(&format!("guest{guest}/uart0"))?;
        console.line("")?;
        console.expect(SHELL, 4 * LINUX).with_context(|| format!("guest{guest}"))?;
        console.detach()?;
    }
    println!("  sixteen-guests: {} s until all were at their shells", begun.elapsed().as_secs());
    Ok(())
}
