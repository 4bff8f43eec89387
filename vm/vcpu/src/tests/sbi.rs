//! Calls by the SBI.

use isa_firmware::sbi::{Error, Extension, base, hsm, pmu, srst, sta};
use vm_memory::GuestMemory;

use arch::{Clock, Cpu as _, Tally};

use super::*;

impl Fixture {
    /// What a call is answered with: a0 and a1.
    fn sbi(&mut self, extension: Extension, function: u32, arguments: [u64; 4]) -> (i64, u64) {
        self.program.then(Step::ecall(extension.id().into(), function.into(), arguments));
        assert_eq!(self.runner.run(), Stop::Idle);
        match self.program.take_events().pop().unwrap() {
            Event::Called(2, [error, value, ..]) => (error as i64, value),
            other => panic!("{other:?}"),
        }
    }
    /// The same of a legacy extension: a0 alone.
    fn legacy(&mut self, extension: Extension, arguments: [u64; 4]) -> i64 {
        self.program.then(Step::ecall(extension.id().into(), 77, arguments));
        assert_eq!(self.runner.run(), Stop::Idle);
        match self.program.take_events().pop().unwrap() {
            Event::Called(1, [result, ..]) => result as i64,
            other => panic!("{other:?}"),
        }
    }
}

const NOT_SUPPORTED: (i64, u64) = (Error::NotSupported as i64, 0);
const INVALID: (i64, u64) = (Error::InvalidParam as i64, 0);

#[test]
fn a_guest_finds_out_what_there_is() {
    let mut f = fixture();
    assert_eq!(f.sbi(Extension::Base, base::GET_SPEC_VERSION, [0; 4]), (0, 0x0200_0000));
    assert_eq!(f.sbi(Extension::Base, base::GET_IMPL_ID, [0; 4]), (0, 2));
    assert_eq!(f.sbi(Extension::Base, base::GET_MVENDORID, [0; 4]), (0, 0));
    for (extension, there) in [(Extension::Time, 1), (Extension::LegacyShutdown, 1), (Extension::Nacl, 0)] {
        let probed = f.sbi(Extension::Base, base::PROBE_EXTENSION, [extension.id().into(), 0, 0, 0]);
        assert_eq!(probed, (0, there), "{extension:?}");
    }
    assert_eq!(f.sbi(Extension::Base, base::PROBE_EXTENSION, [0x1234_5678, 0, 0, 0]), (0, 0));
    assert_eq!(f.sbi(Extension::Base, 7, [0; 4]), NOT_SUPPORTED);
}

#[test]
fn what_is_withheld_is_not_there() {
    let mut f = fixture();
    let probe = [Extension::Srst.id().into(), 0, 0, 0];
    assert_eq!(f.sbi(Extension::Base, base::PROBE_EXTENSION, probe), (0, 0));
    assert_eq!(f.sbi(Extension::Srst, srst::SYSTEM_RESET, [0; 4]), NOT_SUPPORTED);
}

#[test]
fn interrupts_go_to_harts_that_exist_or_to_none() {
    let mut f = fixture();
    assert_eq!(f.sbi(Extension::Ipi, 0, [1, 0x100, 0, 0]), (0, 0));
    assert_eq!(f.sbi(Extension::Ipi, 0, [0, u64::MAX, 0, 0]), (0, 0));
    assert_eq!(*f.siblings.software.lock().unwrap(), [(1, true), (0, true), (1, true)]);
    assert_eq!(f.sbi(Extension::Ipi, 0, [3, 0x100, 0, 0]), INVALID);
    assert_eq!(f.siblings.software.lock().unwrap().len(), 3, "not to those of them that exist either");
    assert_eq!(f.sbi(Extension::Ipi, 0, [0, 0, 0, 0]), (0, 0));
    assert_eq!(f.legacy(Extension::LegacyClearIpi, [0; 4]), 0);
    assert_eq!(f.siblings.software.lock().unwrap().pop(), Some((0, false)));
}

