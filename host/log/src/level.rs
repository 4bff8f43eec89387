//! How important a line is.

/// How important a line is; the numbers are those of Xvisor's `loglevel` and of syslog.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Level {
    /// The hypervisor ends.
    Emergency = 0,
    /// It will, unless somebody acts.
    Alert = 1,
    /// A part of it is lost.
    Critical = 2,
    /// What was asked failed.
    Error = 3,
    /// It worked, but not as it should.
    Warning = 4,
    /// Good to know.
    Note = 5,
    /// What happened.
    Info = 6,
    /// For developers.
    Debug = 7,
}

impl Level {
    /// All of them, the most important first.
    pub const ALL: [Level; 8] = [
        Level::Emergency,
        Level::Alert,
        Level::Critical,
        Level::Error,
        Level::Warning,
        Level::Note,
        Level::Info,
        Level::Debug,
    ];

    /// The level with this number, 0 to 7.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The word that its lines begin with.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Emergency => "FATAL",
            Self::Alert => "ALERT",
            Self::Critical => "CRITICAL",
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Note => "NOTE",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        }
    }
}

/// What a line begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Tag {
    /// A step of start-up.
    #[default]
    Init,
    /// Its level.
    Level(Level),
}

impl Tag {
    /// The beginning, with colon and blank.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Init => "INIT: ",
            Self::Level(Level::Emergency) => "FATAL: ",
            Self::Level(Level::Alert) => "ALERT: ",
            Self::Level(Level::Critical) => "CRITICAL: ",
            Self::Level(Level::Error) => "ERROR: ",
            Self::Level(Level::Warning) => "WARNING: ",
            Self::Level(Level::Note) => "NOTE: ",
            Self::Level(Level::Info) => "INFO: ",
            Self::Level(Level::Debug) => "DEBUG: ",
        }
    }

    /// The byte that stands for it in the ring.
    pub(crate) const fn to_byte(self) -> u8 {
        match self {
            Self::Init => u8::MAX,
            Self::Level(level) => level as u8,
        }
    }

    /// What a byte of the ring stands for.
    pub(crate) fn from_byte(byte: u8) -> Self {
        Level::from_number(byte).map_or(Self::Init, Self::Level)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;

    use super::*;

    #[test]
    fn every_level_has_its_number_and_its_prefix() {
        for (number, level) in (0u8..).zip(Level::ALL) {
            assert_eq!(level as u8, number);
            assert_eq!(Tag::Level(level).prefix(), format!("{}: ", level.name()));
            assert_eq!(Tag::from_byte(Tag::Level(level).to_byte()), Tag::Level(level));
        }
        assert_eq!(Tag::from_byte(Tag::Init.to_byte()), Tag::Init);
        assert_eq!(Level::from_number(8), None);
    }
}
