//! The processor itself: start-up, interrupts, time, threads.

use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;

/// A processor's number, dense from 0; never a hardware id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct CpuId(pub u32);

impl fmt::Display for CpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CPU{}", self.0)
    }
}

/// No processor's number is as high as this one. What is kept for each of them is made when it comes up, so a
/// high limit costs a pointer each. On the development machine every test is a processor.
pub const MAX_CPUS: usize = if cfg!(any(target_os = "none", miri)) { 256 } else { 4096 };

/// A point of time, or a length of it, in nanoseconds. Points count from power-on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Nanos(pub u64);

impl Nanos {
    /// `n` milliseconds.
    pub const fn from_millis(n: u64) -> Self {
        Self(n.saturating_mul(1_000_000))
    }
    /// The point `length` later, or the last one there is.
    pub const fn after(self, length: Nanos) -> Self {
        Self(self.0.saturating_add(length.0))
    }
    /// How long ago `earlier` was; nothing when it lies ahead.
    pub const fn since(self, earlier: Nanos) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

/// What the boot loader told us.
#[derive(Clone, Copy, Debug)]
pub struct StartInfo {
    /// The host's flattened device tree: readable, mapped, and at least as long as its header says.
    pub fdt: &'static [u8],
    /// Where the hypervisor's own image lies: first byte, and bytes including zeroed data and symbols.
    pub image: addr::Span<addr::Hpa>,
}

/// The first line on the console, and the way out.
pub trait Boot {
    /// Prints by polling, from the first instructions on; nothing when no console was found.
    fn early_print(text: &str);
    /// Hands the places that the running functions return to to `symbol`, at most `frames`.
    fn backtrace(frames: usize, symbol: &mut dyn FnMut(usize));
    /// The same, from the frame record at `frame`.
    fn backtrace_from(frame: usize, frames: usize, symbol: &mut dyn FnMut(usize));
    /// The symbol table of this image, as the build appended it; empty when there is none.
    fn symbols() -> &'static [u8];
    /// The first address of our own image; what the offsets in [`Boot::symbols`] count from.
    fn image_base() -> usize;
    /// A line about the processor for `host cpu info`.
    fn describe(out: &mut dyn fmt::Write) -> fmt::Result;
    /// Whether an extension, by its name in the device tree, was found missing: the firmware keeps it, or it is not there.
    /// Nobody may use it, whatever the tree says.
    fn lacks(_extension: &str) -> bool {
        false
    }
    /// Calls the machine's firmware with the argument registers in their order (X0 to X7 over SMC on Arm,
    /// a0 to a7 over ECALL on RISC-V), and says what the first ones hold then; `None` where there is none.
    fn call_firmware(arguments: [u64; 8]) -> Option<[u64; 4]>;
    /// Resets the machine at once, by the means that need no driver; returns where there are none.
    fn reset_now();
}

/// One processor's state of interrupts and identity.
#[expect(unsafe_code, reason = "the contract says who guarantees what")]
pub trait Cpu: Sized + 'static {
    /// Masks interrupts on this CPU and says whether they were on.
    fn mask_irqs() -> bool;
    /// Unmasks them.
    ///
    /// # Safety
    /// No [`IrqsOff`] of this CPU may be alive, nor anything else that relies on masked interrupts.
    unsafe fn unmask_irqs();
    /// Called with interrupts on: those that were pending have been taken when it returns.
    fn take_pending() {}
    /// This CPU's count of living [`IrqsOff`] and of preemption guards.
    fn nesting(masked: &IrqsOff<Self>) -> &'static Nesting;
    /// The same counters without a proof, for the count of preemption guards alone: a thread that is
    /// interrupted in the middle of a step finds that count as it left it, on the CPU where it was,
    /// since threads move to another CPU only where they gave the processor up by themselves.
    fn nesting_here() -> &'static Nesting {
        Self::nesting(&IrqsOff::now())
    }
    /// Sleeps until an interrupt is pending and returns with interrupts still masked.
    fn wait(masked: &IrqsOff<Self>);
    /// A hint for loops that spin.
    #[inline(always)]
    fn relax() {
        core::hint::spin_loop();
    }
    /// The number of the CPU that asks; it stays true while interrupts are masked.
    fn id(masked: &IrqsOff<Self>) -> CpuId;
    /// Stops this CPU for good.
    fn halt() -> !;
    /// Names the function that is called, with interrupts masked, for every host interrupt.
    fn on_interrupt(entry: IrqEntry<Self>);
}

