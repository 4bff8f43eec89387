//! The development machine keeps the contract.

use std::sync::{Arc as StdArc, Mutex};

use addr::{Gpa, Hpa, Span};
use arch_api::{
    Clock, Conduit, Context, Cpu, Exit, GuestCpu, GuestFault, GuestPort, GuestProfile, GuestSpace, Held,
    HostPaging, IrqSlot, IrqsOff, Kind, LocalIrqs, MapError, Mmio, Nanos, Place, PowerOn, Rights, SlotState,
    TableFrames, Untyped, Width,
};
use arch_hosted::script::{self, Event, Step};
use arch_hosted::{ALARM_IRQ, Hosted, HostedSpace, ScriptedVcpu, irq, registers, time};
use atomic::{Arc, AtomicBool, AtomicU32, Ordering};

struct NoTables;
impl TableFrames for NoTables {
    fn take(&self, _: u8) -> Option<Hpa> {
        None
    }
    fn give(&self, _: Hpa, _: u8) {}
}

std::thread_local! {
    static TAKEN: std::cell::RefCell<Vec<(u32, Nanos)>> = const { std::cell::RefCell::new(Vec::new()) };
}

fn entry(masked: &IrqsOff<Hosted>) {
    while let Some(irq) = Hosted::claim(masked) {
        TAKEN.with_borrow_mut(|taken| taken.push((irq, Hosted::now())));
        if irq == ALARM_IRQ {
            Hosted::alarm(masked, None);
        }
        Hosted::drop_priority(masked, irq);
        Hosted::deactivate(masked, irq);
    }
}

fn taken() -> Vec<u32> {
    TAKEN.take().into_iter().map(|(irq, _)| irq).collect()
}

#[test]
fn what_a_thread_does_as_in_a_vector_is_over_before_interrupts_come_back() {
    Hosted::on_interrupt(entry);
    let masked = IrqsOff::<Hosted>::now();
    let nesting = Hosted::nesting(&masked);
    assert!(nesting.were_on());
    masked.as_in_vector(|masked| {
        assert_eq!(
            (nesting.irqs_off(), nesting.were_on()),
            (1, false),
            "the end of a vector brings them back"
        );
        irq::raise(40);
        entry(masked);
        irq::raise(41);
    });
    assert_eq!((nesting.irqs_off(), nesting.were_on()), (1, true));
    assert_eq!(taken(), [40]);
    drop(masked);
    assert_eq!(taken(), [41]);
}

#[test]
fn two_guards_dropped_out_of_order_keep_interrupts_masked_until_the_last_goes() {
    Hosted::on_interrupt(entry);
    let first = IrqsOff::<Hosted>::now();
    let second = IrqsOff::<Hosted>::now();
    irq::raise(40);
    drop(first);
    assert!(taken().is_empty());
    drop(second);
    assert_eq!(taken(), [40]);
}

#[test]
fn interrupts_come_in_the_order_of_their_numbers_when_they_are_unmasked() {
    Hosted::on_interrupt(entry);
    let masked = IrqsOff::<Hosted>::now();
    irq::raise(41);
    irq::raise(33);
    Hosted::send(&masked, Hosted::id(&masked), 3);
    drop(masked);
    assert_eq!(taken(), [3, 33, 41]);
}

#[test]
fn waiting_moves_virtual_time_to_the_alarm() {
    Hosted::on_interrupt(entry);
    let masked = IrqsOff::<Hosted>::now();
    Hosted::alarm(&masked, Some(Nanos::from_millis(70)));
    Hosted::wait(&masked);
    assert_eq!(Hosted::now(), Nanos::from_millis(70));
    drop(masked);
    assert_eq!(taken(), [ALARM_IRQ]);
}

#[test]
fn an_alarm_rings_at_its_time_while_others_compute() {
    Hosted::on_interrupt(entry);
    Hosted::alarm(&IrqsOff::now(), Some(Nanos::from_millis(5)));
    time::advance(Nanos::from_millis(100));
    assert_eq!(TAKEN.take(), [(ALARM_IRQ, Nanos::from_millis(5))]);
    assert_eq!(Hosted::now(), Nanos::from_millis(101));
}

