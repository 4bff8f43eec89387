//! Guests come and go, and the memory is all there again. In a process of its own: nobody else takes
//! frames meanwhile.

use std::sync::Arc;

use addr::Gpa;
use arch::{GuestSpace, Rights, Space};
use host_mem::{AddError, Backing, GuestRam, Stack, UntypedFrames};

fn guest() -> GuestRam {
    GuestRam::new(Arc::new(Space::new(host_mem::tables()).unwrap()))
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

#[test]
fn a_thousand_guests_later_the_same_memory_is_free() {
    let before = host_mem::free_frames();
    assert!(before > 0);
    for round in 0..if cfg!(miri) { 20 } else { 1_000u64 } {
        let (one, two) = (guest(), guest());
        one.add(Gpa::new(0x4000_0000), (16 + round % 64) * 4 * KIB, Rights::Memory).unwrap();
        one.add(Gpa::new(0), 64 * KIB, Rights::Constant).unwrap();
        let (backing, _) = one.backing(Gpa::new(0)).unwrap();
        two.show(Gpa::new(0x1000), &backing, 0x1000, 0x1000, Rights::Memory).unwrap();
        let _stack = Stack::new(16 << 10).unwrap();
        if round % 2 == 0 {
            one.revoke();
            one.revoke();
        }
    }
    assert_eq!(host_mem::free_frames(), before);

    // Memory in pieces: guests get smaller blocks, and all of it comes back.
    let mut all: Vec<UntypedFrames> = Vec::new();
    while let Ok(frames) = UntypedFrames::take(4) {
        all.push(frames);
    }
    let mut place = 0;
    all.retain(|_| {
        place += 1;
        place % 2 == 0
    });
    let backing = Backing::new(MIB + 4 * KIB).unwrap();
    assert!(backing.blocks() >= 16);
    let ram = guest();
    ram.show(Gpa::new(0x4000_0000), &backing, 0, backing.length(), Rights::Memory).unwrap();
    // All of it, or under Miri, which is slow, what lies in two blocks.
    let (at, length) = if cfg!(miri) { (0x4001_0000 - 500, 1000) } else { (0x4000_0000, backing.length()) };
    let bytes: Vec<u8> = (0..length).map(|n| (n / 5) as u8).collect();
    ram.write(Gpa::new(at), &bytes).unwrap();
    let mut back = vec![0; bytes.len()];
    ram.read(Gpa::new(at), &mut back).unwrap();
    assert_eq!(back, bytes);
    let short = host_mem::free_frames();
    assert_eq!(ram.add(Gpa::new(0), (short + 1) * 4 * KIB, Rights::Memory), Err(AddError::NoMemory));
    assert_eq!(host_mem::free_frames(), short);
    drop((ram, backing, all));
    assert_eq!(host_mem::free_frames(), before);
    assert_eq!(host_mem::stats().free_frames, before);
}
