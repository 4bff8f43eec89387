//! Guests: their memory map, their CPUs, their interrupts.

use alloc::vec::Vec;
use core::fmt;

use addr::{Gpa, Hpa, Span};
use atomic::{Arc, AtomicU32, Ordering};

use crate::cpu::{Context, Cpu, CpuId, IrqsOff, Nanos};
use crate::exit::{Call, Exit, GuestFault, PowerOn, Read, Write};
use crate::memory::{MapError, Rights};
use crate::waits::Waits;

/// Memory for page tables. Implemented above, called below; from any context that may map.
pub trait TableFrames: Sync {
    /// 2^`order` zeroed frames, aligned to their size.
    fn take(&self, order: u8) -> Option<Hpa>;
    /// Gives them back.
    fn give(&self, table: Hpa, order: u8);
}

/// Why guests cannot run here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoVirt(pub &'static str);

/// The processor's ability to run guests.
pub trait Virt: Cpu + Context {
    /// A virtual CPU.
    type Vcpu: GuestCpu<Machine = Self>;
    /// A guest's memory map.
    type Space: GuestSpace;
    /// What stands at offset 56 of a flat Linux kernel that these guests can run (`image::linux`).
    const KERNEL_MAGIC: [u8; 4];
    /// Whether a guest's CPU can have a file of messages that it reaches by registers (RISC-V's Ssaia); if not, why.
    fn can_have_files() -> Result<(), NoVirt> {
        Err(NoVirt("the architecture has none"))
    }
    /// Sends a message to a file that is in hardware. From any CPU.
    fn post(_page: FilePage, _identity: u32) {}
    /// Prepares the asking CPU; each time that it comes up. The boot CPU is the first. The answer names registers in
    /// which guests see less of the processor from now on, since this CPU has less than those before it.
    ///
    /// # Errors
    /// It cannot run guests, or has less than guests were told that are there already.
    fn enable(masked: &IrqsOff<Self>) -> Result<Vec<&'static str>, NoVirt>;
    /// Names the hardware that hands interrupts to guests on the asking CPU, found by the interrupt
    /// controller's driver. Called on each CPU that comes up; by the boot CPU first, before the first virtual
    /// CPU is made.
    fn use_interface(masked: &IrqsOff<Self>, interface: VirtualInterface);
    /// Takes the registers of whichever virtual CPU is in the asking CPU's hardware out of it, if any is: so
    /// that its thread can go on on another CPU, or this CPU stop. Its timer, if it waits for it, is told to
    /// [`GuestPort::timer_leaves`]. No lock may be held that a [`GuestPort`] takes.
    fn evict(masked: &IrqsOff<Self>);
    /// Has another CPU, `cpu`, leave its guest, if it is in one or about to enter one: by an interrupt that does
    /// nothing else there, and of which nobody but the run loop learns ([`Exit::Called`](crate::Exit)). What it is
    /// to look at was stored before. `false` where there is no such interrupt; then any other one does.
    #[inline]
    fn call_out(_masked: &IrqsOff<Self>, _cpu: CpuId) -> bool {
        false
    }
    /// The guest's own timer rang on this CPU: host interrupt `irq` was claimed and its priority
    /// dropped, but it is still active. Says whether a virtual CPU took it; otherwise the caller
    /// deactivates it.
    ///
    /// Never called where the timer rings in the guest alone (RISC-V).
    fn guest_timer_rang(_masked: &IrqsOff<Self>, _irq: u32) -> bool {
        false
    }
    /// The hardware has something to say about the interrupts that it holds for the guest: the
    /// loaded virtual CPU's [`GuestPort`] is asked at the next entry.
    fn interface_rang(masked: &IrqsOff<Self>);
}

/// A page of registers to which messages for a virtual CPU are written while it has a file in the hardware.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FilePage(Hpa);

#[expect(unsafe_code, reason = "the contract says who guarantees what")]
impl FilePage {
    /// Where nobody listens: what is posted there is lost.
    pub const NOWHERE: Self = Self(Hpa::new(0));
    /// The page at `at`.
    ///
    /// # Safety
    /// A guest's interrupt file is there, and it is mapped for us as registers for good.
    pub const unsafe fn new(at: Hpa) -> Self {
        Self(at)
    }
    /// Where it is.
    pub const fn address(self) -> u64 {
        self.0.get()
    }
}

