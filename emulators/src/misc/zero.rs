//! A stub: reads as zero, takes every write and forgets it. For registers that a guest touches and that
//! nothing depends on.

use atomic::Arc;
use vm_bus::{Access, Refused, Target};
use vm_machine::{Model, NotWired, Wires};

pub(crate) const MODEL: Model = Model { name: "zero", compatible: &["xvisor,zero"], build };

fn build(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    let zero = Arc::new(Zero);
    for index in 0..wires.reg_count()? {
        wires.map(index, zero.clone())?;
    }
    Ok(())
}

/// Has no state, and so needs no lock.
struct Zero;

impl Target for Zero {
    fn read(&self, _: Access) -> Result<u64, Refused> {
        Ok(0)
    }
    fn write(&self, _: Access, _: u64) -> Result<(), Refused> {
        Ok(())
    }
}
