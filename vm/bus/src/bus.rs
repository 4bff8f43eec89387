//! Which device answers at an address.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use addr::{Gpa, Span};
use arch::{RegisterId, Width};
use atomic::Arc;

use crate::{Access, Refused, Target};

/// What a bus is addressed by.
pub trait Address: Copy {
    /// The number on the bus.
    fn number(self) -> u64;
    /// How many numbers an access of this width covers.
    fn covers(width: Width) -> u64;
}

impl Address for Gpa {
    fn number(self) -> u64 {
        self.get()
    }
    fn covers(width: Width) -> u64 {
        width.bytes()
    }
}

impl Address for u16 {
    fn number(self) -> u64 {
        self.into()
    }
    fn covers(width: Width) -> u64 {
        width.bytes()
    }
}

/// Registers are numbered one by one, whatever their width.
impl Address for RegisterId {
    fn number(self) -> u64 {
        self.0.into()
    }
    fn covers(_: Width) -> u64 {
        1
    }
}

/// Two claims to the same addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Overlap {
    /// Who is there already.
    pub first: String,
    /// Who came later.
    pub second: String,
    /// The first address that both claim.
    pub at: u64,
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} overlaps {} at {:#x}", self.second, self.first, self.at)
    }
}

/// Where the last access went: most go to the same device again. Kept by each virtual CPU.
#[derive(Clone, Copy, Default, Debug)]
pub struct Hint(usize);

struct Entry {
    base: u64,
    length: u64,
    /// What is added to an address within the entry to make the device's offset.
    offset: u64,
    target: Arc<dyn Target>,
}

/// One sorted vector: filled while the machine is built, then only read.
pub struct Bus<A> {
    entries: Vec<Entry>,
    names: Vec<String>,
    address: PhantomData<fn(A)>,
}

impl<A> Default for Bus<A> {
    fn default() -> Self {
        Self { entries: Vec::new(), names: Vec::new(), address: PhantomData }
    }
}

impl Bus<Gpa> {
    /// Puts `target` at `span`; its first byte is offset 0.
    pub fn add(&mut self, name: &str, span: Span<Gpa>, target: Arc<dyn Target>) -> Result<(), Overlap> {
        self.insert(name, span.base().get(), span.length(), 0, target)
    }
}

impl Bus<RegisterId> {
    /// Puts `target` behind register `id`; the offset that it sees is the register's number.
    pub fn add(&mut self, name: &str, id: RegisterId, target: Arc<dyn Target>) -> Result<(), Overlap> {
        self.insert(name, id.0.into(), 1, id.0.into(), target)
    }
}

impl<A: Address> Bus<A> {
    fn insert(
        &mut self,
        name: &str,
        base: u64,
        length: u64,
        offset: u64,
        target: Arc<dyn Target>,
    ) -> Result<(), Overlap> {
        if length == 0 {
            return Ok(());
        }
        let last = base.saturating_add(length - 1);
        let index = self.entries.partition_point(|entry| entry.base <= base);
        let below = index.checked_sub(1).and_then(|index| Some((index, self.entries.get(index)?)));
        let above = self.entries.get(index).map(|entry| (index, entry));
        let clash = below
            .filter(|(_, entry)| base - entry.base < entry.length)
            .map(|(index, _)| (index, base))
            .or(above.filter(|(_, entry)| entry.base <= last).map(|(index, entry)| (index, entry.base)));
        if let Some((index, at)) = clash {
            let first = self.names.get(index).cloned().unwrap_or_default();
            return Err(Overlap { first, second: name.into(), at });
        }
        self.entries.insert(index, Entry { base, length, offset, target });
        self.names.insert(index, name.into());
        Ok(())
    }

    /// Reads. An access lies wholly inside one device, or reaches none. Who asked cuts what the device says to
    /// the width.
    #[inline(always)]
    pub fn read(&self, hint: &mut Hint, at: A, width: Width, by: u32) -> Result<u64, Refused> {
        let (target, offset) = self.find(hint, at, width).ok_or(Refused::Nothing)?;
        target.read(Access { offset, width, by })
    }

    /// Writes; bits of `value` beyond the width are zero.
    #[inline(always)]
    pub fn write(&self, hint: &mut Hint, at: A, width: Width, by: u32, value: u64) -> Result<(), Refused> {
        let (target, offset) = self.find(hint, at, width).ok_or(Refused::Nothing)?;
        target.write(Access { offset, width, by }, value)
    }

    /// What is on the bus: name, first and last address, in the order of addresses.
    pub fn list(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        self.names
            .iter()
            .zip(&self.entries)
            .map(|(name, entry)| (name.as_str(), entry.base, entry.base + (entry.length - 1)))
    }

