//! Storms: of waits that never wait, of interrupts between CPUs, of a timer that is always late.

use crate::runtime::cpus::{self, Order};
use crate::runtime::machine::machine;
use crate::runtime::random::Random;
use crate::runtime::registers::{instruction, unmask};
use crate::runtime::{interrupts, registers, say, timer};

fn prepare() {
    machine().gic.start();
    machine().gic.start_cpu();
}

/// WFI and WFE with an interrupt pending and masked.
pub(super) fn wfi() {
    prepare();
    machine().gic.enable(timer::VIRTUAL_ID);
    timer::arm(0);
    for count in 1_u64.. {
        registers::wfi();
        instruction!("sevl\nwfe\nyield");
        if count.is_multiple_of(1_000_000) {
            say!("MISCHIEF wfi: {count} times");
        }
    }
}

/// Every CPU sends SGIs to every other and itself.
pub(super) fn sgi() {
    prepare();
    cpus::order(Order::Storm);
    for index in 1..machine().cpus().len() {
        say!("MISCHIEF sgi: CPU {index} powered on: {}", cpus::power_on(index));
    }
    let mut random = Random::new(7);
    unmask();
    for count in 1_u64.. {
        let id = random.below(16) as u32;
        match random.below(4) {
            0 => machine().gic.send_others(id),
            _ => machine().gic.send(id, random.of(machine().cpus())),
        }
        if count.is_multiple_of(100_000) {
            say!("MISCHIEF sgi: {count} sent, {} taken", interrupts::count());
        }
    }
}

/// The timer's time has come long ago, and nobody stops it.
pub(super) fn timer() {
    prepare();
    interrupts::storm();
    machine().gic.enable(timer::VIRTUAL_ID);
    timer::arm(0);
    unmask();
    // It may be that this loop never gets on: then the storm is what it should be.
    loop {
        timer::arm(timer::now().wrapping_sub(1));
    }
}
