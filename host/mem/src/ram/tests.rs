//! A guest's memory on the development machine.

use std::thread;

use super::*;
use crate::frames;

fn ram() -> GuestRam {
    GuestRam::new(Arc::new(Space::new(frames::tables()).unwrap()))
}

fn gpa(address: u64) -> Gpa {
    Gpa::new(address)
}

const BASE: u64 = 0x4000_0000;
const MIB: u64 = 1 << 20;

#[test]
fn what_is_written_is_read_across_blocks_and_regions() {
    let ram = ram();
    ram.add(gpa(BASE), 3 * MIB, Rights::Memory).unwrap();
    ram.add(gpa(BASE + 3 * MIB), MIB, Rights::Memory).unwrap();
    // Miri is slow: it crosses the regions only.
    let (at, length) = if cfg!(miri) { (3 * MIB - 3, 1100) } else { (2 * MIB - 3, MIB + 100) };
    let at = gpa(BASE + at);
    let bytes: Vec<u8> = (0..length).map(|n| n as u8).collect();
    let mut back = bytes.clone();
    ram.read(at, &mut back).unwrap();
    assert!(back.iter().all(|byte| *byte == 0), "a guest's memory begins zeroed");
    ram.write(at, &bytes).unwrap();
    ram.read(at, &mut back).unwrap();
    assert_eq!(back, bytes);
    ram.clear(at.offset(1), 1000).unwrap();
    ram.read(at, &mut back[..1002]).unwrap();
    assert!(back[0] == bytes[0] && back[1001] == bytes[1001] && back[1..1001].iter().all(|byte| *byte == 0));
    ram.clean(at, 1003).unwrap();
}

#[test]
fn an_access_that_is_partly_outside_does_nothing() {
    let ram = ram();
    ram.add(gpa(BASE), MIB, Rights::Memory).unwrap();
    let end = BASE + MIB;
    assert_eq!(ram.write(gpa(end - 4), &[1; 5]), Err(OutOfBounds));
    assert_eq!(ram.write(gpa(end - 200_000), &[1; 200_001]), Err(OutOfBounds));
    assert_eq!(ram.read(gpa(BASE - 1), &mut [0; 2]), Err(OutOfBounds));
    assert_eq!(ram.read(gpa(u64::MAX), &mut [0; 2]), Err(OutOfBounds));
    let mut tail = [9; 4];
    ram.read(gpa(end - 4), &mut tail).unwrap();
    assert_eq!(tail, [0; 4]);
    assert!(ram.contains(gpa(BASE), MIB) && !ram.contains(gpa(BASE), MIB + 1));
    assert!(ram.contains(gpa(0), 0));
}

#[test]
fn values_are_whole_and_aligned() {
    let ram = ram();
    ram.add(gpa(BASE), 4096, Rights::Memory).unwrap();
    ram.store(gpa(BASE + 8), Width::B8, 0x1122_3344_5566_7788).unwrap();
    assert_eq!(ram.load(gpa(BASE + 8), Width::B8), Ok(0x1122_3344_5566_7788));
    assert_eq!(ram.load(gpa(BASE + 10), Width::B2), Ok(0x5566));
    assert_eq!(ram.load(gpa(BASE + 15), Width::B1), Ok(0x11));
    assert_eq!(ram.load(gpa(BASE + 9), Width::B2), Err(OutOfBounds));
    assert_eq!(ram.load(gpa(BASE + 4096), Width::B1), Err(OutOfBounds));
}

#[test]
fn what_the_guest_can_only_read_is_filled_by_loaders_alone() {
    let ram = ram();
    ram.add(gpa(0), 4096, Rights::Constant).unwrap();
    assert_eq!(ram.write(gpa(0), b"x"), Err(OutOfBounds));
    assert_eq!(ram.store(gpa(0), Width::B1, 1), Err(OutOfBounds));
    ram.install(gpa(1), b"rom").unwrap();
    assert_eq!(ram.load(gpa(2), Width::B2), Ok(u64::from(u16::from_le_bytes(*b"om"))));
    assert_eq!(ram.space().look_up(gpa(0)).unwrap().1, Rights::Constant);
}