#[test]
fn another_processor_ends_a_wait() {
    Hosted::on_interrupt(entry);
    let me = irq::this_cpu();
    let other = std::thread::spawn(move || irq::raise_on(me, 50));
    let masked = IrqsOff::<Hosted>::now();
    Hosted::wait(&masked);
    drop(masked);
    assert_eq!(taken(), [50]);
    other.join().unwrap();
}

type Saved = <Hosted as Context>::Saved;
static SAVED: Mutex<(Option<usize>, Vec<usize>)> = Mutex::new((None, Vec::new()));

#[expect(unsafe_code, reason = "switches by hand")]
extern "C-unwind" fn other_thread(argument: usize) -> ! {
    loop {
        let both = SAVED.lock().unwrap().0.unwrap() as *mut [Saved; 2];
        SAVED.lock().unwrap().1.push(argument);
        // SAFETY: the test keeps the pair alive, and waits meanwhile.
        unsafe {
            let masked = std::mem::ManuallyDrop::new(IrqsOff::<Hosted>::now());
            Hosted::switch(&raw mut (*both)[1], &raw mut (*both)[0], &masked);
        }
    }
}

#[test]
#[expect(unsafe_code, reason = "switches by hand")]
fn a_prepared_thread_runs_with_its_argument_each_time_it_is_switched_to() {
    let both = Box::leak(Box::new([Saved::default(), Saved::default()]));
    // SAFETY: this machine has no need of the stack.
    both[1] = unsafe { Hosted::prepare(core::ptr::null_mut(), other_thread, 77) };
    let at: *mut [Saved; 2] = both;
    SAVED.lock().unwrap().0 = Some(at.expose_provenance());
    let masked = IrqsOff::<Hosted>::now();
    for _ in 0..3 {
        // SAFETY: the pair lives for ever, and one thread at a time runs.
        unsafe { Hosted::switch(&raw mut (*at)[0], &raw mut (*at)[1], &masked) };
    }
    assert_eq!(SAVED.lock().unwrap().1, [77, 77, 77]);
}

fn span(base: u64, length: u64) -> Span<Hpa> {
    Span::<Hpa>::new(Hpa::new(base), length).unwrap()
}

#[test]
#[expect(unsafe_code, reason = "maps by hand")]
fn a_mapping_is_exclusive_until_it_is_unmapped() {
    let bank = Hosted::memory(0x4000);
    assert!(bank.base().is_aligned(2 << 20));
    // SAFETY: the bank is this test's own.
    unsafe {
        let at = Hosted::map(bank, Kind::Registers).unwrap();
        let inside = span(bank.base().get() + 0x1000, 0x1000);
        assert_eq!(Hosted::map(inside, Kind::Registers), Err(MapError::AlreadyMapped));
        assert_eq!(Hosted::map(span(bank.base().get() + 1, 0x1000), Kind::Dma), Err(MapError::Misaligned));
        assert_eq!(Hosted::mappings_in(bank), 1);
        Hosted::unmap(at, 0x4000).unwrap();
        assert_eq!(Hosted::unmap(at, 0x4000), Err(MapError::OutOfRange));
        Hosted::map(inside, Kind::Registers).unwrap();
    }
}

struct Recorder(Vec<(u64, u64)>);
impl registers::Registers for Recorder {
    fn read(&mut self, offset: u64, width: Width) -> u64 {
        offset << 8 | width.bytes()
    }
    fn write(&mut self, offset: u64, _: Width, value: u64) {
        self.0.push((offset, value));
    }
}

#[test]
#[expect(unsafe_code, reason = "reads registers by hand")]
fn a_device_that_a_test_plays_answers_its_driver() {
    let device = StdArc::new(Mutex::new(Recorder(Vec::new())));
    registers::install(Hpa::new(0x900_0000), 0x2000, device.clone());
    // SAFETY: nothing else is at this address of this test's machine.
    unsafe {
        let at = Hosted::map(span(0x900_1000, 0x1000), Kind::Registers).unwrap();
        assert_eq!(Hosted::read32(at.add(0x18)), 0x101804);
        Hosted::write8(at.add(4), 9);
    }
    assert_eq!(device.lock().unwrap().0, [(0x1004, 9)]);
}

