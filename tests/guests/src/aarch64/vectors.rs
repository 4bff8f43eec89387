//! Exceptions (DDI 0487, D1.3.1): all registers are saved and handed to [`trapped`].

use core::arch::global_asm;

use super::firmware;
use crate::runtime::faults::{self, Fault};
use crate::runtime::{interrupts, print};

global_asm!(
    r#"
    .macro  entry kind
    .balign 0x80
    sub     sp, sp, #304
    stp     x0, x1, [sp]
    mrs     x0, cntvct_el0              // for measuring: as early as can be
    mov     x1, #\kind
    b       save_all
    .endm

    .text
    .balign 0x800
    .global exception_vectors
exception_vectors:
    entry   0
    entry   1
    entry   2
    entry   3
    entry   4
    entry   5
    entry   6
    entry   7
    entry   8
    entry   9
    entry   10
    entry   11
    entry   12
    entry   13
    entry   14
    entry   15
    .balign 0x80
save_all:
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    mrs     x2, elr_el1
    stp     x30, x2, [sp, #240]
    mrs     x2, spsr_el1
    mrs     x3, esr_el1
    stp     x2, x3, [sp, #256]
    mrs     x2, far_el1
    stp     x2, x0, [sp, #272]
    str     x1, [sp, #288]
    mov     x0, sp
    bl      {trapped}
    ldp     x30, x0, [sp, #240]
    ldr     x1, [sp, #256]
    msr     elr_el1, x0
    msr     spsr_el1, x1
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x19, [sp, #144]
    ldp     x20, x21, [sp, #160]
    ldp     x22, x23, [sp, #176]
    ldp     x24, x25, [sp, #192]
    ldp     x26, x27, [sp, #208]
    ldp     x28, x29, [sp, #224]
    ldp     x0, x1, [sp], #304
    eret
"#,
    trapped = sym trapped,
);

/// What an exception saved.
#[repr(C)]
struct Frame {
    x: [u64; 31],
    elr: u64,
    spsr: u64,
    esr: u64,
    far: u64,
    /// CNTVCT_EL0 at the entry.
    entered: u64,
    /// Index of the vector.
    kind: u64,
}

impl Fault {
    /// ESR_EL1.EC
    pub(crate) fn class(self) -> u64 {
        self.cause >> 26 & 0x3f
    }

    /// ESR_EL1.ISS
    pub(crate) fn iss(self) -> u64 {
        self.cause & 0x1ff_ffff
    }
}

/// Exception classes of what can't be stepped over by skipping an instruction: the PC is bad itself.
const BAD_PC: [u64; 3] = [0x20, 0x21, 0x22];
/// SVC: the PC is behind it already.
const SVC: u64 = 0x15;

extern "C" fn trapped(frame: &mut Frame) {
    match frame.kind & 3 {
        0 => synchronous(frame),
        1 | 2 => interrupts::taken(frame.entered),
        _ if faults::are_tolerated() => {}
        _ => die(frame, "SError"),
    }
}

fn synchronous(frame: &mut Frame) {
    faults::note(Fault { cause: frame.esr, address: frame.far });
    if !faults::are_tolerated() {
        die(frame, "exception");
    }
    let class = frame.esr >> 26 & 0x3f;
    if BAD_PC.contains(&class) {
        // A call to nowhere returns.
        frame.elr = frame.x[30];
    } else if class != SVC {
        frame.elr += 4;
    }
}

fn die(frame: &Frame, what: &str) -> ! {
    print::say!(
        "FAIL unexpected {what}: vector {} esr {:#x} elr {:#x} far {:#x} spsr {:#x} lr {:#x}",
        frame.kind,
        frame.esr,
        frame.elr,
        frame.far,
        frame.spsr,
        frame.x[30]
    );
    firmware::off()
}
