//! Other processors, from their first instruction to Rust (PSCI CPU_ON, DEN0022 5.6; spin tables,
//! Documentation/arch/arm64/booting.rst).
//!
//! A processor begins with its MMU off, at EL2. All that it needs until its caches are on lies in one
//! record ([`Begin`]) that was cleaned to memory; PSCI hands its address on in x0. A spin table hands nothing
//! on: then the record is looked for by MPIDR, in a list.

use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};

use addr::Hpa;
use arch_api::{Cache, CpuId, CpuStart, Processors};

use crate::cpu::BLOCKS;
use crate::registers::{get, set};
use crate::{Aarch64, clock, paging};

/// MPIDR_EL1: Aff3, Aff2, Aff1, Aff0.
pub(crate) const AFFINITY: u64 = 0xff_00ff_ffff;

/// What a processor needs to begin, as the assembly below finds it.
#[repr(C, align(64))]
pub(crate) struct Begin {
    next: u64,
    mpidr: u64,
    stack: u64,
    block: u64,
    mair: u64,
    tcr: u64,
    ttbr: u64,
    sctlr: u64,
    main: u64,
}

/// The records of all processors but the first: the address of the last one made.
#[unsafe(no_mangle)]
static SECONDARY_LIST: List = List(AtomicU64::new(0));

/// In a cache line of its own: it is read past the caches.
#[repr(C, align(64))]
struct List(AtomicU64);

/// Where the record of a processor is kept.
pub(crate) struct BeginCell(UnsafeCell<Begin>);

impl BeginCell {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(Begin {
            next: 0,
            mpidr: 0,
            stack: 0,
            block: 0,
            mair: 0,
            tcr: 0,
            ttbr: 0,
            sctlr: 0,
            main: 0,
        }))
    }
}

unsafe extern "C" {
    fn secondary_start();
}

impl Processors for Aarch64 {
    unsafe fn prepare_cpu(
        hardware_id: u64,
        stack_top: *mut u8,
        main: extern "C" fn() -> !,
    ) -> Option<CpuStart> {
        BLOCKS.prepare(hardware_id & AFFINITY, |block| {
            block.reset();
            let record = block.begin.0.get();
            // SAFETY: one caller at a time, and the processor does not run our code, as the caller promises.
            let begin = unsafe { &mut *record };
            let is_new = begin.block == 0;
            let (mair, tcr, ttbr, sctlr) = paging::regime();
            *begin = Begin {
                next: if is_new { SECONDARY_LIST.0.load(Ordering::Relaxed) } else { begin.next },
                mpidr: hardware_id & AFFINITY,
                stack: stack_top as u64,
                block: core::ptr::from_ref(block) as u64,
                mair,
                tcr,
                ttbr,
                sctlr,
                main: main as usize as u64,
            };
            Self::make_visible_to_device(record.cast(), size_of::<Begin>());
            if is_new {
                SECONDARY_LIST.0.store(record as u64, Ordering::Relaxed);
                Self::make_visible_to_device((&raw const SECONDARY_LIST).cast(), size_of::<List>());
            }
            let entry = Hpa::new(secondary_start as *const () as u64);
            CpuStart { cpu: block.common.id, entry, argument: record as u64 }
        })
    }

    #[inline]
    fn hardware_id_of(cpu: CpuId) -> Option<u64> {
        BLOCKS.hardware_id_of(cpu)
    }

    fn signal_waiting() {
        // SAFETY: a barrier and an event.
        unsafe { core::arch::asm!("dsb sy", "sev", options(nostack, preserves_flags)) };
    }
}

global_asm!(
    r#"
    .section .text.start, "ax"
    .global secondary_start
secondary_start:                        // x0 = the record, or 0
    msr     daifset, #0xf
    mrs     x1, CurrentEL
    cmp     x1, #(2 << 2)
    b.ne    9f
    mrs     x1, sctlr_el2
    mov     x2, #0x1005                 // I, C, M
    bic     x1, x1, x2
    msr     sctlr_el2, x1
    mov     x1, #(1 << 31)              // HCR_EL2.RW, not E2H, not TGE
    msr     hcr_el2, x1
    msr     spsel, #1
    isb
    cbnz    x0, 3f
    mrs     x1, mpidr_el1
    mov     x2, #0xffffff
    movk    x2, #0xff, lsl #32
    and     x1, x1, x2
1:  adrp    x0, SECONDARY_LIST
    ldr     x0, [x0, :lo12:SECONDARY_LIST]
2:  cbz     x0, 4f
    ldr     x2, [x0, #{mpidr}]
    cmp     x1, x2
    b.eq    3f
    ldr     x0, [x0, #{next}]
    b       2b
4:  wfe                                 // released before its record was there
    b       1b
3:  ldr     x1, [x0, #{mair}]
    msr     mair_el2, x1
    ldr     x1, [x0, #{tcr}]
    msr     tcr_el2, x1
    ldr     x1, [x0, #{ttbr}]
    msr     ttbr0_el2, x1
    adrp    x1, exception_vectors
    add     x1, x1, :lo12:exception_vectors
    msr     vbar_el2, x1
    ldr     x1, [x0, #{block}]
    msr     tpidr_el2, x1
    dsb     sy
    tlbi    alle2
    ic      iallu
    dsb     sy
    isb
    ldr     x1, [x0, #{sctlr}]
    msr     sctlr_el2, x1
    isb
    ldr     x1, [x0, #{stack}]
    mov     sp, x1
    ldr     x0, [x0, #{main}]
    mov     x29, xzr
    mov     x30, xzr
    b       secondary_rust
9:  wfe
    b       9b
"#,
    next = const offset_of!(Begin, next),
    mpidr = const offset_of!(Begin, mpidr),
    stack = const offset_of!(Begin, stack),
    block = const offset_of!(Begin, block),
    mair = const offset_of!(Begin, mair),
    tcr = const offset_of!(Begin, tcr),
    ttbr = const offset_of!(Begin, ttbr),
    sctlr = const offset_of!(Begin, sctlr),
    main = const offset_of!(Begin, main),
);

/// Goes on where the record says, with the registers of this processor as they were set for the first.
#[unsafe(no_mangle)]
extern "C" fn secondary_rust(main: extern "C" fn() -> !) -> ! {
    // SAFETY: no guest runs here yet.
    unsafe { set!("hcr_el2", crate::guest::HCR_HOST) };
    clock::start_cpu();
    main()
}

/// The asking processor's hardware id.
pub(crate) fn own_hardware_id() -> u64 {
    get!("mpidr_el1") & AFFINITY
}
