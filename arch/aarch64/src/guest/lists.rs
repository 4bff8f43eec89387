//! A guest's interrupts, through the list registers of its virtual CPU interface: GICv3's are system
//! registers (IHI 0069, 12.4), GICv2's are mapped (IHI 0048B, 5.3).

use core::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};

use arch_api::{GuestPort, Held, IrqSlot, SlotState, VirtualInterface};

use crate::cpu::PerCpu;
use crate::icc;
use crate::registers::{get, isb, set};

const NOTHING: u8 = 0;
const PROCESSOR: u8 = 1;
const MAPPED: u8 = 2;

static KIND: AtomicU8 = AtomicU8::new(NOTHING);
/// GICH's address.
static CONTROL: AtomicUsize = AtomicUsize::new(0);
/// How many list registers there are.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// How many 32-bit words of active priorities there are, per group.
static PRIORITY_WORDS: AtomicUsize = AtomicUsize::new(1);
static TIMER: AtomicU32 = AtomicU32::new(0);

/// GICH's registers.
mod gich {
    pub(super) const HCR: usize = 0x00;
    pub(super) const VTR: usize = 0x04;
    pub(super) const VMCR: usize = 0x08;
    pub(super) const APR: usize = 0xf0;
    pub(super) const LR: usize = 0x100;
}

/// ICH_HCR_EL2 and GICH_HCR: the interface is on.
const EN: u64 = 1 << 0;
/// Ring when at most one list register is in use.
const UIE: u64 = 1 << 1;

fn gich(offset: usize) -> *mut u32 {
    (CONTROL.load(Ordering::Relaxed) + offset) as *mut u32
}

fn gich_read(offset: usize) -> u64 {
    // SAFETY: `use_interface` was given the mapped registers.
    u64::from(unsafe { core::ptr::read_volatile(gich(offset)) })
}

fn gich_write(offset: usize, value: u64) {
    // SAFETY: as above; they concern guests only.
    unsafe { core::ptr::write_volatile(gich(offset), value as u32) }
}

pub(super) fn use_interface(own: &PerCpu, interface: VirtualInterface) {
    let (kind, timer, set_active, clear_active) = match interface {
        VirtualInterface::Processor { timer, set_active, clear_active } => {
            let vtr = get!("S3_4_C12_C11_1"); // ICH_VTR_EL2
            COUNT.store(((vtr & 0x1f) as usize + 1).min(Held::MAX), Ordering::Relaxed);
            let words = match vtr >> 26 & 7 {
                6 => 4,
                5 => 2,
                _ => 1,
            };
            PRIORITY_WORDS.store(words, Ordering::Relaxed);
            (PROCESSOR, timer, set_active, clear_active)
        }
        VirtualInterface::Mapped { control, timer, set_active, clear_active } => {
            CONTROL.store(control, Ordering::Relaxed);
            let count = (gich_read(gich::VTR) & 0x3f) as usize + 1;
            COUNT.store(count.min(Held::MAX), Ordering::Relaxed);
            (MAPPED, timer, set_active, clear_active)
        }
        // RISC-V's.
        VirtualInterface::Files { .. } => return,
    };
    TIMER.store(timer, Ordering::Relaxed);
    own.timer_active.set([set_active, clear_active]);
    KIND.store(kind, Ordering::Release);
    silence();
    // Whatever was there before: from here on list registers are clear while no guest is loaded.
    for n in 0..COUNT.load(Ordering::Relaxed) {
        put(n, &IrqSlot::default());
    }
}

/// Says whether interrupts can reach guests at all.
pub(super) fn exist() -> bool {
    KIND.load(Ordering::Acquire) != NOTHING
}

/// Switches the virtual interface off, so that it rings no more until somebody looked.
pub(super) fn silence() {
    set_control(0);
}

#[inline]
fn set_control(value: u64) {
    match KIND.load(Ordering::Relaxed) {
        // SAFETY: ICH_HCR_EL2 concerns guests only.
        PROCESSOR => unsafe { set!("S3_4_C12_C11_0", value) },
        MAPPED => gich_write(gich::HCR, value),
        _ => {}
    }
}

/// What a host interrupt that ended the guest's run is about.
pub(super) enum Claimed {
    /// The guests' virtual timer: this number was taken, its priority dropped, and it stays active.
    Timer(u32),
    /// Another one was taken: it is still to be handled.
    Other(u32),
    /// The guest was called out, and that is all.
    Call,
    /// None was taken: the vector will.
    Nothing,
}