#[test]
fn fences_are_asked_of_harts_that_exist() {
    let mut f = fixture();
    for function in 0..3 {
        assert_eq!(f.sbi(Extension::Rfence, function, [1, 0, 0x1000, 0x1000]), (0, 0));
        assert_eq!(f.sbi(Extension::Rfence, function, [2, 0, 0x1000, 0x1000]), INVALID);
    }
    // Guests have no hypervisor extension.
    for function in 3..8 {
        assert_eq!(f.sbi(Extension::Rfence, function, [1, 0, 0, 0]), NOT_SUPPORTED);
    }
    assert_eq!(f.legacy(Extension::LegacyRemoteSfenceVma, [0, 0, 0x1000, 0]), 0);
    assert_eq!(f.legacy(Extension::LegacyRemoteSfenceVmaAsid, [0, 0, 0x1000, 1 << 16]), -1);
}

#[test]
fn masks_of_version_0_1_lie_in_the_guests_memory() {
    let mut f = fixture();
    let mask = 0xffff_ffff_8000_0000;
    for (words, meant) in [([1, 0], std::vec![0]), ([!0, 1], std::vec![0, 1]), ([2, !1], Vec::new())] {
        // Hart 0x100 is in the fifth word.
        f.program.set_word(mask, words[0]);
        f.program.set_word(mask + 0x100 / 8, words[1]);
        assert_eq!(f.legacy(Extension::LegacySendIpi, [mask, 0, 0, 0]), 0);
        let sent: Vec<u32> = f.siblings.software.lock().unwrap().drain(..).map(|(index, _)| index).collect();
        assert_eq!(sent, meant, "{words:x?}");
        assert_eq!(f.legacy(Extension::LegacyRemoteFenceI, [mask, 0, 0, 0]), 0);
    }
    assert_eq!(f.legacy(Extension::LegacySendIpi, [0; 4]), 0);
    assert_eq!(f.siblings.software.lock().unwrap().drain(..).len(), 2, "no mask means all");
    for bad in [mask + 0x100 / 8, mask - 8] {
        f.program.then(Step::ecall(Extension::LegacySendIpi.id().into(), 0, [bad, 0, 0, 0]));
        assert_eq!(f.runner.run(), Stop::Idle);
        assert_eq!(f.program.take_events(), [Event::Injected(GuestFault::ExternalAbort)], "{bad:#x}");
    }
    assert!(f.siblings.software.lock().unwrap().is_empty());
}

#[test]
fn a_guest_is_told_where_it_likes_how_much_time_was_taken() {
    arch::Machine::on_interrupt(host_thread::simple_entry);
    host_thread::start().unwrap();
    let mut f = fixture();
    let set = |f: &mut Fixture, arguments| f.sbi(Extension::Sta, sta::SET_SHMEM, arguments).0;
    f.memory.fill(Gpa::new(RAM), 0x100, 0xff).unwrap();
    assert_eq!(set(&mut f, [RAM + 64, 0, 0, 0]), 0);
    let read = |f: &Fixture, offset, width| f.memory.load(Gpa::new(RAM + 64 + offset), width).unwrap();
    for offset in (0..64).step_by(8) {
        assert_eq!(read(&f, offset, Width::B8), 0, "{offset}");
    }
    assert_eq!(f.memory.load(Gpa::new(RAM + 128), Width::B8), Ok(u64::MAX));
    // Somebody more urgent has the processor for a while.
    let urgent = || {
        let options = host_thread::Options::new("urgent").priority(host_thread::Priority::HIGHEST);
        let body = || arch_hosted::time::advance(Nanos::from_millis(5));
        host_thread::spawn(options, std::boxed::Box::new(body)).unwrap().join();
    };
    for (sequence, taken) in [(2, 5), (4, 10)] {
        urgent();
        for _ in 0..2 {
            assert_eq!(f.sbi(Extension::Time, 0, [0; 4]).0, 0);
            let told = (read(&f, sta::SEQUENCE, Width::B4), read(&f, sta::STEAL, Width::B8));
            assert_eq!(told, (sequence, Nanos::from_millis(taken).0));
        }
    }
    assert_eq!(set(&mut f, [RAM + 32, 0, 0, 0]), Error::InvalidParam as i64);
    assert_eq!(set(&mut f, [RAM, 0, 1, 0]), Error::InvalidParam as i64);
    assert_eq!(set(&mut f, [RAM, 1, 0, 0]), Error::InvalidAddress as i64);
    assert_eq!(set(&mut f, [RAM + 0x1000, 0, 0, 0]), Error::InvalidAddress as i64);
    assert_eq!(set(&mut f, [u64::MAX, 0, 0, 0]), Error::InvalidParam as i64);
    assert_eq!(f.sbi(Extension::Sta, 1, [0; 4]), NOT_SUPPORTED);
    urgent();
    f.sbi(Extension::Time, 0, [0; 4]);
    assert_eq!(read(&f, sta::SEQUENCE, Width::B4), 6, "what was refused leaves what there was");
    assert_eq!(set(&mut f, [u64::MAX, u64::MAX, 0, 0]), 0);
    urgent();
    f.sbi(Extension::Time, 0, [0; 4]);
    assert_eq!(read(&f, sta::SEQUENCE, Width::B4), 6);
}

