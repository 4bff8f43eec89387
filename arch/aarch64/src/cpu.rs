//! One processor: its block of private data, its interrupt mask, its identity, and how a crash is told.

use core::cell::Cell;
use core::fmt;

use arch_api::{Boot, Cpu, CpuId, IrqEntry, IrqsOff, Nesting};
use arch_parts::blocks::{Block, Blocks, Common};
use arch_parts::own_code::{EmergencyStack, Interrupts, walk};
use arch_parts::{console, image};

use crate::guest::{Loaded, State};
use crate::processors::{self, BeginCell};
use crate::registers::{get, isb, set};
use crate::{Aarch64, icc};

/// What belongs to one CPU; TPIDR_EL2 holds its address.
#[repr(C)]
pub(crate) struct PerCpu {
    /// With the emergency stack, for `vectors`.
    pub(crate) common: Common,
    /// The stack pointer at the time of an exception taken from our own code.
    pub(crate) faulting_stack: Cell<usize>,
    /// Room for two registers on the way to the emergency stack.
    pub(crate) spill: [Cell<u64>; 2],
    /// The virtual CPU whose registers are in this CPU's hardware.
    pub(crate) loaded: Loaded,
    /// Where this CPU's virtual timer interrupt is made active, and inactive; 0 before that is known.
    pub(crate) timer_active: Cell<[usize; 2]>,
    /// The hardware id as [`icc::target`] has it, since it is needed in a hurry.
    pub(crate) target: Cell<u64>,
    /// What the CPU begins with; nothing for the boot CPU.
    pub(crate) begin: BeginCell,
    /// A host interrupt that was taken on the way out of a guest and not handled yet; [`icc::NONE`] otherwise.
    pub(crate) claimed: Cell<u32>,
}

// SAFETY: only the CPU that it belongs to reaches a block, with interrupts masked (`this`). What others reach
// is written before they can find the block (`identify`) or while the CPU does not run (`processors`).
unsafe impl Sync for PerCpu {}

impl PerCpu {
    const fn with(common: Common) -> Self {
        Self {
            common,
            faulting_stack: Cell::new(0),
            spill: [Cell::new(0), Cell::new(0)],
            loaded: Loaded::none(),
            timer_active: Cell::new([0; 2]),
            target: Cell::new(0),
            begin: BeginCell::new(),
            claimed: Cell::new(icc::NONE),
        }
    }

    /// As before the CPU began.
    pub(crate) fn reset(&self) {
        self.common.reset();
        self.claimed.set(icc::NONE);
    }
}

impl Block for PerCpu {
    fn common(&self) -> &Common {
        &self.common
    }
    fn new(common: Common) -> Self {
        let target = icc::target(common.hardware_id());
        Self { target: Cell::new(target), ..Self::with(common) }
    }
}

/// The blocks of all CPUs.
pub(crate) static BLOCKS: Blocks<PerCpu> = Blocks::new();

/// The boot CPU's block: the one that exists before there is memory to allocate.
static BOOT_CPU: PerCpu = PerCpu::with(Common::new(CpuId(0), 0, &BOOT_EMERGENCY_STACK));
static BOOT_EMERGENCY_STACK: EmergencyStack = EmergencyStack::new();

/// What the interrupt vector calls.
pub(crate) static INTERRUPTS: Interrupts<Aarch64> = Interrupts::new();

/// Gives the boot CPU its block.
pub(crate) fn start() {
    BOOT_CPU.reset();
    let hardware_id = processors::own_hardware_id();
    BOOT_CPU.common.identify(hardware_id);
    BOOT_CPU.target.set(icc::target(hardware_id));
    BLOCKS.first(&BOOT_CPU);
    // SAFETY: TPIDR_EL2 is ours alone; the block is static.
    unsafe { set!("tpidr_el2", &raw const BOOT_CPU as u64) };
}

/// This CPU's block.
#[inline(always)]
pub(crate) fn this(_masked: &IrqsOff<Aarch64>) -> &'static PerCpu {
    let block = get!("tpidr_el2") as *const PerCpu;
    // SAFETY: `start` set TPIDR_EL2 to a static block before anything could ask. Interrupts are masked,
    // so the CPU stays the same while the caller holds the proof.
    unsafe { &*block }
}

/// Handles a host interrupt that is in [`PerCpu::claimed`], as the vector would. The switch to a thread that it
/// woke is left to who takes interrupts behind the guest's exit.
pub(crate) fn handle_interrupt(masked: &IrqsOff<Aarch64>) {
    masked.as_in_vector(|masked| {
        let preempt_off = this(masked).common.nesting.preempt_off();
        preempt_off.set(preempt_off.get() + 1);
        INTERRUPTS.call(masked);
        preempt_off.set(preempt_off.get() - 1);
    });
}

impl Cpu for Aarch64 {
    #[inline(always)]
    fn mask_irqs() -> bool {
        let daif = get!("daif");
        // SAFETY: masking more is always sound. Not `nomem`: accesses stay behind it.
        unsafe { core::arch::asm!("msr daifset, #2", options(nostack, preserves_flags)) };
        daif & (1 << 7) == 0
    }

