//! What a thread asks of its CPU.

use arch::Nanos;

/// How urgent a thread is: 0 to 7, higher ones first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Priority(u8);

impl Priority {
    /// How many there are.
    pub const COUNT: usize = 8;
    /// For what may wait for all else.
    pub const LOWEST: Self = Self(0);
    /// For threads that say nothing else.
    pub const DEFAULT: Self = Self(3);
    /// For what must not wait.
    pub const HIGHEST: Self = Self(7);

    /// Priority `level`; `None` above 7.
    pub const fn new(level: u8) -> Option<Self> {
        if level as usize >= Self::COUNT { None } else { Some(Self(level)) }
    }
    /// The number, 0 to 7.
    #[inline(always)]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl core::fmt::Display for Priority {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a thread is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Work of the hypervisor's own.
    System,
    /// It is a virtual CPU of a guest.
    Vcpu,
    /// It runs when nobody else does.
    Idle,
}

/// What a thread asks of its CPU. Every policy looks at those that mean something to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attributes {
    /// What it is for.
    pub kind: Kind,
    /// How urgent it is.
    pub priority: Priority,
    /// How long it runs while others of its rank wait; the time that it needs in each period.
    pub time_slice: Nanos,
    /// How often it has work: once in so long.
    pub period: Option<Nanos>,
    /// How long after work has come it must be done.
    pub deadline: Option<Nanos>,
    /// Its share against those of others.
    pub weight: u32,
    /// The most that it gets, in hundredths of a CPU; no limit for 0.
    pub cap: u32,
}

impl Attributes {
    /// A time slice that suits most threads.
    pub const TIME_SLICE: Nanos = Nanos::from_millis(10);
    /// The shortest: what is shorter would be spent on switching.
    pub const SHORTEST: Nanos = Nanos(100_000);
    /// The longest slice, period or deadline: an hour.
    pub const LONGEST: Nanos = Nanos(3_600_000_000_000);
    /// The weight of threads that say nothing else.
    pub const WEIGHT: u32 = 256;
    /// The largest weight; the least is 1.
    pub const MAX_WEIGHT: u32 = 65_535;

    /// Those of a thread of this kind that says nothing else.
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            priority: Priority::DEFAULT,
            time_slice: Self::TIME_SLICE,
            period: None,
            deadline: None,
            weight: Self::WEIGHT,
            cap: 0,
        }
    }

    /// The period, where it says one; else the deadline, which is the shortest period that makes sense.
    pub fn effective_period(&self) -> Option<Nanos> {
        self.period.or(self.deadline)
    }

    /// The deadline, where it says one; else the period.
    pub fn effective_deadline(&self) -> Option<Nanos> {
        self.deadline.or(self.period)
    }
}
