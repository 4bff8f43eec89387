//! The run loop on the development machine: scripted CPUs, and what they were answered.

mod sbi;

use std::string::String;
use std::sync::Mutex;
use std::vec::Vec;

use addr::{Gpa, Span};
use arch::{
    Conduit, Cpu as _, GuestCpu, GuestFault, GuestPort, GuestProfile, Held, Nanos, Place, PowerOn,
    RegisterId, Width,
};
use arch_hosted::script::{self, Event, Program, Step};
use atomic::{Arc, AtomicU32, AtomicU64, Ordering};
use host_log::Limiter;
use vio::serial::Serial;
use vm_bus::{Access, Bus, Device, Refused, share};
use vm_memory::fake::Memory;

use crate::{Asked, Buses, CpuState, Mailbox, PowerError, PowerRequest, Runner, Siblings, Stop};

/// Has nothing to say, and counts exchanges.
struct Quiet(Arc<AtomicU64>, Arc<AtomicU32>);
impl GuestPort for Quiet {
    fn stir(&self) -> &Arc<AtomicU32> {
        &self.1
    }
    fn exchange(&self, _: &mut Held) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn timer_line(&self, _: bool, _: Option<u32>) {}
    fn timer_leaves(&self, _: Nanos) {}
}

/// Two CPUs, 0 and 0x100; the second is off, unless it is said to run.
#[derive(Default)]
struct Two {
    started: Mutex<Vec<(u64, PowerOn)>>,
    /// Software interrupts that were raised or taken back: of whom, and which.
    software: Mutex<Vec<(u32, bool)>>,
    suspended: Mutex<Vec<(u32, bool)>>,
    second_runs: bool,
    stolen_time: Option<Gpa>,
    stolen: Mutex<Vec<(u32, Nanos)>>,
}
impl Siblings for Two {
    fn power_on(&self, hardware_id: u64, from: PowerOn) -> Result<(), PowerError> {
        match hardware_id {
            0 => Err(PowerError::AlreadyOn),
            0x100 if from.entry.get() < 0x1000 => Err(PowerError::BadEntry),
            0x100 => {
                self.started.lock().unwrap().push((hardware_id, from));
                Ok(())
            }
            _ => Err(PowerError::NoSuchCpu),
        }
    }
    fn state(&self, hardware_id: u64) -> Option<CpuState> {
        match hardware_id {
            0 => Some(CpuState::On),
            0x100 => Some(if self.second_runs { CpuState::On } else { CpuState::Off }),
            _ => None,
        }
    }
    fn stolen_time(&self, _: u32) -> Option<Gpa> {
        self.stolen_time
    }
    fn steal(&self, index: u32, stolen: Nanos) {
        self.stolen.lock().unwrap().push((index, stolen));
    }
    fn hardware_id(&self, index: u32) -> Option<u64> {
        [0, 0x100].get(index as usize).copied()
    }
    fn set_software(&self, index: u32, raised: bool) {
        self.software.lock().unwrap().push((index, raised));
    }
    fn set_suspended(&self, index: u32, suspended: bool) {
        self.suspended.lock().unwrap().push((index, suspended));
    }
    fn can_start(&self, from: PowerOn) -> bool {
        from.entry.get() >= 0x1000
    }
}

/// Reads as its offset, and can't be written.
struct Echo;
impl Device for Echo {
    fn read(&mut self, access: Access) -> Result<u64, Refused> {
        Ok(access.offset | 0xffff_0000)
    }
    fn write(&mut self, _: Access, _: u64) -> Result<(), Refused> {
        Err(Refused::ReadOnly)
    }
}

/// Answers only when the CPU's hardware was asked since: reads as how often it was.
struct Unsettled(Arc<AtomicU64>, u64);
impl Device for Unsettled {
    fn read(&mut self, _: Access) -> Result<u64, Refused> {
        let asked = self.0.load(Ordering::Relaxed);
        if core::mem::replace(&mut self.1, asked) == asked { Err(Refused::Unsettled) } else { Ok(asked) }
    }
    fn write(&mut self, _: Access, _: u64) -> Result<(), Refused> {
        Ok(())
    }
}

struct Fixture {
    runner: Runner,
    program: Program,
    mailbox: Arc<Mailbox>,
    siblings: Arc<Two>,
    console: Arc<Serial>,
    memory: Arc<Memory>,
}

