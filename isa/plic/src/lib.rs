//! The RISC-V platform-level interrupt controller (riscv-plic-spec, version 1.0.0).
//!
//! A *context* is one hart in one privilege mode: what the controller interrupts. Which context is whose, the node's
//! `interrupts-extended` says, one element for each (binding `sifive,plic-1.0.0`).
#![no_std]
#![forbid(unsafe_code)]

/// Sources that there can be, with number 0, which is none.
pub const MAX_SOURCES: u32 = 1024;
/// Contexts that there can be.
pub const MAX_CONTEXTS: u32 = 15_872;
/// The highest number of an interrupt in a supervisor's `sie` (Volume II, table of scause): its external one.
pub const SUPERVISOR_EXTERNAL: u32 = 9;
/// The same of a machine-mode hart.
pub const MACHINE_EXTERNAL: u32 = 11;

/// What an access to an offset is to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Register {
    /// The priority of a source; 0 means never.
    Priority(u32),
    /// Whether sources are pending: 32 of them, from `32 * n` on.
    Pending(u32),
    /// Whether sources may interrupt a context: context, and which 32.
    Enable(u32, u32),
    /// Priorities up to this one do not interrupt a context.
    Threshold(u32),
    /// Reading takes the most urgent pending source of a context; writing ends it.
    Claim(u32),
}

const PENDING: u64 = 0x1000;
const ENABLE: u64 = 0x2000;
const ENABLE_STRIDE: u64 = 0x80;
const CONTEXT: u64 = 0x20_0000;
const CONTEXT_STRIDE: u64 = 0x1000;
const WORDS: u64 = MAX_SOURCES as u64 / 32;

/// Bytes of registers with this many contexts.
pub const fn size(contexts: u32) -> u64 {
    CONTEXT + contexts as u64 * CONTEXT_STRIDE
}

impl Register {
    /// The register at an offset, which is a multiple of 4.
    #[inline]
    pub const fn decode(offset: u64) -> Option<Self> {
        if !offset.is_multiple_of(4) || offset >= size(MAX_CONTEXTS) {
            return None;
        }
        if offset >= CONTEXT {
            let context = ((offset - CONTEXT) / CONTEXT_STRIDE) as u32;
            return match (offset - CONTEXT) % CONTEXT_STRIDE {
                0 => Some(Self::Threshold(context)),
                4 => Some(Self::Claim(context)),
                _ => None,
            };
        }
        if offset >= ENABLE {
            let context = ((offset - ENABLE) / ENABLE_STRIDE) as u32;
            let word = ((offset - ENABLE) % ENABLE_STRIDE / 4) as u32;
            return if context < MAX_CONTEXTS { Some(Self::Enable(context, word)) } else { None };
        }
        if offset >= PENDING {
            let word = (offset - PENDING) / 4;
            return if word < WORDS { Some(Self::Pending(word as u32)) } else { None };
        }
        Some(Self::Priority((offset / 4) as u32))
    }

    /// Where it is.
    #[inline]
    pub const fn offset(self) -> u64 {
        match self {
            Self::Priority(source) => source as u64 * 4,
            Self::Pending(word) => PENDING + word as u64 * 4,
            Self::Enable(context, word) => ENABLE + context as u64 * ENABLE_STRIDE + word as u64 * 4,
            Self::Threshold(context) => CONTEXT + context as u64 * CONTEXT_STRIDE,
            Self::Claim(context) => CONTEXT + context as u64 * CONTEXT_STRIDE + 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_registers_are_each_others_inverse() {
        let mut known = 0;
        for offset in (0..size(16)).step_by(4) {
            if let Some(register) = Register::decode(offset) {
                assert_eq!(register.offset(), offset);
                known += 1;
            }
        }
        // Enable registers of the contexts behind the sixteenth count too.
        assert_eq!(known, 1024 + 32 + MAX_CONTEXTS * 32 + 16 * 2);
        assert_eq!(Register::decode(2), None);
        assert_eq!(Register::decode(size(MAX_CONTEXTS)), None);
    }

    #[test]
    fn registers_are_where_the_specification_has_them() {
        assert_eq!(Register::Priority(10).offset(), 0x28);
        assert_eq!(Register::Pending(1).offset(), 0x1004);
        assert_eq!(Register::Enable(1, 0).offset(), 0x2080);
        assert_eq!(Register::Threshold(1).offset(), 0x20_1000);
        assert_eq!(Register::Claim(3).offset(), 0x20_3004);
    }
}