    #[inline(always)]
    fn find(&self, hint: &mut Hint, at: A, width: Width) -> Option<(&dyn Target, u64)> {
        let (at, covers) = (at.number(), A::covers(width));
        if let Some(found) = self.entries.get(hint.0).and_then(|entry| entry.reach(at, covers)) {
            return Some(found);
        }
        let index = self.entries.partition_point(|entry| entry.base <= at).checked_sub(1)?;
        let found = self.entries.get(index)?.reach(at, covers)?;
        hint.0 = index;
        Some(found)
    }
}

impl Entry {
    #[inline(always)]
    fn reach(&self, at: u64, covers: u64) -> Option<(&dyn Target, u64)> {
        let within = at.wrapping_sub(self.base);
        if within < self.length && covers <= self.length - within {
            Some((&*self.target, within.wrapping_add(self.offset)))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, share};
    use std::string::ToString;

    /// Answers with where it was asked; remembers what was written.
    struct Echo(u64);
    impl Device for Echo {
        fn read(&mut self, access: Access) -> Result<u64, Refused> {
            Ok(self.0 | access.offset)
        }
        fn write(&mut self, _: Access, value: u64) -> Result<(), Refused> {
            self.0 = value;
            Ok(())
        }
    }

    fn span(base: u64, length: u64) -> Span<Gpa> {
        Span::<Gpa>::new(Gpa::new(base), length).unwrap()
    }

    #[test]
    fn an_access_lies_wholly_inside_one_device_or_reaches_none() {
        let mut bus = Bus::<Gpa>::default();
        bus.add("a", span(0x1000, 0x1000), share(Echo(0xa0000))).unwrap();
        bus.add("b", span(0x2000, 0x10), share(Echo(0xb0000))).unwrap();
        let mut hint = Hint::default();
        let mut read = |at, width| bus.read(&mut hint, Gpa::new(at), width, 0);
        assert_eq!(read(0x1ff8, Width::B8), Ok(0xa0ff8));
        assert_eq!(read(0x1ffc, Width::B8), Err(Refused::Nothing));
        assert_eq!(read(0x2008, Width::B4), Ok(0xb0008));
        assert_eq!(read(0x2010, Width::B1), Err(Refused::Nothing));
        assert_eq!(read(0xfff, Width::B1), Err(Refused::Nothing));
        assert_eq!(read(u64::MAX, Width::B8), Err(Refused::Nothing));
        assert_eq!(read(0x1004, Width::B1), Ok(0xa0004));
    }

    #[test]
    fn an_overlap_names_both() {
        let mut bus = Bus::<Gpa>::default();
        bus.add("uart", span(0x1000, 0x1000), share(Echo(0))).unwrap();
        let clash = bus.add("rtc", span(0x800, 0x801), share(Echo(0))).unwrap_err();
        assert_eq!(clash.to_string(), "rtc overlaps uart at 0x1000");
        assert_eq!(bus.add("rtc", span(0x1fff, 1), share(Echo(0))).unwrap_err().at, 0x1fff);
        bus.add("rtc", span(0x2000, 1), share(Echo(0))).unwrap();
        bus.add("top", span(u64::MAX, 1), share(Echo(0))).unwrap();
        assert_eq!(bus.list().count(), 3);
    }

    #[test]
    fn registers_are_told_by_number() {
        let mut bus = Bus::<RegisterId>::default();
        bus.add("gic", RegisterId(7), share(Echo(0))).unwrap();
        let mut hint = Hint::default();
        bus.write(&mut hint, RegisterId(7), Width::B8, 0, 8).unwrap();
        assert_eq!(bus.read(&mut hint, RegisterId(7), Width::B8, 0), Ok(15));
        assert_eq!(bus.read(&mut hint, RegisterId(8), Width::B8, 0), Err(Refused::Nothing));
    }

    #[test]
    fn a_bus_agrees_with_a_naive_search() {
        let mut seed = 1u64;
        let mut random = move |below: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % below
        };
        for _ in 0..200 {
            let mut bus = Bus::<Gpa>::default();
            let mut naive: Vec<(u64, u64)> = Vec::new();
            for _ in 0..12 {
                let (base, length) = (random(256), 1 + random(32));
                let free = naive.iter().all(|&(b, l)| base + length <= b || b + l <= base);
                assert_eq!(bus.add("x", span(base, length), share(Echo(0))).is_ok(), free);
                if free {
                    naive.push((base, length));
                }
            }
            let mut hint = Hint::default();
            for _ in 0..300 {
                let at = random(300);
                let width = Width::from_bytes(1 << random(4)).unwrap();
                let expected = naive.iter().find(|&&(b, l)| b <= at && at + width.bytes() <= b + l);
                let expected = expected.map(|&(b, _)| at - b).ok_or(Refused::Nothing);
                assert_eq!(bus.read(&mut hint, Gpa::new(at), width, 0), expected);
            }
        }
    }
}
