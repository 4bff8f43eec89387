//! Memory that several guests see.
//!
//! ```dts
//! shared@50000000 {
//!     compatible = "xvisor,shared-memory";
//!     reg = <0x0 0x50000000 0x0 0x100000>;
//!     xvisor,name = "shmem0";
//! };
//! ```
//!
//! The first guest that names it brings it into being, with its own size; it lasts while anybody has it.

use arch::Rights;
use vm_machine::{Model, NotWired, Wires, shared};

pub(crate) const MODEL: Model = Model { name: "shared-memory", compatible: &["xvisor,shared-memory"], build };

const NAME: &str = "xvisor,name";

fn build(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    let span = wires.reg(0)?;
    let name = match wires.string(NAME)? {
        Some(name) if !name.is_empty() => name,
        _ => return Err(wires.error(Some(NAME), "is missing")),
    };
    let backing = shared::open(name, span.length())
        .map_err(|why| wires.error(Some(NAME), alloc::format!("{name}: {why}")))?;
    wires.show_memory(span, &backing, 0, Rights::Memory)
}
