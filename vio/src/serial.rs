//! Serial ports of guests: a named two-way stream of bytes.
//!
//! Towards the user there is one ring, which is the history too: a byte stays in it until it is
//! overwritten, and a reader is only a position in it. While nobody reads, the guest is never held up and
//! the oldest bytes go. While somebody reads, what he has not seen yet is not overwritten: the device sees
//! no room and holds its guest up, as a real line with flow control does.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use atomic::{Arc, AtomicU32, Ordering, Weak};
use host_sync::{Rank, Spin};

use crate::bell::Bell;
use crate::{Listener, Urgency};

/// Bytes from the guest that are kept.
pub const HISTORY: usize = 8192;
/// Bytes to the guest that wait at most.
pub const INPUT: usize = 1024;

/// A serial port. The device holds one end, its users look at the other.
pub struct Serial {
    name: String,
    output: Spin<Output>,
    input: Spin<Input>,
    /// How many bytes of input wait; changed under the lock, read without it.
    waiting: AtomicU32,
}

/// From the guest. Positions count bytes since the beginning and never wrap.
struct Output {
    ring: Box<[u8]>,
    written: u64,
    /// From here on the device has to wait: the slowest reader's position and a ring's length.
    limit: u64,
    /// Who reads is told when `written` gets here: there is something for one who had seen all.
    some_at: u64,
    /// Who reads is told when `written` gets here: half of the room is used.
    soon_at: u64,
    /// Whether the device was refused since there was room the last time.
    held_up: bool,
    bell: Option<Bell>,
    readers: Vec<Cursor>,
    next_reader: u32,
    closed: bool,
}

struct Cursor {
    id: u32,
    position: u64,
    listener: Arc<dyn Listener>,
}

/// To the guest.
struct Input {
    ring: Box<[u8]>,
    /// Index of the oldest byte.
    first: usize,
    bell: Option<Bell>,
}

const NEVER: u64 = u64::MAX;

impl Output {
    /// Works out the marks after a reader came, went or read. Says whether to ring the device's bell.
    fn settle(&mut self) -> bool {
        let slowest = self.readers.iter().map(|reader| reader.position).min();
        let caught_up = self.readers.iter().any(|reader| reader.position == self.written);
        let room = HISTORY as u64;
        self.limit = slowest.map_or(NEVER, |position| position + room);
        self.soon_at =
            slowest.map(|position| position + room / 2).filter(|&at| at > self.written).unwrap_or(NEVER);
        self.some_at = if caught_up { self.written + 1 } else { NEVER };
        self.written < self.limit && core::mem::take(&mut self.held_up)
    }

    fn tell(&self, urgency: Urgency) {
        for reader in &self.readers {
            reader.listener.heard(urgency);
        }
    }

    /// Copies from `position` on; says how many bytes.
    fn copy(&self, position: u64, into: &mut [u8]) -> usize {
        let mut count = 0;
        for (to, at) in into.iter_mut().zip(position..self.written) {
            *to = self.ring.get(at as usize % HISTORY).copied().unwrap_or(0);
            count += 1;
        }
        count
    }
}

impl Serial {
    /// A port of this name, empty. Its user finds it by [`find`] while the device lives.
    pub fn new(name: &str) -> Arc<Self> {
        let output = Output {
            ring: vec![0; HISTORY].into(),
            written: 0,
            limit: NEVER,
            some_at: NEVER,
            soon_at: NEVER,
            held_up: false,
            bell: None,
            readers: Vec::new(),
            next_reader: 0,
            closed: false,
        };
        let serial = Arc::new(Self {
            name: name.into(),
            output: Spin::ranked(output, Rank::End),
            input: Spin::ranked(Input { ring: vec![0; INPUT].into(), first: 0, bell: None }, Rank::End),
            waiting: AtomicU32::new(0),
        });
        PORTS.lock().push(Arc::downgrade(&serial));
        serial
    }

    /// The name: guest and port, as in `guest0/uart0`.
    pub fn name(&self) -> &str {
        &self.name
    }

    // The device's end.

    /// Sends a byte; `false` when a reader has no room for it. The bell rings when there is room again.
    #[inline]
    pub fn put(&self, byte: u8) -> bool {
        let mut output = self.output.lock();
        let at = output.written;
        if at >= output.limit {
            output.held_up = true;
            return false;
        }
        if let Some(place) = output.ring.get_mut(at as usize % HISTORY) {
            *place = byte;
        }
        let written = at + 1;
        output.written = written;
        if written == output.some_at {
            output.some_at = NEVER;
            output.tell(Urgency::Some);
        } else if written == output.soon_at {
            output.tell(Urgency::Soon);
        }
        true
    }

    /// Whether [`Serial::put`] would take a byte.
    pub fn room(&self) -> bool {
        let output = self.output.lock();
        output.written < output.limit
    }

