//! What of a guest lies in the hardware beside its general-purpose registers: the CSRs of VS mode, those of
//! supervisors that have no copy for VS mode, floating-point and vector registers.

use alloc::boxed::Box;
use core::arch::asm;
use core::sync::atomic::{AtomicUsize, Ordering};

use arch_api::NoVirt;
use isa_rv::extensions::Extension;

use crate::cpu;
use crate::csr::{get, set, set_bits, sstatus};

/// Bytes of a vector register (`vlenb`); 0 where there are none.
static VECTOR_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Looks what this CPU has. Guests go from one to another, so that all have vector registers of one length.
pub(super) fn enable() -> Result<(), NoVirt> {
    if !cpu::has(Extension::V) {
        return Ok(());
    }
    // SAFETY: lets us read the CSR below; every entry into a guest sets the field anew.
    unsafe { set_bits!("sstatus", sstatus::VS) };
    let bytes = get!("vlenb") as usize;
    match VECTOR_BYTES.compare_exchange(0, bytes, Ordering::Relaxed, Ordering::Relaxed) {
        Err(first) if first != bytes => {
            Err(NoVirt("its vector registers have not the first hart's length (vlenb)"))
        }
        _ => Ok(()),
    }
}

/// What `siselect` of the loaded guest selects.
pub(super) fn selected() -> u64 {
    get!("vsiselect")
}

