//! What a virtual CPU waits for, and how.

use arch_api::IrqsOff;

use super::files::OwnFile;
use super::vcpu::State;
use crate::cpu::{PerCpu, wait_for_interrupt};
use crate::csr::{get, pending, set};
use crate::{Riscv64, clock};

/// All interrupts of a guest.
const OF_GUEST: u64 = pending::VSSI | pending::VSTI | pending::VSEI;

impl State {
    /// Nobody runs on `cpu`, which is this one. Whoever is in its hardware with an interrupt that it does not take, since
    /// it is paused or off, leaves it: that interrupt would end each wait at once.
    #[inline]
    pub(crate) fn make_way(cpu: &PerCpu) {
        if get!("hip") & get!("hie") & OF_GUEST != 0 {
            Self::vacate(cpu);
            // SAFETY: no guest's interrupt wakes this hart until one is loaded. The file that was selected last may
            // still have one.
            unsafe { set!("vsie", 0) };
        }
    }

    /// The file has something for it, or what it waits for is there otherwise.
    pub(super) fn wake(&self) {
        self.ties.port.wake();
    }

    /// Whether something came for the guest: an interrupt that it enabled, or news of the port.
    pub(super) fn has_pending(&self, loaded: bool) -> bool {
        let (timer, enabled) = self.timer_and_enabled(loaded);
        let mut wires = if loaded { get!("hip") } else { self.wires };
        if timer <= get!("time") {
            wires |= pending::VSTI;
        }
        if self.file.as_ref().is_some_and(OwnFile::is_pending) {
            wires |= pending::VSEI;
        }
        // VS interrupts stand one higher than the guest sees them.
        self.ties.stirred() || wires >> 1 & enabled != 0
    }

    /// It begins to wait: a message that it enabled is to interrupt us.
    pub(super) fn wait_for_messages(&self, loaded: bool) {
        if let Some(file) = &self.file
            && self.timer_and_enabled(loaded).1 & pending::SEI != 0
        {
            file.wait();
        }
    }

    /// Waits on the guest's behalf, unless something came for the guest already. Nobody else could run meanwhile. Says
    /// whether the guest can go on: it cannot while an interrupt of ours waits.
    #[cold]
    pub(super) fn wait_in_place(&self, cpu: &PerCpu, masked: &IrqsOff<Riscv64>) -> bool {
        if !cpu.loaded.rang.get() && !self.ties.stirred() {
            cpu.files.look_again();
            // Not every hart is woken by a guest's file alone (QEMU's are not while no guest runs).
            self.wait_for_messages(true);
            let look = self.file.as_ref().and_then(OwnFile::looks_at);
            let alarm = look.and_then(clock::ring_by);
            // Also ends, at once if need be, when an interrupt is pending that is the guest's and that it enabled: `hie`
            // belongs to `mie`.
            self.ties.wait::<Riscv64>(|| wait_for_interrupt(masked));
            if let Some(alarm) = alarm {
                clock::ring_at(alarm);
            }
            if let Some(file) = &self.file {
                file.go_on();
            }
        }
        get!("sip") & get!("sie") == 0
    }
}
