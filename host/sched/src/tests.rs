//! Policies in a simulated CPU, which treats their answers as the mechanism does.

mod guarantees;
mod shares;

use alloc::boxed::Box;
use alloc::vec::Vec;

use arch::Nanos;

use crate::{Attributes, Hint, Kind, NEVER, Policy, Priority, Refused, Running, Slot, Verdict, Why};

const MS: u64 = 1_000_000;

/// What a simulated thread does.
#[derive(Clone, Copy)]
enum Work {
    /// It computes for ever.
    Endless,
    /// It computes for `length` once in every `period`, from `first` on.
    Periodic { first: u64, period: u64, length: u64 },
}

struct Thread {
    attributes: Attributes,
    work: Work,
    /// When its next work comes.
    comes: u64,
    /// What is left of the work that came, and when it came.
    left: u64,
    came: u64,
    is_ready: bool,
    /// What it had of the CPU.
    ran: u64,
    /// The longest time between the coming of work and its end.
    slowest: u64,
    /// Works that had not ended when the next one came.
    missed: u32,
    turn: u64,
}

struct Sim {
    policy: Box<dyn Policy>,
    threads: Vec<Thread>,
    now: u64,
    running: Option<usize>,
    since: u64,
    turn_ends: u64,
    /// How often the CPU went from one to another, and how often an alarm rang that was not for work that came.
    switches: u64,
    alarms: u64,
}

/// So often, or a fortieth of it under Miri, which is slow.
fn times(often: usize) -> usize {
    if cfg!(miri) { often.div_ceil(40) } else { often }
}

/// The end of so many seconds, or of a tenth of that under Miri.
fn seconds(count: u64) -> u64 {
    count * if cfg!(miri) { 100 * MS } else { 1000 * MS }
}

fn vcpu() -> Attributes {
    Attributes::new(Kind::Vcpu)
}

impl Sim {
    fn new(name: &str) -> Self {
        let policy = (crate::find(name).unwrap().make)();
        let (threads, now, running, since, turn_ends, switches, alarms) =
            (Vec::new(), 0, None, 0, u64::MAX, 0, 0);
        Self { policy, threads, now, running, since, turn_ends, switches, alarms }
    }

    fn try_add(&mut self, attributes: Attributes, work: Work) -> Result<usize, Refused> {
        let slot = self.threads.len();
        self.policy.reserve(slot + 1);
        self.policy.enrol(Slot(slot as u32), &attributes)?;
        let (comes, left) = match work {
            Work::Endless => (u64::MAX, u64::MAX),
            Work::Periodic { first, .. } => (first, 0),
        };
        let turn = attributes.time_slice.0;
        self.threads.push(Thread {
            attributes,
            work,
            comes,
            left,
            came: 0,
            is_ready: false,
            ran: 0,
            slowest: 0,
            missed: 0,
            turn,
        });
        if left > 0 {
            self.ready(slot, Why::Woken);
        }
        Ok(slot)
    }

    fn add(&mut self, attributes: Attributes, work: Work) -> usize {
        self.try_add(attributes, work).unwrap()
    }

    fn ready(&mut self, slot: usize, why: Why) {
        assert!(!self.threads[slot].is_ready);
        self.threads[slot].is_ready = true;
        let hint = Hint { priority: self.threads[slot].attributes.priority, why };
        self.policy.ready(Slot(slot as u32), hint, Nanos(self.now));
    }

    fn running(&self) -> Running {
        let slot = self.running.map(|slot| Slot(slot as u32));
        let priority = self.running.map_or(Priority::LOWEST, |slot| self.threads[slot].attributes.priority);
        Running { slot, priority, since: Nanos(self.since) }
    }

    fn switch(&mut self, why: Option<Why>) {
        if let Some(slot) = self.running.take() {
            if self.policy.counts_time() {
                self.policy.ran(Slot(slot as u32), Nanos(self.since), Nanos(self.now));
            }
            let turn_left = self.turn_ends.saturating_sub(self.now);
            let thread = &mut self.threads[slot];
            let keeps = why == Some(Why::Preempted) && self.turn_ends != u64::MAX;
            thread.turn = if keeps { turn_left } else { thread.attributes.time_slice.0 };
            if let Some(why) = why {
                self.ready(slot, why);
            }
        }
        self.switches += 1;
        self.running = self.policy.next(Nanos(self.now)).map(|slot| slot.0 as usize);
        if let Some(slot) = self.running {
            assert!(core::mem::take(&mut self.threads[slot].is_ready), "{slot} is not ready");
        }
        (self.since, self.turn_ends) = (self.now, u64::MAX);
    }

