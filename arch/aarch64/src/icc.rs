//! The GICv3 CPU interface, through system registers (IHI 0069, chapter 12.2).

use arch_api::{CpuId, IrqsOff, LocalIrqs};

use crate::Aarch64;
use crate::registers::{get, isb, set};

/// Interrupt numbers from here on are special: 1023 says that none is pending.
const FIRST_SPECIAL: u32 = 1020;
/// From here on there are message-signalled ones.
const FIRST_LPI: u32 = 8192;
/// What the processor answers when no interrupt is pending.
pub(crate) const NONE: u32 = 1023;
/// The SGI that calls a processor out of its guest.
pub(crate) const CALL: u8 = 1;
/// ICC_SRE_EL2: system registers at EL2, no bypass, and EL1 may use its own.
const SRE_ENABLE: u64 = 0b1111;
/// ICC_CTLR_EL1.EOImode: "end" drops the priority, "deactivate" is apart.
const EOI_MODE: u64 = 1 << 1;

/// Takes the most urgent pending interrupt: ICC_IAR1_EL1.
#[inline(always)]
pub(crate) fn acknowledge() -> u32 {
    get!("S3_0_C12_C12_0") as u32
}

/// An interrupt's number, unless it is a special one.
#[inline(always)]
pub(crate) fn is_one(id: u32) -> Option<u32> {
    if (FIRST_SPECIAL..FIRST_LPI).contains(&id) { None } else { Some(id) }
}

/// Ends an interrupt that was taken, if it is a call out of a guest: that has happened. Says whether it was one.
#[inline(always)]
pub(crate) fn end_call(taken: u32) -> bool {
    let is_call = taken == u32::from(CALL);
    if is_call {
        // SAFETY: ends what was taken: ICC_EOIR1_EL1, ICC_DIR_EL1.
        unsafe {
            set!("S3_0_C12_C12_1", u64::from(CALL));
            set!("S3_0_C12_C11_1", u64::from(CALL));
        }
    }
    is_call
}

/// What of ICC_SGI1R_EL1 means the processor with this hardware id: Aff3, Aff2, Aff1, range and target list.
pub(crate) fn target(hardware_id: u64) -> u64 {
    let affinity = |shift: u32| hardware_id >> shift & 0xff;
    affinity(32) << 48
        | affinity(16) << 32
        | affinity(8) << 16
        | 1 << (affinity(0) & 15)
        | (affinity(0) >> 4) << 44
}

/// Sends a software-generated interrupt, behind all that was written to memory before.
#[inline]
fn send_to(target: u64, number: u8) {
    crate::registers::dsb();
    // SAFETY: an interrupt is sent; memory is not touched.
    unsafe { set!("S3_0_C12_C11_5", target | u64::from(number & 15) << 24) };
    isb();
}

impl LocalIrqs for Aarch64 {
    const CALL: Option<u8> = Some(CALL);

    fn enable(_masked: &IrqsOff<Self>) -> bool {
        // ID_AA64PFR0_EL1.GIC: the system register interface exists.
        if get!("id_aa64pfr0_el1") >> 24 & 0xf == 0 {
            return false;
        }
        // SAFETY: our own interrupts are masked; the interface is ours to configure.
        unsafe {
            set!("S3_4_C12_C9_5", SRE_ENABLE); // ICC_SRE_EL2
            isb();
            set!("S3_0_C4_C6_0", 0xff); // ICC_PMR_EL1: every priority
            set!("S3_0_C12_C12_3", 0); // ICC_BPR1_EL1
            set!("S3_0_C12_C12_4", EOI_MODE); // ICC_CTLR_EL1
            set!("S3_0_C12_C12_7", 1); // ICC_IGRPEN1_EL1
        }
        isb();
        true
    }

    #[inline]
    fn claim(masked: &IrqsOff<Self>) -> Option<u32> {
        // First what was taken on the way out of a guest.
        let mut taken = match crate::cpu::this(masked).claimed.replace(NONE) {
            NONE => acknowledge(),
            taken => taken,
        };
        // It came while no guest ran here: whatever it was for is looked at before one does.
        while end_call(taken) {
            taken = acknowledge();
        }
        is_one(taken)
    }

    #[inline]
    fn drop_priority(_masked: &IrqsOff<Self>, irq: u32) {
        // SAFETY: ends what `claim` took; ICC_EOIR1_EL1.
        unsafe { set!("S3_0_C12_C12_1", u64::from(irq)) }
    }

    #[inline]
    fn deactivate(_masked: &IrqsOff<Self>, irq: u32) {
        // SAFETY: as above; ICC_DIR_EL1.
        unsafe { set!("S3_0_C12_C11_1", u64::from(irq)) }
    }

    #[inline]
    fn send(_masked: &IrqsOff<Self>, cpu: CpuId, number: u8) {
        if let Some(block) = crate::cpu::BLOCKS.get(cpu.0 as usize) {
            send_to(block.target.get(), number);
        }
    }

    fn hardware_id(_masked: &IrqsOff<Self>) -> u64 {
        crate::processors::own_hardware_id()
    }
}