    #[inline(always)]
    unsafe fn unmask_irqs() {
        // SAFETY: the caller's promise.
        unsafe { core::arch::asm!("msr daifclr, #2", options(nostack, preserves_flags)) };
    }

    #[inline(always)]
    fn take_pending() {
        isb();
    }

    #[inline(always)]
    fn nesting(masked: &IrqsOff<Self>) -> &'static Nesting {
        &this(masked).common.nesting
    }

    #[inline(always)]
    fn nesting_here() -> &'static Nesting {
        let block = get!("tpidr_el2") as *const PerCpu;
        // SAFETY: `start` set TPIDR_EL2 to a static block before anything could ask.
        unsafe { &(*block).common.nesting }
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
        loop {
            // SAFETY: everything is masked; nothing wakes this CPU for long.
            unsafe { core::arch::asm!("msr daifset, #0xf", "wfi", options(nomem, nostack)) };
        }
    }

    fn on_interrupt(entry: IrqEntry<Self>) {
        INTERRUPTS.set(entry);
    }
}

/// Waits until an interrupt is pending: ours, or one of the guest that is loaded.
pub(crate) fn wait_for_interrupt(_masked: &IrqsOff<Aarch64>) {
    // SAFETY: WFI returns when an interrupt is pending, masked or not.
    unsafe { core::arch::asm!("dsb sy", "wfi", options(nostack, preserves_flags)) };
}

impl Boot for Aarch64 {
    fn early_print(text: &str) {
        console::print(text);
    }

    fn backtrace(frames: usize, symbol: &mut dyn FnMut(usize)) {
        let frame: usize;
        // SAFETY: reads a register.
        unsafe { core::arch::asm!("mov {}, x29", out(reg) frame, options(nomem, nostack)) };
        Self::backtrace_from(frame, frames, symbol);
    }

    /// Walks the chain of frame records (AAPCS64, 6.4.6) from `frame` up.
    fn backtrace_from(frame: usize, frames: usize, symbol: &mut dyn FnMut(usize)) {
        let record = |frame| {
            let readable = is_readable(frame) && is_readable(frame + 8);
            // SAFETY: the address is mapped for reading, as the hardware just said.
            readable.then(|| unsafe { core::ptr::read_volatile(frame as *const [usize; 2]) })
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
        let midr = get!("midr_el1");
        let part = midr >> 4 & 0xfff;
        let name = match (midr >> 24, part) {
            (0x41, 0xd03) => "Cortex-A53",
            (0x41, 0xd04) => "Cortex-A35",
            (0x41, 0xd05) => "Cortex-A55",
            (0x41, 0xd07) => "Cortex-A57",
            (0x41, 0xd08) => "Cortex-A72",
            (0x41, 0xd09) => "Cortex-A73",
            (0x41, 0xd0a) => "Cortex-A75",
            (0x41, 0xd0b) => "Cortex-A76",
            (0x41, 0xd0c) => "Neoverse-N1",
            (0x41, 0xd40) => "Neoverse-V1",
            (0x41, 0xd47) => "Cortex-A710",
            (0x41, 0xd49) => "Neoverse-N2",
            (0x46, 0x001) => "A64FX",
            (0x00, 0x051) => "QEMU max",
            _ => "ARMv8-A",
        };
        write!(out, "{name} (MIDR_EL1 {midr:#010x}, revision r{}p{})", midr >> 20 & 15, midr & 15)
    }

    fn call_firmware(arguments: [u64; 8]) -> Option<[u64; 4]> {
        let [mut x0, mut x1, mut x2, mut x3, x4, x5, x6, x7] = arguments;
        // ID_AA64PFR0_EL1.EL3: without EL3 the instruction is undefined, unless an outer hypervisor
        // (or QEMU's built-in PSCI) answers it; the device tree said that somebody does.
        // SAFETY: SMCCC: the callee keeps x18 to x30 and the stack pointer.
        unsafe {
            core::arch::asm!(
                "smc #0",
                inout("x0") x0, inout("x1") x1, inout("x2") x2, inout("x3") x3,
                inout("x4") x4 => _, inout("x5") x5 => _, inout("x6") x6 => _, inout("x7") x7 => _, out("x8") _, out("x9") _,
                out("x10") _, out("x11") _, out("x12") _, out("x13") _, out("x14") _, out("x15") _,
                out("x16") _, out("x17") _, options(nostack)
            );
        }
        Some([x0, x1, x2, x3])
    }

    fn reset_now() {
        // DEN0022, 5.11: PSCI SYSTEM_RESET.
        Self::call_firmware([0x8400_0009, 0, 0, 0, 0, 0, 0, 0]);
    }
}

/// Whether we may read the byte at `address` (address translation by the hardware: AT S1E2R).
pub(crate) fn is_readable(address: usize) -> bool {
    let own = get!("par_el1");
    // SAFETY: the instruction only changes PAR_EL1, which belongs to the loaded guest: put back below.
    unsafe { core::arch::asm!("at s1e2r, {}", "isb", in(reg) address, options(nostack, preserves_flags)) };
    let result = get!("par_el1");
    // SAFETY: as it was.
    unsafe { set!("par_el1", own) };
    result & 1 == 0
}