    /// Asks as long as the answer is to switch; says when to ask again.
    fn contest(&mut self) -> u64 {
        for _ in 0..100 {
            let contest = self.policy.contest(self.running(), Nanos(self.now));
            match contest.verdict {
                Verdict::Preempt => {
                    self.switch(Some(Why::Preempted));
                    continue;
                }
                Verdict::Share if self.turn_ends == u64::MAX => {
                    let turn = self.running.map_or(u64::MAX, |slot| self.threads[slot].turn);
                    self.turn_ends = self.now.saturating_add(turn);
                }
                _ => {}
            }
            return contest.again.0;
        }
        panic!("the policy cannot make up its mind");
    }

    /// Work comes.
    fn arrivals(&mut self) {
        for slot in 0..self.threads.len() {
            let thread = &mut self.threads[slot];
            let Work::Periodic { period, length, .. } = thread.work else { continue };
            if thread.comes > self.now {
                continue;
            }
            let busy = thread.left > 0;
            thread.missed += u32::from(busy);
            if !busy {
                thread.came = thread.comes;
            }
            thread.left += length;
            thread.comes += period;
            if !busy {
                self.ready(slot, Why::Woken);
            }
        }
    }

    fn run(&mut self, until: u64) {
        while self.now < until {
            self.arrivals();
            let again = self.contest();
            assert!(again > self.now, "asks for a point that has passed");
            let comes = self.threads.iter().map(|thread| thread.comes).min().unwrap_or(u64::MAX);
            let ends = self.running.map_or(u64::MAX, |slot| self.now.saturating_add(self.threads[slot].left));
            let alarm = again.min(self.turn_ends);
            let next = alarm.min(comes).min(ends).min(until);
            self.alarms += u64::from(next == alarm && next < comes.min(ends).min(until));
            if let Some(slot) = self.running {
                let thread = &mut self.threads[slot];
                thread.ran += next - self.now;
                if thread.left != u64::MAX {
                    thread.left -= next - self.now;
                }
            }
            self.now = next;
            let Some(slot) = self.running else { continue };
            if self.threads[slot].left == 0 {
                let thread = &mut self.threads[slot];
                thread.slowest = thread.slowest.max(self.now - thread.came);
                self.switch(None);
            } else if self.turn_ends <= self.now {
                self.switch(Some(Why::TurnOver));
            }
        }
    }

    fn ran(&self, slot: usize) -> u64 {
        self.threads[slot].ran
    }
}

/// Random numbers that are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % end
    }
}

#[test]
fn every_policy_has_a_name_of_its_own_and_makes_what_it_says() {
    for scheduler in crate::SCHEDULERS {
        assert_eq!((scheduler.make)().name(), scheduler.name);
        assert_eq!(crate::SCHEDULERS.iter().filter(|other| other.name == scheduler.name).count(), 1);
    }
    assert!(crate::find("no such").is_none());
}

#[test]
fn whatever_happens_every_policy_names_those_who_are_ready_and_forgets_nobody() {
    let mut random = Random(0x5eed);
    for scheduler in crate::SCHEDULERS {
        for _ in 0..times(50) {
            let mut policy = (scheduler.make)();
            policy.reserve(8);
            let mut ready = [false; 8];
            let mut priorities = [Priority::DEFAULT; 8];
            let mut now = 0;
            for _ in 0..times(500) {
                now += random.below(20) * MS / 4;
                let slot = random.below(8) as usize;
                let name = Slot(slot as u32);
                let why = [Why::Woken, Why::Preempted, Why::TurnOver][random.below(3) as usize];
                match random.below(4) {
                    0 | 1 if !ready[slot] => {
                        ready[slot] = true;
                        policy.ready(name, Hint { priority: priorities[slot], why }, Nanos(now));
                    }
                    0 if ready[slot] => {
                        ready[slot] = false;
                        policy.gone(name);
                    }
                    2 if !ready[slot] => {
                        let mut attributes = vcpu();
                        attributes.kind = if slot == 0 { Kind::Vcpu } else { Kind::System };
                        attributes.priority = Priority::new(random.below(8) as u8).unwrap();
                        attributes.weight = 1 + random.below(1000) as u32;
                        attributes.cap = random.below(3) as u32 * 40;
                        attributes.period =
                            (random.below(2) == 0).then(|| Nanos(MS * (100 + random.below(100))));
                        priorities[slot] = attributes.priority;
                        policy.enrol(name, &attributes).unwrap();
                    }
                    _ => {
                        let picked = policy.next(Nanos(now));
                        let Some(Slot(picked)) = picked else { continue };
                        assert!(core::mem::take(&mut ready[picked as usize]), "{}", scheduler.name);
                        policy.ran(Slot(picked), Nanos(now), Nanos(now + MS * random.below(20)));
                    }
                }
            }
            // Budgets come back, sooner or later, and then everybody's turn comes.
            let mut left = ready.iter().filter(|ready| **ready).count();
            for _ in 0..200_000 {
                if left == 0 {
                    break;
                }
                now += MS;
                left -= usize::from(policy.next(Nanos(now)).is_some());
            }
            assert_eq!(left, 0, "{}", scheduler.name);
            assert_eq!(policy.next(NEVER), None);
        }
    }
}
