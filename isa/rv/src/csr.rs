//! Control and status registers: their numbers and names (Priv, "CSR Listing"; those of machine mode and of
//! debugging in machine mode are not here), and the instructions that access them (Unpriv, "Zicsr").

use crate::Gpr;

/// A control and status register, by its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Csr(pub u16);

macro_rules! csrs {
    ($($name:ident = $number:literal $text:literal;)*) => {
        impl Csr {
            $(#[doc = concat!("`", $text, "`")] pub const $name: Self = Self($number);)*

            /// The manual's name; `None` for one that is not known here.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($text),)*
                    _ => None,
                }
            }
        }

        #[cfg(test)]
        const ALL: &[Csr] = &[$(Csr::$name,)*];
    };
}

csrs! {
    FFLAGS = 0x001 "fflags";
    FRM = 0x002 "frm";
    FCSR = 0x003 "fcsr";
    VSTART = 0x008 "vstart";
    VXSAT = 0x009 "vxsat";
    VXRM = 0x00a "vxrm";
    VCSR = 0x00f "vcsr";
    SSP = 0x011 "ssp";
    SEED = 0x015 "seed";
    JVT = 0x017 "jvt";
    SSTATUS = 0x100 "sstatus";
    SIE = 0x104 "sie";
    STVEC = 0x105 "stvec";
    SCOUNTEREN = 0x106 "scounteren";
    SENVCFG = 0x10a "senvcfg";
    SSTATEEN0 = 0x10c "sstateen0";
    SSTATEEN1 = 0x10d "sstateen1";
    SSTATEEN2 = 0x10e "sstateen2";
    SSTATEEN3 = 0x10f "sstateen3";
    SCOUNTINHIBIT = 0x120 "scountinhibit";
    SSCRATCH = 0x140 "sscratch";
    SEPC = 0x141 "sepc";
    SCAUSE = 0x142 "scause";
    STVAL = 0x143 "stval";
    SIP = 0x144 "sip";
    STIMECMP = 0x14d "stimecmp";
    SISELECT = 0x150 "siselect";
    SIREG = 0x151 "sireg";
    SIREG2 = 0x152 "sireg2";
    SIREG3 = 0x153 "sireg3";
    SIREG4 = 0x155 "sireg4";
    SIREG5 = 0x156 "sireg5";
    SIREG6 = 0x157 "sireg6";
    STOPEI = 0x15c "stopei";
    SATP = 0x180 "satp";
    SRMCFG = 0x181 "srmcfg";
    VSSTATUS = 0x200 "vsstatus";
    VSIE = 0x204 "vsie";
    VSTVEC = 0x205 "vstvec";
    VSSCRATCH = 0x240 "vsscratch";
    VSEPC = 0x241 "vsepc";
    VSCAUSE = 0x242 "vscause";
    VSTVAL = 0x243 "vstval";
    VSIP = 0x244 "vsip";
    VSTIMECMP = 0x24d "vstimecmp";
    VSISELECT = 0x250 "vsiselect";
    VSIREG = 0x251 "vsireg";
    VSIREG2 = 0x252 "vsireg2";
    VSIREG3 = 0x253 "vsireg3";
    VSIREG4 = 0x255 "vsireg4";
    VSIREG5 = 0x256 "vsireg5";
    VSIREG6 = 0x257 "vsireg6";
    VSTOPEI = 0x25c "vstopei";
    VSATP = 0x280 "vsatp";
    SCONTEXT = 0x5a8 "scontext";
    HSTATUS = 0x600 "hstatus";
    HEDELEG = 0x602 "hedeleg";
    HIDELEG = 0x603 "hideleg";
    HIE = 0x604 "hie";
    HTIMEDELTA = 0x605 "htimedelta";
    HCOUNTEREN = 0x606 "hcounteren";
    HGEIE = 0x607 "hgeie";
    HVIEN = 0x608 "hvien";
    HVICTL = 0x609 "hvictl";
    HENVCFG = 0x60a "henvcfg";
    HSTATEEN0 = 0x60c "hstateen0";
    HSTATEEN1 = 0x60d "hstateen1";
    HSTATEEN2 = 0x60e "hstateen2";
    HSTATEEN3 = 0x60f "hstateen3";
    HTVAL = 0x643 "htval";
    HIP = 0x644 "hip";
    HVIP = 0x645 "hvip";
    HVIPRIO1 = 0x646 "hviprio1";
    HVIPRIO2 = 0x647 "hviprio2";
    HTINST = 0x64a "htinst";
    HGATP = 0x680 "hgatp";
    HCONTEXT = 0x6a8 "hcontext";
    CYCLE = 0xc00 "cycle";
    TIME = 0xc01 "time";
    INSTRET = 0xc02 "instret";
    HPMCOUNTER3 = 0xc03 "hpmcounter3";
    HPMCOUNTER4 = 0xc04 "hpmcounter4";
    HPMCOUNTER5 = 0xc05 "hpmcounter5";
    HPMCOUNTER6 = 0xc06 "hpmcounter6";
    HPMCOUNTER7 = 0xc07 "hpmcounter7";
    HPMCOUNTER8 = 0xc08 "hpmcounter8";
    HPMCOUNTER9 = 0xc09 "hpmcounter9";
    HPMCOUNTER10 = 0xc0a "hpmcounter10";
    HPMCOUNTER11 = 0xc0b "hpmcounter11";
    HPMCOUNTER12 = 0xc0c "hpmcounter12";
    HPMCOUNTER13 = 0xc0d "hpmcounter13";
    HPMCOUNTER14 = 0xc0e "hpmcounter14";
    HPMCOUNTER15 = 0xc0f "hpmcounter15";
    HPMCOUNTER16 = 0xc10 "hpmcounter16";
    HPMCOUNTER17 = 0xc11 "hpmcounter17";
    HPMCOUNTER18 = 0xc12 "hpmcounter18";
    HPMCOUNTER19 = 0xc13 "hpmcounter19";
    HPMCOUNTER20 = 0xc14 "hpmcounter20";
    HPMCOUNTER21 = 0xc15 "hpmcounter21";
    HPMCOUNTER22 = 0xc16 "hpmcounter22";
    HPMCOUNTER23 = 0xc17 "hpmcounter23";
    HPMCOUNTER24 = 0xc18 "hpmcounter24";
    HPMCOUNTER25 = 0xc19 "hpmcounter25";
    HPMCOUNTER26 = 0xc1a "hpmcounter26";
    HPMCOUNTER27 = 0xc1b "hpmcounter27";
    HPMCOUNTER28 = 0xc1c "hpmcounter28";
    HPMCOUNTER29 = 0xc1d "hpmcounter29";
    HPMCOUNTER30 = 0xc1e "hpmcounter30";
    HPMCOUNTER31 = 0xc1f "hpmcounter31";
    VL = 0xc20 "vl";
    VTYPE = 0xc21 "vtype";
    VLENB = 0xc22 "vlenb";
    SCOUNTOVF = 0xda0 "scountovf";
    STOPI = 0xdb0 "stopi";
    HGEIP = 0xe12 "hgeip";
    VSTOPI = 0xeb0 "vstopi";
}

