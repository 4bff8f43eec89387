//! Tests of the guest's interrupt controller on CPUs that are simulated.

mod delivery;
mod own;
mod races;
mod random;
mod registers;
mod simulator;