/// Takes the interrupt that the processor's own interface (GICv3) hands out next. What it hands out can not
/// be known before: a more urgent one may come at any time.
#[inline]
pub(super) fn claim() -> Claimed {
    if !are_processors() {
        return Claimed::Nothing;
    }
    let taken = icc::acknowledge();
    if taken == TIMER.load(Ordering::Relaxed) {
        // SAFETY: drops the priority of what was just taken: ICC_EOIR1_EL1.
        unsafe { set!("S3_0_C12_C12_1", u64::from(taken)) };
        return Claimed::Timer(taken);
    }
    if icc::end_call(taken) {
        return Claimed::Call;
    }
    icc::is_one(taken).map_or(Claimed::Nothing, Claimed::Other)
}

/// Whether guests' interrupts are in the processor's own interface (GICv3), with the host's.
#[inline]
pub(super) fn are_processors() -> bool {
    KIND.load(Ordering::Relaxed) == PROCESSOR
}

/// This CPU's interrupt of the guests' virtual timer was left active for a guest: makes that so in the
/// hardware, or not so any more. `own` is this CPU's.
pub(super) fn set_timer_active(own: &PerCpu, active: bool) {
    let [set, clear] = own.timer_active.get();
    let address = if active { set } else { clear };
    if address != 0 {
        // SAFETY: `use_interface` was given the addresses of these mapped registers.
        unsafe { core::ptr::write_volatile(address as *mut u32, 1 << (TIMER.load(Ordering::Relaxed) & 31)) };
    }
}

/// What a virtual CPU's interface holds.
#[derive(Debug)]
pub(super) struct Lists {
    held: Held,
    /// Which slots were given to the hardware with something in them.
    used: u16,
    vmcr: u64,
    active: [[u64; 4]; 2],
}

impl Lists {
    pub(super) fn new() -> Self {
        // ICH_VMCR_EL2.VFIQEn is one where the guest's interface is the system registers.
        let vmcr = if KIND.load(Ordering::Relaxed) == PROCESSOR { 1 << 3 } else { 0 };
        Self { held: Held::new(COUNT.load(Ordering::Relaxed).max(1)), used: 0, vmcr, active: [[0; 4]; 2] }
    }

    /// Forgets everything.
    pub(super) fn reset(&mut self) {
        *self = Self::new();
    }

    /// Whether a hardware-linked interrupt is still in the guest's hands.
    pub(super) fn holds_link(&self) -> bool {
        self.given().any(|(_, slot)| slot.behind.is_some() && slot.state != SlotState::Empty)
    }

    /// Into the hardware.
    pub(super) fn load(&mut self) {
        match KIND.load(Ordering::Relaxed) {
            PROCESSOR => {
                // SAFETY: the virtual interface's registers concern guests only.
                unsafe { set!("S3_4_C12_C11_7", self.vmcr) }; // ICH_VMCR_EL2
                ap_registers::write(&self.active, PRIORITY_WORDS.load(Ordering::Relaxed));
            }
            MAPPED => {
                gich_write(gich::VMCR, self.vmcr);
                gich_write(gich::APR, self.active[0][0]);
            }
            _ => return,
        }
        // The others are clear: whoever was here before left them so.
        for (n, slot) in self.given() {
            if slot.state != SlotState::Empty {
                put(n, slot);
            }
        }
        self.switch_on();
    }

    /// Out of the hardware.
    pub(super) fn unload(&mut self) {
        self.look();
        match KIND.load(Ordering::Relaxed) {
            PROCESSOR => {
                self.vmcr = get!("S3_4_C12_C11_7");
                ap_registers::read(&mut self.active, PRIORITY_WORDS.load(Ordering::Relaxed));
            }
            MAPPED => {
                self.vmcr = gich_read(gich::VMCR);
                self.active[0][0] = gich_read(gich::APR);
            }
            _ => {}
        }
        silence();
        for (n, _) in self.given() {
            put(n, &IrqSlot::default());
        }
    }

    /// The slots that were given something, with their numbers.
    #[inline]
    fn given(&self) -> impl Iterator<Item = (usize, &IrqSlot)> {
        let mut used = u32::from(self.used);
        core::iter::from_fn(move || {
            let n = used.trailing_zeros() as usize;
            used &= used.wrapping_sub(1);
            self.held.slots.get(n).map(|slot| (n, slot))
        })
    }

    /// Whether the guest ended one, as it was last looked at, of which the port is to be told.
    pub(super) fn has_ended(&self) -> bool {
        self.held.overflow || self.given().any(|(_, slot)| slot.notify && slot.state == SlotState::Empty)
    }

