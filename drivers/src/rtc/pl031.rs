//! The PL031 real-time clock (ARM DDI 0224): seconds since 1970 in 32 bits.

use host_mmio::Window;
use vio::rtc::ClockError;

use super::Clock;
use crate::{Declined, Driver, Node, Running, Stage};

pub(crate) const DRIVER: Driver =
    Driver { name: "pl031", class: "rtc", stage: Stage::Device, compatible: &["arm,pl031"], start };

/// Registers (3.2).
mod reg {
    pub(super) const DR: u64 = 0x00;
    pub(super) const LR: u64 = 0x08;
    pub(super) const CR: u64 = 0x0c;
    pub(super) const IMSC: u64 = 0x10;
}

struct Pl031(Window);

fn start(node: &Node<'_>) -> Result<Running, Declined> {
    let registers = node.window(0)?;
    registers.write32(reg::IMSC, 0);
    registers.write32(reg::CR, 1);
    Ok(super::publish(node, Pl031(registers)))
}

impl Clock for Pl031 {
    fn time(&self) -> Result<u64, ClockError> {
        Ok(u64::from(self.0.read32(reg::DR)))
    }

    fn set_time(&self, seconds: u64) -> Result<(), ClockError> {
        let seconds = u32::try_from(seconds)
            .map_err(|_| ClockError("it counts 32 bits of seconds, up to the year 2106"))?;
        self.0.write32(reg::LR, seconds);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use host_mmio::fake::Registers;

    use super::{Clock, Pl031, reg};

    #[test]
    fn the_time_is_a_register_and_later_than_2106_is_refused() {
        let registers = Registers::new(0x1000);
        let clock = Pl031(registers.window());
        registers.set(reg::DR, 1_700_000_000);
        assert_eq!(clock.time(), Ok(1_700_000_000));
        assert_eq!(clock.set_time(86_400), Ok(()));
        assert_eq!(registers.get(reg::LR), 86_400);
        assert!(clock.set_time(1 << 32).is_err());
    }
}
