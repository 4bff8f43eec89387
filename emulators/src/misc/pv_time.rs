//! Where a guest reads how much time the hypervisor took from its CPUs: Paravirtualized time for Arm-based systems
//! (DEN0057), stolen time. The guest asks for the place by a firmware call (PV_TIME_ST); Linux shows the time as
//! "steal" in `/proc/stat`.
//!
//! ```dts
//! pvtime@90a0000 {
//!     compatible = "xvisor,pv-time";
//!     reg = <0x0 0x90a0000 0x0 0x10000>; // 64 bytes for each CPU
//! };
//! ```

use addr::{Gpa, PAGE_SIZE, Span};
use arch::Rights;
use isa_firmware::pv_time::stolen_time::SIZE;
use vm_machine::{Model, NotWired, Wires};

pub(crate) const MODEL: Model = Model { name: "pv-time", compatible: &["xvisor,pv-time"], build };

fn build(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    let whole = wires.reg(0)?;
    let needed = u64::from(wires.vcpu_count()) * SIZE;
    if whole.length() < needed {
        let text = alloc::format!("has {} bytes, and its CPUs need {needed}", whole.length());
        return Err(wires.error(Some("reg"), text));
    }
    // No more memory than the structures need.
    let used = Span::<Gpa>::new(whole.base(), needed.next_multiple_of(PAGE_SIZE).min(whole.length()));
    let Some(used) = used else { return Err(wires.error(Some("reg"), "is beyond all addresses")) };
    wires.add_memory(used, Rights::Memory)?;
    wires.set_stolen_time(whole.base())
}
