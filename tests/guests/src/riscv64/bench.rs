//! What only this architecture has to be measured.

use isa_firmware::sbi::{Extension, base};
use isa_plic::Register;

use super::firmware::ecall;
use super::irq;
use super::mmio::{load32, store32};
use super::power::own_id;
use crate::bench::{MANY, each, figure, to_self};
use crate::runtime::machine::Machine;
use crate::runtime::timer;

pub(crate) fn calls(_machine: &Machine) {
    let base = u64::from(Extension::Base.id());
    figure("hypercall-get_spec_version", each(MANY, || ecall(base, base::GET_SPEC_VERSION.into(), [0; 6])));
    figure("hypercall-unknown", each(MANY, || ecall(0x0abc_def0, 0, [0; 6])));
    figure("hypercall-set_timer", each(MANY, || timer::arm_by_call(u64::MAX)));
}

pub(crate) fn registers(machine: &Machine) {
    let Some(plic) = machine.parts.plic else { return };
    let [priority, threshold, enable] =
        [Register::Priority(10), Register::Threshold(plic.context), Register::Enable(plic.context, 0)]
            .map(|register| plic.register(register));
    figure("read-of-the-PLIC", each(MANY, || load32(priority)));
    figure("read-of-the-PLIC-threshold", each(MANY, || load32(threshold)));
    figure("write-of-the-PLIC-threshold", each(MANY, || store32(threshold, 0)));
    figure("read-of-the-PLIC-enables", each(MANY, || load32(enable)));
    figure("claim-of-nothing", each(MANY, || plic.claim()));
}

pub(crate) fn interrupts(_machine: &Machine) {
    let own = own_id();
    figure("IPI-to-self-send-to-receive", to_self(|| irq::send(own)));
}
