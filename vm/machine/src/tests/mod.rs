//! Guests on the development machine: scripted CPUs in machines that are built from trees.

mod fixture;
mod life;
mod mistakes;
mod start;
