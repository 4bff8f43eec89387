//! A queue of one-shot timers: what is due first is at hand, and any timer can be taken out.
//!
//! Deadlines are nanoseconds of a monotonic clock. A [`Queue`] is a heap of small entries, which
//! name slots that hold the values; a slot knows where its entry is. Adding, cancelling and taking cost
//! at most logarithmically many steps, and nothing allocates within the reserved capacity. What taking the
//! first one costs is put off until the queue is asked again: who took it because it is due goes on at once.
//! Timers of equal deadlines come out in the order in which they went in.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

use alloc::vec::Vec;
use core::fmt;

/// How many entries lie below each of the heap. Four make it half as high as two would: what is due is taken out
/// in fewer instructions, since each step writes an entry and its slot, and a comparison costs little.
const WIDTH: usize = 4;

/// Timers that hold values of type `T`.
pub struct Queue<T> {
    heap: Vec<Entry>,
    slots: Vec<Slot<T>>,
    /// The first of the unused slots.
    unused: Option<u32>,
    sequence: u64,
    /// The first entry of the heap was taken, and nothing is in its place yet.
    hole: bool,
}

/// Names one timer: until it was taken or cancelled, and nothing afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    slot: u32,
    generation: u32,
}

/// In the heap: what decides the order, and whose it is.
#[derive(Clone, Copy)]
struct Entry {
    deadline: u64,
    sequence: u64,
    slot: u32,
}

struct Slot<T> {
    generation: u32,
    state: State<T>,
}

enum State<T> {
    Unused { next: Option<u32> },
    Waiting { position: u32, value: T },
}

impl Entry {
    fn is_before(self, other: Entry) -> bool {
        (self.deadline, self.sequence) < (other.deadline, other.sequence)
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue::new()
    }
}

impl<T> Queue<T> {
    /// A queue without timers and without capacity.
    pub const fn new() -> Self {
        Queue { heap: Vec::new(), slots: Vec::new(), unused: None, sequence: 0, hole: false }
    }

    /// A queue that holds `capacity` timers without allocating.
    pub fn with_capacity(capacity: usize) -> Self {
        let mut queue = Queue::new();
        queue.reserve(capacity);
        queue
    }

    /// Makes room for `additional` timers more than there are.
    pub fn reserve(&mut self, additional: usize) {
        self.heap.reserve(additional);
        // Unused slots count: they are filled first.
        self.slots.reserve((self.heap.len() + additional).saturating_sub(self.slots.len()));
    }

    /// How many timers it can hold without allocating.
    pub fn capacity(&self) -> usize {
        self.heap.capacity().min(self.slots.capacity())
    }