#[test]
#[expect(unsafe_code, reason = "copies by hand")]
fn untyped_memory_is_copied_zeroed_loaded_and_stored() {
    let at = Hosted::address_of(Hosted::memory(0x1000).base());
    let mut out = [0; 5];
    // SAFETY: the page is this test's own.
    unsafe {
        Hosted::copy_in(at.add(3), &[1, 2, 3, 4, 5]);
        Hosted::copy_out(at.add(3), &mut out);
        assert_eq!(Hosted::load(at.add(4), Width::B4), 0x0504_0302);
        Hosted::store(at.add(4), Width::B2, 0xffff_1234);
        assert_eq!(Hosted::load(at, Width::B8), 0x0504_1234_0100_0000);
        Hosted::zero(at, 0x1000);
        assert_eq!(Hosted::load(at, Width::B8), 0);
    }
    assert_eq!(out, [1, 2, 3, 4, 5]);
}

#[test]
#[expect(unsafe_code, reason = "maps by hand")]
fn a_space_translates_refuses_overlaps_and_unmaps_in_the_middle() {
    let space = HostedSpace::new(&NoTables).unwrap();
    // SAFETY: nobody runs in this space.
    let map = |at, host, length| unsafe { space.map(Gpa::new(at), span(host, length), Rights::Memory) };
    map(0x4000_0000, 0x8000_0000, 0x10000).unwrap();
    assert_eq!(map(0x4000_f000, 0, 0x2000), Err(MapError::AlreadyMapped));
    assert_eq!(map(0x3fff_f000, 0, 0x2000), Err(MapError::AlreadyMapped));
    assert_eq!(map(1 << 40, 0, 0x1000), Err(MapError::OutOfRange));
    assert_eq!(map(0x800, 0, 0x1000), Err(MapError::Misaligned));
    space.unmap(Span::<Gpa>::new(Gpa::new(0x4000_4000), 0x1000).unwrap()).unwrap();
    let at = |at| space.translate(Gpa::new(at)).map(Hpa::get);
    assert_eq!(at(0x4000_3fff), Some(0x8000_3fff));
    assert_eq!(at(0x4000_4000), None);
    assert_eq!(at(0x4000_5008), Some(0x8000_5008));
    assert_eq!(at(0x4001_0000), None);
    map(0x4000_4000, 0x9000_0000, 0x1000).unwrap();
    assert_eq!(at(0x4000_4010), Some(0x9000_0010));
}

/// A port that offers one interrupt until it was taken.
#[derive(Default)]
struct OneIrq {
    stir: Arc<AtomicU32>,
    line: AtomicBool,
}
impl GuestPort for OneIrq {
    fn stir(&self) -> &Arc<AtomicU32> {
        &self.stir
    }
    fn exchange(&self, held: &mut Held) {
        self.stir.store(0, Ordering::Release);
        held.slots()[0] = IrqSlot { id: 33, state: SlotState::Pending, notify: true, ..IrqSlot::default() };
    }
    fn timer_line(&self, level: bool, _: Option<u32>) {
        self.line.store(level, Ordering::Release);
    }
    fn timer_leaves(&self, _: Nanos) {}
}

fn vcpu(port: Arc<OneIrq>) -> (ScriptedVcpu, script::Program) {
    let program = script::of_vcpu(0);
    let mut cpu =
        ScriptedVcpu::new(GuestProfile { index: 0, hardware_id: 0, irq_registers: false, cpus: 1 }, port)
            .unwrap();
    cpu.start(PowerOn { entry: Gpa::new(0x4000_0000), argument: 0 });
    program.take_events();
    (cpu, program)
}