#[test]
fn harts_are_started_where_they_exist_and_stopped() {
    let mut f = fixture();
    let status = |f: &mut Fixture, hart| f.sbi(Extension::Hsm, hsm::HART_GET_STATUS, [hart, 0, 0, 0]);
    assert_eq!(status(&mut f, 0), (0, hsm::State::Started as u64));
    assert_eq!(status(&mut f, 0x100), (0, hsm::State::Stopped as u64));
    assert_eq!(status(&mut f, 1), INVALID);
    let start = |f: &mut Fixture, hart, at| f.sbi(Extension::Hsm, hsm::HART_START, [hart, at, 7, 0]).0;
    assert_eq!(start(&mut f, 1, 0x8000_0000), Error::InvalidParam as i64);
    assert_eq!(start(&mut f, 0, 0x8000_0000), Error::AlreadyAvailable as i64);
    assert_eq!(start(&mut f, 0x100, 4), Error::InvalidAddress as i64);
    assert_eq!(start(&mut f, 0x100, 0x8000_0000), 0);
    let from = PowerOn { entry: Gpa::new(0x8000_0000), argument: 7 };
    assert_eq!(*f.siblings.started.lock().unwrap(), [(0x100, from)]);
    f.program.then(Step::ecall(Extension::Hsm.id().into(), hsm::HART_STOP.into(), [0; 4]));
    assert_eq!(f.runner.run(), Stop::Power(PowerRequest::CpuOff));
}

#[test]
fn a_suspended_hart_goes_on_when_an_interrupt_waits_for_it() {
    let mut f = fixture();
    for (kind, resumes) in [(hsm::SUSPEND_RETENTIVE, false), (hsm::SUSPEND_NON_RETENTIVE, true)] {
        f.program.then(Step::SetTimer(Some(arch::Machine::now().after(Nanos(100)))));
        let suspend = [kind.into(), 0x8000_0000, 9, 0];
        f.program.then(Step::ecall(Extension::Hsm.id().into(), hsm::HART_SUSPEND.into(), suspend));
        f.program.then(Step::Yield);
        assert_eq!(f.runner.run(), Stop::Idle);
        assert_eq!(f.siblings.suspended.lock().unwrap().pop(), Some((0, true)));
        assert_eq!(f.runner.run(), Stop::Idle, "woken for nothing, it sleeps on");
        arch_hosted::time::advance(Nanos(200));
        f.program.take_events();
        assert_eq!(f.runner.run(), Stop::Yield);
        assert_eq!(f.siblings.suspended.lock().unwrap().pop(), Some((0, false)));
        let from = PowerOn { entry: Gpa::new(0x8000_0000), argument: 9 };
        let expected = if resumes { std::vec![Event::Started(from)] } else { Vec::new() };
        assert_eq!(f.program.take_events(), expected);
    }
    assert_eq!(f.sbi(Extension::Hsm, hsm::HART_SUSPEND, [1, 0, 0, 0]), INVALID);
    for platforms in [0x1000_0000, 0x9000_0000] {
        assert_eq!(f.sbi(Extension::Hsm, hsm::HART_SUSPEND, [platforms, 0, 0, 0]), INVALID);
    }
    let bad = [hsm::SUSPEND_NON_RETENTIVE.into(), 4, 0, 0];
    assert_eq!(f.sbi(Extension::Hsm, hsm::HART_SUSPEND, bad), (Error::InvalidAddress as i64, 0));
}