    /// Takes a byte that a user typed.
    #[inline]
    pub fn take(&self) -> Option<u8> {
        if self.waiting() == 0 {
            return None;
        }
        let mut input = self.input.lock();
        let waiting = self.waiting.load(Ordering::Relaxed);
        if waiting == 0 {
            return None;
        }
        let byte = input.ring.get(input.first).copied();
        input.first = (input.first + 1) % INPUT;
        self.waiting.store(waiting - 1, Ordering::Release);
        byte
    }

    /// How many bytes [`Serial::take`] would give.
    #[inline]
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Acquire)
    }

    /// Names the bell that rings when input arrives, and when there is room for output again.
    pub fn set_bell(&self, bell: Bell) {
        self.input.lock().bell = Some(bell.clone());
        self.output.lock().bell = Some(bell);
    }

    /// The device goes. Readers read what is left and are told.
    pub fn close(&self) {
        let bell = self.input.lock().bell.take();
        let mut output = self.output.lock();
        let other = output.bell.take();
        output.closed = true;
        output.tell(Urgency::Closed);
        drop(output);
        drop((bell, other));
        PORTS.lock().retain(|port| !core::ptr::eq(port.as_ptr(), self));
    }

    // The users' end.

    /// Types to the guest: says how many bytes there was room for.
    pub fn write(&self, bytes: &[u8]) -> usize {
        let mut input = self.input.lock();
        let waiting = self.waiting.load(Ordering::Relaxed) as usize;
        let count = bytes.len().min(INPUT - waiting.min(INPUT));
        let start = input.first + waiting;
        for (offset, byte) in bytes.iter().take(count).enumerate() {
            if let Some(place) = input.ring.get_mut((start + offset) % INPUT) {
                *place = *byte;
            }
        }
        self.waiting.fetch_add(count as u32, Ordering::Release);
        let bell = if count > 0 { input.bell.clone() } else { None };
        drop(input);
        if let Some(bell) = bell {
            bell.ring();
        }
        count
    }

    /// Begins to read, from now on. `listener` is told when there is something for it.
    pub fn reader(self: &Arc<Self>, listener: Arc<dyn Listener>) -> Reader {
        let mut output = self.output.lock();
        let (id, position) = (output.next_reader, output.written);
        output.next_reader = id.wrapping_add(1);
        output.readers.push(Cursor { id, position, listener });
        output.settle();
        drop(output);
        Reader { serial: self.clone(), id }
    }

    /// The last `count` bytes that the guest sent, or as many as are kept.
    pub fn history(&self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count.min(HISTORY)];
        let output = self.output.lock();
        let from = output.written.saturating_sub(bytes.len() as u64);
        let length = output.copy(from, &mut bytes);
        drop(output);
        bytes.truncate(length);
        bytes
    }

    /// How many bytes the guest sent since the beginning.
    pub fn sent(&self) -> u64 {
        self.output.lock().written
    }

    /// Whether the device is gone.
    pub fn is_closed(&self) -> bool {
        self.output.lock().closed
    }
}

/// Reads what a guest sends. While it lives the guest does not overwrite what it has not read.
pub struct Reader {
    serial: Arc<Serial>,
    id: u32,
}

impl Reader {
    /// The port.
    pub fn serial(&self) -> &Arc<Serial> {
        &self.serial
    }

    /// Takes what there is, as far as `into` reaches: says how many bytes.
    pub fn read(&mut self, into: &mut [u8]) -> usize {
        let mut output = self.serial.output.lock();
        let Some(index) = output.readers.iter().position(|reader| reader.id == self.id) else { return 0 };
        let Some(position) = output.readers.get(index).map(|reader| reader.position) else { return 0 };
        let count = output.copy(position, into);
        if let Some(reader) = output.readers.get_mut(index) {
            reader.position = position + count as u64;
        }
        let bell = if output.settle() { output.bell.clone() } else { None };
        drop(output);
        if let Some(bell) = bell {
            bell.ring();
        }
        count
    }

    /// Begins earlier: with the last `count` bytes that were sent, as far as they are kept.
    pub fn rewind(&mut self, count: usize) {
        let mut output = self.serial.output.lock();
        let from = output.written.saturating_sub(count.min(HISTORY) as u64);
        if let Some(reader) = output.readers.iter_mut().find(|reader| reader.id == self.id) {
            reader.position = reader.position.min(from);
        }
        output.settle();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut output = self.serial.output.lock();
        let index = output.readers.iter().position(|reader| reader.id == self.id);
        let gone = index.map(|index| output.readers.swap_remove(index));
        let bell = if output.settle() { output.bell.clone() } else { None };
        drop(output);
        drop(gone);
        if let Some(bell) = bell {
            bell.ring();
        }
    }
}

static PORTS: Spin<Vec<Weak<Serial>>> = Spin::new(Vec::new());

