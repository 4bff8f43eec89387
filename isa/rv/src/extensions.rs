//! What a hart can do, from its node in the device tree: `riscv,isa` (Unpriv, "ISA Extension Naming
//! Conventions") and `riscv,isa-extensions` (Linux bindings, `riscv/extensions.yaml`).

use core::fmt;

macro_rules! extensions {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// An extension that matters here.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Extension {
            $($(#[$doc])* $name,)*
        }

        impl Extension {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// The name, in lower case.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

extensions! {
    /// Integer multiplication.
    M = "m";
    /// Atomics.
    A = "a";
    /// Single-precision floating point.
    F = "f";
    /// Double-precision floating point.
    D = "d";
    /// Compressed instructions.
    C = "c";
    /// Vectors.
    V = "v";
    /// The hypervisor extension.
    H = "h";
    /// Timer compare registers of supervisors.
    Sstc = "sstc";
    /// Interrupt files and their CSRs.
    Ssaia = "ssaia";
    /// State-enable registers of machines, with those of hypervisors.
    Smstateen = "smstateen";
    /// State-enable registers of supervisors.
    Ssstateen = "ssstateen";
    /// Memory types in page tables.
    Svpbmt = "svpbmt";
    /// Naturally aligned contiguous pages.
    Svnapot = "svnapot";
    /// Finer invalidation.
    Svinval = "svinval";
    /// Hardware updates A and D bits.
    Svadu = "svadu";
    /// Cache block management.
    Zicbom = "zicbom";
    /// Cache block zero.
    Zicboz = "zicboz";
    /// Counter overflow and filtering.
    Sscofpmf = "sscofpmf";
    /// Wait on reservation set.
    Zawrs = "zawrs";
    /// Pause.
    Zihintpause = "zihintpause";
    /// Counters.
    Zicntr = "zicntr";
    /// Control-flow integrity: landing pads.
    Zicfilp = "zicfilp";
    /// Control-flow integrity: shadow stacks.
    Zicfiss = "zicfiss";
    /// Half-precision floating point.
    Zfh = "zfh";
    /// Random numbers.
    Zkr = "zkr";
    /// Pointer masking for the next lower mode.
    Ssnpm = "ssnpm";
    /// Fences of instructions.
    Zifencei = "zifencei";
}

/// The names in `riscv,isa`, one by one, without versions: single letters, then those of several.
pub fn names(isa: &str) -> impl Iterator<Item = &str> + Clone {
    let (first, rest) = isa.split_once('_').unwrap_or((isa, ""));
    let letters = first.get(4..).unwrap_or_default();
    // A name of several letters may follow without an underscore.
    let (letters, long) = letters.split_at(letters.find(['z', 's', 'x']).unwrap_or(letters.len()));
    let single = letters.char_indices().filter(|(_, letter)| letter.is_ascii_lowercase());
    let single = single.filter_map(move |(at, _)| letters.get(at..=at));
    single.chain(core::iter::once(long)).chain(rest.split('_')).filter(|name| !name.is_empty())
}

/// Single letters in the order in which `riscv,isa` has them (Unpriv, "Subset Naming Convention").
const ORDER: &str = "imafdgqlcbkjtpvnh";

/// Writes `riscv,isa` of a 64-bit hart with these extensions.
pub fn join<'a>(names: impl Iterator<Item = &'a str> + Clone, out: &mut dyn fmt::Write) -> fmt::Result {
    out.write_str("rv64")?;
    for letter in ORDER.chars() {
        if names.clone().any(|name| name.len() == 1 && name.starts_with(letter)) {
            out.write_char(letter)?;
        }
    }
    for name in names.filter(|name| name.len() > 1) {
        write!(out, "_{name}")?;
    }
    Ok(())
}

/// Whether a guest may use an extension of the host's: all of user mode that needs no state that a hypervisor would have
/// to keep or to allow, and of supervisor mode what is known to work. Not those of hypervisors and machine mode, nor
/// vendors' own.
pub fn is_for_guests(name: &str) -> bool {
    match name.as_bytes() {
        // Supervisor and user mode, as old trees list them.
        [letter] => !matches!(letter, b'h' | b's' | b'u'),
        // "zk" means "zkr" among others, whose register supervisors are refused; `fcsr` without floating-point registers is
        // not kept; the others stand for themselves.
        [b'z', ..] => !matches!(
            name,
            "zicfilp"
                | "zicfiss"
                | "zk"
                | "zkr"
                | "zcmt"
                | "zihpm"
                | "zfinx"
                | "zdinx"
                | "zhinx"
                | "zhinxmin"
        ),
        [b's', ..] => SUPERVISORS.contains(&name),
        _ => false,
    }
}

/// Of which unit's registers an extension is about: without this other one it is not there, whatever a list says.
/// Floating-point registers are kept as those of "d", and so "f" is not there without.
pub fn rests_on(name: &str) -> Option<&'static str> {
    match name.as_bytes() {
        [b'z', b'v', ..] => Some("v"),
        [b'z', b'c', b'd', ..] => Some("d"),
        [b'z', b'f', b'h' | b'a' | b'b', ..] | [b'z', b'c', b'f', ..] | [b'd'] => Some("f"),
        [b'f'] => Some("d"),
        _ => None,
    }
}

const SUPERVISORS: [&str; 11] = [
    "ssccptr",
    "sscounterenw",
    "sstc",
    "sstvala",
    "sstvecd",
    "ssu64xl",
    "svade",
    "svinval",
    "svnapot",
    "svpbmt",
    "svvptc",
];

/// A set of extensions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Extensions(u64);

impl Extensions {
    /// None.
    pub const NONE: Self = Self(0);

    /// The set whose members are the bits of `bits`, as [`Extensions::bits`] gave them.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
    /// A bit for each member.
    pub const fn bits(self) -> u64 {
        self.0
    }
    /// Whether an extension is in it.
    pub const fn has(self, extension: Extension) -> bool {
        self.0 >> extension as u8 & 1 != 0
    }
    /// With one more.
    #[must_use]
    pub const fn with(self, extension: Extension) -> Self {
        Self(self.0 | 1 << extension as u8)
    }
    /// Without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// From the properties of a hart's node: `riscv,isa-extensions`, names that end with a zero each; without it
    /// `riscv,isa`. What neither says is not there.
    pub fn from_node(names: Option<&[u8]>, string: Option<&str>) -> Self {
        match names {
            Some(names) => Self::from_names(
                names.split(|byte| *byte == 0).filter_map(|name| core::str::from_utf8(name).ok()),
            ),
            None => string.map_or(Self::NONE, Self::from_string),
        }
    }

    /// What `hart` and all those of `harts` have that can run guests, since guests go from one to another.
    #[must_use]
    pub fn common(hart: Self, harts: impl Iterator<Item = Self>) -> Self {
        harts.filter(|other| other.has(Extension::H)).fold(hart, Self::and)
    }

    /// From the names in `riscv,isa-extensions`.
    pub fn from_names<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        names.fold(Self::NONE, Self::add)
    }

    /// From `riscv,isa`: "rv64", then single letters, then names between underscores. Versions after names
    /// ("2p0") do not count. What is not known is passed over.
    pub fn from_string(isa: &str) -> Self {
        let mut set = Self::NONE;
        let mut parts = isa.split('_');
        let first = parts.next().unwrap_or_default();
        let letters = first.get(4..).unwrap_or_default();
        for (at, letter) in letters.char_indices() {
            // A name of several letters may follow without an underscore.
            if matches!(letter, 'z' | 's' | 'x' | 'Z' | 'S' | 'X') {
                set = set.add(letters.get(at..).unwrap_or_default());
                break;
            }
            let mut buffer = [0; 4];
            set = set.add(letter.to_ascii_lowercase().encode_utf8(&mut buffer));
        }
        parts.fold(set, Self::add)
    }

    fn add(self, name: &str) -> Self {
        if name.eq_ignore_ascii_case("g") {
            return [Extension::M, Extension::A, Extension::F, Extension::D, Extension::Zifencei]
                .into_iter()
                .fold(self, Self::with);
        }
        let plain = without_version(name);
        match Extension::ALL
            .iter()
            .find(|known| known.name().eq_ignore_ascii_case(name) || known.name().eq_ignore_ascii_case(plain))
        {
            Some(known) => self.with(*known),
            None => self,
        }
    }
}

