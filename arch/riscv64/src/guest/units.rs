//! Who has the floating-point and vector units of a hart: the last virtual CPU that used them, whoever runs.

use super::own_exceptions;
use super::vcpu::State;
use crate::cpu::PerCpu;
use crate::csr::{set, sstatus};

impl State {
    /// The guest is being loaded: without its units it traps when it uses them, and is given them then.
    #[inline]
    pub(super) fn look_for_units(&mut self, cpu: &PerCpu) {
        let has_units = cpu.units.is(self);
        if !has_units {
            self.gprs.sstatus &= !(sstatus::FS | sstatus::VS);
        }
        // SAFETY: which exceptions go to a guest directly.
        unsafe { set!("hedeleg", own_exceptions(has_units)) };
    }

    /// Gives the guest, which is loaded, the floating-point and vector units; says whether it did not have them.
    #[cold]
    pub(super) fn take_units(&mut self, cpu: &PerCpu) -> bool {
        if cpu.units.is(self) {
            return false;
        }
        Self::free_units(cpu);
        // SAFETY: the registers are nobody's, and an exception that is an illegal instruction is the guest's own affair.
        unsafe {
            self.units.load();
            set!("hedeleg", own_exceptions(true));
        }
        self.gprs.sstatus |= self.units.clean();
        cpu.units.put(self);
        true
    }

    /// Takes what is in the floating-point and vector units of `cpu`, which is this one, out of them.
    pub(super) fn free_units(cpu: &PerCpu) {
        // SAFETY: who is there lives, and is where it was: it leaves before its home goes.
        if let Some(state) = unsafe { cpu.units.get() } {
            state.units.save(state.gprs.sstatus);
            cpu.units.clear();
        }
    }
}
