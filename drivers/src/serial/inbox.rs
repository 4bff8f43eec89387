//! What a UART received and nobody has read yet.

use alloc::boxed::Box;

use atomic::Arc;
use host_sync::{IrqOff, Spin};
use vio::{Listener, Urgency};

/// Bytes kept: more than one pastes into a terminal while it is busy for a moment.
const ROOM: usize = 4096;

/// Bytes taken from the hardware in one interrupt. It raises another one when there are more; a broken
/// one that never runs empty does not keep us for ever.
const AT_ONCE: usize = 256;

/// Received bytes, and who is told of them. The interrupt handler fills it, a thread empties it.
pub(super) struct Inbox(Spin<Kept, IrqOff>);

struct Kept {
    ring: Box<[u8; ROOM]>,
    /// Where the oldest byte is.
    first: usize,
    count: usize,
    listener: Option<Arc<dyn Listener>>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self(Spin::new(Kept { ring: Box::new([0; ROOM]), first: 0, count: 0, listener: None }))
    }

    /// Keeps what `receive` gives until it gives nothing or enough, and tells the listener. What does not
    /// fit is lost, the newest first: the user sees that the rest of his paste is missing, not its middle.
    pub(super) fn fill(&self, receive: impl FnMut() -> Option<u8>) {
        let mut kept = self.0.lock();
        let mut came = false;
        for byte in core::iter::from_fn(receive).take(AT_ONCE) {
            let at = (kept.first + kept.count) % ROOM;
            if kept.count < ROOM
                && let Some(place) = kept.ring.get_mut(at)
            {
                *place = byte;
                kept.count += 1;
                came = true;
            }
        }
        if came && let Some(listener) = &kept.listener {
            listener.heard(if kept.count > ROOM / 2 { Urgency::Soon } else { Urgency::Some });
        }
    }

    /// Takes the oldest bytes.
    pub(super) fn read(&self, into: &mut [u8]) -> usize {
        let mut kept = self.0.lock();
        let count = into.len().min(kept.count);
        for place in into.iter_mut().take(count) {
            *place = kept.ring.get(kept.first).copied().unwrap_or(0);
            kept.first = (kept.first + 1) % ROOM;
        }
        kept.count -= count;
        count
    }

    pub(super) fn set_listener(&self, listener: Option<Arc<dyn Listener>>) {
        let before = core::mem::replace(&mut self.0.lock().listener, listener);
        // The last reference may free memory: not with the lock held.
        drop(before);
    }
}

#[cfg(test)]
mod tests {
    use atomic::{Arc, AtomicU32, Ordering};
    use vio::Urgency;

    use super::{Inbox, ROOM};

    #[test]
    fn bytes_come_out_in_order_and_what_does_not_fit_is_lost_at_the_end() {
        let inbox = Inbox::new();
        let mut source = (0..ROOM + 10).map(|n| n as u8);
        while source.len() > 0 {
            inbox.fill(|| source.next());
        }
        let mut all = [0; ROOM + 10];
        assert_eq!(inbox.read(&mut all[..100]), 100);
        let mut more = [7, 8].into_iter();
        inbox.fill(|| more.next());
        assert_eq!(inbox.read(&mut all[100..]), ROOM - 100 + 2);
        assert!(all[..ROOM].iter().enumerate().all(|(n, byte)| *byte == n as u8));
        assert_eq!(all[ROOM..ROOM + 2], [7, 8]);
    }

    #[test]
    fn hardware_that_never_runs_empty_does_not_keep_us() {
        let inbox = Inbox::new();
        inbox.fill(|| Some(0));
        assert_eq!(inbox.read(&mut [0; ROOM]), super::AT_ONCE);
    }

    #[test]
    fn the_listener_hears_once_per_interrupt_that_brought_something() {
        let heard = Arc::new(AtomicU32::new(0));
        let counter = heard.clone();
        let inbox = Inbox::new();
        inbox.set_listener(Some(Arc::new(move |_: Urgency| {
            counter.fetch_add(1, Ordering::Relaxed);
        })));
        inbox.fill(|| None);
        assert_eq!(heard.load(Ordering::Relaxed), 0);
        let mut two = [1, 2].into_iter();
        inbox.fill(|| two.next());
        assert_eq!(heard.load(Ordering::Relaxed), 1);
    }
}
