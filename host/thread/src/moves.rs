//! Threads that go on on another CPU.
//!
//! A thread moves only where it gave its CPU up by itself: parked, giving way, or between two runs of its
//! guest ([`take_interrupts`](crate::take_interrupts)). Where it is to go is noted on the CPU that has it, which
//! takes it away as soon as it can: at once if it does not run, else when it was left next. So whatever of a
//! thread is in a CPU's hardware is taken out by that CPU (`Virt::evict`).
#![forbid(unsafe_code)]

use alloc::string::{String, ToString};
use core::fmt;

use arch::{Clock, Cpu as _, CpuId, IrqsOff, Machine, Nanos, Virt};
use atomic::{Arc, Ordering};
use host_sync::might_sleep;

use crate::control::Control;
use crate::member::{Leaves, Member};
use crate::phase::Phase;
use crate::policy::{Slot, Why};
use crate::thread::{Thread, ThreadId};
use crate::{CpuSet, cpu, sleep, time};

/// Why a thread cannot run where it should.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AffinityError {
    /// None of these CPUs is online: the set, as it is printed.
    NotOnline(String),
    /// It has ended.
    Ended,
    /// The policies of these CPUs do not take it on, or it did not give its CPU up in time.
    Stays(CpuId),
}

impl fmt::Display for AffinityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOnline(set) => write!(f, "none of the CPUs {set} is online"),
            Self::Ended => f.write_str("it has ended"),
            Self::Stays(cpu) => write!(f, "it is still on {cpu}"),
        }
    }
}

/// Has the thread of this number go on on `target` as soon as it can, unless somebody is waiting to see it come somewhere
/// else ([`Thread::move_to`]).
///
/// # Errors
/// It has ended, the CPU is not online, or that somebody is there.
pub fn send(id: ThreadId, target: CpuId) -> Result<(), AffinityError> {
    let find = |at| {
        let masked = IrqsOff::now();
        let roster = cpu::roster_of(at, &masked);
        roster.members().find(|member| member.control.id == id.0).map(|member| Arc::clone(&member.control))
    };
    let found = cpu::started().find_map(find).ok_or(AffinityError::Ended)?;
    let thread = Thread(found);
    if thread.0.is_escorted.load(Ordering::Relaxed) {
        return Err(AffinityError::Stays(thread.cpu()));
    }
    thread.send(target)
}

/// The CPUs on which threads run.
pub fn online() -> CpuSet {
    cpu::started().collect()
}

/// How long a thread is looked for on its new CPU.
const PATIENCE: Nanos = Nanos::from_millis(2000);
/// The longest time between two looks. Were all of them short, who looks could keep a less urgent thread of his own CPU,
/// on a slow machine, from coming to a point where it can go.
const RAREST_LOOK: Nanos = Nanos::from_millis(32);

impl Thread {
    /// Where it may run; all there could be, when it has ended.
    pub fn affinity(&self) -> CpuSet {
        let masked = IrqsOff::now();
        let (_, slot, roster) = cpu::home(&self.0, &masked);
        let own = roster.member(slot).filter(|member| Arc::ptr_eq(&member.control, &self.0));
        own.map_or(CpuSet::ALL, |member| member.affinity)
    }

    /// Says where it may run, and takes it there if it is elsewhere; it is there when this returns.
    ///
    /// # Errors
    /// None of these CPUs is online, or the thread cannot move; then its affinity is what it was.
    pub fn set_affinity(&self, affinity: CpuSet) -> Result<(), AffinityError> {
        let before = self.affinity();
        let target =
            best(affinity, self.cpu()).ok_or_else(|| AffinityError::NotOnline(affinity.to_string()))?;
        self.allow(affinity)?;
        if affinity.contains(self.cpu()) {
            return Ok(());
        }
        let moved = self.move_to(target);
        if moved.is_err() {
            // It may have ended meanwhile.
            let _ = self.allow(before);
        }
        moved
    }

    /// Takes it to `target`; it is there when this returns.
    ///
    /// # Errors
    /// The CPU is not online, or the thread does not give its own one up.
    pub fn move_to(&self, target: CpuId) -> Result<(), AffinityError> {
        might_sleep();
        self.0.is_escorted.store(true, Ordering::Relaxed);
        let moved = self.escort(target);
        self.0.is_escorted.store(false, Ordering::Relaxed);
        moved
    }

    fn escort(&self, target: CpuId) -> Result<(), AffinityError> {
        let (mut waited, mut pause) = (Nanos(0), Nanos::from_millis(1));
        while waited < PATIENCE {
            // Again each time: a daemon that was about to send it elsewhere may have done so meanwhile.
            self.send(target)?;
            let here = self.cpu();
            if here == target {
                return Ok(());
            }
            if self.0.state.get() == Phase::ENDED {
                return Err(AffinityError::Ended);
            }
            sleep(pause);
            waited = waited.after(pause);
            pause = Nanos(2 * pause.0).min(RAREST_LOOK);
        }
        self.stay();
        Err(AffinityError::Stays(self.cpu()))
    }

