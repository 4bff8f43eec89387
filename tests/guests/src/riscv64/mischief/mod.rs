//! What only programs of this architecture can do wrong.

mod counts;
mod csrs;
mod fences;
mod firmware;
mod log;
pub(crate) mod messages;
mod tables;
mod units;
pub(crate) mod wild;

/// The programs, by name.
pub(crate) const PROGRAMS: &[(&str, fn())] = &[
    ("firmware", firmware::run),
    ("cpus", firmware::cpus),
    ("sysregs", csrs::run),
    ("tables", tables::run),
    ("lost", tables::lost),
    ("fences", fences::run),
    ("log", log::run),
    ("messages", messages::run),
    ("units", units::run),
    ("counts", counts::run),
];
