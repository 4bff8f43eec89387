//! The hart's own interrupts: software, timer and external (Priv, "Supervisor Interrupt Registers"), and the
//! messages of its interrupt file (AIA, "Incoming MSI Controller"). Numbers are those of `isa_rv::local`.

use core::cell::Cell;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use arch_api::{CpuId, IrqsOff, LocalIrqs};
use isa_rv::{cause, local};

use crate::cpu::PerCpu;
use crate::csr::{clear_bits, get, pending, set, set_bits};
use crate::{Riscv64, cpu, sbi};

/// What one CPU keeps about them.
#[derive(Debug)]
pub(crate) struct Local {
    /// Inter-processor interrupts that were sent here and not claimed yet, a bit each. Where none is while the CPU is
    /// interrupted by another, that is a call out of its guest.
    sent: AtomicU32,
    /// Messages come by the CPU's interrupt file.
    messages: Cell<bool>,
    /// The register that interrupts the CPU when [`Local::value`] is stored there; 0 for none: then the firmware does.
    register: AtomicUsize,
    /// What is stored there: of a file's register, the identity that means one of these interrupts.
    value: AtomicU32,
}

impl Local {
    pub(crate) const fn new() -> Self {
        Self {
            sent: AtomicU32::new(0),
            messages: Cell::new(false),
            register: AtomicUsize::new(0),
            value: AtomicU32::new(0),
        }
    }

    /// Nothing was sent, nothing switched on.
    pub(crate) fn reset(&self) {
        self.sent.store(0, Ordering::Relaxed);
        self.messages.set(false);
        self.register.store(0, Ordering::Relaxed);
    }

    /// Others interrupt this CPU by storing `value` to a register.
    fn listen(&self, register: usize, value: u32) {
        self.value.store(value, Ordering::Relaxed);
        self.register.store(register, Ordering::Release);
    }

    /// Whether the file's most urgent message is from another CPU.
    fn is_ipi(&self, top: u64) -> bool {
        identity(top) == self.value.load(Ordering::Relaxed)
    }
}

/// Interrupts the CPU whose block this is.
#[inline]
pub(crate) fn interrupt(to: &PerCpu) {
    match to.local.register.load(Ordering::Acquire) {
        0 => sbi::send_ipi(to.common.hardware_id()),
        register => store(register, to.local.value.load(Ordering::Relaxed)),
    }
}

/// Stores to a register that interrupts a hart, behind all that was stored before.
#[inline(always)]
fn store(register: usize, value: u32) {
    // SAFETY: a driver said that these are registers, mapped for good, where a store interrupts a hart, and changes no
    // memory.
    unsafe {
        core::arch::asm!(
            "fence w, o",
            "sw {value}, 0({register})",
            register = in(reg) register,
            value = in(reg) value,
            options(nostack, preserves_flags),
        );
    }
}

/// Whether all that this CPU was interrupted for is a call out of its guest: that has happened then.
#[inline]
pub(crate) fn was_called(cpu: &PerCpu) -> bool {
    let own = &cpu.local;
    let pending = get!("sip") & get!("sie");
    if own.sent.load(Ordering::Acquire) != 0 {
        return false;
    }
    match pending {
        pending::SSI => lower(),
        pending::SEI if own.messages.get() && own.is_ipi(get!("stopei")) => {
            let top = claim_message();
            if !own.is_ipi(top) {
                // A more urgent one came between the look and the claim: its device waits for an answer.
                store(own.register.load(Ordering::Relaxed), identity(top));
                return false;
            }
        }
        _ => return false,
    }
    if own.sent.load(Ordering::Acquire) != 0 {
        // It was sent meanwhile, and may have been taken back.
        interrupt(cpu);
    }
    true
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

    fn take_messages(masked: &IrqsOff<Self>, highest: u32, page: usize) {
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
        let own = &cpu::this(masked).local;
        own.messages.set(true);
        own.listen(page, highest);
    }

    fn take_stores(masked: &IrqsOff<Self>, register: usize) {
        let own = &cpu::this(masked).local;
        if !own.messages.get() {
            own.listen(register, 1);
        }
    }

    fn ipis(masked: &IrqsOff<Self>) -> &'static str {
        let own = &cpu::this(masked).local;
        match own.register.load(Ordering::Relaxed) {
            0 => "SBI",
            _ if own.messages.get() => "IMSIC",
            _ => "ACLINT SSWI",
        }
    }

    #[inline]
    fn claim(masked: &IrqsOff<Self>) -> Option<u32> {
        let cpu = cpu::this(masked);
        let own = &cpu.local;
        let pending = get!("sip") & get!("sie");
        // It comes most often, and is late already.
        if pending & pending::STI != 0 {
            return Some(local::cause(cause::SUPERVISOR_TIMER));
        }
        if pending & pending::SEI != 0 {
            if !own.messages.get() {
                return Some(local::cause(cause::SUPERVISOR_EXTERNAL));
            }
            let top = claim_message();
            if own.is_ipi(top) {
                if let Some(number) = take_sent(cpu) {
                    return Some(number);
                }
            } else if identity(top) != 0 {
                return Some(local::message(identity(top)));
            }
        }
        if pending & pending::SSI != 0 {
            lower();
            if let Some(number) = take_sent(cpu) {
                return Some(number);
            }
        }
        // What is left, by its cause.
        let rest = pending & !(pending::SEI | pending::SSI);
        let rest = if rest == 0 { get!("hip") & get!("hie") & pending::SGEI } else { rest };
        (rest != 0).then(|| local::cause(rest.trailing_zeros()))
    }

    #[inline]
    fn drop_priority(_masked: &IrqsOff<Self>, _irq: u32) {}

    #[inline]
    fn deactivate(_masked: &IrqsOff<Self>, _irq: u32) {}

    #[inline]
    fn send(_masked: &IrqsOff<Self>, cpu: CpuId, number: u8) {
        if let Some(to) = cpu::BLOCKS.get(cpu.0 as usize) {
            to.local.sent.fetch_or(1 << (number & 15), Ordering::AcqRel);
            interrupt(to);
        }
    }

    fn hardware_id(masked: &IrqsOff<Self>) -> u64 {
        cpu::this(masked).common.hardware_id()
    }
}

/// Takes the software interrupt back. What is looked at afterwards is no older.
#[inline]
fn lower() {
    // SAFETY: the pending bit is ours.
    unsafe { core::arch::asm!("csrc sip, {}", "fence o, r", in(reg) pending::SSI, options(nostack)) };
}

/// Takes the most urgent message out of the file: a claim (AIA, "stopei"). What is looked at afterwards is no older.
#[inline]
fn claim_message() -> u64 {
    let top: u64;
    // SAFETY: what is pending for this hart alone.
    unsafe { core::arch::asm!("csrrw {}, stopei, zero", "fence o, r", out(reg) top, options(nostack)) };
    top
}

/// The identity in `stopei`.
const fn identity(top: u64) -> u32 {
    (top >> 16) as u32 & 0x7ff
}

/// Takes one of the inter-processor interrupts that were sent here.
#[inline]
fn take_sent(cpu: &PerCpu) -> Option<u32> {
    let own = &cpu.local;
    let sent = own.sent.load(Ordering::Acquire);
    let number = sent.trailing_zeros();
    let rest = own.sent.fetch_and(!(sent & sent.wrapping_neg()), Ordering::AcqRel) & sent.wrapping_sub(1);
    if sent != 0 && rest != 0 {
        interrupt(cpu);
    }
    (sent != 0).then_some(number)
}