macro_rules! registers {
    ($($(#[$doc:meta])* $field:ident = $name:tt, $text:literal;)*) => {
        /// CSRs that every hart with the hypervisor extension has.
        #[derive(Clone, Debug, Default)]
        pub(super) struct Supervisor {
            $($(#[$doc])* pub(super) $field: u64,)*
        }

        impl Supervisor {
            /// Out of the hardware.
            pub(super) fn save(&mut self) {
                $(self.$field = get!($name);)*
            }

            /// Into the hardware.
            ///
            /// # Safety
            /// Interrupts are masked, and nobody's registers are in the hardware.
            pub(super) unsafe fn load(&self) {
                // SAFETY: the caller's promise; a guest's registers have no effect on our own execution.
                unsafe { $(set!($name, self.$field);)* }
            }

            /// Each with its name.
            pub(super) fn each(&self, mut with: impl FnMut(&str, u64)) {
                $(with($text, self.$field);)*
            }
        }
    };
}

registers! {
    status = "vsstatus", "VSSTATUS";
    enabled = "vsie", "VSIE";
    vector = "vstvec", "VSTVEC";
    scratch = "vsscratch", "VSSCRATCH";
    pc = "vsepc", "VSEPC";
    cause = "vscause", "VSCAUSE";
    value = "vstval", "VSTVAL";
    translation = "vsatp", "VSATP";
    counters = "scounteren", "SCOUNTEREN";
    environment = "senvcfg", "SENVCFG";
}

/// CSRs that not every hart has.
#[derive(Clone, Debug, Default)]
pub(super) struct Optional {
    stateen: u64,
    select: u64,
}

impl Optional {
    pub(super) fn save(&mut self) {
        if has_stateen() {
            self.stateen = get!("sstateen0");
        }
        if cpu::has(Extension::Ssaia) {
            self.select = get!("vsiselect");
        }
    }

    /// # Safety
    /// As for [`Supervisor::load`].
    pub(super) unsafe fn load(&self) {
        // SAFETY: the caller's promise.
        unsafe {
            if has_stateen() {
                set!("sstateen0", self.stateen);
            }
            if cpu::has(Extension::Ssaia) {
                set!("vsiselect", self.select);
            }
        }
    }
}

/// Whether there are state-enable registers.
pub(super) fn has_stateen() -> bool {
    cpu::has(Extension::Smstateen) || cpu::has(Extension::Ssstateen)
}

/// Floating-point registers.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Float {
    f: [u64; 32],
    fcsr: u64,
}

/// Instructions over all floating-point registers.
macro_rules! each_float {
    ($instruction:literal) => {
        concat!(
            $instruction,
            " f0, 0({0})\n",
            $instruction,
            " f1, 8({0})\n",
            $instruction,
            " f2, 16({0})\n",
            $instruction,
            " f3, 24({0})\n",
            $instruction,
            " f4, 32({0})\n",
            $instruction,
            " f5, 40({0})\n",
            $instruction,
            " f6, 48({0})\n",
            $instruction,
            " f7, 56({0})\n",
            $instruction,
            " f8, 64({0})\n",
            $instruction,
            " f9, 72({0})\n",
            $instruction,
            " f10, 80({0})\n",
            $instruction,
            " f11, 88({0})\n",
            $instruction,
            " f12, 96({0})\n",
            $instruction,
            " f13, 104({0})\n",
            $instruction,
            " f14, 112({0})\n",
            $instruction,
            " f15, 120({0})\n",
            $instruction,
            " f16, 128({0})\n",
            $instruction,
            " f17, 136({0})\n",
            $instruction,
            " f18, 144({0})\n",
            $instruction,
            " f19, 152({0})\n",
            $instruction,
            " f20, 160({0})\n",
            $instruction,
            " f21, 168({0})\n",
            $instruction,
            " f22, 176({0})\n",
            $instruction,
            " f23, 184({0})\n",
            $instruction,
            " f24, 192({0})\n",
            $instruction,
            " f25, 200({0})\n",
            $instruction,
            " f26, 208({0})\n",
            $instruction,
            " f27, 216({0})\n",
            $instruction,
            " f28, 224({0})\n",
            $instruction,
            " f29, 232({0})\n",
            $instruction,
            " f30, 240({0})\n",
            $instruction,
            " f31, 248({0})\n",
        )
    };
}

impl Float {
    pub(super) const fn new() -> Self {
        Self { f: [0; 32], fcsr: 0 }
    }

    fn save(&mut self) {
        // SAFETY: stores registers that we never use to memory of our own; the unit is on while we do so.
        unsafe {
            set_bits!("sstatus", sstatus::FS);
            asm!(
                ".option push", ".option arch, +d",
                each_float!("fsd"),
                "frcsr {1}",
                ".option pop",
                in(reg) self.f.as_mut_ptr(), out(reg) self.fcsr, options(nostack)
            );
        }
    }

    /// # Safety
    /// The registers are nobody's, or this guest's.
    unsafe fn load(&self) {
        // SAFETY: loads registers that we never use.
        unsafe {
            set_bits!("sstatus", sstatus::FS);
            asm!(
                ".option push", ".option arch, +d",
                each_float!("fld"),
                "fscsr {1}",
                ".option pop",
                in(reg) self.f.as_ptr(), in(reg) self.fcsr, options(nostack)
            );
        }
    }
}

/// A floating-point register of the loaded guest.
#[cold]
pub(super) fn float(number: u8) -> u64 {
    let mut all = Float::new();
    all.save();
    all.f.get(usize::from(number)).copied().unwrap_or(0)
}

/// Sets a floating-point register of the loaded guest, which are dirty then as by the load itself: its kernel saves what
/// is.
#[cold]
pub(super) fn set_float(number: u8, value: u64) {
    let mut all = Float::new();
    all.save();
    if let Some(register) = all.f.get_mut(usize::from(number)) {
        *register = value;
    }
    // SAFETY: this guest's.
    unsafe {
        all.load();
        set_bits!("vsstatus", sstatus::FS);
    }
}

/// Vector registers.
#[derive(Debug)]
struct Vector {
    /// v0 to v31, one after the other.
    v: Box<[u64]>,
    start: u64,
    control: u64,
    length: u64,
    kind: u64,
}

/// Floating-point and vector registers, where there are any.
#[derive(Debug)]
pub(super) struct Units {
    float: Option<Box<Float>>,
    vector: Option<Vector>,
}

impl Units {
    /// As after reset.
    pub(super) fn new() -> Self {
        let bytes = VECTOR_BYTES.load(Ordering::Relaxed);
        Self {
            float: cpu::has(Extension::D).then(|| Box::new(Float::new())),
            // VILL is set after reset.
            vector: (bytes != 0).then(|| Vector {
                v: core::iter::repeat_n(0, bytes * 32 / 8).collect(),
                start: 0,
                control: 0,
                length: 0,
                kind: 1 << 63,
            }),
        }
    }

    /// Whether there are floating-point registers.
    pub(super) fn has_floats(&self) -> bool {
        self.float.is_some()
    }

    /// What the fields FS and VS of `sstatus` say while a guest runs whose registers were just loaded.
    pub(super) fn clean(&self) -> u64 {
        let float = if self.float.is_some() { sstatus::FS_CLEAN } else { 0 };
        float | if self.vector.is_some() { sstatus::VS_CLEAN } else { 0 }
    }

    /// Out of the hardware what the guest changed, as `status` (its `sstatus`) tells.
    pub(super) fn save(&mut self, status: u64) {
        if let Some(float) = &mut self.float
            && status & sstatus::FS == sstatus::FS
        {
            float.save();
        }
        if let Some(vector) = &mut self.vector
            && status & sstatus::VS == sstatus::VS
        {
            vector.save();
        }
    }

    /// # Safety
    /// Interrupts are masked, and nobody's registers are in the hardware.
    pub(super) unsafe fn load(&self) {
        // SAFETY: the caller's promise.
        unsafe {
            if let Some(float) = &self.float {
                float.load();
            }
            if let Some(vector) = &self.vector {
                vector.load();
            }
        }
    }
}

impl Vector {
    fn save(&mut self) {
        // SAFETY: lets us read the unit's registers; an entry into a guest sets the field anew.
        unsafe { set_bits!("sstatus", sstatus::VS) };
        self.start = get!("vstart");
        self.control = get!("vcsr");
        self.length = get!("vl");
        self.kind = get!("vtype");
        let step = VECTOR_BYTES.load(Ordering::Relaxed) * 8;
        // SAFETY: stores registers that we never use to memory of our own: 32 of them, of the length that
        // `vlenb` told. Whole registers are moved whatever `vl` and `vtype` say; `vstart` must be 0 for it.
        unsafe {
            asm!(
                ".option push", ".option arch, +v",
                "csrw vstart, zero",
                "vs8r.v v0, ({at})", "add {at}, {at}, {step}",
                "vs8r.v v8, ({at})", "add {at}, {at}, {step}",
                "vs8r.v v16, ({at})", "add {at}, {at}, {step}",
                "vs8r.v v24, ({at})",
                ".option pop",
                at = inout(reg) self.v.as_mut_ptr() => _, step = in(reg) step, options(nostack)
            );
        }
    }

    /// # Safety
    /// The registers are nobody's.
    unsafe fn load(&self) {
        // SAFETY: as in `save`, the other way round. VSETVL sets `vtype`, and `vl` to what it was, since that was
        // possible then.
        unsafe {
            set_bits!("sstatus", sstatus::VS);
            let step = VECTOR_BYTES.load(Ordering::Relaxed) * 8;
            asm!(
                ".option push", ".option arch, +v",
                "csrw vstart, zero",
                "vl8re8.v v0, ({at})", "add {at}, {at}, {step}",
                "vl8re8.v v8, ({at})", "add {at}, {at}, {step}",
                "vl8re8.v v16, ({at})", "add {at}, {at}, {step}",
                "vl8re8.v v24, ({at})",
                "vsetvl zero, {length}, {kind}",
                ".option pop",
                at = inout(reg) self.v.as_ptr() => _, step = in(reg) step,
                length = in(reg) self.length, kind = in(reg) self.kind, options(nostack)
            );
            set!("vcsr", self.control);
            set!("vstart", self.start);
        }
    }
}