#[test]
fn a_suspended_hart_obeys_its_machine() {
    let mut f = fixture();
    f.program.then(Step::ecall(Extension::Hsm.id().into(), hsm::HART_SUSPEND.into(), [0; 4]));
    assert_eq!(f.runner.run(), Stop::Idle);
    f.mailbox.ask(Asked::OFF);
    assert_eq!(f.runner.run(), Stop::Asked(Asked::OFF));
}

#[test]
fn the_system_is_suspended_by_its_last_hart() {
    let mut f = fixture();
    f.program.then(Step::ecall(Extension::Susp.id().into(), 0, [0, 0x8000_0000, 1, 0]));
    assert_eq!(f.runner.run(), Stop::Idle);
    assert_eq!(f.siblings.suspended.lock().unwrap().pop(), Some((0, true)));
    let mut f = fixture();
    assert_eq!(f.sbi(Extension::Susp, 0, [1, 0, 0, 0]), INVALID);
    assert_eq!(f.sbi(Extension::Susp, 0, [0x8000_0000, 0, 0, 0]), INVALID, "a platform's own");
    let mut f = fixture_of(Two { second_runs: true, ..Two::default() }, 0);
    let denied = (Error::Denied as i64, 0);
    assert_eq!(f.sbi(Extension::Susp, 0, [0, 0x8000_0000, 1, 0]), denied, "the other one runs");
    assert!(f.siblings.suspended.lock().unwrap().is_empty());
}

#[test]
fn the_debug_console_is_a_serial_port() {
    let mut f = fixture();
    f.memory.write(Gpa::new(RAM), b"hello").unwrap();
    assert_eq!(f.sbi(Extension::Dbcn, 0, [5, RAM, 0, 0]), (0, 5));
    assert_eq!(f.sbi(Extension::Dbcn, 2, [u64::from(b'!'), 0, 0, 0]), (0, 0));
    assert_eq!(f.legacy(Extension::LegacyConsolePutchar, [b'?'.into(), 0, 0, 0]), 0);
    assert_eq!(f.console.history(16), b"hello!?");
    assert_eq!(f.legacy(Extension::LegacyConsoleGetchar, [0; 4]), -1);
    f.console.write(b"abc");
    assert_eq!(f.legacy(Extension::LegacyConsoleGetchar, [0; 4]), b'a'.into());
    assert_eq!(f.sbi(Extension::Dbcn, 1, [100, RAM + 16, 0, 0]), (0, 2));
    let mut typed = [0; 3];
    f.memory.read(Gpa::new(RAM + 16), &mut typed).unwrap();
    assert_eq!(&typed, b"bc\0");
    f.console.write(b"kept");
    for (function, at, high) in [(0, RAM - 1, 0), (1, RAM + 0xffd, 0), (0, RAM, 1), (1, u64::MAX, 0)] {
        assert_eq!(f.sbi(Extension::Dbcn, function, [4, at, high, 0]), INVALID, "{at:#x}");
    }
    assert_eq!(f.console.waiting(), 4, "what there is no room for is not taken");
    assert_eq!(f.sbi(Extension::Dbcn, 0, [u64::MAX, RAM, 0, 0]), INVALID);
    assert_eq!(f.sbi(Extension::Dbcn, 0, [0x800, RAM, 0, 0]), (0, 256), "the caller goes on");
}

