//! Banks of registers with one bit, two bits or a byte for each interrupt: what the distributor (GICD) of
//! both versions and the frame for private interrupts (GICR, SGI_base) of GICv3 have in common.

use host_irq::Trigger;
use host_mmio::Window;
use host_sync::{IrqOff, Rank, Spin};
use isa_gic::gicd;

/// A window with such banks from `base` on.
pub(super) struct Banks<'w> {
    window: &'w Window,
    base: u64,
}

/// Registers that hold more than one interrupt are read, changed and written under this lock.
static SHARED: Spin<(), IrqOff> = Spin::ranked((), Rank::Registers);

impl<'w> Banks<'w> {
    pub(super) fn new(window: &'w Window, base: u64) -> Self {
        Self { window, base }
    }

    /// Silences interrupts `from` to `to`, both multiples of 32: disabled, not pending, not active, of
    /// middle priority, triggered by level.
    pub(super) fn silence(&self, from: u32, to: u32) {
        for id in (from..to).step_by(32) {
            for bank in [gicd::ICENABLER, gicd::ICPENDR, gicd::ICACTIVER] {
                self.write_bits(bank, id, u32::MAX);
            }
        }
        for id in (from..to).step_by(4) {
            let priorities = u32::from_le_bytes([super::PRIORITY; 4]);
            self.window.write32(self.base + gicd::IPRIORITYR + u64::from(id), priorities);
        }
        // Private software-generated interrupts are edges, and cannot be anything else.
        for id in (from.max(16)..to).step_by(16) {
            self.window.write32(self.base + configuration(id), 0);
        }
    }

    /// Puts interrupts `from` to `to` into group 1. (Non-secure software of a machine with two security
    /// states finds them there, and its writes ignored.)
    pub(super) fn put_in_group1(&self, from: u32, to: u32) {
        for id in (from..to).step_by(32) {
            self.write_bits(gicd::IGROUPR, id, u32::MAX);
        }
    }

    pub(super) fn enable(&self, id: u32) {
        self.write_bits(gicd::ISENABLER, id, 1 << (id % 32));
    }

    pub(super) fn disable(&self, id: u32) {
        self.write_bits(gicd::ICENABLER, id, 1 << (id % 32));
    }

    pub(super) fn set_trigger(&self, id: u32, trigger: Trigger) {
        let at = self.base + configuration(id);
        let shift = id % 16 * 2;
        let _changing = SHARED.lock();
        let others = self.window.read32(at) & !(0b11 << shift);
        let own = if trigger.is_level() { 0 } else { gicd::ICFGR_EDGE };
        self.window.write32(at, others | own << shift);
    }

    pub(super) fn set_priority(&self, id: u32, priority: u8) {
        self.window.write8(self.base + gicd::IPRIORITYR + u64::from(id), priority);
    }

    fn write_bits(&self, bank: u64, id: u32, bits: u32) {
        self.window.write32(self.base + gicd::bit_register(bank, id), bits);
    }
}

/// Where the two bits of an interrupt's trigger are.
fn configuration(id: u32) -> u64 {
    gicd::ICFGR + u64::from(id / 16) * 4
}

#[cfg(test)]
mod tests {
    use host_irq::Trigger;
    use host_mmio::fake::Registers;
    use isa_gic::gicd;

    use super::Banks;

    #[test]
    fn a_trigger_is_two_bits_among_those_of_others() {
        let registers = Registers::new(0x1000);
        registers.set(gicd::ICFGR + 8, 0xaaaa_aaaa);
        let window = registers.window();
        let banks = Banks::new(&window, 0);
        banks.set_trigger(33, Trigger::LevelHigh);
        assert_eq!(registers.get(gicd::ICFGR + 8), 0xaaaa_aaa2);
        banks.set_trigger(33, Trigger::EdgeRising);
        assert_eq!(registers.get(gicd::ICFGR + 8), 0xaaaa_aaaa);
    }

    #[test]
    fn an_interrupt_is_enabled_and_disabled_through_its_bit() {
        let registers = Registers::new(0x1000);
        let window = registers.window();
        let banks = Banks::new(&window, 0);
        banks.enable(70);
        assert_eq!(registers.get(gicd::ISENABLER + 8), 1 << 6);
        banks.disable(70);
        assert_eq!(registers.get(gicd::ICENABLER + 8), 1 << 6);
    }
}
