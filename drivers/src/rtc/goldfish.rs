//! The Goldfish real-time clock (see `isa/goldfish`): nanoseconds since 1970 in 64 bits.

use host_mmio::Window;
use host_sync::{IrqOff, Rank, Spin};
use isa_goldfish::{CLEAR_ALARM, CLEAR_INTERRUPT, IRQ_ENABLED, TIME_HIGH, TIME_LOW};
use vio::rtc::ClockError;

use super::Clock;
use crate::{Declined, Driver, Node, Running, Stage};

pub(crate) const DRIVER: Driver = Driver {
    name: "goldfish-rtc",
    class: "rtc",
    stage: Stage::Device,
    compatible: &["google,goldfish-rtc"],
    start,
};

const SECOND: u64 = 1_000_000_000;

/// Locked, since a time is two registers.
struct Goldfish(Spin<Window, IrqOff>);

fn start(node: &Node<'_>) -> Result<Running, Declined> {
    let registers = node.window(0)?;
    registers.write32(IRQ_ENABLED, 0);
    registers.write32(CLEAR_ALARM, 1);
    registers.write32(CLEAR_INTERRUPT, 1);
    Ok(super::publish(node, Goldfish(Spin::ranked(registers, Rank::Registers))))
}

impl Clock for Goldfish {
    fn time(&self) -> Result<u64, ClockError> {
        let registers = self.0.lock();
        // Reading the low half keeps the high one.
        let low = registers.read32(TIME_LOW);
        let high = registers.read32(TIME_HIGH);
        Ok((u64::from(high) << 32 | u64::from(low)) / SECOND)
    }

    fn set_time(&self, seconds: u64) -> Result<(), ClockError> {
        let nanos = seconds
            .checked_mul(SECOND)
            .ok_or(ClockError("it counts 64 bits of nanoseconds, up to the year 2554"))?;
        let registers = self.0.lock();
        registers.write32(TIME_HIGH, (nanos >> 32) as u32);
        registers.write32(TIME_LOW, nanos as u32);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use host_mmio::fake::Registers;

    use super::*;

    #[test]
    fn a_time_is_two_registers_in_an_order() {
        let registers = Registers::new(isa_goldfish::SIZE);
        let clock = Goldfish(Spin::ranked(registers.window(), Rank::Registers));
        let nanos = 1_700_000_000 * SECOND + 5;
        registers.set(TIME_LOW, nanos & 0xffff_ffff);
        registers.set(TIME_HIGH, nanos >> 32);
        assert_eq!(clock.time(), Ok(1_700_000_000));
        let reads: alloc::vec::Vec<u64> = registers.take_log().iter().map(|access| access.offset).collect();
        assert_eq!(reads, [TIME_LOW, TIME_HIGH]);
        assert_eq!(clock.set_time(86_400), Ok(()));
        let nanos = 86_400 * SECOND;
        assert_eq!(registers.writes(), [(TIME_HIGH, nanos >> 32), (TIME_LOW, nanos & 0xffff_ffff)]);
        assert!(clock.set_time(u64::MAX).is_err());
    }
}