#[test]
fn a_single_byte_waits_until_the_far_end_has_room() {
    for (extension, function) in [(Extension::Dbcn, 2), (Extension::LegacyConsolePutchar, 0)] {
        let mut f = fixture();
        let reader = f.console.reader(Arc::new(|_: vio::Urgency| {}));
        while f.console.put(b'.') {}
        f.program.then(Step::ecall(extension.id().into(), function, [b'!'.into(), 0, 0, 0]));
        for _ in 0..3 {
            assert_eq!(f.runner.run(), Stop::Yield, "{extension:?}");
        }
        assert_eq!(f.console.history(1), b".");
        f.mailbox.ask(Asked::PAUSE);
        assert_eq!(f.runner.run(), Stop::Asked(Asked::PAUSE));
        f.mailbox.clear(Asked::PAUSE);
        drop(reader);
        assert_eq!(f.runner.run(), Stop::Idle);
        assert_eq!(f.console.history(1), b"!");
        assert!(matches!(f.program.take_events()[..], [Event::Called(_, [0, ..])]));
    }
}

#[test]
fn counters_count_what_the_firmware_does() {
    let mut f = fixture();
    let sbi = |f: &mut Fixture, function, arguments| f.sbi(Extension::Pmu, function, arguments);
    assert_eq!(sbi(&mut f, pmu::NUM_COUNTERS, [0; 4]), (0, 19));
    assert_eq!(sbi(&mut f, pmu::COUNTER_GET_INFO, [3, 0, 0, 0]), (0, 1 << 63));
    assert_eq!(sbi(&mut f, pmu::COUNTER_GET_INFO, [19, 0, 0, 0]), INVALID);
    let clear_and_start = pmu::CONFIG_CLEAR_VALUE | pmu::CONFIG_AUTO_START;
    let set_timer = [0, 0x7_ffff, clear_and_start, 0xf_0005];
    assert_eq!(sbi(&mut f, pmu::COUNTER_CONFIG_MATCHING, set_timer), (0, 3));
    let sent = [0, 0x7_ffff, 0, 0xf_0006];
    assert_eq!(sbi(&mut f, pmu::COUNTER_CONFIG_MATCHING, sent), (0, 4));
    f.sbi(Extension::Time, 0, [u64::MAX, 0, 0, 0]);
    f.sbi(Extension::Ipi, 0, [1, 0, 0, 0]);
    f.legacy(Extension::LegacySetTimer, [u64::MAX, 0, 0, 0]);
    assert_eq!(sbi(&mut f, pmu::COUNTER_FW_READ, [3, 0, 0, 0]), (0, 2));
    assert_eq!(sbi(&mut f, pmu::COUNTER_FW_READ, [4, 0, 0, 0]), (0, 0), "it was not started");
    assert_eq!(sbi(&mut f, pmu::COUNTER_START, [4, 1, pmu::START_SET_INIT_VALUE, 40]), (0, 0));
    f.sbi(Extension::Ipi, 0, [1, 0, 0, 0]);
    assert_eq!(sbi(&mut f, pmu::COUNTER_FW_READ, [4, 0, 0, 0]), (0, 41));
    assert_eq!(sbi(&mut f, pmu::COUNTER_START, [4, 1, 0, 0]).0, Error::AlreadyStarted as i64);
    assert_eq!(sbi(&mut f, pmu::COUNTER_STOP, [3, 3, pmu::STOP_RESET, 0]), (0, 0));
    assert_eq!(sbi(&mut f, pmu::COUNTER_STOP, [3, 1, 0, 0]).0, Error::AlreadyStopped as i64);
    assert_eq!(sbi(&mut f, pmu::COUNTER_FW_READ, [4, 0, 0, 0]), INVALID, "it was given back");
    assert_eq!(sbi(&mut f, pmu::COUNTER_START, [18, 3, 0, 0]), INVALID, "there is no twentieth");
}