    /// Has it go on on `target` as soon as it can.
    ///
    /// # Errors
    /// The CPU is not online.
    pub fn send(&self, target: CpuId) -> Result<(), AffinityError> {
        if !online().contains(target) {
            return Err(AffinityError::NotOnline(CpuSet::of(target).to_string()));
        }
        let masked = IrqsOff::now();
        // What the move needs there is made now: it happens where nothing can be allocated.
        let mut there = cpu::roster_of(target, &masked);
        there.make_room_for_one();
        drop(there);
        let (home, slot, mut roster) = cpu::home(&self.0, &masked);
        if !roster.member(slot).is_some_and(|member| Arc::ptr_eq(&member.control, &self.0)) {
            return Err(AffinityError::Ended);
        }
        roster.want(slot, (home != target).then_some(target));
        let runs_here = home == Machine::id(&masked) && roster.running == slot;
        if home == target {
            return Ok(());
        }
        if runs_here {
            // Its own wish: it gives way, and comes back there.
            cpu::switch(roster, Machine::now(), Some(Why::TurnOver), Leaves::ByItself, &masked);
            return Ok(());
        }
        drop(roster);
        cpu::look_again(home, &masked);
        drop(masked);
        cpu::preempt_here();
        Ok(())
    }

    /// Takes an order to move back.
    fn stay(&self) {
        let masked = IrqsOff::now();
        let (_, slot, mut roster) = cpu::home(&self.0, &masked);
        if roster.member(slot).is_some_and(|member| Arc::ptr_eq(&member.control, &self.0)) {
            roster.want(slot, None);
        }
    }

    fn allow(&self, affinity: CpuSet) -> Result<(), AffinityError> {
        let masked = IrqsOff::now();
        let (_, slot, mut roster) = cpu::home(&self.0, &masked);
        match roster.member_mut(slot).filter(|member| Arc::ptr_eq(&member.control, &self.0)) {
            Some(member) => {
                member.affinity = affinity;
                Ok(())
            }
            None => Err(AffinityError::Ended),
        }
    }
}

/// `cpu`, if threads may come there; another one otherwise.
pub(crate) fn open(cpu: CpuId) -> Option<CpuId> {
    let closed = cpu::roster_of(cpu, &IrqsOff::now()).closed;
    if closed { best(CpuSet::ALL, cpu) } else { Some(cpu) }
}

/// The CPU of `among` where a thread should run: the one with the fewest threads of guests, or `near` if that has
/// no more.
pub(crate) fn best(among: CpuSet, near: CpuId) -> Option<CpuId> {
    let load = |cpu: CpuId| {
        let masked = IrqsOff::now();
        let roster = cpu::roster_of(cpu, &masked);
        let vcpus = roster.members().filter(|member| member.control.is_vcpu).count();
        (!roster.closed).then_some((vcpus, cpu != near, cpu))
    };
    cpu::started().filter(|cpu| among.contains(*cpu)).filter_map(load).min().map(|(_, _, cpu)| cpu)
}

/// Takes a thread of this CPU, which does not run and is to go on elsewhere, away.
#[cold]
pub(crate) fn carry(slot: Slot, masked: &IrqsOff) {
    let here = Machine::id(masked);
    let is_vcpu = cpu::roster(masked).member(slot).is_some_and(|member| member.control.is_vcpu);
    if is_vcpu {
        // Before it can run anywhere else; and it does not run here, since we do.
        Machine::evict(masked);
    }
    let mut roster = cpu::roster(masked);
    if !roster.member(slot).is_some_and(Member::can_leave) {
        return;
    }
    let Some(mut member) = roster.remove(slot) else { return };
    let control = Arc::clone(&member.control);
    control.place.leave();
    let wanted = member.wants.take();
    drop(roster);
    let home = settle(member, wanted, here, masked);
    time::rehome(&control.alarm, here, home, masked);
    time::rehome(&control.deadline, here, home, masked);
    if home == here {
        let mut roster = cpu::roster(masked);
        roster.contest(Machine::now(), masked);
        Machine::nesting(masked).others_ready().set(roster.others_ready());
        roster.set_alarm(masked);
    } else {
        cpu::kick(home);
    }
}

/// Finds a CPU for a thread that is nowhere: the wanted one, another that its affinity allows, any, or the one
/// from which it came. Says which.
fn settle(member: Member, wanted: Option<CpuId>, here: CpuId, masked: &IrqsOff) -> CpuId {
    let control = Arc::clone(&member.control);
    let affinity = member.affinity;
    let allowed = cpu::started().filter(|cpu| affinity.contains(*cpu) && *cpu != here);
    let any = cpu::started().filter(|cpu| *cpu != here);
    for cpu in wanted.into_iter().chain(allowed).chain(any) {
        let mut roster = cpu::roster_of(cpu, masked);
        let slot = roster.free_slot();
        if roster.closed || roster.admit(slot, &member.attributes).is_err() {
            continue;
        }
        sit(&mut roster, cpu, slot, member, &control);
        return cpu;
    }
    let mut roster = cpu::roster_of(here, masked);
    let slot = roster.free_slot();
    // It was there a moment ago; should its place have been given away since, it is not refused a seat.
    let _ = roster.admit(slot, &member.attributes);
    sit(&mut roster, here, slot, member, &control);
    here
}

fn sit(roster: &mut crate::roster::Roster, cpu: CpuId, slot: Slot, member: Member, control: &Control) {
    roster.seat(slot, member);
    control.place.settle(cpu, slot);
    if control.state.get() == Phase::READY {
        roster.enlist_moved(slot, Machine::now());
    }
}
