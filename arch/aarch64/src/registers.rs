//! System registers by their manual's names, and the barriers.
//!
//! Reading a register has no effect on memory safety; writing most of those that matter here can have,
//! so writes are `unsafe` and each use says why it is sound.

/// Reads a system register.
macro_rules! get {
    ($($name:tt)+) => {{
        let value: u64;
        // SAFETY: reading a system register that exists at EL2 has no side effect on memory.
        unsafe { core::arch::asm!(concat!("mrs {}, ", $($name)+), out(reg) value, options(nomem, nostack, preserves_flags)) };
        value
    }};
}

/// Writes a system register. `unsafe`: the caller says what the value may do.
macro_rules! set {
    ($name:tt, $value:expr) => {{
        let value: u64 = $value;
        core::arch::asm!(concat!("msr ", $name, ", {}"), in(reg) value, options(nostack, preserves_flags))
    }};
}

pub(crate) use {get, set};

/// Waits until earlier changes of system registers are seen by what follows.
#[inline(always)]
pub(crate) fn isb() {
    // SAFETY: a barrier.
    unsafe { core::arch::asm!("isb", options(nostack, preserves_flags)) }
}

/// Waits until all earlier memory accesses and maintenance are complete, for all CPUs.
#[inline(always)]
pub(crate) fn dsb() {
    // SAFETY: a barrier.
    unsafe { core::arch::asm!("dsb ish", options(nostack, preserves_flags)) }
}
