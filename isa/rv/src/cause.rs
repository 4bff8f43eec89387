//! Why a trap was taken: the codes of `scause` (Priv, table of supervisor cause values, with the hypervisor
//! extension's).

/// Set in `scause` when it is an interrupt.
pub const INTERRUPT: u64 = 1 << 63;

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $words:literal;)*) => {
        $($(#[$doc])* pub const $name: u64 = $code;)*

        /// An exception in words; `None` for what is reserved.
        pub const fn name(code: u64) -> Option<&'static str> {
            match code {
                $($code => Some($words),)*
                _ => None,
            }
        }
    };
}

causes! {
    /// The program counter is misaligned.
    FETCH_MISALIGNED = 0, "instruction address misaligned";
    /// Nothing to fetch from there.
    FETCH_ACCESS = 1, "instruction access fault";
    /// Not an instruction, or not allowed here.
    ILLEGAL = 2, "illegal instruction";
    /// EBREAK or a trigger.
    BREAKPOINT = 3, "breakpoint";
    /// A load's address is misaligned.
    LOAD_MISALIGNED = 4, "load address misaligned";
    /// Nothing to load from there.
    LOAD_ACCESS = 5, "load access fault";
    /// A store's or atomic operation's address is misaligned.
    STORE_MISALIGNED = 6, "store address misaligned";
    /// Nothing to store to there.
    STORE_ACCESS = 7, "store access fault";
    /// ECALL from U or VU.
    CALL_FROM_USER = 8, "environment call from user mode";
    /// ECALL from HS.
    CALL_FROM_SUPERVISOR = 9, "environment call from supervisor mode";
    /// ECALL from VS.
    CALL_FROM_VIRTUAL = 10, "environment call from virtual supervisor mode";
    /// The tables have no right to fetch there.
    FETCH_PAGE = 12, "instruction page fault";
    /// The tables have no right to load there.
    LOAD_PAGE = 13, "load page fault";
    /// The tables have no right to store there.
    STORE_PAGE = 15, "store page fault";
    /// Software check (Zicfilp, Zicfiss).
    SOFTWARE_CHECK = 18, "software check";
    /// Hardware error.
    HARDWARE_ERROR = 19, "hardware error";
    /// The guest's memory map has nothing to fetch there.
    GUEST_FETCH = 20, "instruction guest-page fault";
    /// The guest's memory map has nothing to load there.
    GUEST_LOAD = 21, "load guest-page fault";
    /// An instruction that the hypervisor may emulate for its guest.
    VIRTUAL_INSTRUCTION = 22, "virtual instruction";
    /// The guest's memory map has nothing to store there.
    GUEST_STORE = 23, "store guest-page fault";
}

/// Supervisor software interrupt.
pub const SUPERVISOR_SOFTWARE: u32 = 1;
/// Virtual supervisor software interrupt.
pub const VIRTUAL_SOFTWARE: u32 = 2;
/// Supervisor timer interrupt.
pub const SUPERVISOR_TIMER: u32 = 5;
/// Virtual supervisor timer interrupt.
pub const VIRTUAL_TIMER: u32 = 6;
/// Supervisor external interrupt.
pub const SUPERVISOR_EXTERNAL: u32 = 9;
/// Virtual supervisor external interrupt.
pub const VIRTUAL_EXTERNAL: u32 = 10;
/// A guest's interrupt file wants something (`hgeip`).
pub const GUEST_EXTERNAL: u32 = 12;

#[cfg(test)]
mod tests {
    #[test]
    fn each_cause_has_its_words() {
        assert_eq!(super::name(super::GUEST_LOAD), Some("load guest-page fault"));
        assert_eq!(super::name(11), None);
    }
}