/// What a file of messages holds (AIA, 3.8). Bit n of word m is identity 64 m + n.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileImage {
    /// Whether it interrupts its CPU.
    pub delivers: bool,
    /// Identities from here on do not interrupt; 0 for all do.
    pub threshold: u32,
    /// What may come.
    pub enabled: [u64; 32],
    /// What has come.
    pub pending: [u64; 32],
}

impl FileImage {
    /// Nothing, and switched off.
    pub const EMPTY: Self = Self { delivers: false, threshold: 0, enabled: [0; 32], pending: [0; 32] };
}

/// A virtual CPU's file of messages, kept in software while the hardware has none for it. *Implemented above, called
/// below*, with interrupts masked.
pub trait MessageFile: Send + Sync {
    /// Where the guest sends its messages.
    fn page(&self) -> Gpa;
    /// The highest identity.
    fn highest(&self) -> u32;
    /// The hardware has the file from now on: `image` becomes what it held, and messages that come here are passed on
    /// to `page` ([`Virt::post`]).
    fn lend(&self, page: FilePage, image: &mut FileImage);
    /// No more: when the last message was passed on, and before another one is taken, `read` says what the hardware
    /// holds.
    fn take_back(&self, read: &mut dyn FnMut(&mut FileImage));
}

/// How the hardware hands interrupts to guests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VirtualInterface {
    /// Through registers of the processor (GICv3 ICH_*).
    Processor {
        /// The host interrupt of the guests' virtual timer: what hardware-linked slots must not leave
        /// active when their CPU goes.
        timer: u32,
        /// Where this CPU's banked set-active and clear-active registers are seen (GICR_ISACTIVER0 and
        /// GICR_ICACTIVER0 lie at these addresses).
        set_active: usize,
        /// The clear-active register's address.
        clear_active: usize,
    },
    /// Through mapped registers (GICv2 GICH), seen at this address.
    Mapped {
        /// Where GICH is seen.
        control: usize,
        /// As above: the virtual timer's interrupt.
        timer: u32,
        /// GICD_ISACTIVER0's address.
        set_active: usize,
        /// GICD_ICACTIVER0's address.
        clear_active: usize,
    },
    /// In files of messages that this CPU has for guests (IMSIC).
    Files {
        /// Where the page of the first one is; the others follow. They stay mapped for us.
        first: Hpa,
        /// How many pages there are.
        count: u32,
        /// The highest identity in them.
        highest: u32,
    },
}

/// A guest's memory map: guest-physical to host-physical.
#[expect(unsafe_code, reason = "the contract says who guarantees what")]
pub trait GuestSpace: Sized + Send + Sync {
    /// An empty one, over `bits` bits of guest-physical addresses (or as many as the hardware has).
    fn new(tables: &'static dyn TableFrames) -> Result<Self, MapError>;
    /// Adds a mapping, in the largest blocks that fit. Nothing is left behind on an error.
    ///
    /// # Safety
    /// The memory is untyped, and stays the caller's to lend until `unmap` returned.
    unsafe fn map(&self, guest: Gpa, host: Span<Hpa>, rights: Rights) -> Result<(), MapError>;
    /// Takes a mapping away; no CPU uses it any more when this returns.
    fn unmap(&self, guest: Span<Gpa>) -> Result<(), MapError>;
    /// What is at `guest`.
    fn translate(&self, guest: Gpa) -> Option<Hpa>;
    /// Bits of a guest-physical address.
    fn address_bits(&self) -> u32;
    /// Makes all CPUs forget what they remember of the guest's *own* translations: what it asks its firmware
    /// for where no instruction of its own reaches the other CPUs (RISC-V).
    fn forget(&self, _what: Stale) {}
}

/// What a guest wants forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stale {
    /// Instructions: memory was written that will be executed.
    Instructions,
    /// Translations of this many bytes from this guest-virtual address on, of one address space identifier
    /// or of all.
    Addresses {
        /// The first address.
        from: u64,
        /// Bytes; `u64::MAX` for everything.
        length: u64,
        /// ASID.
        space: Option<u16>,
    },
}

