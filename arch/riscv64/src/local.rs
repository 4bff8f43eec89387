//! The hart's own interrupts: software, timer and external (Priv, "Supervisor Interrupt Registers"), and the
//! messages of its interrupt file (AIA, "Incoming MSI Controller"). Numbers are those of `isa_rv::local`.

use core::cell::Cell;
use core::sync::atomic::{AtomicU32, Ordering};

use arch_api::{IrqsOff, LocalIrqs};
use isa_rv::{cause, local};

use crate::csr::{clear_bits, get, pending, set, set_bits};
use crate::{Riscv64, cpu, sbi};

/// What one CPU keeps about them.
#[derive(Debug)]
pub(crate) struct Local {
    /// Inter-processor interrupts that were sent here and not claimed yet, a bit each.
    sent: AtomicU32,
    /// Messages come by the CPU's interrupt file.
    messages: Cell<bool>,
}

impl Local {
    pub(crate) const fn new() -> Self {
        Self { sent: AtomicU32::new(0), messages: Cell::new(false) }
    }

    /// Nothing was sent, nothing switched on.
    pub(crate) fn reset(&self) {
        self.sent.store(0, Ordering::Relaxed);
        self.messages.set(false);
    }
}

/// Registers of the interrupt file, through `siselect` and `sireg` (AIA, table "Indirectly accessed
/// interrupt-file registers").
mod file {
    /// eidelivery: 1 lets interrupts come.
    pub(super) const DELIVERY: u64 = 0x70;
    /// eithreshold: 0 lets all identities come.
    pub(super) const THRESHOLD: u64 = 0x72;
    /// eie0: enabled identities, 64 in each register with an even number.
    pub(super) const ENABLE: u64 = 0xc0;
}

/// Selects a register of the interrupt file.
fn select(register: u64) {
    // SAFETY: says which register the next accesses are about; nobody else uses it between, since interrupts
    // are masked.
    unsafe { set!("siselect", register) };
}

impl LocalIrqs for Riscv64 {
    fn enable(_masked: &IrqsOff<Self>) -> bool {
        // SAFETY: a software interrupt is claimed below; its handler is there or it is reported once.
        unsafe { set_bits!("sie", pending::SSI) };
        true
    }

    fn set_enabled(_masked: &IrqsOff<Self>, irq: u32, on: bool) {
        if let Some(identity) = irq.checked_sub(local::FIRST_MESSAGE) {
            let identity = u64::from(identity);
            select(file::ENABLE + identity / 64 * 2);
            let bit = 1 << (identity % 64);
            // SAFETY: lets one identity come, or no more.
            unsafe { if on { set_bits!("sireg", bit) } else { clear_bits!("sireg", bit) } };
        } else if let Some(cause) = irq.checked_sub(local::FIRST_CAUSE) {
            let bit = 1 << (cause & 63);
            // SAFETY: lets one local cause come, or no more.
            unsafe { if on { set_bits!("sie", bit) } else { clear_bits!("sie", bit) } };
        }
    }

    fn take_messages(masked: &IrqsOff<Self>, highest: u32) {
        for word in (0..=u64::from(highest) / 64).map(|word| word * 2) {
            select(file::ENABLE + word);
            // SAFETY: no identity comes before somebody enables it.
            unsafe { set!("sireg", 0) };
        }
        // SAFETY: lets enabled identities come.
        unsafe {
            select(file::THRESHOLD);
            set!("sireg", 0);
            select(file::DELIVERY);
            set!("sireg", 1);
            set_bits!("sie", pending::SEI);
        }
        cpu::this(masked).local.messages.set(true);
    }

    #[inline]
    fn claim(masked: &IrqsOff<Self>) -> Option<u32> {
        let own = &cpu::this(masked).local;
        let pending = get!("sip") & get!("sie");
        if pending & pending::SEI != 0 {
            if !own.messages.get() {
                return Some(local::cause(cause::SUPERVISOR_EXTERNAL));
            }
            let top: u64;
            // SAFETY: takes the most urgent identity out of the file: a claim (AIA, "stopei").
            unsafe { core::arch::asm!("csrrw {}, 0x15c, zero", out(reg) top, options(nostack)) };
            let identity = (top >> 16) as u32 & 0x7ff;
            if identity != 0 {
                return Some(local::message(identity));
            }
        }
        if pending & pending::SSI != 0 {
            let sent = own.sent.load(Ordering::Acquire);
            let number = sent.trailing_zeros();
            if number < 16 {
                own.sent.fetch_and(!(1 << number), Ordering::AcqRel);
                if sent & (sent - 1) == 0 {
                    lower(own);
                }
                return Some(number);
            }
            lower(own);
        }
        // What is left, by its cause: the timer first of all.
        let rest = pending & !(pending::SEI | pending::SSI);
        (rest != 0).then(|| local::cause(rest.trailing_zeros()))
    }

    #[inline]
    fn drop_priority(_masked: &IrqsOff<Self>, _irq: u32) {}

    #[inline]
    fn deactivate(_masked: &IrqsOff<Self>, _irq: u32) {}

    fn send(_masked: &IrqsOff<Self>, hardware_id: u64, number: u8) {
        if let Some(to) = cpu::BLOCKS.find(hardware_id) {
            to.local.sent.fetch_or(1 << (number & 15), Ordering::AcqRel);
            sbi::send_ipi(hardware_id);
        }
    }

    fn hardware_id(masked: &IrqsOff<Self>) -> u64 {
        cpu::this(masked).hart.get()
    }
}

/// Takes the software interrupt back, unless another one was sent meanwhile.
fn lower(own: &Local) {
    // SAFETY: the pending bit is ours.
    unsafe { clear_bits!("sip", pending::SSI) };
    if own.sent.load(Ordering::Acquire) != 0 {
        // SAFETY: as above.
        unsafe { set_bits!("sip", pending::SSI) };
    }
}
