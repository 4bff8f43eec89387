//! What only programs of this architecture can do wrong.

mod cache;
mod firmware;
mod ldst;
mod log;
mod sysregs;
pub(crate) mod wild;

/// The programs, by name.
pub(crate) const PROGRAMS: &[(&str, fn())] = &[
    ("ldst", ldst::run),
    ("firmware", firmware::run),
    ("cpus", firmware::cpus),
    ("sysregs", sysregs::run),
    ("cache", cache::run),
    ("log", log::run),
];