#[test]
fn an_alias_and_another_guest_see_the_same_memory() {
    let (one, two) = (ram(), ram());
    one.add(gpa(BASE), 4 * MIB, Rights::Memory).unwrap();
    let (backing, offset) = one.backing(gpa(BASE + MIB)).unwrap();
    assert_eq!(offset, MIB);
    one.show(gpa(0), &backing, MIB, MIB, Rights::Constant).unwrap();
    two.show(gpa(BASE), &backing, MIB, 2 * MIB, Rights::Memory).unwrap();
    drop(backing);
    two.write(gpa(BASE + 5), b"shared").unwrap();
    let mut seen = [0; 6];
    one.read(gpa(5), &mut seen).unwrap();
    assert_eq!(&seen, b"shared");
    one.revoke();
    assert_eq!(one.read(gpa(5), &mut seen), Err(OutOfBounds));
    two.read(gpa(BASE + 5), &mut seen).unwrap();
    assert_eq!(&seen, b"shared");
}

#[test]
fn regions_that_make_no_sense_are_refused_and_leave_nothing() {
    let ram = ram();
    ram.add(gpa(BASE), MIB, Rights::Memory).unwrap();
    let mib = Span::<Gpa>::new(gpa(BASE), MIB).unwrap();
    let backing = Backing::new(8192).unwrap();
    let cases = [
        (ram.add(gpa(BASE + 4096), 4096, Rights::Memory), AddError::Overlap(mib)),
        (ram.add(gpa(BASE - 4096), 8192, Rights::Memory), AddError::Overlap(mib)),
        (ram.add(gpa(0), 0, Rights::Memory), AddError::Empty),
        (ram.add(gpa(1), 4096, Rights::Memory), AddError::Misaligned),
        (ram.add(gpa(0), 100, Rights::Memory), AddError::Misaligned),
        (ram.add(gpa(1 << 60), 4096, Rights::Memory), AddError::OutOfRange),
        (ram.add(gpa(0u64.wrapping_sub(4096)), 8192, Rights::Memory), AddError::OutOfRange),
        (ram.add(gpa(0), 1 << 34, Rights::Memory), AddError::Overlap(mib)),
        (ram.add(gpa(1 << 34), 1 << 34, Rights::Memory), AddError::NoMemory),
        (ram.show(gpa(0), &backing, 4096, 8192, Rights::Memory), AddError::OutOfRange),
        (ram.show(gpa(0), &backing, 1, 4096, Rights::Memory), AddError::Misaligned),
        (ram.show(gpa(0), &backing, u64::MAX - 4095, 8192, Rights::Memory), AddError::OutOfRange),
        (ram.remove(gpa(BASE + 4096)), AddError::NoRegion),
    ];
    for (index, (result, error)) in cases.into_iter().enumerate() {
        assert_eq!(result, Err(error), "case {index}");
    }
    assert_eq!(ram.regions().len(), 1);
    ram.remove(gpa(BASE)).unwrap();
    assert!(ram.space().translate(gpa(BASE)).is_none());
    ram.revoke();
    assert_eq!(ram.add(gpa(BASE), MIB, Rights::Memory), Err(AddError::Revoked));
    assert_eq!(ram.remove(gpa(BASE)), Err(AddError::Revoked));
}

#[test]
fn registers_are_passed_in_whole_pages_and_never_copied() {
    let ram = ram();
    let claim = |base, length| {
        Arc::new(Claim::new(Span::<Hpa>::new(Hpa::new(base), length).unwrap(), "guest0").unwrap())
    };
    let whole = claim(0x800_0000, 0x2000);
    ram.pass(gpa(0x801_0000), &whole).unwrap();
    assert_eq!(ram.space().translate(gpa(0x801_1004)), Some(Hpa::new(0x800_1004)));
    assert_eq!(ram.load(gpa(0x801_0000), Width::B4), Err(OutOfBounds));
    assert_eq!(ram.pass(gpa(0x900_0000), &claim(0x900_0000, 0x200)), Err(AddError::Misaligned));
    assert_eq!(ram.regions()[0].registers().map(|claim| claim.span()), Some(whole.span()));
}

#[test]
fn a_copy_that_goes_on_ends_when_the_memory_is_revoked() {
    let ram = Arc::new(ram());
    ram.add(gpa(BASE), MIB, Rights::Memory).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let bytes = [7; 4096];
            while ram.write(gpa(BASE + 4096), &bytes).is_ok() {}
        });
        scope.spawn(|| while ram.load(gpa(BASE), Width::B8).is_ok() {});
        thread::yield_now();
        ram.revoke();
    });
    assert!(ram.regions().is_empty());
}