    /// Whether a hardware-linked interrupt waits to be taken, as it was last looked at.
    pub(super) fn link_waits(&self) -> bool {
        self.given().any(|(_, slot)| slot.behind.is_some() && slot.state == SlotState::Pending)
    }

    /// Whether an interrupt waits that the guest's interface lets through, be it masked in the processor or
    /// not.
    pub(super) fn has_pending(&self, loaded: bool) -> bool {
        let vmcr = match KIND.load(Ordering::Relaxed) {
            PROCESSOR if loaded => get!("S3_4_C12_C11_7"),
            MAPPED if loaded => gich_read(gich::VMCR),
            _ => self.vmcr,
        };
        // VPMR and VMPriMask (of five bits) end at bit 31; VENG0 and VENG1 are the two lowest.
        let threshold = vmcr >> 24 & 0xff;
        self.given().any(|(n, slot)| {
            let state = if loaded { state_of(n) } else { slot.state };
            state == SlotState::Pending
                && u64::from(slot.priority) < threshold
                && vmcr >> u32::from(slot.group1) & 1 != 0
        })
    }

    /// What became of what was put into the list registers.
    pub(super) fn look(&mut self) {
        let mut used = self.used;
        while used != 0 {
            let n = used.trailing_zeros() as usize;
            used &= used - 1;
            if let Some(slot) = self.held.slots.get_mut(n) {
                slot.state = state_of(n);
            }
        }
    }

    /// Lets `port` see what [`Lists::look`] found, and takes what it has now. `rang` says that the interface
    /// rang, and is silent since. Says whether a hardware-linked interrupt is among what is new.
    #[inline]
    pub(super) fn exchange(&mut self, port: &dyn GuestPort, rang: bool) -> bool {
        let before = core::mem::take(&mut self.held.overflow);
        port.exchange(&mut self.held);
        let mut linked = false;
        let mut written = core::mem::take(&mut self.held.written);
        while written != 0 {
            let n = written.trailing_zeros() as usize;
            written &= written - 1;
            linked |= self.give(n);
        }
        if rang || before != self.held.overflow {
            self.switch_on();
        }
        linked
    }

    /// Writes what slot `n` holds into its list register, says whether that is a hardware-linked interrupt.
    /// One that is empty now is cleared, even if the guest emptied it: it would ring for ever if it was to
    /// notify.
    #[inline]
    fn give(&mut self, n: usize) -> bool {
        let Some(slot) = self.held.slots.get_mut(n).filter(|_| n < self.held.count) else { return false };
        if slot.state == SlotState::Empty {
            *slot = IrqSlot::default();
            self.used &= !(1 << n);
        } else {
            self.used |= 1 << n;
        }
        put(n, slot);
        slot.behind.is_some()
    }

    /// The same while they are not in the hardware.
    pub(super) fn exchange_aside(&mut self, port: &dyn GuestPort) {
        self.held.overflow = false;
        port.exchange(&mut self.held);
        self.held.written = 0;
        self.tidy();
    }

    /// Says which slots there is something in.
    fn tidy(&mut self) {
        self.used = 0;
        for (n, slot) in self.held.slots().iter_mut().enumerate() {
            if slot.state == SlotState::Empty {
                *slot = IrqSlot::default();
            } else {
                self.used |= 1 << n;
            }
        }
    }

    fn switch_on(&self) {
        set_control(if self.held.overflow { EN | UIE } else { EN });
    }

    /// Each interrupt that is held, and its state.
    pub(super) fn each(&self, mut tell: impl FnMut(&IrqSlot)) {
        self.held.slots.iter().filter(|slot| slot.state != SlotState::Empty).for_each(&mut tell);
    }
}

fn state_bits(state: SlotState) -> u64 {
    match state {
        SlotState::Empty => 0,
        SlotState::Pending => 1,
        SlotState::Active => 2,
        SlotState::PendingActive => 3,
    }
}

fn state_of(n: usize) -> SlotState {
    let bits = match KIND.load(Ordering::Relaxed) {
        PROCESSOR => list_registers::read(n) >> 62,
        _ => gich_read(gich::LR + 4 * n) >> 28 & 3,
    };
    match bits {
        0 => SlotState::Empty,
        1 => SlotState::Pending,
        2 => SlotState::Active,
        _ => SlotState::PendingActive,
    }
}

