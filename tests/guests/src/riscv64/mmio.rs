//! Single loads and stores of the width that is asked for, anywhere.
//!
//! Safe, although any address will do: this program is a guest of its own and owns all it can reach.

macro_rules! access {
    ($load:ident, $store:ident, $type:ty, $l:tt, $s:tt) => {
        #[doc = concat!("Loads with `", $l, "`.")]
        #[inline(always)]
        pub(crate) fn $load(address: u64) -> $type {
            let value: u64;
            // SAFETY: volatile; a fault is the exception handler's business.
            unsafe {
                core::arch::asm!(
                    concat!($l, " {value}, 0({address})"),
                    value = out(reg) value, address = in(reg) address, options(nostack)
                )
            };
            value as $type
        }

        #[doc = concat!("Stores with `", $s, "`.")]
        #[inline(always)]
        pub(crate) fn $store(address: u64, value: $type) {
            // SAFETY: as above; callers store to registers, or to what is not there.
            unsafe {
                core::arch::asm!(
                    concat!($s, " {value}, 0({address})"),
                    value = in(reg) u64::from(value), address = in(reg) address, options(nostack)
                )
            }
        }
    };
}

access!(load8, store8, u8, "lbu", "sb");
access!(load16, store16, u16, "lhu", "sh");
access!(load32, store32, u32, "lwu", "sw");
access!(load64, store64, u64, "ld", "sd");