/// The ports of all guests.
pub fn list() -> Vec<Arc<Serial>> {
    let mut ports = PORTS.lock();
    ports.retain(|port| port.strong_count() > 0);
    ports.iter().filter_map(Weak::upgrade).collect()
}

/// The port of this name.
pub fn find(name: &str) -> Option<Arc<Serial>> {
    list().into_iter().find(|port| port.name == name)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Remembers what it heard.
    #[derive(Default)]
    struct Ear(Mutex<Vec<Urgency>>);
    impl Listener for Ear {
        fn heard(&self, urgency: Urgency) {
            self.0.lock().unwrap().push(urgency);
        }
    }
    impl Ear {
        fn heard(&self) -> Vec<Urgency> {
            core::mem::take(&mut *self.0.lock().unwrap())
        }
    }

    fn send(serial: &Serial, bytes: &[u8]) -> usize {
        bytes.iter().take_while(|byte| serial.put(**byte)).count()
    }

    #[test]
    fn without_a_reader_the_guest_is_never_held_up_and_the_last_bytes_are_kept() {
        let serial = Serial::new("a/uart0");
        for n in 0..3 * HISTORY {
            assert!(serial.put(n as u8));
        }
        let history = serial.history(usize::MAX);
        assert_eq!(history.len(), HISTORY);
        assert_eq!(*history.last().unwrap(), (3 * HISTORY - 1) as u8);
        assert_eq!(serial.history(2), [0xfe, 0xff]);
    }

    #[test]
    fn a_reader_gets_every_byte_and_the_guest_waits_for_it() {
        let serial = Serial::new("b/uart0");
        let rings = Arc::new(AtomicU32::new(0));
        let counted = rings.clone();
        let bell = Bell::new(Arc::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        }));
        serial.set_bell(bell.clone());
        send(&serial, b"before");
        let ear = Arc::new(Ear::default());
        let mut reader = serial.reader(ear.clone());
        let text: Vec<u8> = (0..HISTORY + 10).map(|n| n as u8).collect();
        assert_eq!(send(&serial, &text), HISTORY);
        assert!(!serial.room());
        assert_eq!(ear.heard(), [Urgency::Some, Urgency::Soon]);
        assert!(!bell.answer());
        let mut some = [0; 100];
        assert_eq!(reader.read(&mut some), 100);
        assert_eq!(some, text[..100]);
        assert!(bell.answer());
        assert_eq!(send(&serial, &text[HISTORY..]), 10);
        let mut rest = vec![0; HISTORY];
        assert_eq!(reader.read(&mut rest), HISTORY - 90);
        assert_eq!(rest[..HISTORY - 90], text[100..]);
        assert_eq!(reader.read(&mut rest), 0);
        assert!(ear.heard().len() <= 1);
        send(&serial, b"x");
        assert_eq!(ear.heard(), [Urgency::Some]);
    }

    #[test]
    fn a_reader_that_goes_lets_the_guest_go_on() {
        let serial = Serial::new("c/uart0");
        let reader = serial.reader(Arc::new(Ear::default()));
        assert_eq!(send(&serial, &[0; 2 * HISTORY]), HISTORY);
        drop(reader);
        assert_eq!(send(&serial, &[0; 2 * HISTORY]), 2 * HISTORY);
    }

    #[test]
    fn a_reader_may_begin_with_what_was_sent_before() {
        let serial = Serial::new("d/uart0");
        send(&serial, b"login: ");
        let mut reader = serial.reader(Arc::new(Ear::default()));
        reader.rewind(5);
        let mut text = [0; 16];
        assert_eq!(reader.read(&mut text), 5);
        assert_eq!(&text[..5], b"gin: ");
    }

    #[test]
    fn input_arrives_in_order_and_is_bounded() {
        let serial = Serial::new("e/uart0");
        assert_eq!(serial.write(&[1; 2 * INPUT]), INPUT);
        assert_eq!(serial.write(b"x"), 0);
        for _ in 0..INPUT - 1 {
            assert_eq!(serial.take(), Some(1));
        }
        assert_eq!(serial.write(b"ab"), 2);
        assert_eq!((serial.take(), serial.take(), serial.take()), (Some(1), Some(b'a'), Some(b'b')));
        assert_eq!(serial.take(), None);
    }

    #[test]
    fn a_port_is_found_while_its_device_lives() {
        let serial = Serial::new("f/uart0");
        assert!(find("f/uart0").is_some());
        let ear = Arc::new(Ear::default());
        let reader = serial.reader(ear.clone());
        serial.close();
        assert!(find("f/uart0").is_none());
        assert_eq!(ear.heard(), [Urgency::Closed]);
        assert!(reader.serial().is_closed());
        let gone = Serial::new("g/uart0");
        drop(gone);
        assert!(find("g/uart0").is_none());
    }
}