/// What the vector of host interrupts calls.
pub type IrqEntry<C> = fn(&IrqsOff<C>);

/// In [`Nesting`]: interrupts were on before the first guard.
const WERE_ON: u32 = 1;
/// In [`Nesting`]: a guard.
const GUARD: u32 = 2;

/// Counters of one CPU. Only that CPU touches them, with interrupts masked.
#[derive(Debug, Default)]
pub struct Nesting {
    /// Twice the count of living [`IrqsOff`]; the lowest bit says that interrupts were on before the first. Both in
    /// one word, since every lock that masks interrupts comes here.
    irqs: Cell<u32>,
    preempt_off: Cell<u32>,
    resched: Cell<bool>,
    others_ready: Cell<bool>,
}

impl Nesting {
    /// A CPU on which nothing is masked by a guard yet.
    pub const fn new() -> Self {
        Self {
            irqs: Cell::new(0),
            preempt_off: Cell::new(0),
            resched: Cell::new(false),
            others_ready: Cell::new(true),
        }
    }
    /// As on a CPU that begins (again).
    pub fn restart(&self) {
        self.irqs.set(0);
        self.preempt_off.set(0);
        self.resched.set(false);
        self.others_ready.set(true);
    }
    /// Living [`IrqsOff`] guards.
    pub fn irqs_off(&self) -> u32 {
        self.irqs.get() / GUARD
    }
    /// Whether interrupts come back with the last [`IrqsOff`]; not in an interrupt, where leaving the
    /// vector brings them back.
    pub fn were_on(&self) -> bool {
        self.irqs.get() & WERE_ON != 0
    }
    /// Exchanges the count and "were interrupts on before the first" with those of another thread, at a
    /// switch between the two: the guards belong to the thread, the counter to the CPU.
    pub fn exchange(&self, count: u32, were_on: bool) -> (u32, bool) {
        let before = self.irqs.replace(count * GUARD + u32::from(were_on));
        (before / GUARD, before & WERE_ON != 0)
    }
    /// Guards against preemption that are alive.
    pub fn preempt_off(&self) -> &Cell<u32> {
        &self.preempt_off
    }
    /// Whether anybody else is ready to run on this CPU, be it less urgent than who runs. While nobody is, a
    /// guest that waits keeps the processor waiting instead of giving it up; [`Waits`](crate::Waits) has the time.
    pub fn others_ready(&self) -> &Cell<bool> {
        &self.others_ready
    }
    /// Whether a switch of threads was asked for and not done yet.
    pub fn resched(&self) -> &Cell<bool> {
        &self.resched
    }
}

/// The proof that interrupts are masked on this CPU, and what keeps them so.
///
/// Guards are counted per CPU, so two of them may be dropped in any order: interrupts come back with
/// the last. (A guard that only remembers what it found would unmask them while the other still lives.)
pub struct IrqsOff<C: Cpu>(PhantomData<(*const (), C)>);

impl<C: Cpu> IrqsOff<C> {
    /// Masks interrupts.
    #[inline(always)]
    pub fn now() -> Self {
        let were_on = C::mask_irqs();
        let guard = Self(PhantomData);
        let nesting = C::nesting(&guard);
        // While there is another guard, they were not on.
        nesting.irqs.set((nesting.irqs.get() + GUARD) | u32::from(were_on));
        guard
    }

    /// The proof for code which an interrupt vector entered: hardware masked interrupts, and they come
    /// back by leaving the vector, not by dropping this.
    #[inline(always)]
    pub fn in_vector<R>(body: impl FnOnce(&Self) -> R) -> R {
        // Not dropped: leaving the vector unmasks, not this.
        let guard = core::mem::ManuallyDrop::new(Self(PhantomData));
        let nesting = C::nesting(&guard);
        nesting.irqs.set((nesting.irqs.get() & !WERE_ON) + GUARD);
        let result = body(&guard);
        // The same CPU or, after a switch inside, the one this thread now runs on.
        let nesting = C::nesting(&guard);
        nesting.irqs.set(nesting.irqs.get() - GUARD);
        result
    }