    /// How many timers wait.
    pub fn len(&self) -> usize {
        self.heap.len() - usize::from(self.hole)
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a timer. Allocates only beyond the capacity.
    pub fn insert(&mut self, deadline: u64, value: T) -> Key {
        let position = if self.hole { 0 } else { self.heap.len() };
        let state = State::Waiting { position: narrow(position), value };
        let (slot, generation) = match self.unused {
            Some(index) => {
                let slot = &mut self.slots[index as usize];
                if let State::Unused { next } = slot.state {
                    self.unused = next;
                }
                slot.state = state;
                (index, slot.generation)
            }
            None => {
                self.slots.push(Slot { generation: 0, state });
                (narrow(self.slots.len() - 1), 0)
            }
        };
        let entry = Entry { deadline, sequence: self.sequence, slot };
        self.sequence += 1;
        if core::mem::take(&mut self.hole) {
            // A timer that is armed again when it has rung: its place is free.
            self.heap[0] = entry;
            self.sink(0);
        } else {
            self.heap.push(entry);
            self.rise(position);
        }
        Key { slot, generation }
    }

    /// Takes a timer out, if it still waits.
    pub fn cancel(&mut self, key: Key) -> Option<T> {
        self.mend();
        match self.slots.get(key.slot as usize) {
            Some(Slot { generation, state: State::Waiting { position, .. } })
                if *generation == key.generation =>
            {
                self.take(*position as usize)
            }
            _ => None,
        }
    }

    /// Whether this timer waits, and until when.
    pub fn deadline(&self, key: Key) -> Option<u64> {
        match self.slots.get(key.slot as usize)? {
            Slot { generation, state: State::Waiting { position, .. } } if *generation == key.generation => {
                self.heap.get(*position as usize).map(|entry| entry.deadline)
            }
            _ => None,
        }
    }

    /// The earliest deadline.
    #[inline]
    pub fn next_deadline(&mut self) -> Option<u64> {
        self.mend();
        self.heap.first().map(|entry| entry.deadline)
    }

    /// Takes the earliest timer whose deadline is not after `now`.
    #[inline]
    pub fn pop_due(&mut self, now: u64) -> Option<T> {
        self.mend();
        let first = *self.heap.first()?;
        if first.deadline > now {
            return None;
        }
        self.hole = true;
        self.vacate(first.slot)
    }

    /// Takes the timer whose entry is at `position` of the heap.
    fn take(&mut self, position: usize) -> Option<T> {
        let entry = self.remove(position);
        self.vacate(entry.slot)
    }

    /// Fills the place of the entry that [`Queue::pop_due`] took.
    #[inline]
    fn mend(&mut self) {
        if core::mem::take(&mut self.hole) {
            self.remove(0);
        }
    }

    /// Takes the entry at `position` out of the heap.
    fn remove(&mut self, position: usize) -> Entry {
        let entry = self.heap.swap_remove(position);
        if position < self.heap.len() {
            // The last entry came here: it may be too late for this place, or, of another branch, too early.
            self.note(position);
            self.rise(position);
            self.sink(position);
        }
        entry
    }

    /// Takes the value out of a slot, which is unused from now on.
    #[inline]
    fn vacate(&mut self, index: u32) -> Option<T> {
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        let unused = State::Unused { next: self.unused.replace(index) };
        match core::mem::replace(&mut slot.state, unused) {
            State::Waiting { value, .. } => Some(value),
            State::Unused { .. } => None,
        }
    }

    /// Moves the entry at `position` towards the root as far as it is earlier than what is above.
    fn rise(&mut self, mut position: usize) {
        while position > 0 {
            let above = (position - 1) / WIDTH;
            if !self.heap[position].is_before(self.heap[above]) {
                break;
            }
            self.heap.swap(position, above);
            self.note(position);
            position = above;
        }
        self.note(position);
    }

    /// Moves the entry at `position` away from the root as long as one below is earlier.
    fn sink(&mut self, mut position: usize) {
        let moving = self.heap[position];
        loop {
            let below = WIDTH * position + 1;
            let end = (below + WIDTH).min(self.heap.len());
            let mut first = (position, moving);
            for (place, entry) in (below..end).zip(self.heap.get(below..end).unwrap_or_default()) {
                if entry.is_before(first.1) {
                    first = (place, *entry);
                }
            }
            if first.0 == position {
                break;
            }
            self.heap[position] = first.1;
            self.note(position);
            position = first.0;
        }
        self.heap[position] = moving;
        self.note(position);
    }

    /// Tells the slot where its entry is now.
    fn note(&mut self, at: usize) {
        if let State::Waiting { position, .. } = &mut self.slots[self.heap[at].slot as usize].state {
            *position = narrow(at);
        }
    }
}

/// An index of a slot. More than 2^32 timers have no room in memory.
fn narrow(index: usize) -> u32 {
    index as u32
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} timers", self.len())
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::{Key, Queue};

    #[test]
    fn timers_come_in_the_order_of_their_deadlines() {
        let mut queue = Queue::new();
        for (deadline, value) in [(30, 'c'), (10, 'a'), (20, 'b'), (u64::MAX, 'z')] {
            queue.insert(deadline, value);
        }
        assert_eq!(queue.next_deadline(), Some(10));
        assert_eq!(queue.pop_due(9), None);
        assert_eq!(queue.pop_due(10), Some('a'));
        assert_eq!((queue.pop_due(25), queue.pop_due(25)), (Some('b'), None));
        assert_eq!((queue.pop_due(u64::MAX), queue.pop_due(u64::MAX)), (Some('c'), Some('z')));
        assert!(queue.is_empty() && queue.next_deadline().is_none() && queue.pop_due(u64::MAX).is_none());
    }

