//! One processor: its block of private data, its interrupt mask, its identity, and how a crash is told.

use core::cell::Cell;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use arch_api::{Boot, Cpu, CpuId, IrqEntry, IrqsOff, Nesting};
use arch_parts::blocks::{Block, Blocks, Common};
use arch_parts::own_code::{EmergencyStack, Interrupts, walk};
use arch_parts::{console, image};
use isa_rv::extensions::{Extension, Extensions};

use crate::csr::{attempt, sstatus};
use crate::guest::{Files, Loaded, State};
use crate::local::Local;
use crate::processors::BeginCell;
use crate::{Riscv64, sbi};

/// What belongs to one CPU; `tp` holds its address.
#[repr(C)]
pub(crate) struct PerCpu {
    /// Room for two registers on the way to the emergency stack.
    pub(crate) spill: [Cell<u64>; 2],
    /// Where to go on when the next instruction that may fault does, instead of telling a story; 0 for
    /// nowhere.
    pub(crate) fixup: Cell<usize>,
    /// With the emergency stack, for `traps`.
    pub(crate) common: Common,
    pub(crate) local: Local,
    /// The virtual CPU whose registers are in this CPU's hardware.
    pub(crate) loaded: Loaded,
    /// Its interrupt files for guests.
    pub(crate) files: Files,
    /// The virtual CPU whose floating-point and vector registers are in it: the last one that used them.
    pub(crate) units: Loaded,
    /// What the CPU begins with; nothing for the boot CPU.
    pub(crate) begin: BeginCell,
}

// SAFETY: only the CPU that it belongs to reaches a block, with interrupts masked (`this`). What others reach is
// atomic (`local`), or written before they can find the block (`common`) or while the CPU does not run (`begin`).
unsafe impl Sync for PerCpu {}

impl PerCpu {
    const fn with(common: Common) -> Self {
        Self {
            spill: [const { Cell::new(0) }; 2],
            fixup: Cell::new(0),
            common,
            local: Local::new(),
            loaded: Loaded::none(),
            files: Files::none(),
            units: Loaded::none(),
            begin: BeginCell::new(),
        }
    }

    /// As before the CPU began.
    pub(crate) fn reset(&self) {
        self.common.reset();
        self.fixup.set(0);
        self.local.reset();
    }
}

impl Block for PerCpu {
    fn common(&self) -> &Common {
        &self.common
    }
    fn new(common: Common) -> Self {
        Self::with(common)
    }
}

/// The boot CPU's block: the one that exists before there is memory to allocate.
static BOOT_CPU: PerCpu = PerCpu::with(Common::new(CpuId(0), 0, &BOOT_EMERGENCY_STACK));
static BOOT_EMERGENCY_STACK: EmergencyStack = EmergencyStack::new();

/// The blocks of all CPUs.
pub(crate) static BLOCKS: Blocks<PerCpu> = Blocks::new();

/// Whether there are other CPUs, on or off.
#[inline]
pub(crate) fn others() -> bool {
    BLOCKS.count() > 1
}

/// What the interrupt vector calls.
pub(crate) static INTERRUPTS: Interrupts<Riscv64> = Interrupts::new();
/// [`Extensions::bits`] of what all harts have.
static EXTENSIONS: AtomicU64 = AtomicU64::new(0);
/// [`Extensions::bits`] of what the tree names and is not there.
static LACKING: AtomicU64 = AtomicU64::new(0);

/// Gives the boot CPU its block.
pub(crate) fn start(hart: u64) {
    BOOT_CPU.reset();
    BOOT_CPU.common.identify(hart);
    BLOCKS.first(&BOOT_CPU);
    // SAFETY: no code of ours uses `tp` for anything else; the block is static.
    unsafe { core::arch::asm!("mv tp, {}", in(reg) &raw const BOOT_CPU, options(nostack)) };
}

/// Notes what the harts have, and what they lack although the tree names it.
pub(crate) fn set_extensions(extensions: Extensions, lacking: Extensions) {
    EXTENSIONS.store(extensions.bits(), Ordering::Relaxed);
    LACKING.store(lacking.bits(), Ordering::Relaxed);
}

/// Whether the processor has an extension.
pub(crate) fn has(extension: Extension) -> bool {
    Extensions::from_bits(EXTENSIONS.load(Ordering::Relaxed)).has(extension)
}

#[inline(always)]
fn block() -> *const PerCpu {
    let block: *const PerCpu;
    // SAFETY: reads a register. Not `pure`: a thread goes on on another CPU at times.
    unsafe { core::arch::asm!("mv {}, tp", out(reg) block, options(nomem, nostack, preserves_flags)) };
    block
}

/// This CPU's block.
#[inline(always)]
pub(crate) fn this(_masked: &IrqsOff<Riscv64>) -> &'static PerCpu {
    // SAFETY: `start` set `tp` to a static block before anything could ask. Interrupts are masked, so the
    // CPU stays the same while the caller holds the proof.
    unsafe { &*block() }
}

