//! `memory`: the host's physical memory, byte by byte.

use alloc::format;
use alloc::vec::Vec;
use core::fmt::Write;

use addr::{Hpa, Span};
use arch::Width;
use host_mem::peek;

use crate::{Args, Command, Failed, Form, Session, hexdump};

pub(crate) const COMMAND: Command = Command {
    name: "memory",
    about: "memory manipulation commands",
    forms: &[
        Form { words: "dump8", arguments: "<phys_addr> <count>", run: |s, args| dump(s, args, Width::B1) },
        Form { words: "dump16", arguments: "<phys_addr> <count>", run: |s, args| dump(s, args, Width::B2) },
        Form { words: "dump32", arguments: "<phys_addr> <count>", run: |s, args| dump(s, args, Width::B4) },
        Form { words: "dump64", arguments: "<phys_addr> <count>", run: |s, args| dump(s, args, Width::B8) },
        Form { words: "crc32", arguments: "<phys_addr> <byte_count>", run: crc32 },
        Form {
            words: "modify8",
            arguments: "<phys_addr> <value> ...",
            run: |_, args| modify(args, Width::B1),
        },
        Form {
            words: "modify16",
            arguments: "<phys_addr> <value> ...",
            run: |_, args| modify(args, Width::B2),
        },
        Form {
            words: "modify32",
            arguments: "<phys_addr> <value> ...",
            run: |_, args| modify(args, Width::B4),
        },
        Form {
            words: "modify64",
            arguments: "<phys_addr> <value> ...",
            run: |_, args| modify(args, Width::B8),
        },
        Form { words: "copy", arguments: "<phys_addr> <src_phys_addr> <byte_count>", run: copy },
    ],
};

/// `count` numbers of `width` at argument 0, checked not to wrap.
fn span(args: &Args<'_>, width: Width) -> Result<Span<Hpa>, Failed> {
    span_at(args.number(0)?, args.number(1)?, width)
}

fn span_at(base: u64, count: u64, width: Width) -> Result<Span<Hpa>, Failed> {
    count
        .checked_mul(width.bytes())
        .and_then(|length| Span::<Hpa>::new(Hpa::new(base), length))
        .ok_or_else(|| Failed::Because(format!("{count} numbers at {base:#x} reach beyond the last address")))
}

fn dump(session: &mut Session<'_>, args: &Args<'_>, width: Width) -> Result<(), Failed> {
    let span = span(args, width)?;
    writeln!(session, "Host physical memory {} - {} seen by CPU0:", span.base(), span.last())?;
    let mut row = Vec::with_capacity(16);
    let mut at = span.base();
    let mut left = span.length();
    while left > 0 {
        row.clear();
        let start = at;
        while row.len() < 16 && left > 0 {
            let value = peek::read(at, width).map_err(Failed::because)?;
            row.extend(value.to_le_bytes().into_iter().take(usize::try_from(width.bytes()).unwrap_or(1)));
            at = at.offset(width.bytes());
            left -= width.bytes();
        }
        hexdump::print(session, start.get(), &row, width)?;
    }
    Ok(())
}

fn modify(args: &Args<'_>, width: Width) -> Result<(), Failed> {
    let base: u64 = args.number(0)?;
    let count = args.rest(1).len() as u64;
    let span = span_at(base, count, width)?;
    let mut at = span.base();
    // All words are looked at before the first one is written.
    let mut values = Vec::with_capacity(args.rest(1).len());
    for index in 1..args.count() {
        let value: u64 = args.number(index)?;
        if value & !width.mask() != 0 {
            return Err(Failed::Because(format!(
                "<value>: {value:#x} has more than {} bits",
                width.bytes() * 8
            )));
        }
        values.push(value);
    }
    for value in values {
        peek::write(at, width, value).map_err(Failed::because)?;
        at = at.offset(width.bytes());
    }
    Ok(())
}

fn crc32(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let span = span(args, Width::B1)?;
    let sum = peek::crc32(span).map_err(Failed::because)?;
    writeln!(session, "CRC32: {sum:#010x}")?;
    Ok(())
}

fn copy(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let count: u64 = args.number(2)?;
    let to = span_at(args.number(0)?, count, Width::B1)?;
    let from = span_at(args.number(1)?, count, Width::B1)?;
    peek::copy(from.base(), to.base(), count).map_err(Failed::because)?;
    writeln!(session, "Copied {count} ({count:#x}) bytes.")?;
    Ok(())
}
