//! A hart's own interrupts (The RISC-V Instruction Set Manual, Volume II, "Supervisor Interrupt (sip and sie)
//! Registers"; binding `riscv,cpu-intc`): the node in each `/cpus/cpu@N` that the machine's controllers name in their
//! `interrupts-extended`, with the number of an interrupt in `sie`.
//!
//! The wires end in the virtual CPU's hardware (`hvip`). Setting one is an atomic bit and, when it rises, the wake-up
//! of the CPU. The timer is the CPU's own.

use alloc::borrow::Cow;
use alloc::format;

use arch::{GuestPort, Held, Nanos};
use atomic::{Arc, AtomicU32, Ordering};
use vio::irq::{IrqLine, Pins};
use vm_bus::VcpuWaker;
use vm_machine::{Controller, Model, NotWired, Wires};

use crate::irqchip::Bell;

pub(crate) const MODEL: Model = Model { name: "riscv-cpu-intc", compatible: &["riscv,cpu-intc"], build };

fn build(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    wires.set_controller(Arc::new(Chip(Arc::default())));
    Ok(())
}

/// Numbers in `sie`.
const SOFTWARE: u32 = 1;
const EXTERNAL: u32 = isa_plic::SUPERVISOR_EXTERNAL;
/// In `interrupts-extended`: a context that exists and leads to nobody.
const NOBODY: u32 = u32::MAX;

/// What became of the software interrupt since the last exchange.
const LEFT: u32 = 0;
const RAISED: u32 = 1;
const CLEARED: u32 = 2;

#[derive(Default)]
struct Hart {
    bell: Bell,
    /// 0 or 1. Words, as all here: see `host-sync`, whose locks are some for the same reason.
    external: AtomicU32,
    software: AtomicU32,
}

impl Hart {
    fn set_software(&self, raised: bool) {
        self.software.store(if raised { RAISED } else { CLEARED }, Ordering::Release);
        self.call(raised);
    }

    fn call(&self, risen: bool) {
        // What falls takes something away: nobody is woken for that.
        if risen { self.bell.ring() } else { self.bell.stir() }
    }
}

impl Pins for Hart {
    fn set(&self, pin: u32, level: bool) {
        if pin == SOFTWARE {
            self.set_software(level);
        } else if pin == EXTERNAL && self.external.swap(level.into(), Ordering::AcqRel) != u32::from(level) {
            self.call(level);
        }
    }
}

impl GuestPort for Hart {
    fn stir(&self) -> &Arc<AtomicU32> {
        self.bell.state()
    }

    #[inline]
    fn exchange(&self, held: &mut Held) {
        // First, so that what changes from here on calls again.
        self.bell.answer();
        held.wires.external = self.external.load(Ordering::Acquire) != 0;
        match self.software.swap(LEFT, Ordering::AcqRel) {
            RAISED => held.wires.software = true,
            CLEARED => held.wires.software = false,
            _ => {}
        }
    }

    /// The timer's wire does not leave the CPU.
    fn timer_line(&self, _: bool, _: Option<u32>) {}

    fn wake(&self) {
        self.bell.wake();
    }

    fn timer_leaves(&self, at: Nanos) {
        self.bell.wake_at(at);
    }
}

struct Chip(Arc<Hart>);

impl Controller for Chip {
    fn translate(&self, cells: &[u32]) -> Result<u32, Cow<'static, str>> {
        match cells {
            // Those of machine mode exist on real harts; here nobody is interrupted by them.
            [number] if *number < 16 || *number == NOBODY => Ok(*number),
            [number] => Err(format!("a hart has no interrupt {number} (0 to 15)").into()),
            _ => Err("takes one cell".into()),
        }
    }
    fn line(&self, pin: u32) -> IrqLine {
        if matches!(pin, EXTERNAL | SOFTWARE) {
            IrqLine::new(self.0.clone(), pin)
        } else {
            IrqLine::unconnected()
        }
    }
    fn port(&self, _: u32, waker: Arc<dyn VcpuWaker>) -> Option<Arc<dyn GuestPort>> {
        self.0.bell.connect(waker);
        Some(self.0.clone())
    }
    fn set_software(&self, _: u32, raised: bool) {
        self.0.set_software(raised);
    }
    /// What drives the external wire takes it down itself.
    fn reset(&self) {
        self.0.set_software(false);
    }
    fn reset_cpu(&self, _: u32) {
        self.0.set_software(false);
        self.0.bell.stir();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atomic::AtomicU32;

    struct Wakes(AtomicU32);
    impl VcpuWaker for Wakes {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        fn wake_at(&self, _: Nanos) {}
    }

    fn hart() -> (Chip, Arc<dyn GuestPort>, Arc<Wakes>) {
        let chip = Chip(Arc::default());
        let wakes = Arc::new(Wakes(AtomicU32::new(0)));
        let port = chip.port(0, wakes.clone()).unwrap();
        (chip, port, wakes)
    }
    fn exchange(port: &Arc<dyn GuestPort>, held: &mut Held) -> (bool, bool) {
        port.exchange(held);
        (held.wires.external, held.wires.software)
    }

    #[test]
    fn the_external_wire_follows_its_line_and_wakes_when_it_rises() {
        let (chip, port, wakes) = hart();
        let mut held = Held::new(0);
        let line = chip.line(EXTERNAL);
        line.set(true);
        line.set(true);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert_eq!(exchange(&port, &mut held), (true, false));
        assert!(!port.stirred());
        line.set(false);
        assert!(port.stirred());
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1, "nobody is woken for what is taken away");
        assert_eq!(exchange(&port, &mut held), (false, false));
    }

    #[test]
    fn the_software_interrupt_is_the_guests_to_clear() {
        let (chip, port, wakes) = hart();
        let mut held = Held::new(0);
        chip.set_software(0, true);
        assert_eq!((exchange(&port, &mut held), wakes.0.load(Ordering::Relaxed)), ((false, true), 1));
        held.wires.software = false;
        assert_eq!(exchange(&port, &mut held), (false, false), "what the guest cleared does not come again");
        held.wires.software = true;
        assert_eq!(exchange(&port, &mut held), (false, true), "what it raised itself stays");
        chip.set_software(0, false);
        assert_eq!(exchange(&port, &mut held), (false, false));
    }

    #[test]
    fn only_a_harts_own_numbers_are_understood() {
        let (chip, ..) = hart();
        assert_eq!(chip.translate(&[9]), Ok(9));
        assert_eq!(chip.translate(&[u32::MAX]), Ok(u32::MAX));
        assert!(chip.translate(&[16]).is_err() && chip.translate(&[]).is_err());
        assert_eq!(chip.line(11).pin(), None, "machine mode is not there");
    }
}