/// A name without the version at its end: digits, or digits with a "p" between them.
fn without_version(name: &str) -> &str {
    let digits = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if digits.len() == name.len() {
        return name;
    }
    match digits.strip_suffix('p') {
        Some(major) if major.ends_with(|c: char| c.is_ascii_digit()) => {
            major.trim_end_matches(|c: char| c.is_ascii_digit())
        }
        _ => digits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined<'a>(names: impl Iterator<Item = &'a str> + Clone) -> std::string::String {
        let mut text = std::string::String::new();
        join(names, &mut text).unwrap();
        text
    }

    #[test]
    fn what_needs_a_unit_is_known() {
        for (name, unit) in [
            ("zve64d", "v"),
            ("zvbb", "v"),
            ("zcd", "d"),
            ("d", "f"),
            ("f", "d"),
            ("zcf", "f"),
            ("zfhmin", "f"),
            ("zfa", "f"),
        ] {
            assert_eq!(rests_on(name), Some(unit), "{name}");
        }
        for name in ["v", "zba", "zicsr", "zca", "zcb", "zifencei", "sstc"] {
            assert_eq!(rests_on(name), None, "{name}");
        }
    }

    #[test]
    fn a_string_is_taken_apart_and_put_together() {
        let isa = "rv64imafdcv_zicsr_zba_sstc";
        let parts: std::vec::Vec<&str> = names(isa).collect();
        assert_eq!(parts, ["i", "m", "a", "f", "d", "c", "v", "zicsr", "zba", "sstc"]);
        assert_eq!(joined(names(isa)), isa);
        assert_eq!(names("rv64imaczicsr").collect::<std::vec::Vec<_>>(), ["i", "m", "a", "c", "zicsr"]);
        assert_eq!(joined(["zba", "c", "i"].into_iter()), "rv64ic_zba");
        assert_eq!(names("rv6").count(), 0);
    }

    #[test]
    fn guests_get_no_hypervisor_and_nothing_of_machines() {
        for name in ["i", "v", "zba", "zicboz", "sstc", "svpbmt"] {
            assert!(is_for_guests(name), "{name}");
        }
        for name in [
            "h",
            "smaia",
            "ssaia",
            "shgatpa",
            "sscofpmf",
            "supm",
            "xventanacondops",
            "zicfiss",
            "zfinx",
            "zkr",
            "zk",
            "",
        ] {
            assert!(!is_for_guests(name), "{name}");
        }
    }

    #[test]
    fn letters_and_names_are_found_in_the_string() {
        let set = Extensions::from_string("rv64imafdch_zicbom_zicsr_zifencei_sstc_svadu");
        for extension in [Extension::H, Extension::C, Extension::Sstc, Extension::Zicbom, Extension::Svadu] {
            assert!(set.has(extension), "{extension:?}");
        }
        assert!(!set.has(Extension::V) && !set.has(Extension::Ssaia));
    }

    #[test]
    fn g_stands_for_what_it_stands_for() {
        let set = Extensions::from_string("rv64gc");
        assert!(set.has(Extension::D) && set.has(Extension::A) && !set.has(Extension::H));
    }

    #[test]
    fn versions_do_not_hide_a_name() {
        let set = Extensions::from_string("rv64i2p1_m2p0_sstc1p0_svpbmt1");
        assert!(set.has(Extension::M) && set.has(Extension::Sstc) && set.has(Extension::Svpbmt));
    }

    #[test]
    fn a_long_name_may_follow_the_letters_directly() {
        assert!(Extensions::from_string("rv64imacsstc").has(Extension::Sstc));
    }

    #[test]
    fn lists_are_read_name_by_name() {
        let set = Extensions::from_names(["i", "m", "h", "sstc", "smstateen", "unheard"].into_iter());
        assert!(set.has(Extension::H) && set.has(Extension::Smstateen) && !set.has(Extension::A));
    }

    #[test]
    fn damaged_strings_are_only_empty() {
        for text in ["", "rv", "rv64", "x", "rv64_", "____", "rv64é"] {
            assert!(!Extensions::from_string(text).has(Extension::H), "{text}");
        }
    }

    #[test]
    fn what_one_hart_lacks_none_has_unless_it_runs_no_guests() {
        let own = Extensions::from_node(Some(b"i\0m\0f\0d\0v\0h\0sstc\0"), Some("rv64i"));
        assert!(own.has(Extension::V) && own.has(Extension::Sstc));
        let told = |isa| Extensions::from_node(None, Some(isa));
        let common = Extensions::common(own, [own, told("rv64imfdh_sstc"), told("rv64imac")].into_iter());
        assert!(common.has(Extension::D) && common.has(Extension::Sstc) && common.has(Extension::H));
        assert!(!common.has(Extension::V), "the second one lacks it");
        assert_eq!(Extensions::from_node(None, None), Extensions::NONE);
    }

    #[test]
    fn the_set_fits_its_bits() {
        assert!(Extension::ALL.len() <= 64);
        let all = Extension::ALL.iter().fold(Extensions::NONE, |set, one| set.with(*one));
        assert_eq!(all.bits().count_ones() as usize, Extension::ALL.len());
    }
}
