//! CSRs by name, and the few instructions that are not loads, stores or arithmetic.

/// Reads a CSR.
macro_rules! get {
    ($name:tt) => {{
        let value: u64;
        // SAFETY: reading these registers changes no memory.
        unsafe { core::arch::asm!(concat!("csrr {}, ", $name), out(reg) value, options(nostack)) };
        value
    }};
}

/// Writes a CSR of interrupts, time, or what no other code here depends on.
macro_rules! set {
    ($name:tt, $value:expr) => {{
        let value: u64 = $value;
        // SAFETY: see above.
        unsafe { core::arch::asm!(concat!("csrw ", $name, ", {}"), in(reg) value, options(nostack)) }
    }};
}

/// Sets bits of such a CSR.
macro_rules! set_bits {
    ($name:tt, $bits:expr) => {{
        let bits: u64 = $bits;
        // SAFETY: see above.
        unsafe { core::arch::asm!(concat!("csrs ", $name, ", {}"), in(reg) bits, options(nostack)) }
    }};
}

/// Clears bits of such a CSR.
macro_rules! clear_bits {
    ($name:tt, $bits:expr) => {{
        let bits: u64 = $bits;
        // SAFETY: see above.
        unsafe { core::arch::asm!(concat!("csrc ", $name, ", {}"), in(reg) bits, options(nostack)) }
    }};
}

/// An instruction without operands or results.
macro_rules! instruction {
    ($text:tt) => {{
        // SAFETY: used with barriers, hints and the interrupt mask.
        unsafe { core::arch::asm!($text, options(nostack)) }
    }};
}

pub(crate) use {clear_bits, get, set, set_bits};

/// SIE, in `sstatus`.
const SIE: u64 = 1 << 1;
/// Software, timer and external interrupts in `sie` and `sip`.
pub(crate) const SOFTWARE: u64 = 1 << 1;
/// See [`SOFTWARE`].
pub(crate) const TIMER: u64 = 1 << 5;
/// See [`SOFTWARE`].
pub(crate) const EXTERNAL: u64 = 1 << 9;

/// Waits for an interrupt, masked or not.
///
/// Aligned: where an instruction of four bytes that traps crosses a page's end, and was jumped to from behind it,
/// QEMU (10.0) says in `sepc` that it was a page further on.
pub(crate) fn wfi() {
    instruction!(".balign 4\nwfi");
}

/// Lets others run first, if this CPU is one of several threads: with `-icount`, where QEMU runs one CPU at a
/// time, it is the next one's turn at once. No hint does that there; a wait does that is over at once, since the
/// timer rings, whose interrupt is enabled for so long. The timer's time is always past then, with Sstc.
pub(crate) fn give_way() {
    if !super::timer::has_sstc() {
        instruction!(".4byte 0x0100000f");
        return;
    }
    let status = get!("sstatus");
    clear_bits!("sstatus", SIE);
    super::timer::arm(0);
    set_bits!("sie", TIMER);
    instruction!(".balign 4\nwfi");
    clear_bits!("sie", TIMER);
    set_bits!("sstatus", status & SIE);
}

/// Hints that need not do anything: PAUSE.
pub(crate) fn hints() {
    instruction!(".4byte 0x0100000f");
}

/// One instruction, everything masked.
pub(crate) fn spin_for_ever() {
    set!("sie", 0);
    instruction!("2: j 2b");
}

/// Lets interrupts in.
pub(crate) fn unmask() {
    set_bits!("sstatus", SIE);
}

/// Keeps interrupts out.
pub(crate) fn mask() {
    clear_bits!("sstatus", SIE);
}

/// Whether an interrupt is waiting to be let in.
pub(crate) fn irq_waits() -> bool {
    get!("sip") & get!("sie") != 0
}
