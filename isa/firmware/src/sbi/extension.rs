//! The extensions, by their number in a7.

macro_rules! extensions {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $text:literal;)*) => {
        /// An extension.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Extension {
            $($(#[$doc])* $name,)*
        }

        impl Extension {
            /// All that are known here.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The extension that a7 names.
            #[inline]
            pub const fn decode(id: u32) -> Option<Self> {
                match id {
                    $($id => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Its number.
            pub const fn id(self) -> u32 {
                match self {
                    $(Self::$name => $id,)*
                }
            }

            /// Its name, in small letters.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

extensions! {
    /// Set the timer (5.2).
    LegacySetTimer = 0, "legacy-set-timer";
    /// Print a character (5.3).
    LegacyConsolePutchar = 1, "legacy-console-putchar";
    /// Get a character (5.4).
    LegacyConsoleGetchar = 2, "legacy-console-getchar";
    /// Take the interrupt from another hart back (5.5).
    LegacyClearIpi = 3, "legacy-clear-ipi";
    /// Interrupt other harts (5.6).
    LegacySendIpi = 4, "legacy-send-ipi";
    /// FENCE.I on other harts (5.7).
    LegacyRemoteFenceI = 5, "legacy-remote-fence-i";
    /// SFENCE.VMA on other harts (5.8).
    LegacyRemoteSfenceVma = 6, "legacy-remote-sfence-vma";
    /// SFENCE.VMA for one ASID on other harts (5.9).
    LegacyRemoteSfenceVmaAsid = 7, "legacy-remote-sfence-vma-asid";
    /// Switch off (5.10).
    LegacyShutdown = 8, "legacy-shutdown";
    /// What there is (chapter 4).
    Base = 0x10, "base";
    /// The timer (chapter 6).
    Time = 0x5449_4d45, "time";
    /// Interrupts between harts (chapter 7).
    Ipi = 0x0073_5049, "ipi";
    /// Fences on other harts (chapter 8).
    Rfence = 0x5246_4e43, "rfence";
    /// Harts: start, stop, suspend (chapter 9).
    Hsm = 0x0048_534d, "hsm";
    /// Switch off and reset (chapter 10).
    Srst = 0x5352_5354, "srst";
    /// Performance monitoring (chapter 11).
    Pmu = 0x0050_4d55, "pmu";
    /// The debug console (chapter 12).
    Dbcn = 0x4442_434e, "dbcn";
    /// Suspend the whole system (chapter 13).
    Susp = 0x5355_5350, "susp";
    /// The platform's performance (chapter 14).
    Cppc = 0x4350_5043, "cppc";
    /// Nested acceleration (chapter 15).
    Nacl = 0x4e41_434c, "nacl";
    /// Steal time (chapter 16).
    Sta = 0x0053_5441, "sta";
    /// Supervisor software events (version 3.0).
    Sse = 0x0053_5345, "sse";
    /// Features of the firmware (version 3.0).
    Fwft = 0x4657_4654, "fwft";
    /// Debug triggers (version 3.0).
    Dbtr = 0x4442_5452, "dbtr";
    /// Messages to the platform's controllers (version 3.0).
    Mpxy = 0x4d50_5859, "mpxy";
}

impl Extension {
    /// Whether it is one of version 0.1, which returns a0 alone.
    #[inline]
    pub const fn is_legacy(self) -> bool {
        self.id() <= Self::LegacyShutdown.id()
    }

    /// The extension of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|extension| extension.name() == name)
    }

    /// Its bit in a set of extensions.
    #[inline]
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_extension_is_found_by_number_and_name() {
        for extension in Extension::ALL {
            assert_eq!(Extension::decode(extension.id()), Some(*extension));
            assert_eq!(Extension::named(extension.name()), Some(*extension));
            assert!(!Extension::ALL.iter().any(|other| other != extension && other.bit() == extension.bit()));
        }
        assert_eq!(Extension::decode(9), None);
        assert_eq!(Extension::named("xyz"), None);
    }

    #[test]
    fn numbers_are_the_letters_of_the_names() {
        for extension in Extension::ALL.iter().filter(|extension| extension.id() > 0x10) {
            let letters: std::string::String = extension
                .id()
                .to_be_bytes()
                .iter()
                .filter(|byte| **byte != 0)
                .map(|byte| char::from(*byte).to_ascii_lowercase())
                .collect();
            let expected = match extension.name() {
                // These two are shortened.
                "ipi" => "spi",
                "rfence" => "rfnc",
                name => name,
            };
            assert_eq!(letters, expected);
        }
    }

    #[test]
    fn the_first_nine_are_legacy() {
        let legacy = Extension::ALL.iter().filter(|extension| extension.is_legacy()).count();
        assert_eq!(legacy, 9);
    }
}
