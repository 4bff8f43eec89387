//! Other harts, from their first instruction to Rust (SBI, "Hart State Management": hart_start).
//!
//! A hart begins with nothing translated, a0 = its id and a1 = what the starter gave: the address of a record
//! ([`Begin`]) with all that it needs.

use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::mem::offset_of;

use addr::Hpa;
use arch_api::{CpuId, CpuStart, Processors};

use crate::cpu::BLOCKS;
use crate::{Riscv64, clock, paging};

/// What a hart needs to begin, as the assembly below finds it.
#[repr(C)]
struct Begin {
    stack: u64,
    block: u64,
    satp: u64,
    main: u64,
}

/// Where the record of a hart is kept.
pub(crate) struct BeginCell(UnsafeCell<Begin>);

impl BeginCell {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(Begin { stack: 0, block: 0, satp: 0, main: 0 }))
    }
}

unsafe extern "C" {
    fn secondary_start();
}

impl Processors for Riscv64 {
    unsafe fn prepare_cpu(
        hardware_id: u64,
        stack_top: *mut u8,
        main: extern "C" fn() -> !,
    ) -> Option<CpuStart> {
        BLOCKS.prepare(hardware_id, |block| {
            block.reset();
            let record = block.begin.0.get();
            // SAFETY: one caller at a time, and the hart does not run our code, as the caller promises.
            unsafe {
                *record = Begin {
                    stack: stack_top as u64,
                    block: core::ptr::from_ref(block) as u64,
                    satp: paging::satp(),
                    main: main as usize as u64,
                };
            }
            let entry = Hpa::new(secondary_start as *const () as u64);
            CpuStart { cpu: block.common.id, entry, argument: record as u64 }
        })
    }

    #[inline]
    fn hardware_id_of(cpu: CpuId) -> Option<u64> {
        BLOCKS.hardware_id_of(cpu)
    }
}

global_asm!(
    r#"
    .section .text.start, "ax"
    .balign 4
    .global secondary_start
secondary_start:                        # a1 = the record
    csrw    sie, zero
    csrw    sscratch, zero
    lla     t0, trap_vector
    csrw    stvec, t0
    ld      tp, {block}(a1)
    ld      sp, {stack}(a1)
    ld      t0, {satp}(a1)
    ld      a0, {main}(a1)
    fence   rw, rw
    sfence.vma
    csrw    satp, t0
    sfence.vma
    fence.i
    li      s0, 0                       # no frame above
    li      ra, 0
    j       secondary_rust
"#,
    stack = const offset_of!(Begin, stack),
    block = const offset_of!(Begin, block),
    satp = const offset_of!(Begin, satp),
    main = const offset_of!(Begin, main),
);

/// Goes on where the record says, with the registers of this hart as they were set for the first.
#[unsafe(no_mangle)]
extern "C" fn secondary_rust(main: extern "C" fn() -> !) -> ! {
    clock::start_cpu();
    main()
}
