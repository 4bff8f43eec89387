//! The hypervisor's image. `start::hypervisor_main` is the order of start-up, on one page.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod options;
#[cfg(target_os = "none")]
mod panic;
#[cfg(target_os = "none")]
mod start;

#[cfg(not(target_os = "none"))]
fn main() {
    println!(
        "This is the bare-metal image: build it with `cargo xtask build`, run it with `cargo xtask run`."
    );
}