/// Where the guest has memory.
const RAM: u64 = 0x8000_0000;

fn fixture() -> Fixture {
    fixture_of(Two::default(), isa_firmware::sbi::Extension::Srst.bit())
}

/// A guest without these extensions of the SBI.
fn fixture_without(without: u32) -> Fixture {
    fixture_of(Two::default(), without)
}

fn fixture_of(siblings: Two, without: u32) -> Fixture {
    let program = script::of_vcpu(0);
    let profile = GuestProfile { index: 0, cpus: 2, hardware_id: 0, irq_registers: true };
    let exchanges = Arc::new(AtomicU64::new(0));
    let cpu = arch::Vcpu::new(profile, Arc::new(Quiet(exchanges.clone(), Arc::default()))).unwrap();
    let mut memory = Bus::<Gpa>::default();
    memory.add("echo", Span::<Gpa>::new(Gpa::new(0x9000), 0x1000).unwrap(), share(Echo)).unwrap();
    memory.add("hw", Span::<Gpa>::new(Gpa::new(0xa000), 8).unwrap(), share(Unsettled(exchanges, 0))).unwrap();
    let mut registers = Bus::<RegisterId>::default();
    registers.add("echo", RegisterId(77), share(Echo)).unwrap();
    let (console, ram) = (Serial::new("test/sbi"), Arc::new(Memory::new(Gpa::new(RAM), 0x1000)));
    let firmware = crate::sbi::Settings { without, console: Some(console.clone()), memory: ram.clone() };
    let name = String::from("test");
    let buses = Buses { memory, registers, firmware, name, limiter: Limiter::new(1, 1000) };
    let space = <arch::Space as arch::GuestSpace>::new(host_mem::tables()).unwrap();
    let (mailbox, siblings) = (Arc::new(Mailbox::new()), Arc::new(siblings));
    let runner = Runner::new(cpu, 0, Arc::new(space), Arc::new(buses), mailbox.clone(), siblings.clone());
    Fixture { runner, program, mailbox, siblings, console, memory: ram }
}