impl Csr {
    /// The number of the counter that this unprivileged CSR reads (`cycle`, `time`, `instret`,
    /// `hpmcounter3` to `31`).
    pub const fn counter(self) -> Option<u32> {
        if self.0 >= 0xc00 && self.0 < 0xc20 { Some(self.0 as u32 - 0xc00) } else { None }
    }
}

/// A register that `sireg` reaches while `siselect` holds `select`, as one number beside those of CSRs.
pub const fn indirect(select: u64) -> u32 {
    INDIRECT | (select as u32 & 0xffff)
}

/// Set in the number of a register that is reached through `siselect`; below it stands what that selects.
pub const INDIRECT: u32 = 1 << 16;

/// How an instruction changes a CSR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It becomes the operand.
    Write,
    /// The operand's bits are set.
    Set,
    /// The operand's bits are cleared.
    Clear,
}

/// Where the operand comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operand {
    /// A register.
    Register(Gpr),
    /// Five bits of the instruction.
    Immediate(u8),
}

/// An access to a CSR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// Which.
    pub csr: Csr,
    /// What takes the old value.
    pub to: Gpr,
    /// How it changes; `None` when it is only read (CSRRS and CSRRC with x0 or 0).
    pub change: Option<(Change, Operand)>,
}

/// The access that an instruction word makes; `None` for other instructions.
pub const fn decode(word: u32) -> Option<Access> {
    if word & 0x7f != 0b111_0011 {
        return None;
    }
    let field = word >> 15 & 31;
    let (change, by_register) = match word >> 12 & 7 {
        1 => (Change::Write, true),
        2 => (Change::Set, true),
        3 => (Change::Clear, true),
        5 => (Change::Write, false),
        6 => (Change::Set, false),
        7 => (Change::Clear, false),
        _ => return None,
    };
    let operand =
        if by_register { Operand::Register(Gpr::new(field)) } else { Operand::Immediate(field as u8) };
    let changes = field != 0 || matches!(change, Change::Write);
    Some(Access {
        csr: Csr((word >> 20) as u16),
        to: Gpr::new(word >> 7),
        change: if changes { Some((change, operand)) } else { None },
    })
}

impl Change {
    /// The new value.
    pub const fn apply(self, old: u64, operand: u64) -> u64 {
        match self {
            Self::Write => operand,
            Self::Set => old | operand,
            Self::Clear => old & !operand,
        }
    }
}

#[cfg(test)]
mod tests;
