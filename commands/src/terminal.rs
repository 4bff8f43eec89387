//! What a session talks through.

use alloc::string::String;

use arch::Nanos;
use atomic::Arc;

/// A terminal: bytes out, bytes in, and a way to wait for both a key and something else.
pub trait Terminal {
    /// Sends all of `bytes`, as they are.
    fn write(&mut self, bytes: &[u8]);
    /// Takes what was typed, without waiting: says how many bytes.
    fn read(&mut self, into: &mut [u8]) -> usize;
    /// Waits until something was typed since the last [`Terminal::read`], the bell rang, or `until`.
    fn wait(&mut self, until: Option<Nanos>);
    /// What others call, from any context, to end the wait: it is not lost when nobody waits just then.
    fn bell(&self) -> Arc<dyn Fn() + Send + Sync>;
    /// What the hypervisor says no longer appears here by itself, but ends the wait and is given out by
    /// [`Terminal::log_line`]: until [`Terminal::release_log`]. On a terminal where it never appears, nothing.
    fn hold_log(&mut self) {}
    /// Adds the next such line to `line`, without a newline; says whether there was one.
    fn log_line(&mut self, _line: &mut String) -> bool {
        false
    }
    /// What the hypervisor says appears by itself again.
    fn release_log(&mut self) {}
}

#[cfg(test)]
pub(crate) mod fake {
    use alloc::string::String;
    use alloc::vec::Vec;

    use arch::Nanos;
    use atomic::Arc;

    /// A terminal whose input is written beforehand and whose output is kept.
    #[derive(Default)]
    pub(crate) struct Terminal {
        pub(crate) typed: Vec<u8>,
        pub(crate) shown: Vec<u8>,
        /// Lines of the log that wait.
        pub(crate) said: Vec<&'static str>,
        pub(crate) holds: bool,
    }

    impl Terminal {
        pub(crate) fn text(&self) -> String {
            String::from_utf8_lossy(&self.shown).replace('\r', "")
        }
    }

    impl super::Terminal for Terminal {
        fn write(&mut self, bytes: &[u8]) {
            self.shown.extend_from_slice(bytes);
        }
        fn read(&mut self, into: &mut [u8]) -> usize {
            let count = into.len().min(self.typed.len());
            for (to, from) in into.iter_mut().zip(self.typed.drain(..count)) {
                *to = from;
            }
            count
        }
        fn wait(&mut self, _until: Option<Nanos>) {
            // Nobody is there to type: whoever waits is told to leave.
            if self.typed.is_empty() {
                self.typed.extend_from_slice(b"\x1bxq");
            }
        }
        fn bell(&self) -> Arc<dyn Fn() + Send + Sync> {
            Arc::new(|| {})
        }
        fn hold_log(&mut self) {
            self.holds = true;
        }
        fn log_line(&mut self, line: &mut String) -> bool {
            if self.said.is_empty() {
                return false;
            }
            line.push_str(self.said.remove(0));
            true
        }
        fn release_log(&mut self) {
            self.holds = false;
        }
    }
}
