//! Supervisors' software interrupts by stores (RISC-V ACLINT 1.0-rc4, chapter 5, "Supervisor-level Software Interrupt
//! Device"): harts interrupt each other without the firmware. Each has a register, SETSSIP: 1 makes its software
//! interrupt pending, and the hart takes that back itself.

use alloc::boxed::Box;
use alloc::vec::Vec;

use arch::{IrqsOff, LocalIrqs, Machine};
use host_mmio::Window;
use host_sync::Spin;

use super::harts::{self, Hart};
use crate::{Declined, Driver, Node, Running, Stage};

pub(crate) const DRIVER: Driver = Driver {
    name: "aclint-sswi",
    class: "irqchip",
    stage: Stage::IrqChip,
    compatible: &["riscv,aclint-sswi"],
    start,
};

/// The software interrupt of supervisors, in `sie`.
const SUPERVISOR_SOFTWARE: u32 = 1;
/// Bytes of a register.
const SETSSIP: u64 = 4;

/// The registers of some harts.
struct Sswi {
    registers: Window,
    harts: Vec<Hart>,
}

/// All of them, for good: CPUs always need to reach each other.
static FOUND: Spin<Vec<Sswi>> = Spin::new(Vec::new());

fn start(node: &Node<'_>) -> Result<Running, Declined> {
    let sswi = Sswi { harts: harts::of(node, SUPERVISOR_SOFTWARE)?, registers: node.window(0)? };
    sswi.check()?;
    FOUND.lock().push(sswi);
    start_cpu(&IrqsOff::now());
    Ok(Box::new(()))
}

/// The asking CPU is interrupted by its register from now on, if it has one.
pub(super) fn start_cpu(masked: &IrqsOff) {
    let hart = Machine::hardware_id(masked);
    if let Some(register) = FOUND.lock().iter().find_map(|sswi| sswi.register(hart)) {
        Machine::take_stores(masked, register);
    }
}

impl Sswi {
    /// Whether the registers of all harts are inside.
    fn check(&self) -> Result<(), Declined> {
        let needed = self.harts.iter().map(|hart| (u64::from(hart.place) + 1) * SETSSIP).max().unwrap_or(0);
        if needed <= self.registers.length() {
            return Ok(());
        }
        Err(Declined::Broken(alloc::format!("property \"reg\": is shorter than {needed:#x} bytes")))
    }

    /// Where a hart's register is mapped.
    fn register(&self, hart: u64) -> Option<usize> {
        let hart = self.harts.iter().find(|known| known.id == hart)?;
        Some(self.registers.address() + hart.place as usize * SETSSIP as usize)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use host_mmio::fake::Registers;

    use super::*;

    fn sswi(registers: &Registers, places: [u32; 2]) -> Sswi {
        let harts = vec![Hart { id: 8, place: places[0] }, Hart { id: 3, place: places[1] }];
        Sswi { registers: registers.window(), harts }
    }

    #[test]
    fn a_hart_has_the_register_of_its_place_in_the_list() {
        let registers = Registers::new(0x4000);
        let sswi = sswi(&registers, [0, 1]);
        let base = sswi.registers.address();
        assert_eq!([8, 3, 1].map(|hart| sswi.register(hart)), [Some(base), Some(base + 4), None]);
        assert_eq!(sswi.check(), Ok(()));
    }

    #[test]
    fn more_harts_than_registers_are_refused() {
        let registers = Registers::new(0x4000);
        assert_eq!(sswi(&registers, [0, 0xfff]).check(), Ok(()));
        let refused = sswi(&registers, [0, 0x1000]).check();
        assert!(matches!(refused, Err(Declined::Broken(why)) if why.contains("reg")));
    }
}