#[test]
fn counters_of_the_hart_are_where_their_csrs_are() {
    let mut f = fixture();
    /// A call, and what came of it for the CPU's own counts.
    fn sbi(f: &mut Fixture, function: u32, arguments: [u64; 4]) -> ((i64, u64), Option<Event>) {
        f.program.then(Step::ecall(Extension::Pmu.id().into(), function.into(), arguments));
        assert_eq!(f.runner.run(), Stop::Idle);
        let mut events = f.program.take_events();
        let Some(Event::Called(2, [error, value, ..])) = events.pop() else { panic!("{events:?}") };
        ((error as i64, value), events.pop())
    }
    let counts = |tally, from, runs| Some(Event::Counts(tally, from, runs));
    assert_eq!(sbi(&mut f, pmu::COUNTER_GET_INFO, [0; 4]).0, (0, 63 << 12 | 0xc00));
    assert_eq!(sbi(&mut f, pmu::COUNTER_GET_INFO, [1, 0, 0, 0]).0, INVALID, "time is none");
    assert_eq!(sbi(&mut f, pmu::COUNTER_GET_INFO, [2, 0, 0, 0]).0, (0, 63 << 12 | 0xc02));
    // As Linux does it: at the start all that there are are stopped, then one is taken and started.
    let all = 0x7_fffd;
    let stopped = sbi(&mut f, pmu::COUNTER_STOP, [0, all, 0, 0]);
    assert_eq!(stopped, ((Error::AlreadyStopped as i64, 0), None), "the guest goes on reading the hart's");
    let config = pmu::COUNTER_CONFIG_MATCHING;
    assert_eq!(sbi(&mut f, config, [0, all, 0, 2]), ((0, 2), counts(Tally::Instructions, None, false)));
    assert_eq!(sbi(&mut f, config, [0, all, 0, 2]).0, NOT_SUPPORTED, "there is one");
    let init = pmu::START_SET_INIT_VALUE;
    let started = sbi(&mut f, pmu::COUNTER_START, [2, 1, init, 1 << 63]);
    assert_eq!(started, ((0, 0), counts(Tally::Instructions, Some(1 << 63), true)));
    assert_eq!(
        sbi(&mut f, pmu::COUNTER_STOP, [2, 1, 0, 0]),
        ((0, 0), counts(Tally::Instructions, None, false))
    );
    assert_eq!(
        sbi(&mut f, pmu::COUNTER_START, [2, 1, 0, 0]),
        ((0, 0), counts(Tally::Instructions, None, true))
    );
    // A fixed counter, whatever the event says.
    let clear_and_start = pmu::CONFIG_CLEAR_VALUE | pmu::CONFIG_AUTO_START;
    let fixed = sbi(&mut f, config, [0, 1, pmu::CONFIG_SKIP_MATCH | clear_and_start, 7]);
    assert_eq!(fixed, ((0, 0), counts(Tally::Cycles, Some(0), true)));
    assert_eq!(sbi(&mut f, pmu::COUNTER_FW_READ, [0; 4]).0, INVALID, "it is read in its CSR");
    for (event, why) in [(3, "references to caches"), (0x1_0000, "a cache's events"), (0x2_0000, "raw ones")]
    {
        assert_eq!(sbi(&mut f, config, [0, all, 0, event]).0, NOT_SUPPORTED, "{why}");
    }
    assert_eq!(sbi(&mut f, config, [3, 0xffff, 0, 1]).0, NOT_SUPPORTED, "none of these counts cycles");
}

