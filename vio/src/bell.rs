//! Bells: how an end of virtual I/O, a timer or a host interrupt gets a device polled.
//!
//! Ringing sets one flag and wakes the machine's errand thread, which locks the device and polls it.

use atomic::{Arc, AtomicU32, Ordering};

use crate::{Listener, Urgency};

/// What rings. Clones ring the same bell.
#[derive(Clone)]
pub struct Bell(Arc<Inner>);

struct Inner {
    /// 0 or 1. A word: not every processor swaps less.
    rung: AtomicU32,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Bell {
    /// A bell that calls `wake` when it begins to ring. `wake` must be fit for any context.
    pub fn new(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self(Arc::new(Inner { rung: AtomicU32::new(0), wake }))
    }

    /// A bell that nobody hears.
    pub fn silent() -> Self {
        Self::new(Arc::new(|| {}))
    }

    /// Rings. From any context; does nothing while it rings already.
    #[inline]
    pub fn ring(&self) {
        if self.0.rung.swap(1, Ordering::AcqRel) == 0 {
            (self.0.wake)();
        }
    }

    /// Whether it rang, and silences it. Whoever asks looks at the device *after* this, so that what comes
    /// meanwhile rings again.
    pub fn answer(&self) -> bool {
        self.0.rung.load(Ordering::Relaxed) != 0 && self.0.rung.swap(0, Ordering::AcqRel) != 0
    }
}

impl Listener for Bell {
    fn heard(&self, _: Urgency) {
        self.ring();
    }
}

#[cfg(test)]
mod tests {
    use atomic::{Arc, AtomicU32, Ordering};

    use super::Bell;

    #[test]
    fn a_bell_wakes_once_until_it_is_answered() {
        let wakes = Arc::new(AtomicU32::new(0));
        let counted = wakes.clone();
        let bell = Bell::new(Arc::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        }));
        assert!(!bell.answer());
        bell.ring();
        bell.clone().ring();
        assert_eq!(wakes.load(Ordering::Relaxed), 1);
        assert!(bell.answer());
        assert!(!bell.answer());
        bell.ring();
        assert_eq!(wakes.load(Ordering::Relaxed), 2);
    }
}
