//! Storms: of waits that never wait, of interrupts between CPUs, of a timer that is always late.

use crate::arch::irq;
use crate::runtime::cpus::{self, Order};
use crate::runtime::machine::machine;
use crate::runtime::random::Random;
use crate::runtime::registers::{hints, unmask};
use crate::runtime::{interrupts, registers, say, timer};

/// Waits with an interrupt pending and masked.
pub(super) fn wfi() {
    irq::start();
    irq::listen_to_timer();
    timer::arm(0);
    for count in 1_u64.. {
        registers::wfi();
        hints();
        if count.is_multiple_of(1_000_000) {
            say!("MISCHIEF wfi: {count} times");
        }
    }
}

/// Every CPU interrupts every other and itself.
pub(super) fn ipi() {
    irq::start();
    cpus::order(Order::Storm);
    for index in 1..machine().cpus().len() {
        say!("MISCHIEF ipi: CPU {index} powered on: {}", cpus::power_on(index));
    }
    let mut random = Random::new(7);
    unmask();
    for count in 1_u64.. {
        irq::send_any(&mut random);
        if count.is_multiple_of(100_000) {
            say!("MISCHIEF ipi: {count} sent, {} taken", interrupts::count());
        }
    }
}

/// The timer's time has come long ago, and nobody stops it.
pub(super) fn timer() {
    irq::start();
    interrupts::storm();
    irq::listen_to_timer();
    timer::arm(0);
    unmask();
    // It may be that this loop never gets on: then the storm is what it should be.
    loop {
        timer::arm(timer::now().wrapping_sub(1));
    }
}