/// One interrupt that the hardware holds for a virtual CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IrqSlot {
    /// The number that the guest sees.
    pub id: u32,
    /// Its priority, 0 the most urgent.
    pub priority: u8,
    /// How far the guest is with it.
    pub state: SlotState,
    /// The host interrupt that the guest's "end" deactivates.
    pub behind: Option<u32>,
    /// Tell us when the guest ends it (a level that may still be high, or more waiting than fits).
    pub notify: bool,
    /// For software-generated interrupts of GICv2: the sending CPU's number.
    pub source: u8,
    /// Interrupt group 1 (as opposed to 0).
    pub group1: bool,
}

/// Where an interrupt is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SlotState {
    /// Nothing is held.
    #[default]
    Empty,
    /// The guest has not taken it yet.
    Pending,
    /// The guest works on it.
    Active,
    /// The guest works on it, and it came again.
    PendingActive,
}

/// The wires into a virtual CPU, on architectures where it has a few that carry levels instead of a list
/// of numbered interrupts (RISC-V `hvip`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wires {
    /// From the interrupt controller (VSEIP).
    pub external: bool,
    /// From other CPUs (VSSIP). The guest itself lowers it, and may raise it: what an exchange brings is
    /// what the guest left.
    pub software: bool,
}

/// All the interrupts that the hardware holds for one virtual CPU: numbered ones in slots, or wires.
#[derive(Debug)]
pub struct Held {
    /// The wires' levels; without meaning where there are slots.
    pub wires: Wires,
    /// As many as the hardware has.
    pub slots: [IrqSlot; Held::MAX],
    /// How many of them exist on this hardware; none where there are wires.
    pub count: usize,
    /// Ask to be called again as soon as a slot is free: more is waiting than fits.
    pub overflow: bool,
    /// Which slots an exchange wrote, a bit each; what the others hold is as it was. Who writes one sets its
    /// bit, who called takes the bits.
    pub written: u16,
}

impl Held {
    /// No hardware has more.
    pub const MAX: usize = 16;
    /// An empty set of `count` slots.
    pub const fn new(count: usize) -> Self {
        const EMPTY: IrqSlot = IrqSlot {
            id: 0,
            priority: 0,
            state: SlotState::Empty,
            behind: None,
            notify: false,
            source: 0,
            group1: false,
        };
        Self {
            wires: Wires { external: false, software: false },
            slots: [EMPTY; Held::MAX],
            count,
            overflow: false,
            written: 0,
        }
    }
    /// The slots that exist.
    pub fn slots(&mut self) -> &mut [IrqSlot] {
        let count = self.count.min(Self::MAX);
        self.slots.get_mut(..count).unwrap_or_default()
    }
}

/// What a virtual CPU is joined to. *Implemented above, called below*, with interrupts masked.
pub trait GuestPort: Send + Sync {
    /// What is not zero when anything changed since the last [`GuestPort::exchange`]; always the same one. It
    /// is looked at before each entry into the guest, so that the CPU keeps it at hand.
    fn stir(&self) -> &Arc<AtomicU32>;
    /// Whether anything changed.
    fn stirred(&self) -> bool {
        self.stir().load(Ordering::Acquire) != 0
    }
    /// `held` says what became of what the hardware was given; answer with what it should hold now.
    fn exchange(&self, held: &mut Held);
    /// The level of the CPU's own (virtual) timer, and the host interrupt behind it. [`GuestPort::wake`]
    /// follows if the CPU waits.
    fn timer_line(&self, level: bool, behind: Option<u32>);
    /// The CPU waits, and there is something for it now: its thread is to run.
    fn wake(&self) {}
    /// The CPU's registers leave the hardware while its timer is set, or the hardware does not watch it at
    /// all: wake it at `at`.
    fn timer_leaves(&self, at: Nanos);
}

