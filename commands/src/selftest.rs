//! `selftest`: what only the machine itself can show, tried on it: threads and locks under contention on its CPUs,
//! timers against its clock, mappings that other CPUs must not see any more, memory that must come back.
//!
//! To add a test: a file with a [`Test`], its `mod` line, and a line in [`TESTS`]. After each test the memory is
//! compared with that before it: what is missing was lost.

mod clock;
mod flush;
mod locks;
mod stacks;
mod threads;
mod timers;
mod work;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use arch::Nanos;
use atomic::{AtomicUsize, Ordering};
use host_thread::{CpuSet, Options, Thread, time};

use crate::{Args, Command, Failed, Form, Session};

pub(crate) const COMMAND: Command = Command {
    name: "selftest",
    about: "test the hypervisor on this machine",
    forms: &[
        Form { words: "list", arguments: "", run: list },
        Form { words: "run", arguments: "<selftest> ...", run: |s, args| some(s, args.rest(0)) },
        Form { words: "", arguments: "[<iterations>]", run: all },
    ],
};

/// Every test.
const TESTS: &[&Test] =
    &[&clock::TEST, &timers::TEST, &threads::TEST, &locks::TEST, &work::TEST, &stacks::TEST, &flush::TEST];

/// One test.
struct Test {
    /// Its name, one word.
    name: &'static str,
    /// What it shows.
    about: &'static str,
    /// Does it; says what it measured, or what is wrong.
    run: fn() -> Result<String, Wrong>,
}

/// What is wrong.
type Wrong = String;

/// Frames that may be missing after a test: the heap keeps what it grew by, and grows in steps.
const SLACK: u64 = 64;
/// Bytes that may be missing from the heap: lists that grew stay as long as they are.
const SLACK_BYTES: usize = 32 << 10;

/// `Ok` if `holds`, else the text.
fn ensure(holds: bool, text: impl FnOnce() -> String) -> Result<(), Wrong> {
    if holds { Ok(()) } else { Err(text()) }
}

/// Starts a thread of a test: one after the other on each CPU.
fn spawn(options: Options, body: impl FnOnce() + Send + 'static) -> Result<Thread, Wrong> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let online = host_thread::online();
    let next = NEXT.fetch_add(1, Ordering::Relaxed) % online.iter().count().max(1);
    let cpu = online.iter().nth(next).map_or(online, CpuSet::of);
    let options = options.affinity(cpu);
    host_thread::spawn(options, alloc::boxed::Box::new(body)).map_err(|why| format!("no thread: {why}"))
}

/// Random numbers that are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % end.max(1)
    }
}

/// Microseconds, for messages.
struct Micros(Nanos);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} us", self.0.0 / 1000)
    }
}

pub(crate) fn names() -> Vec<String> {
    TESTS.iter().map(|test| test.name.into()).collect()
}

fn list(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    for test in TESTS {
        writeln!(session, "{:<10} {}", test.name, test.about)?;
    }
    Ok(())
}

fn some(session: &mut Session<'_>, names: &[String]) -> Result<(), Failed> {
    let find = |name: &String| {
        let found = TESTS.iter().copied().find(|test| test.name == *name);
        found.ok_or_else(|| Failed::Because(format!("<selftest>: there is no test \"{name}\"")))
    };
    let tests: Vec<&Test> = names.iter().map(find).collect::<Result<_, _>>()?;
    run(session, &tests)
}

fn all(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    for _ in 0..args.number_or(0, 1_u32)? {
        run(session, TESTS)?;
    }
    Ok(())
}

fn run(session: &mut Session<'_>, tests: &[&Test]) -> Result<(), Failed> {
    // The queue that this CPU has for all is made when it is first used, and stays.
    host_thread::work::system().map_err(Failed::because)?.flush();
    let mut failures = 0;
    for test in tests {
        let begun = time::now();
        // The first time lists may grow that stay as long as they are; what is lost again is lost.
        let result = attempt(test).or_else(|lost| if lost.again { attempt(test) } else { Err(lost) });
        let took = time::now().since(begun).0 / 1_000_000;
        let result = result.map_err(|failed| failed.why);
        match result {
            Ok(told) => writeln!(session, "selftest: {:<10} passed in {took} ms: {told}", test.name)?,
            Err(why) => {
                failures += 1;
                writeln!(session, "selftest: {:<10} FAILED after {took} ms: {why}", test.name)?;
            }
        }
    }
    writeln!(session, "selftest: {} passed, {failures} failed", tests.len() - failures)?;
    if failures == 0 { Ok(()) } else { Err(Failed::Because(format!("{failures} of {} failed", tests.len()))) }
}

/// Why a test failed.
struct Lost {
    why: Wrong,
    /// It did what it should, but memory is missing.
    again: bool,
}

fn attempt(test: &Test) -> Result<String, Lost> {
    let before = Memory::now();
    let told = (test.run)().map_err(|why| Lost { why, again: false })?;
    Memory::now().compare(&before).map_err(|why| Lost { why, again: true })?;
    Ok(told)
}

/// What is in use.
struct Memory {
    free_frames: u64,
    heap: usize,
    threads: usize,
}

impl Memory {
    fn now() -> Self {
        // Threads that ended leave their stacks to the next one that looks.
        host_thread::yield_now();
        Self {
            free_frames: host_mem::stats().free_frames,
            heap: host_mem::heap_stats().used,
            threads: host_thread::list().len(),
        }
    }

    fn compare(&self, before: &Self) -> Result<(), Wrong> {
        ensure(self.threads <= before.threads, || {
            format!("{} threads were left behind", self.threads - before.threads)
        })?;
        let lost = before.free_frames.saturating_sub(self.free_frames);
        ensure(lost <= SLACK, || format!("{lost} frames were lost"))?;
        let lost = self.heap.saturating_sub(before.heap);
        ensure(lost <= SLACK_BYTES, || format!("{lost} bytes of the heap were lost"))
    }
}

#[cfg(test)]
mod tests {
    use arch::{Cpu, Machine};

    use crate::terminal::fake::Terminal;
    use crate::{Session, Status};

    #[test]
    fn the_tests_pass_on_the_development_machine() {
        Machine::on_interrupt(host_thread::simple_entry);
        host_thread::start().unwrap();
        let mut terminal = Terminal::default();
        let status = Session::new(&mut terminal).run_line("selftest run clock timers threads locks work");
        assert_eq!(status, Status::Done, "{}", terminal.text());
        assert!(terminal.text().ends_with("selftest: 5 passed, 0 failed\n"));
    }
}
