//! The wires into a virtual CPU (`hvip`): what the machine's controllers and its timer raise.

use arch_api::{Clock, Nanos};
use isa_rv::cause;
use isa_rv::extensions::Extension;

use super::vcpu::{State, has_sstc};
use crate::Riscv64;
use crate::cpu::{self, PerCpu};
use crate::csr::{clear_bits, get, pending, set, set_bits};

/// Where `hvictl` has the number of an interrupt; its priority, 1 or none, stands at the end.
const HVICTL_IID_SHIFT: u32 = 16;

impl State {
    /// Says in `hvictl` whether the external wire is up (AIA, 6.3.3): where the guest has a file of messages and the
    /// hart has none for it, `stopi` says so too then. Not every hart derives that from the wire.
    pub(super) fn tell_external(&self) {
        if cpu::has(Extension::Ssaia) {
            let pending = u64::from(self.wires & pending::VSEI != 0);
            let external = u64::from(cause::SUPERVISOR_EXTERNAL) << HVICTL_IID_SHIFT | pending;
            // SAFETY: what is pending for the guest.
            unsafe { set!("hvictl", if self.ties.profile.irq_registers { external } else { 0 }) };
        }
    }

    /// Lets the port see what became of its wires, and takes their levels. The guest is loaded.
    #[cold]
    pub(super) fn exchange(&mut self, cpu: &PerCpu) {
        cpu.loaded.rang.set(false);
        self.wires = get!("hvip");
        self.exchange_aside();
        // SAFETY: what is pending for the guest.
        unsafe { set!("hvip", self.wires) };
        self.tell_external();
    }

    /// The same while the guest is not loaded.
    pub(super) fn exchange_aside(&mut self) {
        let held = &mut self.held;
        held.wires.external = self.wires & pending::VSEI != 0;
        held.wires.software = self.wires & pending::VSSI != 0;
        self.ties.port.exchange(held);
        let mut wires = self.wires & !(pending::VSEI | pending::VSSI);
        if held.wires.external {
            wires |= pending::VSEI;
        }
        if held.wires.software {
            wires |= pending::VSSI;
        }
        self.wires = wires;
    }

    /// Raises the timer's wire when it is time, where no hardware does. The guest is loaded.
    #[cold]
    pub(super) fn look_at_timer(&mut self) {
        if self.wires & pending::VSTI == 0 && get!("time") >= self.timer {
            self.wires |= pending::VSTI;
            // SAFETY: what is pending for the guest.
            unsafe { set_bits!("hvip", pending::VSTI) };
        }
    }

    /// Has the guest's timer ring at `ticks`, in place of what it was set to.
    pub(super) fn set_timer(&mut self, ticks: u64, loaded: bool) {
        self.timer = ticks;
        self.wires &= !pending::VSTI;
        if has_sstc() {
            if loaded {
                // SAFETY: the loaded guest's timer.
                unsafe { set!("vstimecmp", ticks) };
            }
            return;
        }
        if loaded {
            // SAFETY: what is pending for the guest.
            unsafe { clear_bits!("hvip", pending::VSTI) };
        }
        // Nobody else watches it: its thread's alarm ends the guest's run, and `enter` looks at the time.
        let at = if ticks == u64::MAX { Nanos(u64::MAX) } else { Riscv64::time_of(ticks) };
        self.ties.port.timer_leaves(at);
    }

    /// The guest's timer, and its enabled interrupts, wherever they are.
    pub(super) fn timer_and_enabled(&self, loaded: bool) -> (u64, u64) {
        let enabled = if loaded { get!("vsie") } else { self.vs.enabled };
        let timer = if loaded && has_sstc() { get!("vstimecmp") } else { self.timer };
        (timer, enabled)
    }
}