    /// Does what a vector would do, in a thread that keeps interrupts masked: for an interrupt that was taken
    /// without going through the vector. As there, a switch of threads inside is fine if this is the only
    /// guard.
    #[inline]
    pub fn as_in_vector<R>(&self, body: impl FnOnce(&Self) -> R) -> R {
        let nesting = C::nesting(self);
        let were_on = nesting.irqs.get() & WERE_ON;
        nesting.irqs.set(nesting.irqs.get() & !WERE_ON);
        let result = body(self);
        // After a switch inside this may be another CPU.
        let nesting = C::nesting(self);
        nesting.irqs.set(nesting.irqs.get() | were_on);
        result
    }
}

impl<C: Cpu> Drop for IrqsOff<C> {
    #[inline(always)]
    fn drop(&mut self) {
        let nesting = C::nesting(self);
        let irqs = nesting.irqs.get();
        if irqs == GUARD | WERE_ON {
            nesting.irqs.set(0);
            restore::<C>();
        } else {
            nesting.irqs.set(irqs - GUARD);
        }
    }
}

/// Unmasks interrupts after the last guard went.
#[inline(always)]
#[expect(unsafe_code, reason = "the one place where the count of guards reaches zero")]
fn restore<C: Cpu>() {
    // SAFETY: called by the drop of the last `IrqsOff` only, so none is alive.
    unsafe { C::unmask_irqs() }
}

/// Interrupt controllers that are part of the processor (GICv3 system registers, x2APIC, RISC-V's `sie`
/// and IMSIC), so that their drivers stay free of `unsafe`. Architectures without any answer `None` and
/// do nothing.
///
/// Numbers 0 to 15 are the inter-processor interrupts; what the others mean is the architecture's
/// (`isa_gic`, `isa_rv::local`).
pub trait LocalIrqs: Cpu {
    /// The inter-processor interrupt that the processor's part uses itself (`Virt::call_out`), and that
    /// [`LocalIrqs::claim`] therefore never returns; the controller's driver lets it come. `None` if there is none.
    const CALL: Option<u8> = None;
    /// Switches the processor's interface on; `false` when it has none.
    fn enable(masked: &IrqsOff<Self>) -> bool;
    /// Lets an interrupt come to the asking CPU, or come no more. Nothing to do where registers in memory
    /// do this (the GIC's).
    fn set_enabled(_masked: &IrqsOff<Self>, _irq: u32, _on: bool) {}
    /// From now on messages of devices come to the asking CPU by its own file of interrupts (IMSIC), which
    /// has identities up to `highest`. The highest one is for [`LocalIrqs::send`], which writes it to the file's page,
    /// mapped at `page` for good.
    fn take_messages(_masked: &IrqsOff<Self>, _highest: u32, _page: usize) {}
    /// [`LocalIrqs::send`] interrupts the asking CPU from now on by storing 1 to the register that is mapped at
    /// `register` for good (ACLINT SSWI), unless the CPU takes messages. No other value is ever stored there.
    fn take_stores(_masked: &IrqsOff<Self>, _register: usize) {}
    /// By what the asking CPU is interrupted by others; for people.
    fn ipis(_masked: &IrqsOff<Self>) -> &'static str {
        "interrupt controller"
    }
    /// Takes the most urgent pending interrupt; `None` when there is none.
    fn claim(masked: &IrqsOff<Self>) -> Option<u32>;
    /// Lets lower priorities come again. The interrupt stays active until [`LocalIrqs::deactivate`].
    fn drop_priority(masked: &IrqsOff<Self>, irq: u32);
    /// Ends the interrupt.
    fn deactivate(masked: &IrqsOff<Self>, irq: u32);
    /// Sends inter-processor interrupt `number` (0 to 15) to a CPU. What was stored before is seen by who takes it.
    fn send(masked: &IrqsOff<Self>, cpu: CpuId, number: u8);
    /// The asking CPU's hardware id (MPIDR affinity fields on Arm, the hart id on RISC-V).
    fn hardware_id(masked: &IrqsOff<Self>) -> u64;
}

