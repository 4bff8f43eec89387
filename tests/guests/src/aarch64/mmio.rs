//! Single loads and stores of the width that is asked for, anywhere.
//!
//! Safe, although any address will do: this program is a guest of its own and owns all it can reach.

macro_rules! access {
    ($load:ident, $store:ident, $type:ty, $register:tt, $suffix:tt) => {
        #[doc = concat!("Loads with `ldr", $suffix, "`.")]
        #[inline(always)]
        pub(crate) fn $load(address: u64) -> $type {
            let value: $type;
            // SAFETY: volatile; a fault is the exception handler's business.
            unsafe {
                core::arch::asm!(
                    concat!("ldr", $suffix, " {value:", $register, "}, [{address}]"),
                    value = out(reg) value, address = in(reg) address, options(nostack, preserves_flags)
                )
            };
            value
        }

        #[doc = concat!("Stores with `str", $suffix, "`.")]
        #[inline(always)]
        pub(crate) fn $store(address: u64, value: $type) {
            // SAFETY: as above; callers store to registers, or to what is not there.
            unsafe {
                core::arch::asm!(
                    concat!("str", $suffix, " {value:", $register, "}, [{address}]"),
                    value = in(reg) value, address = in(reg) address, options(nostack, preserves_flags)
                )
            }
        }
    };
}

access!(load8, store8, u8, "w", "b");
access!(load16, store16, u16, "w", "h");
access!(load32, store32, u32, "w", "");
access!(load64, store64, u64, "x", "");
