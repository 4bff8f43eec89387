//! Sets of CPUs.
#![forbid(unsafe_code)]

use core::fmt;

use arch::{CpuId, MAX_CPUS};

const WORDS: usize = MAX_CPUS / 64;

/// A set of CPUs, such as those that a thread may run on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CpuSet([u64; WORDS]);

impl CpuSet {
    /// None.
    pub const NONE: Self = Self([0; WORDS]);
    /// All that there could be.
    pub const ALL: Self = Self([u64::MAX; WORDS]);

    /// This one alone.
    pub fn of(cpu: CpuId) -> Self {
        Self::NONE.with(cpu)
    }

    /// With `cpu` too; a number that no CPU can have changes nothing.
    pub fn with(mut self, cpu: CpuId) -> Self {
        if let Some(word) = self.0.get_mut(cpu.0 as usize / 64) {
            *word |= 1 << (cpu.0 % 64);
        }
        self
    }

    /// Whether `cpu` is one of them.
    pub fn contains(&self, cpu: CpuId) -> bool {
        self.0.get(cpu.0 as usize / 64).is_some_and(|word| word >> (cpu.0 % 64) & 1 != 0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Those that are in both sets.
    pub fn and(mut self, other: Self) -> Self {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word &= other;
        }
        self
    }

    /// Each one, by number.
    pub fn iter(&self) -> impl Iterator<Item = CpuId> {
        // Not more than `MAX_CPUS`.
        (0..MAX_CPUS as u32).map(CpuId).filter(|cpu| self.contains(*cpu))
    }
}

impl FromIterator<CpuId> for CpuSet {
    fn from_iter<I: IntoIterator<Item = CpuId>>(cpus: I) -> Self {
        cpus.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Display for CpuSet {
    /// `{0,2,3}`, as Xvisor writes them; more than two in a row as `{0-5}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        let mut cpus = self.iter().map(|cpu| cpu.0).peekable();
        let mut comma = "";
        while let Some(first) = cpus.next() {
            let mut last = first;
            while let Some(next) = cpus.next_if_eq(&(last + 1)) {
                last = next;
            }
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                1 => write!(f, "{comma}{first},{last}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
            comma = ",";
        }
        f.write_str("}")
    }
}

impl fmt::Debug for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_beyond_the_last_cpu() {
        let set: CpuSet = [3, 0, 70, u32::MAX].into_iter().map(CpuId).collect();
        assert_eq!(set.to_string(), "{0,3,70}");
        assert_eq!(set.with(CpuId(1)).with(CpuId(4)).with(CpuId(5)).to_string(), "{0,1,3-5,70}");
        assert!(set.contains(CpuId(70)) && !set.contains(CpuId(1)) && !set.contains(CpuId(u32::MAX)));
        assert_eq!(set.and(CpuSet::of(CpuId(3))).to_string(), "{3}");
        assert!(CpuSet::NONE.is_empty() && set.and(CpuSet::NONE).is_empty());
        assert!(CpuSet::ALL.contains(CpuId(0)));
    }
}
