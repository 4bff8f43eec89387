//! `PSTATE` in the layout of `SPSR_EL1` (DDI 0487, C5.2.19), and what taking an exception to EL1 makes of it
//! (D1.3.1, pseudocode `AArch64.TakeException`).
use crate::esr::Esr;

/// A saved program status, as `SPSR_ELx` holds it.
///
/// One layout serves AArch64 and AArch32 (M\[4\] tells), since this is always a status saved by AArch64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pstate(u64);

impl Pstate {
    /// N, Z, C and V.
    pub const NZCV: u64 = 0xf << 28;
    /// Tag check override.
    pub const TCO: u64 = 1 << 25;
    /// Data-independent timing.
    pub const DIT: u64 = 1 << 24;
    /// User access override.
    pub const UAO: u64 = 1 << 23;
    /// Privileged access never.
    pub const PAN: u64 = 1 << 22;
    /// Software step.
    pub const SS: u64 = 1 << 21;
    /// Illegal execution state.
    pub const IL: u64 = 1 << 20;
    /// Speculative store bypass safe.
    pub const SSBS: u64 = 1 << 12;
    /// Branch type, \[11:10\].
    pub const BTYPE: u64 = 3 << 10;
    /// Debug exceptions masked.
    pub const D: u64 = 1 << 9;
    /// SError masked.
    pub const A: u64 = 1 << 8;
    /// IRQ masked.
    pub const I: u64 = 1 << 7;
    /// FIQ masked.
    pub const F: u64 = 1 << 6;
    /// All four masks.
    pub const DAIF: u64 = Self::D | Self::A | Self::I | Self::F;
    /// M\[4\]: the state is AArch32.
    pub const AARCH32: u64 = 1 << 4;
    /// M\[4:0\].
    pub const MODE: u64 = 0x1f;
    /// Mode EL0t.
    pub const EL0T: u64 = 0b0_0000;
    /// Mode EL1t: EL1 with `SP_EL0`.
    pub const EL1T: u64 = 0b0_0100;
    /// Mode EL1h: EL1 with its own stack pointer.
    pub const EL1H: u64 = 0b0_0101;
    /// Mode EL2h.
    pub const EL2H: u64 = 0b0_1001;

    /// What a processor starts with at EL1 after reset and by PSCI `CPU_ON`: everything masked, own stack pointer.
    pub const RESET_EL1: Self = Self(Self::DAIF | Self::EL1H);

    /// The status with these bits.
    #[inline]
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The bits.
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Whether the state is AArch32.
    #[inline]
    pub const fn is_aarch32(self) -> bool {
        self.0 & Self::AARCH32 != 0
    }

    /// Whether the state is EL0, of either width.
    #[inline]
    pub const fn is_el0(self) -> bool {
        // EL0t is 0b00000 and AArch32 User 0b10000.
        self.0 & 0xf == 0
    }
}

/// What the vector table distinguishes: the four kinds of exception.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Synchronous.
    Synchronous = 0x000,
    /// IRQ.
    Irq = 0x080,
    /// FIQ.
    Fiq = 0x100,
    /// SError.
    SError = 0x180,
}

/// What of EL1's state decides how it takes an exception.
#[derive(Clone, Copy, Debug)]
pub struct Taker {
    /// `VBAR_EL1`.
    pub vbar: u64,
    /// `SCTLR_EL1`, for SPAN and DSSBS.
    pub sctlr: u64,
    /// Whether EL1 has MTE, and thereby TCO.
    pub mte: bool,
}

/// `SCTLR_EL1.SPAN`: PAN is left as it is when an exception is taken.
pub const SCTLR_SPAN: u64 = 1 << 23;
/// `SCTLR_EL1.DSSBS`: what SSBS becomes when an exception is taken.
pub const SCTLR_DSSBS: u64 = 1 << 44;

/// The state of a processor that has just taken an exception to EL1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Where it goes on.
    pub pc: u64,
    /// With what status.
    pub pstate: Pstate,
    /// `ELR_EL1`.
    pub elr: u64,
    /// `SPSR_EL1`.
    pub spsr: Pstate,
}

