//! Schedulers, and what is counted of threads.

use anyhow::{Context as _, Result, ensure};

use super::linux::attach;
use super::{BOOT, SHELL, Scenario, shell};
use crate::machine::{Machine, TEST_GUEST};
use crate::test::console::Console;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "sched-share",
        about: "vmm.sched=share: weights and caps of two guests that never wait are kept",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| two_spinning(machine, "share"),
        script: share,
    },
    Scenario {
        name: "sched-deadline",
        about: "vmm.sched=deadline: budgets are kept, and what can't be admitted is refused",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| two_spinning(machine, "deadline"),
        script: deadline,
    },
    Scenario {
        name: "sched-partition",
        about: "vmm.sched=partition: a CPU takes one vCPU, and refuses a second one",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| {
            two_spinning(machine, "partition");
            machine.guests.count = 0;
        },
        script: partition,
    },
    Scenario {
        name: "vcpu-monitor",
        about: "vcpu monitor, vcpu dumpstat and host sched show what runs",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| two_spinning(machine, "monotonic"),
        script: monitor,
    },
    Scenario {
        name: "selftest",
        about: "the hypervisor's tests of itself, on the machine",
        boards: &["virt-gicv3", "virt-gicv2", "qemu-riscv64-virt"],
        machine: |machine| machine.guests.count = 0,
        script: selftest,
    },
    Scenario {
        name: "selftest-on-four",
        about: "the same on four CPUs",
        boards: &["virt-gicv3", "virt-gicv2", "qemu-riscv64-virt"],
        machine: |machine| {
            machine.guests.count = 0;
            machine.cpus = Some(4);
        },
        script: selftest,
    },
    Scenario {
        name: "sched-partition-on-four",
        about: "vmm.sched=priority,partition@1-3: three vCPUs have a CPU each, undisturbed, two share the first",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| {
            two_spinning(machine, "priority,partition@1-3");
            machine.guests.count = 5;
            machine.memory = Some(2048);
            machine.cpus = Some(4);
        },
        script: partition_on_four,
    },
    Scenario {
        name: "idle-guest",
        about: "a guest alone on its CPU that waits counts as waiting, and its CPU as idle",
        boards: &["virt-gicv3", "virt-gicv2", "qemu-riscv64-virt"],
        machine: |machine| machine.cpus = Some(2),
        script: idle_guest,
    },
    Scenario {
        name: "paused-guest",
        about: "a CPU whose guest is paused, or off, with an interrupt waiting for it, sleeps",
        boards: &["virt-gicv3", "virt-gicv2", "qemu-riscv64-virt", "qemu-riscv64-imsic"],
        machine: |machine| machine.cpus = Some(1),
        script: paused_guest,
    },
    Scenario {
        name: "tickless",
        about: "a CPU with nothing to do takes no timer interrupts",
        boards: &["virt-gicv3", "qemu-riscv64-virt"],
        machine: |machine| machine.guests.count = 0,
        script: tickless,
    },
    Scenario {
        name: "steal-time",
        about: "a Linux guest sees in /proc/stat what another guest takes from it",
        // Debian's kernel for riscv64 is built without PARAVIRT.
        boards: &["virt-gicv3"],
        machine: |machine| machine.guests.count = 2,
        script: steal,
    },
];

/// Two guests that never wait, under this policy.
fn two_spinning(machine: &mut Machine, policy: &str) {
    machine.append = format!("vmm.loglevel=4 vmm.sched={policy}");
    machine.guests.tree = TEST_GUEST.to_owned();
    machine.guests.append = Some("mischief=spin".to_owned());
    machine.guests.count = 2;
    // On one CPU, with memory for both, whatever others have.
    machine.cpus = Some(1);
    machine.memory = Some(1024);
    // Time is counted in instructions: shares of it come out alike however busy this machine is.
    machine.words.extend(["-icount".to_owned(), "shift=3,sleep=off".to_owned()]);
}

