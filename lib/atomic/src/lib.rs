//! The one door to atomics and shared ownership.
//!
//! Nothing else in the tree names `core::sync::atomic` or `alloc::sync`: targets without
//! compare-and-swap (ARMv5) and model checkers replace these types here, and nowhere else.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub use alloc::sync::{Arc, Weak};
pub use core::sync::atomic::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
