//! List registers: what virtual interrupts a CPU is offered. One meaning, two encodings: `GICH_LR<n>` (IHI 0048B 5.3.9)
//! and `ICH_LR<n>_EL2` (IHI 0069 12.4.8).

/// The state of a virtual interrupt in its list register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// The register is free.
    Invalid = 0b00,
    /// To be taken.
    Pending = 0b01,
    /// Taken, not ended.
    Active = 0b10,
    /// Taken, not ended, and to be taken again.
    PendingActive = 0b11,
}

impl State {
    #[inline]
    const fn decode(bits: u32) -> Self {
        match bits & 3 {
            0 => Self::Invalid,
            1 => Self::Pending,
            2 => Self::Active,
            _ => Self::PendingActive,
        }
    }

    /// Whether it is to be taken.
    #[inline]
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::Pending | Self::PendingActive)
    }

    /// Whether it was taken and has not ended.
    #[inline]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Active | Self::PendingActive)
    }
}

/// The group of a virtual interrupt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// Group 0.
    Zero,
    /// Group 1.
    One,
}

/// What a virtual interrupt stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// A physical interrupt, which is deactivated together with the virtual one.
    Hardware {
        /// Its number: 10 bits in version 2, 13 in version 3.
        physical: u16,
    },
    /// Something emulated.
    Software {
        /// A maintenance interrupt tells when it ended.
        notify_end: bool,
        /// The CPU that sent it, if it is an SGI, 0 to 7; only version 2 says.
        cpu: u8,
    },
}

impl Source {
    /// Something emulated, about which nobody wants to be told.
    pub const PLAIN: Self = Self::Software { notify_end: false, cpu: 0 };
}

/// The content of a list register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListEntry {
    /// The virtual interrupt's number: 10 bits in version 2.
    pub virtual_id: u32,
    /// Its priority, 0 the most urgent; version 2 keeps the upper five bits.
    pub priority: u8,
    /// Its group.
    pub group: Group,
    /// Its state.
    pub state: State,
    /// What it stands for.
    pub source: Source,
}

/// `GICH_LR<n>`.
pub mod v2 {
    use super::{Group, ListEntry, Source, State};

    /// State, alone.
    #[inline]
    pub const fn state(lr: u32) -> State {
        State::decode(lr >> 28)
    }

    /// The register's value; what does not fit in a field is cut.
    #[inline]
    pub const fn pack(entry: ListEntry) -> u32 {
        let source = match entry.source {
            Source::Hardware { physical } => 1 << 31 | (physical as u32 & 0x3ff) << 10,
            Source::Software { notify_end, cpu } => (notify_end as u32) << 19 | (cpu as u32 & 7) << 10,
        };
        source
            | (entry.group as u32) << 30
            | (entry.state as u32) << 28
            | (entry.priority as u32 >> 3) << 23
            | (entry.virtual_id & 0x3ff)
    }

    /// What a value of the register says.
    #[inline]
    pub const fn unpack(lr: u32) -> ListEntry {
        let source = if lr & (1 << 31) != 0 {
            Source::Hardware { physical: (lr >> 10) as u16 & 0x3ff }
        } else {
            Source::Software { notify_end: lr & (1 << 19) != 0, cpu: (lr >> 10) as u8 & 7 }
        };
        ListEntry {
            virtual_id: lr & 0x3ff,
            priority: ((lr >> 23) as u8 & 0x1f) << 3,
            group: if lr & (1 << 30) != 0 { Group::One } else { Group::Zero },
            state: state(lr),
            source,
        }
    }
}

/// `ICH_LR<n>_EL2`.
pub mod v3 {
    use super::{Group, ListEntry, Source, State};

    /// State, alone.
    #[inline]
    pub const fn state(lr: u64) -> State {
        State::decode((lr >> 62) as u32)
    }

    /// The register's value; what does not fit in a field is cut, and so is the CPU that sent an SGI.
    #[inline]
    pub const fn pack(entry: ListEntry) -> u64 {
        let source = match entry.source {
            Source::Hardware { physical } => 1 << 61 | (physical as u64 & 0x1fff) << 32,
            Source::Software { notify_end, cpu: _ } => (notify_end as u64) << 41,
        };
        source
            | (entry.state as u64) << 62
            | (entry.group as u64) << 60
            | (entry.priority as u64) << 48
            | entry.virtual_id as u64
    }

    /// What a value of the register says.
    #[inline]
    pub const fn unpack(lr: u64) -> ListEntry {
        let source = if lr & (1 << 61) != 0 {
            Source::Hardware { physical: (lr >> 32) as u16 & 0x1fff }
        } else {
            Source::Software { notify_end: lr & (1 << 41) != 0, cpu: 0 }
        };
        ListEntry {
            virtual_id: lr as u32,
            priority: (lr >> 48) as u8,
            group: if lr & (1 << 60) != 0 { Group::One } else { Group::Zero },
            state: state(lr),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMER: ListEntry = ListEntry {
        virtual_id: 27,
        priority: 0xa0,
        group: Group::One,
        state: State::Pending,
        source: Source::Hardware { physical: 27 },
    };

    #[test]
    fn encodings_are_the_manuals() {
        assert_eq!(v2::pack(TIMER), 0xda00_6c1b);
        assert_eq!(v3::pack(TIMER), 0x70a0_001b_0000_001b);
        let sgi = ListEntry { source: Source::Software { notify_end: true, cpu: 5 }, ..TIMER };
        assert_eq!(v2::pack(sgi), 0x5a08_141b);
        assert_eq!(v3::pack(sgi), 0x50a0_0200_0000_001b);
    }

    #[test]
    fn an_entry_survives_either_register() {
        for state in [State::Invalid, State::Pending, State::Active, State::PendingActive] {
            for group in [Group::Zero, Group::One] {
                for source in [
                    Source::PLAIN,
                    Source::Software { notify_end: true, cpu: 0 },
                    Source::Hardware { physical: 1019 },
                ] {
                    let entry = ListEntry { state, group, source, virtual_id: 1019, priority: 0xf8 };
                    assert_eq!(v2::unpack(v2::pack(entry)), entry);
                    assert_eq!(v3::unpack(v3::pack(entry)), entry);
                    assert_eq!(v2::state(v2::pack(entry)), state);
                    assert_eq!(v3::state(v3::pack(entry)), state);
                }
            }
        }
    }

    #[test]
    fn states_know_pending_and_active() {
        assert!(State::PendingActive.is_pending() && State::PendingActive.is_active());
        assert!(State::Pending.is_pending() && !State::Pending.is_active());
        assert!(!State::Invalid.is_pending() && !State::Invalid.is_active());
    }
}