/// Milliseconds out of a row of `vcpu dumpstat`.
fn millis(console: &mut Console, vcpu: &str, row: &str) -> Result<u64> {
    let output = console.command(&format!("vcpu dumpstat {vcpu}"))?;
    let line = output.lines().find(|line| line.starts_with(row)).context("the row is missing")?;
    let mut parts = line.rsplit(' ').next().unwrap_or_default().split(':').rev();
    let mut next = || -> Result<u64> { Ok(parts.next().context("not h:m:s:ms")?.parse()?) };
    Ok(next()? + 1000 * next()? + 60_000 * next()? + 3_600_000 * next()?)
}

/// How long both ran while `seconds` passed.
fn running(console: &mut Console, seconds: u64) -> Result<[u64; 2]> {
    let read = |console: &mut Console| -> Result<[u64; 2]> {
        let first = millis(console, "guest0/vcpu0", "Running Time")?;
        Ok([first, millis(console, "guest1/vcpu0", "Running Time")?])
    };
    let before = read(console)?;
    console.slow_command(&format!("sleep secs {seconds}"), seconds + 30)?;
    let after = read(console)?;
    Ok([after[0] - before[0], after[1] - before[1]])
}

fn share(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    console.check("host sched", "share")?;
    let [first, second] = running(console, 4)?;
    ensure!(first.abs_diff(second) < first / 8, "equal weights: {first} ms and {second} ms");
    console.check("vcpu set_weight guest0/vcpu0 768", "Weight 768 set")?;
    let [first, second] = running(console, 4)?;
    let percent = first * 100 / second.max(1);
    ensure!((270..330).contains(&percent), "three to one: {first} ms and {second} ms");
    console.check("vcpu set_cap guest0/vcpu0 20", "Cap 20 % set")?;
    let [first, second] = running(console, 4)?;
    let percent = first * 100 / (first + second).max(1);
    ensure!((17..23).contains(&percent), "a cap of 20 %: {first} ms and {second} ms");
    console.check("vcpu set_cap guest0/vcpu0 101", "none of 0").map(drop)
}

fn deadline(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    console.check("host sched", "0 guaranteed, density 0.0 % of at most 95.0 %")?;
    console.check("vcpu set_time_slice guest0/vcpu0 30ms", "Time slice 30 ms set")?;
    console.check("vcpu set_period guest0/vcpu0 100ms", "Period 100 ms set")?;
    let [first, second] = running(console, 4)?;
    let percent = first * 100 / (first + second).max(1);
    ensure!((27..33).contains(&percent), "30 ms in 100 ms: {first} ms and {second} ms");
    console.check("vcpu set_time_slice guest1/vcpu0 70ms", "Time slice 70 ms set")?;
    console.check("vcpu set_deadline guest1/vcpu0 100ms", "is 5.0 % above the limit of 95.0 %")?;
    console.check("vcpu set_deadline guest1/vcpu0 200ms", "Deadline 200 ms set")?;
    console.check("host sched", "2 guaranteed, density 65.0 % of at most 95.0 %")?;
    console.command("guest destroy guest0")?;
    console.check("host sched", "1 guaranteed, density 35.0 %").map(drop)
}

fn partition(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    for guest in ["guest0", "guest1"] {
        console.command(&format!("vfs guest_fdt_load {guest} /guests/{TEST_GUEST}.dtb 1"))?;
    }
    console.check("guest create guest0", "Created")?;
    console.command("guest kick guest0")?;
    console.check("guest create guest1", "the CPU belongs to another vCPU")?;
    ensure!(!console.command("guest list")?.contains("guest1"), "the refused guest is there");
    // The timer rings for the terminal alone: there are no turns.
    console.check("host sched", "taken by a vCPU")?;
    console.command("guest destroy guest0")?;
    console.check("host sched", "free for a vCPU")?;
    console.check("guest create guest1", "Created").map(drop)
}