impl Fixture {
    /// What one call is answered with.
    fn call(&mut self, arguments: [u64; 4]) -> Event {
        self.program.then(Step::hvc(arguments));
        assert_eq!(self.runner.run(), Stop::Idle);
        self.program.take_events().pop().unwrap()
    }
    fn short(&mut self, arguments: [u64; 4]) -> i64 {
        match self.call(arguments) {
            Event::Called(1, [result, ..]) => result as i64,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn accesses_reach_devices_and_refusals_are_faults_of_the_guest() {
    let mut f = fixture();
    f.program
        .then(Step::load(0x9010, Width::B2))
        .then(Step::store(0x9010, Width::B4, 1))
        .then(Step::load(0xffff_0000, Width::B8))
        .then(Step::Read(Place::Register(RegisterId(77)), Width::B8))
        .then(Step::Read(Place::Register(RegisterId(78)), Width::B8))
        .then(Step::Read(Place::Port(0x80), Width::B1))
        .then(Step::Fault(GuestFault::Undefined));
    assert_eq!(f.runner.run(), Stop::Idle);
    assert_eq!(
        f.program.take_events(),
        [
            Event::Read(Ok(0x10)),
            Event::Wrote(Err(GuestFault::ExternalAbort)),
            Event::Read(Err(GuestFault::ExternalAbort)),
            Event::Read(Ok(0xffff_004d)),
            Event::Read(Err(GuestFault::Undefined)),
            Event::Read(Ok(0xff)),
            Event::Injected(GuestFault::Undefined),
        ]
    );
}

#[test]
fn a_device_that_must_know_about_the_hardware_first_is_asked_again() {
    let mut f = fixture();
    f.program.then(Step::load(0xa000, Width::B4)).then(Step::load(0xa000, Width::B4));
    assert_eq!(f.runner.run(), Stop::Idle);
    assert_eq!(f.program.take_events(), [Event::Read(Ok(1)), Event::Read(Ok(2))]);
}

#[test]
fn every_reason_to_stop_ends_the_run() {
    let mut f = fixture();
    f.program.then(Step::Host).then(Step::Yield).then(Step::Refused(9)).then(Step::Wait);
    assert_eq!(f.runner.run(), Stop::Yield);
    assert_eq!(f.runner.run(), Stop::Refused(9));
    assert_eq!(f.runner.run(), Stop::Idle);
}

#[test]
fn what_is_asked_is_seen_before_the_guest_runs_again() {
    let mut f = fixture();
    f.program.then(Step::Yield);
    f.mailbox.ask(Asked::HOLD);
    assert_eq!(f.runner.run(), Stop::Asked(Asked::HOLD));
    assert!(!f.program.is_done());
    f.mailbox.clear(Asked::HOLD);
    assert_eq!(f.runner.run(), Stop::Yield);
}

#[test]
fn psci_is_version_1_1() {
    let mut f = fixture();
    assert_eq!(f.short([0x8400_0000, 0, 0, 0]), 0x1_0001);
    // The identifier is in W0; what is above does not count.
    assert_eq!(f.short([0xdead_0000_8400_0000, 0, 0, 0]), 0x1_0001);
    for known in [0x8400_0001u64, 0xc400_0003, 0x8400_0008, 0xc400_0012, 0x8400_000a, 0x8000_0000] {
        assert_eq!(f.short([0x8400_000a, known, 0, 0]), 0, "{known:#x}");
    }
    assert_eq!(f.short([0x8400_000a, 0x8400_0005, 0, 0]), -1);
    assert_eq!(f.short([0x8400_0006, 0, 0, 0]), 2);
}

#[test]
fn cpus_are_powered_on_where_they_exist() {
    let mut f = fixture();
    assert_eq!(f.short([0xc400_0003, 0x100, 0x4000_0000, 7]), 0);
    let from = PowerOn { entry: Gpa::new(0x4000_0000), argument: 7 };
    assert_eq!(*f.siblings.started.lock().unwrap(), [(0x100, from)]);
    assert_eq!(f.short([0xc400_0003, 0, 0x4000_0000, 7]), -4);
    assert_eq!(f.short([0xc400_0003, 0x100, 0, 7]), -9);
    assert_eq!(f.short([0xc400_0003, 0x200, 0x4000_0000, 7]), -2);
    assert_eq!(f.short([0xc400_0003, 1 << 31, 0x4000_0000, 7]), -2);
    // A 32-bit call has 32-bit arguments.
    assert_eq!(f.short([0x8400_0003, 0xffff_0000_0000_0100, 0x4000_0000, 7]), 0);
    assert_eq!(f.short([0xc400_0004, 0, 0, 0]), 0);
    assert_eq!(f.short([0xc400_0004, 0x100, 0, 0]), 1);
    assert_eq!(f.short([0xc400_0004, 0x100, 1, 0]), -2);
    assert_eq!(f.short([0xc400_0004, 0x300, 0, 0]), -2);
}

#[test]
fn changes_of_power_stop_the_cpu() {
    let mut f = fixture();
    for (call, request) in [
        ([0x8400_0002, 0, 0, 0], PowerRequest::CpuOff),
        ([0x8400_0008, 0, 0, 0], PowerRequest::SystemOff),
        ([0x8400_0009, 0, 0, 0], PowerRequest::SystemReset),
        ([0xc400_0012, 0, 0, 0], PowerRequest::SystemReset),
        ([0xc400_0012, 0x8000_0001, 0, 0], PowerRequest::SystemReset),
    ] {
        f.program.then(Step::hvc(call));
        assert_eq!(f.runner.run(), Stop::Power(request));
    }
    f.program.take_events();
    assert_eq!(f.short([0xc400_0012, 1, 0, 0]), -2);
    // Suspending is waiting.
    f.program.then(Step::hvc([0xc400_0001, 0, 0, 0])).then(Step::Yield);
    assert_eq!(f.runner.run(), Stop::Idle);
    assert_eq!(f.program.take_events(), [Event::Called(1, [0; 4])]);
    assert_eq!(f.runner.run(), Stop::Yield);
    assert_eq!(f.short([0xc400_0001, 1 << 30, 0, 0]), -2);
}

#[test]
fn random_bits_come_as_many_as_were_asked_for() {
    let mut f = fixture();
    assert_eq!(f.short([0x8400_0050, 0, 0, 0]), 0x1_0000);
    assert_eq!(f.short([0x8400_0051, 0xc400_0053, 0, 0]), 0);
    assert_eq!(f.short([0x8400_0051, 0xc400_0003, 0, 0]), -1);
    let Event::Called(4, [0, 0, 0, a]) = f.call([0xc400_0053, 64, 0, 0]) else { panic!() };
    let Event::Called(4, [0, 0, 0, b]) = f.call([0xc400_0053, 64, 0, 0]) else { panic!() };
    assert_ne!(a, b);
    let Event::Called(4, [0, 0, 0, few]) = f.call([0xc400_0053, 8, 0, 0]) else { panic!() };
    assert!(few < 256);
    assert_eq!(f.short([0xc400_0053, 193, 0, 0]), -2);
    assert_eq!(f.short([0x8400_0053, 97, 0, 0]), -2);
}

#[test]
fn unknown_calls_are_answered_as_the_standard_says() {
    let mut f = fixture();
    assert_eq!(f.short([0x8000_0000, 0, 0, 0]), 0x1_0001);
    assert_eq!(f.short([0x8000_0001, 0x8000_0001, 0, 0]), 0);
    assert_eq!(f.short([0x8000_0001, 0x8000_8000, 0, 0]), -1);
    for unknown in [0u64, 0x8400_0014, 0x8600_0000, 0xffff_ffff, 0x0400_0000] {
        assert_eq!(f.short([unknown, 1, 2, 3]), -1, "{unknown:#x}");
    }
    f.program.then(Step::Call(Conduit::Firmware, 0, [0x8400_0000, 0, 0, 0, 0, 0, 0, 0]));
    f.program.then(Step::Call(Conduit::Hypervisor, 5, [0x8400_0000, 1, 2, 3, 0, 0, 0, 0]));
    assert_eq!(f.runner.run(), Stop::Idle);
    assert_eq!(
        f.program.take_events(),
        [
            Event::Called(1, [0x1_0001, 0, 0, 0]),
            Event::Called(0, [0; 4]),
            Event::Injected(GuestFault::Undefined),
        ]
    );
}

#[test]
fn random_calls_are_all_answered() {
    let mut f = fixture();
    let mut now = 0;
    for n in 0..20_000u64 {
        crate::entropy::stir(&n.to_le_bytes());
        now += 1;
        let random = crate::entropy::word(now);
        let function = [0x8400_0000, 0xc400_0000, 0x8000_0000, 0x8600_ff00, 0][random as usize % 5];
        f.program.then(Step::hvc([function | (random >> 32 & 0x5f), random, !random, random >> 7]));
        let _ = f.runner.run();
        assert_eq!(f.program.take_events().len(), 1);
    }
}

#[test]
fn a_guest_is_told_how_much_time_was_taken_from_it() {
    let features = |f: &mut Fixture, of: u64| f.short([0xc500_0020, of, 0, 0]);
    let mut without = fixture();
    assert_eq!((features(&mut without, 0xc500_0021), without.short([0xc500_0021, 0, 0, 0])), (-1, -1));
    assert_eq!(without.short([0x8000_0001, 0xc500_0020, 0, 0]), -1);

    arch::Machine::on_interrupt(host_thread::simple_entry);
    host_thread::start().unwrap();
    let mut f = fixture_of(Two { stolen_time: Some(Gpa::new(0x9_0000)), ..Two::default() }, 0);
    assert_eq!(f.short([0x8000_0001, 0xc500_0020, 0, 0]), 0);
    // Somebody more urgent has the processor for a while.
    let somebody_is_more_urgent = || {
        let urgent = host_thread::Options::new("urgent").priority(host_thread::Priority::HIGHEST);
        let body = || arch_hosted::time::advance(Nanos::from_millis(5));
        host_thread::spawn(urgent, std::boxed::Box::new(body)).unwrap().join();
    };
    somebody_is_more_urgent();
    assert_eq!([0xc500_0020, 0xc500_0021, 0xc500_0022].map(|of| features(&mut f, of)), [0, 0, -1]);
    // Nothing is written for a guest that does not look.
    assert_eq!(f.siblings.stolen.lock().unwrap().len(), 0);

    assert_eq!(f.short([0xc500_0021, 0, 0, 0]), 0x9_0000);
    features(&mut f, 0xc500_0020);
    somebody_is_more_urgent();
    features(&mut f, 0xc500_0020);
    let told = [5, 10].map(|milliseconds| (0, Nanos::from_millis(milliseconds)));
    assert_eq!(*f.siblings.stolen.lock().unwrap(), told);
}