/// Writes list register `n`.
#[inline]
fn put(n: usize, slot: &IrqSlot) {
    let empty = slot.state == SlotState::Empty;
    if KIND.load(Ordering::Relaxed) == PROCESSOR {
        let link = match slot.behind {
            Some(irq) => 1 << 61 | u64::from(irq & 0x1fff) << 32,
            None => u64::from(slot.notify) << 41,
        };
        let value = state_bits(slot.state) << 62
            | link
            | u64::from(slot.group1) << 60
            | u64::from(slot.priority) << 48
            | u64::from(slot.id);
        list_registers::write(n, if empty { 0 } else { value });
    } else {
        let link = match slot.behind {
            Some(irq) => 1 << 31 | u64::from(irq & 0x3ff) << 10,
            None => {
                u64::from(slot.notify) << 19 | if slot.id < 16 { u64::from(slot.source & 7) << 10 } else { 0 }
            }
        };
        let value = state_bits(slot.state) << 28
            | link
            | u64::from(slot.group1) << 30
            | u64::from(slot.priority >> 3) << 23
            | u64::from(slot.id & 0x3ff);
        gich_write(gich::LR + 4 * n, if empty { 0 } else { value });
    }
}

/// ICH_LR0_EL2 to ICH_LR15_EL2.
mod list_registers {
    use super::{get, set};

    macro_rules! each {
        ($n:expr, $do:ident $(, $value:expr)?) => {
            match $n {
                0 => $do!("S3_4_C12_C12_0" $(, $value)?),
                1 => $do!("S3_4_C12_C12_1" $(, $value)?),
                2 => $do!("S3_4_C12_C12_2" $(, $value)?),
                3 => $do!("S3_4_C12_C12_3" $(, $value)?),
                4 => $do!("S3_4_C12_C12_4" $(, $value)?),
                5 => $do!("S3_4_C12_C12_5" $(, $value)?),
                6 => $do!("S3_4_C12_C12_6" $(, $value)?),
                7 => $do!("S3_4_C12_C12_7" $(, $value)?),
                8 => $do!("S3_4_C12_C13_0" $(, $value)?),
                9 => $do!("S3_4_C12_C13_1" $(, $value)?),
                10 => $do!("S3_4_C12_C13_2" $(, $value)?),
                11 => $do!("S3_4_C12_C13_3" $(, $value)?),
                12 => $do!("S3_4_C12_C13_4" $(, $value)?),
                13 => $do!("S3_4_C12_C13_5" $(, $value)?),
                14 => $do!("S3_4_C12_C13_6" $(, $value)?),
                _ => $do!("S3_4_C12_C13_7" $(, $value)?),
            }
        };
    }

    #[inline]
    pub(super) fn read(n: usize) -> u64 {
        each!(n, get)
    }

    #[inline]
    pub(super) fn write(n: usize, value: u64) {
        // SAFETY: list registers concern guests only; `n` is below their count.
        unsafe { each!(n, set, value) }
    }
}

/// `ICH_AP0R<n>_EL2` and `ICH_AP1R<n>_EL2`.
mod ap_registers {
    use super::{get, set};

    pub(super) fn read(to: &mut [[u64; 4]; 2], words: usize) {
        to[0][0] = get!("S3_4_C12_C8_0");
        to[1][0] = get!("S3_4_C12_C9_0");
        if words > 1 {
            to[0][1] = get!("S3_4_C12_C8_1");
            to[1][1] = get!("S3_4_C12_C9_1");
        }
        if words > 2 {
            to[0][2] = get!("S3_4_C12_C8_2");
            to[0][3] = get!("S3_4_C12_C8_3");
            to[1][2] = get!("S3_4_C12_C9_2");
            to[1][3] = get!("S3_4_C12_C9_3");
        }
    }

    pub(super) fn write(from: &[[u64; 4]; 2], words: usize) {
        // SAFETY: active priorities of guests; only those that exist are written.
        unsafe {
            set!("S3_4_C12_C8_0", from[0][0]);
            set!("S3_4_C12_C9_0", from[1][0]);
            if words > 1 {
                set!("S3_4_C12_C8_1", from[0][1]);
                set!("S3_4_C12_C9_1", from[1][1]);
            }
            if words > 2 {
                set!("S3_4_C12_C8_2", from[0][2]);
                set!("S3_4_C12_C8_3", from[0][3]);
                set!("S3_4_C12_C9_2", from[1][2]);
                set!("S3_4_C12_C9_3", from[1][3]);
            }
        }
        super::isb();
    }
}