fn monitor(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    console.check("host sched", "monotonic")?;
    console.check("vcpu time_exits on", "Exits are timed")?;
    console.line("vcpu monitor")?;
    for _ in 0..3 {
        console.expect("q leaves", 10)?;
        console.expect("% busy", 10)?;
        console.expect("guest1/vcpu0", 10)?;
    }
    console.send("q")?;
    console.prompt(10)?;
    let output = console.command("vcpu dumpstat guest0/vcpu0")?;
    for row in
        ["Running Time", "Ready Time", "Paused Time", "System Time", "Time Slice", "Exits: Host Interrupt"]
    {
        ensure!(output.contains(row), "{row} is missing:\n{output}");
    }
    console.command("guest pause guest0")?;
    console.slow_command("sleep secs 2", 30)?;
    let paused = millis(console, "guest0/vcpu0", "Paused Time")?;
    ensure!((1900..8000).contains(&paused), "paused for two seconds: {paused} ms");
    Ok(())
}

/// Hundredths of a second that were stolen from the guest whose shell this is, as it counts them.
fn stolen(console: &mut Console) -> Result<u64> {
    console.line("read a b c d e f g h s r </proc/stat;echo st''=$s,")?;
    console.expect("st=", 30)?;
    let stolen = console.expect(",", 30)?.trim().parse().context("not a number")?;
    console.expect(SHELL, 30)?;
    Ok(stolen)
}

fn steal(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    attach(console, "guest1")?;
    console.line("while :; do :; done &")?;
    console.expect(SHELL, 30)?;
    console.detach()?;
    attach(console, "guest0")?;
    let before = stolen(console)?;
    shell(console, "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; echo do''ne", "done")?;
    let after = stolen(console)?;
    console.detach()?;
    let ready = millis(console, "guest0/vcpu0", "Ready Time")?;
    ensure!(after >= before + 20, "{before} and then {after} hundredths of a second were stolen");
    ensure!(after * 10 <= ready + 100, "{after} hundredths of a second were stolen, of {ready} ms");
    Ok(())
}

fn selftest(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    for _ in 0..2 {
        let output = console.slow_command("selftest", 120)?;
        ensure!(output.contains(" passed, 0 failed"), "not all is well:\n{output}");
        ensure!(!output.contains("FAILED"), "not all is well:\n{output}");
    }
    console.check("selftest run no_such", "there is no test").map(drop)
}

fn partition_on_four(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    let output = console.command("host sched")?;
    ensure!(output.matches("taken by a vCPU").count() == 3, "not all partitions are taken:\n{output}");
    let before = (switches(console)?, timer_interrupts(console)?);
    console.slow_command("sleep secs 4", 60)?;
    let after = (switches(console)?, timer_interrupts(console)?);
    // Two share the first CPU with the terminal and get on; the other three are not taken off theirs.
    let more: Vec<u64> = before.0.iter().zip(&after.0).map(|(before, after)| after - before).collect();
    ensure!(more.iter().filter(|more| **more == 0).count() == 3, "vCPUs were switched so often: {more:?}");
    ensure!(more.iter().filter(|more| **more >= 20).count() == 2, "vCPUs were switched so often: {more:?}");
    ensure!(after.0.iter().all(|switches| *switches > 0), "a vCPU never ran: {:?}", after.0);
    // Nor does a timer of ours interrupt them; on the first it ends turns.
    let rang: Vec<u64> = before.1.iter().zip(&after.1).map(|(before, after)| after - before).collect();
    ensure!(rang.len() == 4 && rang[1..] == [0, 0, 0], "the timers rang so often: {rang:?}");
    ensure!(rang[0] >= 40, "the timers rang so often: {rang:?}");
    Ok(())
}

/// How often our timer interrupted each CPU, as `host irq stats` shows it.
fn timer_interrupts(console: &mut Console) -> Result<Vec<u64>> {
    let output = console.command("host irq stats")?;
    let mut counts: Vec<u64> = Vec::new();
    for line in output.lines().filter(|line| line.contains("timer")) {
        // The last columns, one for each CPU.
        let row: Vec<u64> = line.split_whitespace().rev().map_while(|word| word.parse().ok()).collect();
        counts.resize(counts.len().max(row.len()), 0);
        row.iter().rev().zip(&mut counts).for_each(|(more, count)| *count += more);
    }
    Ok(counts)
}

