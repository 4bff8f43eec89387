//! Memory of the guest, seen at another address too.
//!
//! ```dts
//! low-memory@80000000 {
//!     compatible = "xvisor,alias";
//!     reg = <0x0 0x80000000 0x0 0x1000000>;
//!     xvisor,target = <0x0 0x40000000>;
//! };
//! ```

use addr::Gpa;
use arch::Rights;
use vm_machine::{Model, NotWired, Wires};

pub(crate) const MODEL: Model = Model { name: "alias", compatible: &["xvisor,alias"], build };

const TARGET: &str = "xvisor,target";

fn build(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    let span = wires.reg(0)?;
    let Some(target) = wires.number(TARGET)? else { return Err(wires.error(Some(TARGET), "is missing")) };
    let Some((backing, offset)) = wires.backing(Gpa::new(target)) else {
        return Err(wires.error(Some(TARGET), alloc::format!("there is no memory at {target:#x}")));
    };
    if offset.checked_add(span.length()).is_none_or(|end| end > backing.length()) {
        let left = backing.length().saturating_sub(offset);
        let text =
            alloc::format!("there are {left:#x} bytes of memory at {target:#x}, not {:#x}", span.length());
        return Err(wires.error(Some(TARGET), text));
    }
    wires.show_memory(span, &backing, offset, Rights::Memory)
}
