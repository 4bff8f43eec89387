//! Measures what a guest pays, with its own counter. With QEMU's `-icount shift=0` a nanosecond of that
//! counter is an instruction, the hypervisor's included; without the hypervisor the figures are the
//! native ones. On a machine with several CPUs it measures what is between them, and nothing else.
//!
//! Each line is `BENCH name value instructions`, a dash for each blank in a name.

use core::hint::black_box;

use crate::arch::{bench, irq, uart};
use crate::runtime::clock::{nanoseconds, ticks};
use crate::runtime::cpus::{self, Order};
use crate::runtime::machine::{Machine, machine};
use crate::runtime::registers::{give_way, mask, unmask, wfi};
use crate::runtime::{firmware, interrupts, say, timer};

/// How often most things are done: the counter's tick is many instructions.
pub(crate) const MANY: u64 = 2000;
/// How many interrupts are waited for.
const SOME: u64 = 200;
/// Characters written, a line's end among each fifty.
const CHARACTERS: u64 = 1000;

/// Runs all; powers off.
pub(crate) fn run() -> ! {
    let machine = machine();
    irq::start();
    if machine.cpus().len() > 1 {
        between_cpus(machine);
    } else {
        irq::listen_to_timer();
        bench::calls(machine);
        let uart = machine.uart;
        figure("read-of-an-emulated-UART-register", each(MANY, || uart::status(uart)));
        bench::registers(machine);
        console(machine);
        timers();
        bench::interrupts(machine);
    }
    say!("BENCH done");
    firmware::off()
}

pub(crate) fn figure(name: &str, value: u64) {
    say!("BENCH {name} {value} instructions");
}

/// Nanoseconds that `what` takes, of `count` times, rounded to the next; the loop itself is left out.
#[inline(always)]
pub(crate) fn each<T>(count: u64, what: impl Fn() -> T) -> u64 {
    let all = time(count, what);
    let empty = time(count, || ());
    (nanoseconds(all.saturating_sub(empty)) + count / 2) / count
}

/// Ticks that `count` times `what` take.
#[inline(always)]
fn time<T>(count: u64, what: impl Fn() -> T) -> u64 {
    // Once beforehand: what is done at a first time is not what it costs.
    let _ = what();
    let begun = timer::now();
    for index in 0..count {
        black_box(index);
        let _ = what();
    }
    timer::now() - begun
}

fn console(machine: &Machine) {
    let uart = machine.uart;
    let write = |index: u64| {
        while uart::is_full(uart) {}
        uart::send(uart, if index % 50 == 49 { 10 } else { b'.' });
    };
    let loop_alone = time(CHARACTERS, || ());
    let begun = timer::now();
    for index in 0..CHARACTERS {
        write(black_box(index));
    }
    let plain = timer::now() - begun;
    let begun = timer::now();
    for index in 0..CHARACTERS {
        write(black_box(index));
        while uart::is_busy(uart) {}
    }
    let patient = timer::now() - begun;
    let per = |ticks: u64| (nanoseconds(ticks.saturating_sub(loop_alone)) + CHARACTERS / 2) / CHARACTERS;
    say!("\r");
    figure("character-on-an-emulated-console", per(plain));
    // As Linux's early console does: it waits until the character is out.
    figure("character-on-an-emulated-console-early", per(patient));
}

/// The average of `SOME` results, each of which is in ticks, after one that is not counted.
pub(crate) fn average(what: impl Fn(u64) -> u64) -> u64 {
    what(0);
    let sum: u64 = (1..=SOME).map(what).sum();
    (nanoseconds(sum) + SOME / 2) / SOME
}

/// Executes about so many instructions, so that not all measurements begin at the same place of a tick.
pub(crate) fn dawdle(instructions: u64) {
    for index in 0..instructions / 4 {
        black_box(index);
    }
}

/// An interrupt that `send` sends to this CPU, from before it is sent until the CPU is at its vector.
#[inline(always)]
pub(crate) fn to_self(send: impl Fn()) -> u64 {
    let sent = |index: u64| {
        dawdle(index);
        let before = interrupts::count();
        let begun = timer::now();
        send();
        while interrupts::count() == before {
            core::hint::spin_loop();
        }
        let (_, entered) = interrupts::last();
        entered - begun
    };
    unmask();
    let all = average(sent);
    mask();
    all
}

fn timers() {
    let millisecond = ticks(1_000_000);
    let lateness = |index: u64, wait: fn()| {
        dawdle(index);
        let at = timer::now() + millisecond;
        let before = interrupts::count();
        unmask();
        timer::arm(at);
        while interrupts::count() == before {
            wait();
        }
        mask();
        let (_, entered) = interrupts::last();
        entered - at
    };
    figure("guest-timer-interrupt-lateness", average(|index| lateness(index, wfi)));
    figure("guest-timer-interrupt-lateness-busy", average(|index| lateness(index, core::hint::spin_loop)));
    let wake = |index: u64| {
        dawdle(index);
        let at = timer::now() + millisecond;
        timer::arm(at);
        while timer::now() < at {
            wfi();
        }
        let woken = timer::now();
        let taken = irq::take();
        timer::stop();
        if let Some(taken) = taken {
            taken.end();
        }
        woken - at
    };
    figure("wake-from-WFI", average(wake));
    // Pending and masked: WFI must return at once.
    timer::arm(timer::now());
    figure("WFI-with-an-interrupt-pending", each(MANY, wfi));
    timer::stop();
}

/// An interrupt from the first CPU to the second, from before it is sent until the second is at its vector.
///
/// With `-icount` QEMU runs one CPU at a time, and the counter counts the instructions of all of them. The
/// sender gives way as soon as it has sent, so the next instruction is the receiver's: what is measured is the
/// sum of what both CPUs execute, the sender's way back from its trap included, and none of the sender's
/// waiting. Who knows how long that way back is, subtracts it: the receiver does not wait for it.
fn between_cpus(machine: &Machine) {
    cpus::order(Order::Wait);
    let to = machine.cpus()[1];
    if cpus::power_on(1) != 0 {
        say!("FAIL the second CPU does not start");
        return;
    }
    while cpus::counts(1).0 == 0 {
        give_way();
    }
    let sent = |index: u64| {
        // It may do some more before it is where it is wanted.
        for _ in 0..100 + index {
            give_way();
        }
        let before = cpus::counts(1).1;
        let begun = timer::now();
        irq::send(to);
        while cpus::counts(1).1 == before {
            give_way();
        }
        cpus::entered(1) - begun
    };
    figure("wake-of-a-vCPU-on-another-CPU-in-all", average(sent));
    cpus::order(Order::Run);
    sent(0);
    figure("IPI-between-two-running-vCPUs-in-all", average(sent));
    // Without the other's taking part: what is left of the figures above is the receiver's.
    let alone = |_| {
        let begun = timer::now();
        irq::send(to);
        timer::now() - begun
    };
    let send = average(|index| {
        let ticks = alone(index);
        for _ in 0..100 {
            give_way();
        }
        ticks
    });
    figure("IPI-between-two-running-vCPUs-sender", send);
}