/// How often each of five vCPUs got a CPU.
fn switches(console: &mut Console) -> Result<Vec<u64>> {
    let one = |guest: usize| -> Result<u64> {
        let output = console.command(&format!("vcpu dumpstat guest{guest}/vcpu0"))?;
        let line = output.lines().find(|line| line.starts_with("Switches")).context("no row")?;
        Ok(line.rsplit(' ').next().unwrap_or_default().parse()?)
    };
    (0..5).map(one).collect()
}

/// What `host cpu stats` says of the second CPU: percent busy, idle, and with interrupts.
fn of_second_cpu(console: &mut Console) -> Result<[f64; 3]> {
    let output = console.command("host cpu stats")?;
    let row = output.lines().find(|line| line.trim_start().starts_with("1 ")).context("no row")?;
    let number =
        |column| -> Result<f64> { Ok(row.split_whitespace().nth(column).context("short")?.parse()?) };
    Ok([number(2)?, number(3)?, number(4)?])
}

fn idle_guest(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    console.check("vcpu set_affinity guest0/vcpu0 1", "guest0/vcpu0")?;
    attach(console, "guest0")?;
    console.detach()?;
    let times = |console: &mut Console| -> Result<[u64; 3]> {
        let mut row = |row| millis(console, "guest0/vcpu0", row);
        Ok([row("Running Time")?, row("Waiting Time")?, row("Ready Time")?])
    };
    let before = times(console)?;
    console.slow_command("sleep secs 3", 60)?;
    let after = times(console)?;
    let [ran, waited, ready] = [0, 1, 2].map(|n| after[n] - before[n]);
    ensure!(waited > 2500 && waited > 8 * ran, "idle: ran {ran} ms, waited {waited} ms, ready {ready} ms");
    let [busy, idle, _] = of_second_cpu(console)?;
    ensure!(busy < 20.0 && (busy + idle - 100.0).abs() < 1.0, "idle: {busy} % busy, {idle} % idle");
    // It hardly ever runs.
    let mut runs = 0;
    for _ in 0..8 {
        let output = console.command("vcpu normal_list")?;
        let row = output.lines().find(|line| line.contains("guest0/vcpu0")).context("no row")?;
        runs += u32::from(row.contains("Running"));
    }
    ensure!(runs <= 4, "an idle guest was seen running {runs} times of 8");
    attach(console, "guest0")?;
    console.line("while :; do :; done &")?;
    console.expect(SHELL, 30)?;
    console.detach()?;
    let [busy, ..] = of_second_cpu(console)?;
    ensure!(busy > 90.0, "a busy guest: {busy} % busy");
    console.check("vcpu normal_list", "Running").map(drop)
}

fn paused_guest(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    attach(console, "guest0")?;
    // When it is stopped, its timer is about to ring.
    console.line("while :; do sleep 0.2; done &")?;
    console.expect(SHELL, 30)?;
    console.detach()?;
    for order in ["pause", "halt"] {
        console.check(&format!("guest {order} guest0"), "guest0")?;
        std::thread::sleep(std::time::Duration::from_secs(2));
        let ran = console.runs_in(3.0)?;
        ensure!(ran < 0.3, "after guest {order} the host's CPU ran for {ran} s of 3");
    }
    Ok(())
}

fn tickless(console: &mut Console) -> Result<()> {
    console.prompt(BOOT)?;
    let before = timer_interrupts(console)?;
    console.slow_command("sleep secs 4", 30)?;
    let after = timer_interrupts(console)?;
    let rang: Vec<u64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    // One for the end of the sleep; the terminal may have had something to do besides, and where there are several
    // CPUs, one of them looks from time to time whether the load is balanced.
    let most = if rang.len() > 1 { 16 } else { 8 };
    let is_quiet = rang.iter().all(|count| *count <= most) && rang.iter().sum::<u64>() >= 1;
    ensure!(is_quiet, "timer interrupts in 4 s, by CPU: {rang:?}");
    Ok(())
}