impl Cpu for Riscv64 {
    #[inline(always)]
    fn mask_irqs() -> bool {
        let before: u64;
        // SAFETY: masking more is always sound. Not `nomem`: accesses stay behind it.
        unsafe {
            core::arch::asm!("csrrci {}, sstatus, 2", out(reg) before, options(nostack, preserves_flags))
        };
        before & sstatus::SIE != 0
    }

    #[inline(always)]
    unsafe fn unmask_irqs() {
        // SAFETY: the caller's promise.
        unsafe { core::arch::asm!("csrsi sstatus, 2", options(nostack, preserves_flags)) };
    }

    #[inline(always)]
    fn nesting(masked: &IrqsOff<Self>) -> &'static Nesting {
        &this(masked).common.nesting
    }

    #[inline(always)]
    fn nesting_here() -> &'static Nesting {
        // SAFETY: `start` set `tp` to a static block before anything could ask.
        unsafe { &(*block()).common.nesting }
    }

    fn wait(masked: &IrqsOff<Self>) {
        State::make_way(this(masked));
        wait_for_interrupt(masked);
    }

    #[inline(always)]
    fn id(masked: &IrqsOff<Self>) -> CpuId {
        this(masked).common.id
    }

    fn halt() -> ! {
        stop()
    }

    fn on_interrupt(entry: IrqEntry<Self>) {
        INTERRUPTS.set(entry);
    }
}

/// Waits until an interrupt is pending and enabled: in `sie`, or by the guest that is loaded, in `hie`.
pub(crate) fn wait_for_interrupt(_masked: &IrqsOff<Riscv64>) {
    // SAFETY: WFI returns when an interrupt that is enabled is pending, masked or not.
    unsafe { core::arch::asm!("fence", "wfi", options(nostack, preserves_flags)) };
}

/// Stops this CPU for good.
pub(crate) fn stop() -> ! {
    loop {
        // SAFETY: everything is masked; nothing wakes this CPU for long.
        unsafe { core::arch::asm!("csrci sstatus, 2", "csrw sie, zero", "wfi", options(nomem, nostack)) };
    }
}

/// Prints on the console, or through the firmware when none was found.
pub(crate) fn print(text: &str) {
    if console::base().is_some() { console::print(text) } else { sbi::print(text) }
}

impl Boot for Riscv64 {
    fn early_print(text: &str) {
        print(text);
    }

    fn backtrace(frames: usize, symbol: &mut dyn FnMut(usize)) {
        let frame: usize;
        // SAFETY: reads a register.
        unsafe { core::arch::asm!("mv {}, s0", out(reg) frame, options(nomem, nostack)) };
        Self::backtrace_from(frame, frames, symbol);
    }

    /// Walks the chain of frame records from `frame` up (RISC-V ELF psABI, "Frame Pointer Convention": the
    /// return address and the caller's frame pointer lie right below where it points).
    fn backtrace_from(frame: usize, frames: usize, symbol: &mut dyn FnMut(usize)) {
        let record = |frame: usize| {
            let at = frame.checked_sub(16)?;
            let readable = is_readable(at) && is_readable(at + 8);
            // SAFETY: the addresses are mapped for reading, as a probe just said.
            readable.then(|| unsafe { core::ptr::read_volatile(at as *const [usize; 2]) })
        };
        walk(frame, frames, record, symbol);
    }

    fn symbols() -> &'static [u8] {
        image::symbols()
    }

    fn image_base() -> usize {
        image::bounds().0
    }

    fn describe(out: &mut dyn fmt::Write) -> fmt::Result {
        // As in `riscv,isa`: the single letters, then the names with more.
        write!(out, "RISC-V rv64i")?;
        for extension in Extension::ALL.iter().filter(|extension| has(**extension)) {
            let joint = if extension.name().len() == 1 { "" } else { "_" };
            write!(out, "{joint}{}", extension.name())?;
        }
        write!(out, ", {}", crate::paging::name())?;
        write!(out, ", guests {}", crate::guest::describe())
    }

    fn lacks(extension: &str) -> bool {
        let lacking = Extensions::from_bits(LACKING.load(Ordering::Relaxed));
        Extension::ALL.iter().any(|known| known.name() == extension && lacking.has(*known))
    }

    fn call_firmware(arguments: [u64; 8]) -> Option<[u64; 4]> {
        let [a0, a1] = sbi::call(arguments);
        Some([a0, a1, 0, 0])
    }

    fn reset_now() {
        sbi::reset();
    }
}

/// Whether we may read the word at `address`, which is aligned to 8 bytes: tried, with a fault made harmless.
pub(crate) fn is_readable(address: usize) -> bool {
    let _masked = IrqsOff::<Riscv64>::now();
    // SAFETY: the load changes nothing.
    unsafe { attempt!("ld {value}, 0({operand})", address as u64) }.is_some()
}
