//! Exceptions (Priv, "Supervisor Trap Vector Base Address Register"): all registers are saved and handed to
//! [`trapped`].

use core::arch::global_asm;

use isa_rv::cause::{self, INTERRUPT};

use super::firmware;
use crate::runtime::faults::{self, Fault};
use crate::runtime::{interrupts, print};

global_asm!(
    r#"
    .text
    .balign 64
    .global exception_vector
exception_vector:
    addi    sp, sp, -304
    sd      t0, 40(sp)
    csrr    t0, time                    # for measuring: as early as can be
    sd      t0, 288(sp)
    sd      ra, 8(sp)
    sd      gp, 24(sp)
    sd      tp, 32(sp)
    sd      t1, 48(sp)
    sd      t2, 56(sp)
    sd      s0, 64(sp)
    sd      s1, 72(sp)
    sd      a0, 80(sp)
    sd      a1, 88(sp)
    sd      a2, 96(sp)
    sd      a3, 104(sp)
    sd      a4, 112(sp)
    sd      a5, 120(sp)
    sd      a6, 128(sp)
    sd      a7, 136(sp)
    sd      s2, 144(sp)
    sd      s3, 152(sp)
    sd      s4, 160(sp)
    sd      s5, 168(sp)
    sd      s6, 176(sp)
    sd      s7, 184(sp)
    sd      s8, 192(sp)
    sd      s9, 200(sp)
    sd      s10, 208(sp)
    sd      s11, 216(sp)
    sd      t3, 224(sp)
    sd      t4, 232(sp)
    sd      t5, 240(sp)
    sd      t6, 248(sp)
    csrr    t0, sepc
    csrr    t1, sstatus
    csrr    t2, scause
    csrr    t3, stval
    sd      t0, 256(sp)
    sd      t1, 264(sp)
    sd      t2, 272(sp)
    sd      t3, 280(sp)
    mv      a0, sp
    call    {trapped}
    ld      t0, 256(sp)
    ld      t1, 264(sp)
    csrw    sepc, t0
    csrw    sstatus, t1
    ld      ra, 8(sp)
    ld      gp, 24(sp)
    ld      tp, 32(sp)
    ld      t0, 40(sp)
    ld      t1, 48(sp)
    ld      t2, 56(sp)
    ld      s0, 64(sp)
    ld      s1, 72(sp)
    ld      a0, 80(sp)
    ld      a1, 88(sp)
    ld      a2, 96(sp)
    ld      a3, 104(sp)
    ld      a4, 112(sp)
    ld      a5, 120(sp)
    ld      a6, 128(sp)
    ld      a7, 136(sp)
    ld      s2, 144(sp)
    ld      s3, 152(sp)
    ld      s4, 160(sp)
    ld      s5, 168(sp)
    ld      s6, 176(sp)
    ld      s7, 184(sp)
    ld      s8, 192(sp)
    ld      s9, 200(sp)
    ld      s10, 208(sp)
    ld      s11, 216(sp)
    ld      t3, 224(sp)
    ld      t4, 232(sp)
    ld      t5, 240(sp)
    ld      t6, 248(sp)
    addi    sp, sp, 304
    sret
"#,
    trapped = sym trapped,
);

/// What an exception saved.
#[repr(C)]
struct Frame {
    /// x0 to x31; those of x0 and x2 (the stack pointer) count for nothing.
    x: [u64; 32],
    pc: u64,
    sstatus: u64,
    cause: u64,
    value: u64,
    /// `time` at the entry.
    entered: u64,
}

/// SPP, in `sstatus`: the exception came from supervisor mode.
const SPP: u64 = 1 << 8;
/// Causes of what can't be stepped over by skipping an instruction: it could not be fetched.
const BAD_PC: [u64; 3] = [cause::FETCH_MISALIGNED, cause::FETCH_ACCESS, cause::FETCH_PAGE];

extern "C" fn trapped(frame: &mut Frame) {
    if frame.cause & INTERRUPT != 0 {
        interrupts::taken(frame.entered);
        return;
    }
    faults::note(Fault { cause: frame.cause, address: frame.value });
    if !faults::are_tolerated() {
        print::say!(
            "FAIL unexpected exception: cause {} pc {:#x} stval {:#x} sstatus {:#x} ra {:#x}",
            frame.cause,
            frame.pc,
            frame.value,
            frame.sstatus,
            frame.x[1]
        );
        firmware::off();
    }
    if BAD_PC.contains(&frame.cause) {
        // A call to nowhere returns.
        frame.pc = frame.x[1];
    } else {
        // SAFETY: an instruction of this program that was just executed.
        let low = unsafe { *(frame.pc as *const u16) };
        frame.pc += if low & 3 == 3 { 4 } else { 2 };
        // What a program of user mode was to show, it has.
        frame.sstatus |= SPP;
    }
}
