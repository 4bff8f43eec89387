//! What the binary defines and an architecture calls: where the hypervisor begins, and where it ends.

use core::fmt;

use addr::{Hpa, Span};
use arch_api::StartInfo;

unsafe extern "Rust" {
    /// Where the hypervisor begins.
    safe fn hypervisor_main(info: StartInfo) -> !;
    /// What a crash of our own ends in.
    safe fn hypervisor_crashed(what: &fmt::Arguments<'_>, frame: usize, pc: usize) -> !;
}

/// Hands over to the hypervisor: with the device tree, and the image that lies at `image`.
pub fn begin(fdt: &'static [u8], image: u64) -> ! {
    let length = crate::image::limit() as u64 - image;
    let image = match Span::<Hpa>::new(Hpa::new(image), length) {
        Some(image) => image,
        // The end of an image lies above its start.
        None => unreachable!(),
    };
    hypervisor_main(StartInfo { fdt, image })
}

/// A fault in our own code: `crash` tells of it, the backtrace begins at the frame pointer `frame` and the program
/// counter `pc`.
pub fn crashed(crash: &dyn fmt::Display, frame: u64, pc: usize) -> ! {
    hypervisor_crashed(&format_args!("{crash}"), frame as usize, pc)
}
