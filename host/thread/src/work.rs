//! Work queues: small jobs that are asked for where they cannot be done, in an interrupt or with a lock held, and that
//! a thread does later.
//!
//! A [`Queue`] is a thread that does one job after the other; [`system`] is one that each CPU has for all. A [`Work`]
//! belongs to a queue. Asking for it allocates nothing and is for any context; asking again before it has begun
//! changes nothing. It can also be asked for at a later point of time.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;

use arch::{Cpu, IrqsOff, Machine, Nanos};
use atomic::{Arc, AtomicBool, Ordering};
use host_sync::{IrqOff, MAX_CPUS, Once, PerCpu, Rank, Spin, might_sleep};

use crate::time::{self, Timer};
use crate::{CpuSet, Options, SpawnError, Thread, ThreadId, WaitQueue, current, spawn};

/// A thread that does jobs. Dropping it lets the thread end once it has done those that were asked for.
pub struct Queue {
    shared: Arc<Shared>,
    thread: Thread,
}

struct Shared {
    jobs: Spin<Jobs, IrqOff>,
    /// The thread waits here for jobs, and others for the end of one.
    changed: WaitQueue,
}

struct Jobs {
    waiting: VecDeque<Arc<Job>>,
    /// The one that is done right now.
    current: Option<Arc<Job>>,
    /// How many works there are, each of which needs a place at most.
    works: usize,
    /// Who does them.
    thread: Option<ThreadId>,
    ends: bool,
}

struct Job {
    work: Box<dyn Fn() + Send + Sync>,
    asked: AtomicBool,
}

impl Queue {
    /// A queue whose thread is made with `options`.
    ///
    /// # Errors
    /// The thread cannot be made.
    pub fn new(options: Options) -> Result<Self, SpawnError> {
        let jobs = Jobs { waiting: VecDeque::new(), current: None, works: 0, thread: None, ends: false };
        let shared = Arc::new(Shared { jobs: Spin::ranked(jobs, Rank::Work), changed: WaitQueue::new() });
        let its = Arc::clone(&shared);
        let thread = spawn(options, Box::new(move || its.live()))?;
        Ok(Self { shared, thread })
    }

    /// A job that this queue does when it is asked for.
    pub fn work(&self, job: impl Fn() + Send + Sync + 'static) -> Work {
        let job = Arc::new(Job { work: Box::new(job), asked: AtomicBool::new(false) });
        self.shared.make_room();
        let (shared, its) = (Arc::clone(&self.shared), Arc::clone(&job));
        let timer = Timer::new(move |_| shared.ask(&its));
        Work { shared: Arc::clone(&self.shared), job, timer }
    }

    /// Waits until all that was asked for until now is done. Not for its own jobs.
    pub fn flush(&self) {
        let last = Arc::new(AtomicBool::new(false));
        let marker = self.work({
            let last = Arc::clone(&last);
            move || last.store(true, Ordering::Release)
        });
        marker.ask();
        self.shared.changed.wait_while(|| !last.load(Ordering::Acquire));
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.shared.jobs.lock().ends = true;
        self.shared.changed.wake_all();
        // A job that drops its own queue does not wait for itself.
        if current() != self.thread {
            self.thread.join();
        }
    }
}

/// The queue that this CPU has for all. It is made when it is first asked for.
///
/// # Errors
/// There is no memory for its thread.
pub fn system() -> Result<&'static Queue, SpawnError> {
    static QUEUES: PerCpu<Once<Queue>> = PerCpu::new([const { Once::new() }; MAX_CPUS]);
    let cpu = Machine::id(&IrqsOff::now());
    let queue = QUEUES.of(cpu);
    if let Some(queue) = queue.get() {
        return Ok(queue);
    }
    let made = Queue::new(Options::new(format!("work/{}", cpu.0)).affinity(CpuSet::of(cpu)))?;
    // Somebody else may have been quicker; then this one ends.
    Ok(queue.get_or_init(move || made))
}

impl Shared {
    fn live(&self) {
        self.jobs.lock().thread = Some(current().id());
        loop {
            let mut ends = false;
            let mut next = None;
            self.changed.wait_while(|| {
                let mut jobs = self.jobs.lock();
                next = jobs.waiting.pop_front();
                jobs.current.clone_from(&next);
                ends = jobs.ends;
                next.is_none() && !ends
            });
            let Some(job) = next.take() else { return };
            job.asked.store(false, Ordering::Release);
            (job.work)();
            // It may be the last count of a work that dropped itself: nothing is freed with the lock held.
            let done = self.jobs.lock().current.take();
            drop(done);
            self.changed.wake_all();
        }
    }

    fn ask(&self, job: &Arc<Job>) {
        if !job.asked.swap(true, Ordering::AcqRel) {
            let mut jobs = self.jobs.lock();
            if jobs.ends {
                // Nobody is there any more who would do it.
                job.asked.store(false, Ordering::Release);
                return;
            }
            jobs.waiting.push_back(Arc::clone(job));
            drop(jobs);
            self.changed.wake_all();
        }
    }

    /// One work more: what it asks for must find a place without allocating.
    fn make_room(&self) {
        let mut larger = VecDeque::new();
        loop {
            let mut jobs = self.jobs.lock();
            let needed = jobs.works + 1;
            if jobs.waiting.capacity() >= needed {
                jobs.works = needed;
                return;
            }
            if larger.capacity() >= needed {
                jobs.works = needed;
                larger.extend(jobs.waiting.drain(..));
                core::mem::swap(&mut jobs.waiting, &mut larger);
                return;
            }
            drop(jobs);
            // Memory is taken, and what was there is freed, without the lock.
            larger = VecDeque::with_capacity(2 * needed);
        }
    }
}

/// A job of a [`Queue`]. Dropping it takes it back: when that returns it does not run any more, unless it drops itself.
pub struct Work {
    shared: Arc<Shared>,
    job: Arc<Job>,
    timer: Timer,
}

impl Work {
    /// Has it done as soon as its queue comes to it. For any context.
    pub fn ask(&self) {
        self.shared.ask(&self.job);
    }

    /// Has it done after `delay`, in place of what was said before about later. For any context.
    pub fn ask_after(&self, delay: Nanos) {
        self.timer.arm(time::now().after(delay));
    }

    /// Takes back what was asked for. `true` when it had not begun. It may still run when this returns.
    pub fn cancel(&self) -> bool {
        let was_armed = self.timer.is_armed();
        self.timer.cancel();
        let mut jobs = self.shared.jobs.lock();
        let place = jobs.waiting.iter().position(|job| Arc::ptr_eq(job, &self.job));
        let taken = place.and_then(|place| jobs.waiting.remove(place));
        drop(jobs);
        if taken.is_some() {
            self.job.asked.store(false, Ordering::Release);
        }
        taken.is_some() || was_armed
    }

    /// Waits until it is not asked for and does not run. Not for the job itself.
    pub fn wait(&self) {
        might_sleep();
        self.shared.changed.wait_while(|| self.job.asked.load(Ordering::Acquire) || self.runs());
    }

    fn runs(&self) -> bool {
        self.shared.jobs.lock().current.as_ref().is_some_and(|job| Arc::ptr_eq(job, &self.job))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.cancel();
        let by_itself = self.shared.jobs.lock().thread == Some(current().id()) && self.runs();
        if !by_itself {
            self.shared.changed.wait_while(|| self.runs());
        }
        let mut jobs = self.shared.jobs.lock();
        jobs.works = jobs.works.saturating_sub(1);
    }
}