/// Where another processor begins: what the firmware is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuStart {
    /// The processor's number from now on.
    pub cpu: CpuId,
    /// The physical address of its first instruction, with the MMU off.
    pub entry: addr::Hpa,
    /// What its first argument register shall hold (PSCI's context id, SBI's opaque). Where the firmware hands
    /// nothing on (spin tables), zero does: the code at `entry` then finds its own block by hardware id.
    pub argument: u64,
}

/// Processors other than the one that started. They are numbered in the order in which they are first
/// prepared; the boot processor is [`CpuId`] 0.
///
/// What is switched on for one processor is switched on for each by itself, on itself, in this order:
/// [`LocalIrqs::enable`] (by the interrupt controller's driver), [`Virt::use_interface`](crate::Virt),
/// [`Virt::enable`](crate::Virt).
#[expect(unsafe_code, reason = "the contract says who guarantees what")]
pub trait Processors: Cpu {
    /// Makes the private block of a processor, or takes the one that it had before, and says where the
    /// processor is to begin. It comes with our address space, caches and vectors on, interrupts masked and
    /// no guard counted, and calls `main` on `stack_top`. `None` when there is no memory for the block, or
    /// there are [`MAX_CPUS`] already.
    ///
    /// What it looks at before its caches are on is in memory when this returns.
    ///
    /// # Safety
    /// `stack_top` is the end of memory, 16-byte aligned, that nothing else uses until the processor stopped
    /// for good; the processor with `hardware_id` does not run our code.
    unsafe fn prepare_cpu(
        hardware_id: u64,
        stack_top: *mut u8,
        main: extern "C" fn() -> !,
    ) -> Option<CpuStart>;
    /// The hardware id of a processor (MPIDR's affinity fields on Arm); `None` when it was never prepared.
    fn hardware_id_of(cpu: CpuId) -> Option<u64>;
    /// Whether `cpu` belongs to the machine that asks. Tests on the development machine are machines of their own.
    fn is_of_this_machine(_cpu: CpuId) -> bool {
        true
    }
    /// Signals processors that wait for an event (SEV on Arm), after a change in memory that they look at
    /// with their caches off.
    fn signal_waiting() {}
}

/// Time.
pub trait Clock: Cpu {
    /// Nanoseconds since power-on; the same on all CPUs, and never less than before.
    fn now() -> Nanos;
    /// Asks for one interrupt on this CPU at or after `at`, in place of what was asked before; for none
    /// with `None`.
    fn alarm(masked: &IrqsOff<Self>, at: Option<Nanos>);
    /// Ticks per second of the counter behind [`Clock::now`].
    fn frequency() -> u64;
    /// The counter behind [`Clock::now`], as guests read it.
    fn ticks() -> u64;
    /// The point at which [`Clock::ticks`] reaches `ticks`, rounded down; the last one there is where it lies
    /// behind that.
    fn time_of(ticks: u64) -> Nanos;
}

/// Threads.
#[expect(unsafe_code, reason = "the contract says who guarantees what")]
pub trait Context: Cpu {
    /// What is kept of a thread that does not run.
    type Saved: Send;
    /// What a thread that was never run starts from. `entry(argument)` is called on `stack_top` with
    /// interrupts masked and one guard counted, and must not return.
    ///
    /// # Safety
    /// `stack_top` is the end of memory, 16-byte aligned, that nothing else uses while the thread lives.
    unsafe fn prepare(
        stack_top: *mut u8,
        entry: extern "C-unwind" fn(usize) -> !,
        argument: usize,
    ) -> Self::Saved;
    /// Leaves the running thread in `from` and goes on with `to`. Returns when somebody switches back.
    ///
    /// # Safety
    /// Both point to valid values that nobody else touches; `to` was prepared, or left by a switch.
    unsafe fn switch(from: *mut Self::Saved, to: *mut Self::Saved, masked: &IrqsOff<Self>);
}