/// What a virtual CPU tells its guest about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GuestProfile {
    /// The number of this CPU within its guest, from 0.
    pub index: u32,
    /// How many CPUs its guest has; with more than one, waiting for each other (WFE) lets others run.
    pub cpus: u32,
    /// The hardware id that the guest sees (MPIDR affinity on Arm, the hart id on RISC-V).
    pub hardware_id: u64,
    /// Whether the guest's interrupt controller is reached through registers of the CPU (GICv3, IMSIC).
    pub irq_registers: bool,
}

/// What a processor counts by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tally {
    /// Its clock's cycles.
    Cycles,
    /// Instructions that it retired.
    Instructions,
}

/// A virtual CPU. Its thread moves from CPU to CPU: before it does, the CPU that it leaves calls
/// [`Virt::evict`].
pub trait GuestCpu: Sized + Send {
    /// The architecture that it belongs to.
    type Machine: Cpu;
    /// One that is powered off, with registers as after reset.
    fn new(profile: GuestProfile, port: Arc<dyn GuestPort>) -> Option<Self>;
    /// Gives it its file of messages; before it runs. Where the hardware has files for guests, it is there while the
    /// CPU runs.
    fn set_file(&mut self, _file: Arc<dyn MessageFile>) {}
    /// Resets it, to begin at `from`.
    fn start(&mut self, from: PowerOn);
    /// Runs the guest until something is owed to it.
    fn enter(&mut self, space: &<Self::Machine as Virt>::Space, masked: &IrqsOff<Self::Machine>) -> Exit
    where
        Self::Machine: Virt;
    /// Answers a read; bits of the value beyond the width do not count.
    fn answer_read(&mut self, read: Read, value: Result<u64, GuestFault>);
    /// Answers a write.
    fn answer_write(&mut self, write: Write, done: Result<(), GuestFault>);
    /// The argument registers, X0 to X7 or a0 to a7, of the call that is owed an answer.
    fn arguments(&self) -> [u64; 8];
    /// Answers a call with the first `N` result registers; there are four on Arm, two on RISC-V. The others
    /// stay as they are.
    fn answer_call<const N: usize>(&mut self, call: Call, results: [u64; N]);
    /// Sets its own timer to ring when the guest's counter reaches `ticks`, in place of what was set before;
    /// never, with `u64::MAX`. For guests that ask their firmware for this (SBI TIME).
    fn set_timer(&mut self, _ticks: u64) {}
    /// Whether the guest can have counts of its own in place of the processor's ([`GuestCpu::set_tally`]).
    fn has_tallies(&self) -> bool {
        false
    }
    /// From now on the guest reads a count of its own: `from`, or what it last was, and what the processor counts while
    /// it has this virtual CPU, as long as the count `runs`. Until the first time, the guest reads the processor's.
    fn set_tally(&mut self, _tally: Tally, _from: Option<u64>, _runs: bool) {}
    /// The 64 bits at a virtual address of the guest's, read as its supervisor mode would, for a call whose
    /// arguments lie there (SBI 0.1). `None` when it could not: then the call that was owed an answer needs none any
    /// more, and the guest takes the fault at the instruction that called.
    fn read_virtual(&mut self, _space: &<Self::Machine as Virt>::Space, _at: u64) -> Option<u64>
    where
        Self::Machine: Virt,
    {
        self.inject(GuestFault::ExternalAbort);
        None
    }
    /// Makes an exception happen in the guest.
    fn inject(&mut self, fault: GuestFault);
    /// Lets the port see at once what became of the interrupts that the hardware holds, as at an entry.
    fn refresh(&mut self);
    /// When its own timer will ring, if nobody else watches it: `None` while the hardware does, which calls
    /// [`GuestPort::wake`].
    fn wakes_at(&self) -> Option<Nanos>;
    /// How long it waited without an [`Exit::Wait`](crate::Exit::Wait), since nobody else was ready on its CPU; always the
    /// same one.
    fn waits(&self) -> &Arc<Waits>;
    /// Whether its own timer's line is up or an interrupt waits in the hardware's hands, so that
    /// waiting would return at once.
    fn has_pending(&self) -> bool;
    /// Prints its registers.
    fn show(&self, out: &mut dyn fmt::Write) -> fmt::Result;
    /// The program counter, for a log line.
    fn pc(&self) -> u64;
}
