//! DBCN (riscv-sbi-doc, chapter 12): the debug console, a serial port of its own.

use addr::Gpa;
use isa_firmware::sbi::{Error, Extension, dbcn};

use super::{Answer, Entry, Request};

pub(super) const EXTENSIONS: &[Entry] = &[Entry { extension: Extension::Dbcn, answer }];

/// Bytes that one call moves at most; callers go on with what is left.
const AT_ONCE: usize = 256;

fn answer(request: &mut Request<'_>) -> Answer {
    let [first, low, high, ..] = request.arguments;
    let result = match request.function {
        dbcn::WRITE => write(request, first, low, high),
        dbcn::READ => read(request, first, low, high),
        dbcn::WRITE_BYTE => {
            let [byte, ..] = first.to_le_bytes();
            return Answer::Send(byte);
        }
        _ => Err(Error::NotSupported),
    };
    match result {
        Ok(value) => Answer::value(value),
        Err(error) => Answer::error(error),
    }
}

/// A byte that was typed.
pub(super) fn take(request: &Request<'_>) -> Option<u8> {
    request.caller.buses.firmware.console.as_ref().and_then(|console| console.take())
}

/// The bytes that a call is about: all of them have to be memory.
fn place(length: u64, low: u64, high: u64) -> Result<(Gpa, usize), Error> {
    // Addresses have 64 bits; the upper register is for harts with less.
    if high != 0 || low.checked_add(length).is_none() {
        return Err(Error::InvalidParam);
    }
    Ok((Gpa::new(low), usize::try_from(length).unwrap_or(usize::MAX).min(AT_ONCE)))
}

fn write(request: &Request<'_>, length: u64, low: u64, high: u64) -> Result<u64, Error> {
    let (from, length) = place(length, low, high)?;
    let mut bytes = [0; AT_ONCE];
    let bytes = bytes.get_mut(..length).unwrap_or_default();
    request.caller.buses.firmware.memory.read(from, bytes).map_err(|_| Error::InvalidParam)?;
    let sent = bytes.iter().take_while(|byte| request.caller.buses.firmware.put(**byte)).count();
    Ok(sent as u64)
}

fn read(request: &Request<'_>, length: u64, low: u64, high: u64) -> Result<u64, Error> {
    let (to, length) = place(length, low, high)?;
    let mut bytes = [0; AT_ONCE];
    let room = bytes.get_mut(..length).unwrap_or_default();
    // Looked at before anything is taken, so that nothing is lost.
    request.caller.buses.firmware.memory.read(to, room).map_err(|_| Error::InvalidParam)?;
    let mut count = 0;
    for (place, byte) in room.iter_mut().zip(core::iter::from_fn(|| take(request))) {
        *place = byte;
        count += 1;
    }
    let taken = bytes.get(..count).unwrap_or_default();
    request.caller.buses.firmware.memory.write(to, taken).map_err(|_| Error::InvalidParam)?;
    Ok(count as u64)
}