#[test]
#[expect(unsafe_code, reason = "maps by hand")]
fn a_scripted_guest_exits_for_what_is_not_mapped_and_records_the_answers() {
    let (mut cpu, program) = vcpu(Arc::default());
    let space = HostedSpace::new(&NoTables).unwrap();
    let ram = Hosted::memory(0x1000);
    // SAFETY: the memory is untyped and lives for ever.
    unsafe { space.map(Gpa::new(0x4000_0000), ram, Rights::Memory).unwrap() };
    program.then(Step::store(0x4000_0010, Width::B4, 42)).then(Step::load(0x4000_0010, Width::B4));
    program.then(Step::load(0x900_0018, Width::B4)).then(Step::store(0x900_0000, Width::B1, 0x141));
    program
        .then(Step::hvc([0x8400_0000, 1, 2, 3]))
        .then(Step::Fault(GuestFault::Undefined))
        .then(Step::Yield);
    let masked = IrqsOff::<Hosted>::now();

    let Exit::Read(read) = cpu.enter(&space, &masked) else { panic!("no read") };
    assert_eq!((read.place, read.width), (Place::Memory(Gpa::new(0x900_0018)), Width::B4));
    assert_eq!(program.take_events(), [Event::Wrote(Ok(())), Event::Read(Ok(42))]);
    cpu.answer_read(read, Ok(0x1_0000_0090));
    let Exit::Write(write) = cpu.enter(&space, &masked) else { panic!("no write") };
    assert_eq!(write.value, 0x41);
    cpu.answer_write(write, Err(GuestFault::ExternalAbort));
    let Exit::Call(call) = cpu.enter(&space, &masked) else { panic!("no call") };
    assert_eq!((call.conduit, call.function), (Conduit::Hypervisor, 0x8400_0000));
    assert_eq!(cpu.arguments(), [0x8400_0000, 1, 2, 3, 0, 0, 0, 0]);
    cpu.answer_call(call, [0x1_0001]);
    assert!(matches!(cpu.enter(&space, &masked), Exit::Fault(GuestFault::Undefined)));
    cpu.inject(GuestFault::Undefined);
    assert!(matches!(cpu.enter(&space, &masked), Exit::Yield));
    assert!(matches!(cpu.enter(&space, &masked), Exit::Wait));
    assert!(program.is_done());
    assert_eq!(
        program.take_events(),
        [
            Event::Read(Ok(0x90)),
            Event::Wrote(Err(GuestFault::ExternalAbort)),
            Event::Called(1, [0x1_0001, 0, 0, 0]),
            Event::Injected(GuestFault::Undefined),
        ]
    );
}

#[test]
fn a_scripted_guest_takes_and_ends_interrupts_and_sees_its_timer() {
    let port = Arc::new(OneIrq::default());
    let (mut cpu, program) = vcpu(port.clone());
    let space = HostedSpace::new(&NoTables).unwrap();
    program.then(Step::Wait).then(Step::Acknowledge).then(Step::Acknowledge).then(Step::End(33));
    program.then(Step::SetTimer(Some(Nanos::from_millis(9)))).then(Step::Compute(Nanos::from_millis(10)));
    program.then(Step::Yield);
    let masked = IrqsOff::<Hosted>::now();
    assert!(matches!(cpu.enter(&space, &masked), Exit::Wait));
    port.stir.store(1, Ordering::Release);
    assert!(matches!(cpu.enter(&space, &masked), Exit::Yield));
    assert_eq!(program.take_events(), [Event::Acknowledged(Some(33)), Event::Acknowledged(None)]);
    // Ending it asked the port again, since it had asked to be told.
    assert!(cpu.has_pending());
    assert!(port.line.load(Ordering::Acquire));
    assert_eq!(cpu.wakes_at(), Some(Nanos::from_millis(9)));
}

#[test]
fn a_pending_host_interrupt_ends_the_guests_turn() {
    Hosted::on_interrupt(entry);
    let (mut cpu, program) = vcpu(Arc::default());
    let space = HostedSpace::new(&NoTables).unwrap();
    program.then(Step::Compute(Nanos::from_millis(10))).then(Step::Yield);
    let masked = IrqsOff::<Hosted>::now();
    Hosted::alarm(&masked, Some(Nanos::from_millis(4)));
    assert!(matches!(cpu.enter(&space, &masked), Exit::Host));
    assert_eq!(Hosted::now(), Nanos::from_millis(4));
    drop(masked);
    assert_eq!(taken(), [ALARM_IRQ]);
    assert!(matches!(cpu.enter(&space, &IrqsOff::now()), Exit::Yield));
    assert_eq!(Hosted::now(), Nanos::from_millis(11));
}

#[test]
#[should_panic(expected = "its last exit not answered")]
fn an_exit_that_is_not_answered_is_noticed() {
    let (mut cpu, program) = vcpu(Arc::default());
    let space = HostedSpace::new(&NoTables).unwrap();
    program.then(Step::load(0, Width::B4));
    let masked = IrqsOff::<Hosted>::now();
    let _ = cpu.enter(&space, &masked);
    let _ = cpu.enter(&space, &masked);
}
