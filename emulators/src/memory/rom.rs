//! Read-only memory, filled from a file at every start; where firmware lives.
//!
//! Only as much memory is taken as the file has; behind it the chip is erased, and reads as ones. Writes
//! are ignored, as a chip does that is not told to program itself.
//!
//! ```dts
//! flash@0 {
//!     compatible = "xvisor,rom";
//!     reg = <0x0 0x0 0x0 0x4000000>;
//!     xvisor,firmware = "/images/u-boot.bin"; // also where the guest begins; or xvisor,image: only contents
//! };
//! ```

use addr::{Gpa, PAGE_SIZE, Span};
use arch::Rights;
use atomic::Arc;
use vm_bus::{Access, Refused, Target};
use vm_machine::{Model, NotWired, Wires};

pub(crate) const MODEL: Model = Model { name: "rom", compatible: &["xvisor,rom"], build };

fn build(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    let whole = wires.reg(0)?;
    wires.map(0, Arc::new(Erased))?;
    let firmware = wires.image("xvisor,firmware")?;
    let contents = wires.image("xvisor,image")?;
    let (property, (path, length)) = match (firmware, contents) {
        (None, None) => return Ok(()),
        (Some(file), None) => {
            wires.set_firmware(whole.base())?;
            ("xvisor,firmware", file)
        }
        (None, Some(file)) => ("xvisor,image", file),
        (Some(_), Some(_)) => {
            return Err(wires.error(Some("xvisor,image"), "xvisor,firmware says already what is in it"));
        }
    };
    if length > whole.length() {
        let text = alloc::format!("{path} has {length} bytes, and there is room for {}", whole.length());
        return Err(wires.error(Some(property), text));
    }
    let filled = Span::<Gpa>::new(whole.base(), length.next_multiple_of(PAGE_SIZE).min(whole.length()));
    let Some(filled) = filled else { return Err(wires.error(Some("reg"), "is beyond all addresses")) };
    wires.back_memory(filled, Rights::Constant)?;
    wires.load_at_start(property, path, filled);
    Ok(())
}

/// What answers where no memory is mapped, and to writes everywhere.
struct Erased;

impl Target for Erased {
    fn read(&self, access: Access) -> Result<u64, Refused> {
        Ok(access.width.mask())
    }
    fn write(&self, _: Access, _: u64) -> Result<(), Refused> {
        Ok(())
    }
}
