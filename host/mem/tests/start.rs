//! Several banks, reserved ranges, and what the boot loader left. In a process of its own: the machine
//! starts once.

use addr::{Hpa, PAGE_SIZE, Span};
use arch::Machine;
use host_mem::{Frames, InitError, Layout};

fn part(bank: Span<Hpa>, page: u64, pages: u64) -> Span<Hpa> {
    Span::<Hpa>::new(bank.base().offset(page * PAGE_SIZE), pages * PAGE_SIZE).unwrap()
}

#[test]
fn all_banks_are_used_and_what_is_reserved_is_nobodys() {
    // Every frame is taken, which is slow under Miri.
    let (unit, tree) = if cfg!(miri) { (256 << 10, 200) } else { (1 << 20, 500) };
    let (one, two) = (Machine::memory(4 * unit), Machine::memory(2 * unit));
    let image = part(one, 2, 10);
    let initrd = Span::<Hpa>::new(two.base().offset(5 * PAGE_SIZE + 16), 3 * PAGE_SIZE).unwrap();
    let tree = part(one, tree, 2);
    let layout = Layout { banks: &[two, one], reserved: &[tree, initrd], image };
    host_mem::init(&layout).unwrap();
    assert_eq!(host_mem::init(&layout), Err(InitError::Twice));

    let stats = host_mem::stats();
    let pages = (one.length() + two.length()) / PAGE_SIZE;
    assert_eq!(stats.banks.len(), 2);
    assert_eq!(stats.free_frames, stats.total_frames);
    // The image, the tree, the initrd (which touches four pages), and the books.
    let books = pages - 10 - 2 - 4 - stats.free_frames;
    assert!(books > 0 && books < 200, "{books} pages of books");

    let mut all = Vec::new();
    while let Ok(frames) = Frames::take(0) {
        let page = Span::<Hpa>::new(frames.base(), PAGE_SIZE).unwrap();
        assert!(host_mem::is_ram(page));
        for taken in [image, initrd, tree] {
            assert!(!page.overlaps(&taken), "{page} is in {taken}");
        }
        all.push(frames);
    }
    assert_eq!(all.len() as u64, stats.free_frames);
    assert_eq!(host_mem::free_frames(), 0);

    let kept = host_mem::boot_image(initrd).expect("it was reserved");
    assert_eq!((kept.len() as u64, kept.as_ptr() as u64), (initrd.length(), initrd.base().get()));
    assert!(host_mem::boot_image(initrd).is_none(), "it has an owner now");
    assert!(host_mem::boot_image(image).is_none());
    assert!(host_mem::boot_image(Span::<Hpa>::new(all[0].base(), 1).unwrap()).is_none());
    assert!(host_mem::boot_image(Span::<Hpa>::new(Hpa::new(0x1000), 1).unwrap()).is_none());

    for owned in [initrd, image, two] {
        assert!(host_mem::release(owned).is_err(), "{owned}");
    }
    host_mem::release(tree).unwrap();
    assert!(host_mem::release(tree).is_err());
    assert_eq!(host_mem::free_frames(), 2);
    drop(all);
    assert_eq!(host_mem::free_frames(), stats.free_frames + 2);
    assert_eq!(host_mem::stats().total_frames, stats.free_frames + 2);
}
