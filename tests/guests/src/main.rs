//! Small guests: one image, and the boot arguments choose what it does.
//!
//! | argument | program |
//! |---|---|
//! | `bench` | [`mod@bench`]: what a guest pays for what the hypervisor does |
//! | `selfcheck` | [`selfcheck`]: whether the machine is what the manuals say |
//! | `firmware` | [`selfcheck`]: whether the firmware is; it must not have what `without=` names |
//! | `keep=NUMBER` | [`keep`]: whether its memory stays its own, beside guests with other numbers |
//! | `mischief=NAME` | [`mischief`]: what no guest should do |
//!
//! They run on the guest machines `virt-v8` and `virt64`, and without hypervisor on the machines that these resemble,
//! QEMU's `virt`: so the programs themselves can be checked. What differs between architectures is in the folder
//! of each, [`arch`] here.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![cfg_attr(target_os = "none", expect(unsafe_code, reason = "a bare-metal program that owns its machine"))]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64/mod.rs")]
#[cfg_attr(target_arch = "riscv64", path = "riscv64/mod.rs")]
mod arch;
#[cfg(target_os = "none")]
mod bench;
#[cfg(target_os = "none")]
mod keep;
#[cfg(target_os = "none")]
mod mischief;
#[cfg(target_os = "none")]
mod runtime;
#[cfg(target_os = "none")]
mod selfcheck;

#[cfg(target_os = "none")]
use runtime::{firmware, machine, print, say};

/// Called by the start-up code: where the device tree lies, and the image.
#[cfg(target_os = "none")]
extern "C" fn start(tree: u64, image: u64, image_end: u64) -> ! {
    if !machine::find(tree, fdt::Region { start: image, size: image_end - image }) {
        firmware::stop();
    }
    print::revive();
    let words = || machine::machine().bootargs.split_whitespace();
    // `panic=` and the like are for other guests.
    for word in words() {
        match word.split_once('=') {
            Some(("mischief", name)) => mischief::run(name),
            Some(("keep", number)) => keep::run(number),
            None if word == "bench" => bench::run(),
            None if word == "selfcheck" => selfcheck::run(arch::selfcheck::PARTS),
            None if word == "firmware" => selfcheck::run(arch::selfcheck::FIRMWARE),
            _ => {}
        }
    }
    say!(
        "FAIL no program is named: give `bench`, `selfcheck`, `firmware` or `mischief=NAME` as boot argument"
    );
    say!("mischief: {}", mischief::Names);
    firmware::off()
}

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    say!("FAIL {info}");
    firmware::off()
}

#[cfg(not(target_os = "none"))]
fn main() {
    println!("This is a bare-metal guest: `cargo xtask test` builds and runs it.");
}