    #[test]
    fn equal_deadlines_come_in_the_order_of_insertion() {
        let mut queue = Queue::new();
        for value in 0..100 {
            queue.insert(5, value);
        }
        let out: Vec<i32> = core::iter::from_fn(|| queue.pop_due(5)).collect();
        assert!(out.is_sorted() && out.len() == 100);
    }

    #[test]
    fn the_place_of_one_that_rang_is_for_the_next() {
        let mut queue = Queue::with_capacity(4);
        let keys: Vec<Key> = [10, 20, 30, 40].map(|deadline| queue.insert(deadline, deadline)).into();
        assert_eq!((queue.pop_due(10), queue.len()), (Some(10), 3));
        // Armed again by the callback, behind one that is still there.
        queue.insert(25, 25);
        assert_eq!((queue.len(), queue.pop_due(20)), (4, Some(20)));
        assert_eq!((queue.cancel(keys[1]), queue.deadline(keys[2])), (None, Some(30)));
        assert_eq!((queue.cancel(keys[3]), queue.len(), queue.next_deadline()), (Some(40), 2, Some(25)));
        assert_eq!((queue.pop_due(30), queue.pop_due(30), queue.pop_due(30)), (Some(25), Some(30), None));
        assert!(queue.is_empty());
    }

    #[test]
    fn a_key_names_one_timer_only() {
        let mut queue = Queue::new();
        let key = queue.insert(1, 'a');
        assert_eq!(queue.deadline(key), Some(1));
        assert_eq!((queue.cancel(key), queue.cancel(key)), (Some('a'), None));
        let reused = queue.insert(2, 'b');
        assert_eq!((queue.cancel(key), queue.deadline(key)), (None, None));
        assert_eq!(queue.pop_due(2), Some('b'));
        assert_eq!(queue.cancel(reused), None);
    }

    #[test]
    fn within_the_capacity_nothing_is_allocated() {
        let mut queue = Queue::with_capacity(16);
        let capacity = queue.capacity();
        assert!(capacity >= 16);
        for round in 0..1000 {
            let keys: Vec<Key> = (0..16).map(|value| queue.insert(round ^ value, value)).collect();
            keys.into_iter().step_by(2).for_each(|key| assert!(queue.cancel(key).is_some()));
            while queue.pop_due(u64::MAX).is_some() {}
        }
        assert_eq!(queue.capacity(), capacity);
        queue.insert(0, 0);
        queue.reserve(100);
        assert!(queue.capacity() >= 101);
    }

    #[test]
    fn a_sorted_list_agrees() {
        let mut random = 0x5eed_u64;
        let mut next = |end: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 20) % end
        };
        let mut queue = Queue::new();
        let mut model: Vec<(u64, u64, Key)> = Vec::new();
        let mut now = 0;
        for value in 0..50_000 {
            match next(4) {
                0 | 1 => {
                    let deadline = now + next(100);
                    model.push((deadline, value, queue.insert(deadline, value)));
                    model.sort_by_key(|&(deadline, value, _)| (deadline, value));
                }
                2 if !model.is_empty() => {
                    let (_, value, key) = model.remove(next(model.len() as u64) as usize);
                    assert_eq!(queue.cancel(key), Some(value));
                    assert_eq!(queue.cancel(key), None);
                }
                _ => {
                    now += next(10);
                    while let Some(value) = queue.pop_due(now) {
                        let (deadline, expected, key) = model.remove(0);
                        assert_eq!((value, deadline <= now, queue.cancel(key)), (expected, true, None));
                    }
                }
            }
            assert_eq!(queue.next_deadline(), model.first().map(|&(deadline, ..)| deadline));
            assert_eq!(queue.len(), model.len());
        }
    }
}
