//! System registers by name, and the few instructions that are not loads, stores or arithmetic.

/// Reads a system register.
macro_rules! get {
    ($name:tt) => {{
        let value: u64;
        // SAFETY: reading these registers changes no memory.
        unsafe {
            core::arch::asm!(concat!("mrs {}, ", $name), out(reg) value, options(nostack, preserves_flags))
        };
        value
    }};
}

/// Writes a system register of interrupts or time, none of which changes what memory means.
macro_rules! set {
    ($name:tt, $value:expr) => {{
        let value: u64 = $value;
        // SAFETY: see above.
        unsafe {
            core::arch::asm!(
                concat!("msr ", $name, ", {}"), "isb", in(reg) value, options(nostack, preserves_flags)
            )
        }
    }};
}

/// An instruction without operands or results.
macro_rules! instruction {
    ($text:tt) => {{
        // SAFETY: used with barriers, hints and the interrupt mask.
        unsafe { core::arch::asm!($text, options(nostack, preserves_flags)) }
    }};
}

pub(crate) use {get, set};

/// Waits for an interrupt, masked or not.
pub(crate) fn wfi() {
    instruction!("dsb sy\nwfi");
}

/// Lets others run first, if this CPU is one of several threads. With `-icount`, where QEMU runs one CPU at a
/// time, it is the next one's turn at once.
pub(crate) fn give_way() {
    instruction!("yield");
}

/// Hints that need not do anything, after an event of this CPU's own.
pub(crate) fn hints() {
    instruction!("sevl\nwfe\nyield");
}

/// One instruction, everything masked.
pub(crate) fn spin_for_ever() {
    instruction!("msr daifset, #0xf\n2: b 2b");
}

/// Lets interrupts in.
pub(crate) fn unmask() {
    instruction!("msr daifclr, #2\nisb");
}

/// Keeps interrupts out.
pub(crate) fn mask() {
    instruction!("msr daifset, #2");
}

/// Whether an interrupt is waiting to be let in (ISR_EL1.I).
pub(crate) fn irq_waits() -> bool {
    instruction!("dsb sy\nisb");
    get!("isr_el1") & (1 << 7) != 0
}

/// This CPU's affinity, as CPU_ON and device trees have it.
pub(crate) fn affinity() -> u64 {
    get!("mpidr_el1") & 0xff_00ff_ffff
}
