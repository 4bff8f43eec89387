//! What was published, in the order in which it was.

use alloc::vec::Vec;

use atomic::Arc;
use host_sync::Spin;

/// A list of published objects.
pub(crate) struct Registry<T: ?Sized>(Spin<Vec<Arc<T>>>);

impl<T: ?Sized> Registry<T> {
    pub(crate) const fn new() -> Self {
        Self(Spin::new(Vec::new()))
    }

    pub(crate) fn publish(&self, object: Arc<T>) {
        self.0.lock().push(object);
    }

    /// Takes out what `gone` says.
    pub(crate) fn withdraw(&self, gone: impl Fn(&T) -> bool) {
        // Dropped after the lock is let go: an object's end may do anything.
        let mut out = Vec::new();
        let mut list = self.0.lock();
        let mut index = 0;
        while let Some(object) = list.get(index) {
            if gone(object) {
                out.push(list.remove(index));
            } else {
                index += 1;
            }
        }
        drop(list);
    }

    pub(crate) fn list(&self) -> Vec<Arc<T>> {
        self.0.lock().clone()
    }
}