#[test]
fn counters_have_no_memory_for_snapshots() {
    let mut f = fixture();
    let sbi = |f: &mut Fixture, function, arguments| f.sbi(Extension::Pmu, function, arguments);
    assert_eq!(sbi(&mut f, pmu::SNAPSHOT_SET_SHMEM, [RAM, 0, 0, 0]), NOT_SUPPORTED);
    let set_timer = [0, 0xfff8, pmu::CONFIG_AUTO_START, 0xf_0005];
    let (error, counter) = sbi(&mut f, pmu::COUNTER_CONFIG_MATCHING, set_timer);
    assert_eq!(error, 0);
    let no_memory = (Error::NoShmem as i64, 0);
    assert_eq!(sbi(&mut f, pmu::COUNTER_STOP, [counter, 1, pmu::STOP_TAKE_SNAPSHOT, 0]), no_memory);
    assert_eq!(sbi(&mut f, pmu::COUNTER_STOP, [counter, 1, 0, 0]), (0, 0), "it ran on");
    assert_eq!(sbi(&mut f, pmu::COUNTER_START, [counter, 1, pmu::START_INIT_SNAPSHOT, 0]), no_memory);
    assert_eq!(sbi(&mut f, pmu::COUNTER_STOP, [counter, 1, 0, 0]).0, Error::AlreadyStopped as i64);
}

#[test]
fn a_system_is_reset_as_it_asks_for() {
    for (arguments, request) in [
        ([0, 0], PowerRequest::SystemOff),
        ([1, 0], PowerRequest::SystemReset),
        ([2, 1], PowerRequest::SystemReset),
        ([0, 0xe000_0000], PowerRequest::SystemOff),
    ] {
        assert_eq!(reset(arguments), Stop::Power(request));
    }
    for refused in [[3, 0], [0, 2], [0xf000_0000, 0]] {
        assert_eq!(reset(refused), Stop::Idle);
    }
    let mut f = fixture_without(0);
    let platforms = [0xf000_0000, 0, 0, 0];
    assert_eq!(f.sbi(Extension::Srst, srst::SYSTEM_RESET, platforms), INVALID);
    let mut f = fixture();
    f.program.then(Step::ecall(8, 0, [0; 4]));
    assert_eq!(f.runner.run(), Stop::Power(PowerRequest::SystemOff));
}

/// What a reset ends with, of a guest that may.
fn reset([kind, reason]: [u64; 2]) -> Stop {
    let mut f = fixture_without(0);
    f.program.then(Step::ecall(Extension::Srst.id().into(), 0, [kind, reason, 0, 0]));
    f.runner.run()
}

#[test]
fn unknown_extensions_and_functions_are_answered_as_the_standard_says() {
    let mut f = fixture();
    // Those of version 0.1 return a0 alone.
    for (extension, registers) in [(9, 1), (15, 1), (0xffff_ffff, 2), (u64::from(Extension::Nacl.id()), 2)] {
        f.program.then(Step::ecall(extension, 0, [0; 4]));
        assert_eq!(f.runner.run(), Stop::Idle);
        let error = Error::NotSupported.register();
        assert_eq!(f.program.take_events(), [Event::Called(registers, [error, 0, 0, 0])], "{extension:#x}");
    }
    for extension in [Extension::Time, Extension::Ipi, Extension::Rfence, Extension::Hsm, Extension::Dbcn] {
        assert_eq!(f.sbi(extension, 99, [0; 4]), NOT_SUPPORTED, "{extension:?}");
    }
}

#[test]
fn random_calls_are_all_answered() {
    let mut f = fixture();
    let mut now = 1 << 32;
    for n in 0..20_000u64 {
        crate::entropy::stir(&n.to_le_bytes());
        now += 1;
        let random = crate::entropy::word(now);
        let known = Extension::ALL[random as usize % Extension::ALL.len()];
        let arguments = [random >> 8 & 0x1ff, RAM | random >> 50, random % 5, !random];
        f.program.then(Step::ecall(known.id().into(), random >> 20 & 7, arguments));
        if f.runner.run() == Stop::Idle {
            // It may have been suspended, and then waits for an interrupt that never comes.
            f.runner.start(PowerOn { entry: Gpa::new(RAM), argument: 0 });
        }
        let answered = f
            .program
            .take_events()
            .iter()
            .filter(|e| matches!(e, Event::Called(..) | Event::Injected(_)))
            .count();
        assert_eq!(answered, 1);
    }
}
