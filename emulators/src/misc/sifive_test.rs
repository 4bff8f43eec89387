//! The test device of SiFive's simulators, as QEMU's riscv virt board has it: what is written to its one register ends
//! the machine. Drivers of `syscon-poweroff` and `syscon-reboot`, whose nodes name this one (`regmap`), write it too.
//!
//! ```dts
//! test: test@100000 {
//!     compatible = "sifive,test1", "sifive,test0", "syscon";
//!     reg = <0x0 0x100000 0x0 0x1000>;
//! };
//! poweroff { compatible = "syscon-poweroff"; regmap = <&test>; offset = <0>; value = <0x5555>; };
//! ```

use arch::Width;
use atomic::Arc;
use vm_bus::{Access, Refused, Target};
use vm_machine::{Model, NotWired, PowerRequest, PowerSwitch, Wires};

pub(crate) const MODEL: Model =
    Model { name: "sifive-test", compatible: &["sifive,test1", "sifive,test0"], build };

fn build(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    wires.map(0, Arc::new(SifiveTest { power: wires.power_switch() }))
}

/// What the lower half of a write means; the upper half of a failure is its code.
const FAIL: u64 = 0x3333;
const PASS: u64 = 0x5555;
const RESET: u64 = 0x7777;

/// The wire alone: the register reads as zero.
struct SifiveTest {
    power: PowerSwitch,
}

impl Target for SifiveTest {
    fn read(&self, access: Access) -> Result<u64, Refused> {
        check(access).map(|()| 0)
    }

    fn write(&self, access: Access, value: u64) -> Result<(), Refused> {
        check(access)?;
        if access.offset == 0 {
            match value & 0xffff {
                // What failed is switched off like what passed.
                PASS | FAIL => self.power.press(PowerRequest::SystemOff),
                RESET => self.power.press(PowerRequest::SystemReset),
                _ => {}
            }
        }
        Ok(())
    }
}

fn check(access: Access) -> Result<(), Refused> {
    if access.width == Width::B8 { Err(Refused::Width) } else { Ok(()) }
}