/// What taking an exception to EL1 from `from` at `pc`, the preferred return address, looks like.
///
/// `ESR_EL1` and `FAR_EL1` are the caller's to set; see [`abort_syndrome`] and [`UNDEFINED`].
pub const fn inject(el1: Taker, kind: Kind, from: Pstate, pc: u64) -> Taken {
    let source = if from.is_aarch32() {
        0x600
    } else if from.is_el0() {
        0x400
    } else if from.0 & 1 != 0 {
        0x200
    } else {
        0x000
    };
    // Flags, DIT and PAN pass; SS, IL, UAO and BTYPE become zero by not passing.
    let mut pstate = (from.0 & (Pstate::NZCV | Pstate::DIT | Pstate::PAN)) | Pstate::DAIF | Pstate::EL1H;
    if el1.sctlr & SCTLR_SPAN == 0 {
        pstate |= Pstate::PAN;
    }
    if el1.sctlr & SCTLR_DSSBS != 0 {
        pstate |= Pstate::SSBS;
    }
    if el1.mte {
        pstate |= Pstate::TCO;
    }
    // VBAR_EL1[10:0] is reserved.
    let vector = (el1.vbar & !0x7ff) + source + kind as u64;
    Taken { pc: vector, pstate: Pstate(pstate), elr: pc, spsr: from }
}

/// `ESR_EL1` of an undefined instruction.
pub const UNDEFINED: Esr = Esr::compose(crate::esr::Class::UNKNOWN, 0);

/// What an injected abort was an abort of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aborted {
    /// An instruction fetch.
    Fetch,
    /// A load.
    Load,
    /// A store.
    Store,
}

/// `ESR_EL1` of a synchronous external abort taken to EL1 from `from`: what a processor reports when nothing answers
/// at the address.
pub const fn abort_syndrome(aborted: Aborted, from: Pstate) -> Esr {
    use crate::esr::{Class, iss};
    let (lower, same, iss) = match aborted {
        Aborted::Fetch => (Class::IABT_LOWER, Class::IABT_SAME, iss::EXTERNAL_ABORT),
        Aborted::Load => (Class::DABT_LOWER, Class::DABT_SAME, iss::EXTERNAL_ABORT),
        Aborted::Store => (Class::DABT_LOWER, Class::DABT_SAME, iss::EXTERNAL_ABORT | iss::WRITE),
    };
    Esr::compose(if from.is_el0() { lower } else { same }, iss)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::esr::{Abort, Class, Fault};

    const EL1: Taker = Taker { vbar: 0xffff_0000_0001_0800, sctlr: SCTLR_SPAN, mte: false };

    fn vector(kind: Kind, from: u64) -> u64 {
        inject(EL1, kind, Pstate::new(from), 0x1000).pc - EL1.vbar
    }

    #[test]
    fn the_vector_is_chosen_by_source_and_kind() {
        assert_eq!(vector(Kind::Synchronous, Pstate::EL1T), 0x000);
        assert_eq!(vector(Kind::Irq, Pstate::EL1H), 0x280);
        assert_eq!(vector(Kind::Fiq, Pstate::EL0T), 0x500);
        assert_eq!(vector(Kind::SError, 0b1_0000), 0x780);
    }

    #[test]
    fn the_new_status_masks_everything_and_clears_what_the_manual_clears() {
        let all = Pstate::new(
            Pstate::NZCV | Pstate::DIT | Pstate::UAO | Pstate::SS | Pstate::IL | Pstate::BTYPE | Pstate::SSBS,
        );
        let taken = inject(EL1, Kind::Synchronous, all, 0x4000);
        assert_eq!(taken.pstate.raw(), Pstate::NZCV | Pstate::DIT | Pstate::DAIF | Pstate::EL1H);
        assert_eq!((taken.elr, taken.spsr), (0x4000, all));
    }

    #[test]
    fn control_bits_of_el1_decide_pan_ssbs_and_tco() {
        let from = Pstate::new(Pstate::EL0T);
        let status = |sctlr, mte| inject(Taker { sctlr, mte, ..EL1 }, Kind::Irq, from, 0).pstate.raw();
        let plain = Pstate::DAIF | Pstate::EL1H;
        assert_eq!(status(SCTLR_SPAN, false), plain);
        assert_eq!(status(0, false), plain | Pstate::PAN);
        assert_eq!(status(SCTLR_SPAN | SCTLR_DSSBS, false), plain | Pstate::SSBS);
        assert_eq!(status(SCTLR_SPAN, true), plain | Pstate::TCO);
        let pan = Pstate::new(Pstate::PAN | Pstate::EL1H);
        assert_eq!(inject(EL1, Kind::Irq, pan, 0).pstate.raw(), plain | Pstate::PAN, "SPAN leaves PAN alone");
    }

    #[test]
    fn an_abort_tells_whose_it_was() {
        let user = abort_syndrome(Aborted::Store, Pstate::new(Pstate::EL0T));
        assert_eq!(user.class(), Class::DABT_LOWER);
        assert!(Abort::new(user).is_write());
        assert_eq!(Abort::new(user).fault(), Fault::External);
        let kernel = abort_syndrome(Aborted::Fetch, Pstate::new(Pstate::EL1H));
        assert_eq!(kernel.class(), Class::IABT_SAME);
    }
}
