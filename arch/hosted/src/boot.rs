//! The console is standard error; there is no firmware, and the panic report is Rust's own.

use core::fmt;

use arch_api::Boot;

use crate::Hosted;

impl Boot for Hosted {
    fn early_print(text: &str) {
        // The macro, not the stream: the test harness then shows it with the test that printed it.
        std::eprint!("{text}");
    }
    fn backtrace(_frames: usize, _symbol: &mut dyn FnMut(usize)) {}
    fn backtrace_from(_frame: usize, frames: usize, symbol: &mut dyn FnMut(usize)) {
        Self::backtrace(frames, symbol);
    }
    fn reset_now() {}
    fn symbols() -> &'static [u8] {
        &[]
    }
    fn image_base() -> usize {
        0
    }
    fn describe(out: &mut dyn fmt::Write) -> fmt::Result {
        writeln!(out, "the development machine ({})", std::env::consts::ARCH)
    }
    fn call_firmware(_arguments: [u64; 8]) -> Option<[u64; 4]> {
        None
    }
}
