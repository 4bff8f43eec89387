//! The console device as a session's terminal. It follows `stdio change_device`.

use alloc::string::String;

use arch::{Boot, Machine, Nanos};
use atomic::Arc;
use commands::Terminal;
use host_sync::Once;
use host_thread::{Thread, Woken, time};
use vio::Urgency;
use vio::chardev::{self, CharDevice};

/// How long a device that takes nothing is given before it is asked again.
const PAUSE: Nanos = Nanos(500_000);
/// How often it is asked before what it does not take is lost: a line that is held up for good must not
/// hold up the hypervisor's terminal.
const TRIES: u32 = 400;

/// Who is woken when the hypervisor says something.
static LISTENER: Once<Thread> = Once::new();

/// The console, for the thread that made this.
pub(super) struct Console {
    device: Option<Arc<dyn CharDevice>>,
    thread: Thread,
}

impl Console {
    pub(super) fn new() -> Self {
        let mut console = Self { device: None, thread: host_thread::current() };
        // There is one console, and one such thread.
        let _ = LISTENER.set(console.thread.clone());
        console.follow();
        console
    }

    /// Goes over to the device that is the console now.
    fn follow(&mut self) {
        let now = chardev::console();
        let same = match (&self.device, &now) {
            (Some(ours), Some(now)) => Arc::ptr_eq(ours, now),
            (None, None) => true,
            _ => false,
        };
        if same {
            return;
        }
        if let Some(before) = &self.device {
            before.set_listener(None);
        }
        if let Some(device) = &now {
            let thread = self.thread.clone();
            device.set_listener(Some(Arc::new(move |_: Urgency| thread.wake())));
        }
        self.device = now;
    }
}

impl Terminal for Console {
    fn write(&mut self, bytes: &[u8]) {
        self.follow();
        let Some(device) = &self.device else {
            Machine::early_print(&alloc::string::String::from_utf8_lossy(bytes));
            return;
        };
        let mut rest = bytes;
        let mut tries = 0;
        while !rest.is_empty() && tries < TRIES {
            let sent = device.write(rest);
            rest = rest.get(sent..).unwrap_or_default();
            tries = if sent == 0 { tries + 1 } else { 0 };
            if sent == 0 {
                host_thread::sleep(PAUSE);
            }
        }
    }

    fn read(&mut self, into: &mut [u8]) -> usize {
        self.follow();
        self.device.as_ref().map_or(0, |device| device.read(into))
    }

    fn wait(&mut self, until: Option<Nanos>) {
        match until {
            Some(at) if at <= time::now() => {}
            Some(at) => {
                // Either way there is something to look after.
                let _: Woken = host_thread::park_until(at);
            }
            None => host_thread::park(),
        }
    }

    fn bell(&self) -> Arc<dyn Fn() + Send + Sync> {
        let thread = self.thread.clone();
        Arc::new(move || thread.wake())
    }

    fn hold_log(&mut self) {
        host_log::hold(|| {
            if let Some(thread) = LISTENER.get() {
                thread.wake();
            }
        });
    }

    fn log_line(&mut self, line: &mut String) -> bool {
        // A string takes every line.
        host_log::next_held(line).unwrap_or(false)
    }

    fn release_log(&mut self) {
        host_log::release();
    }
}
