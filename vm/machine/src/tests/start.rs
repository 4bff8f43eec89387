//! Images, and the tree that the guest gets.

use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use addr::Gpa;
use arch::PowerOn;
use arch_hosted::script::{self, Event};
use fdt::Tree;

use super::fixture::{Description, RAM, UART, boot, wait};
use crate::{Guest, manager};

/// Starts the guest: how its first CPU began, and the tree that it got.
fn start(description: &Description, check: impl FnOnce(&Guest, PowerOn, Tree)) {
    let program = script::of_vcpu(0);
    let guest = description.create().unwrap();
    guest.kick().unwrap();
    wait();
    let events = program.take_events();
    let [Event::Started(from)] = events[..] else { panic!("{events:?}") };
    let mut blob = vec![0; 64 << 10];
    let length = blob.len().min((RAM + (16 << 20) - from.argument) as usize);
    guest.memory().read(Gpa::new(from.argument), &mut blob[..length]).unwrap();
    let tree = Tree::from_blob(&blob).unwrap();
    check(&guest, from, tree);
    manager::destroy(&guest).unwrap();
}

fn bytes(guest: &Guest, at: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    guest.memory().read(Gpa::new(at), &mut bytes).unwrap();
    bytes
}

#[test]
fn a_kernel_is_loaded_with_its_tree_and_initial_ram_disk() {
    let _alone = boot();
    let mut description = Description::new("k1");
    description
        .kernel("/kernel")
        .set("/chosen", "xvisor,initrd", "/initrd")
        .set("/chosen", "bootargs", "quiet");
    start(&description, |guest, from, tree| {
        assert_eq!(from, PowerOn { entry: Gpa::new(RAM), argument: RAM + 0x20_0000 });
        assert_eq!(bytes(guest, RAM + 64, 6), b"kernel");
        let chosen = tree.find("/chosen").unwrap();
        let (initrd, end) =
            (chosen.u64("linux,initrd-start").unwrap(), chosen.u64("linux,initrd-end").unwrap());
        assert_eq!((initrd, end), (RAM + 0x40_0000, RAM + 0x40_0000 + 5000));
        assert_eq!(bytes(guest, initrd, 5000), [7; 5000]);
        assert_eq!(chosen.str("bootargs"), Ok("quiet"));
    });
}

#[test]
fn a_compressed_kernel_is_inflated_to_where_its_header_says() {
    let _alone = boot();
    start(Description::new("k2").kernel("/kernel.gz"), |guest, from, _| {
        assert_eq!(from, PowerOn { entry: Gpa::new(RAM + 0x8_0000), argument: RAM + 0x20_0000 });
        assert_eq!(bytes(guest, RAM + 0x8_0040, 6), b"kernel");
    });
}

#[test]
fn the_guest_gets_its_own_description_without_ours() {
    let _alone = boot();
    let mut description = Description::new("k3");
    description.kernel("/kernel").set("/cpus", "xvisor,priority", 2u32).set(
        "/uart@9000000",
        "xvisor,quiet",
        (),
    );
    let mut seeds = Vec::new();
    for _ in 0..2 {
        start(&description, |guest, _, tree| {
            let nodes = core::iter::once(tree.root()).chain(tree.root().descendants());
            for property in nodes.flat_map(fdt::Node::properties) {
                assert!(!property.name().starts_with("xvisor,"), "{}", property.name());
            }
            assert_eq!(tree.require("/gic").unwrap().str("compatible"), Ok("test,gic-as-guests-see-it"));
            assert_eq!(tree.require("/memory@40000000").unwrap().reg().unwrap()[0].size, 16 << 20);
            let seed = tree.require("/chosen").unwrap().require("rng-seed").unwrap().bytes().to_vec();
            assert!(seed.len() >= 32);
            seeds.push(seed);
            assert_eq!(guest.vcpus()[0].thread().unwrap().priority(), host_thread::Priority::new(2).unwrap());
        });
    }
    assert_ne!(seeds[0], seeds[1]);
}

#[test]
fn firmware_begins_in_its_rom_and_finds_the_tree_where_memory_begins() {
    let _alone = boot();
    let mut description = Description::new("k4");
    description.set("/flash@0", "compatible", "test,rom").set("/flash@0", "reg", [0u64, 0x1000].as_slice());
    description.set("/flash@0", "xvisor,firmware", "/firmware");
    start(&description, |guest, from, _| {
        assert_eq!(from, PowerOn { entry: Gpa::new(0), argument: RAM });
        assert_eq!(bytes(guest, 0, 8), b"firmware");
    });
    description.kernel("/kernel");
    assert_eq!(
        description.mistake(),
        "k4: /chosen: property \"xvisor,kernel\": the guest begins with the firmware of /flash@0, which loads its kernel itself"
    );
}

#[test]
fn what_was_loaded_by_hand_begins_where_the_description_says() {
    let _alone = boot();
    let mut description = Description::new("k5");
    description.set("/chosen", "xvisor,entry", RAM + 0x8000);
    start(&description, |_, from, _| {
        assert_eq!(from, PowerOn { entry: Gpa::new(RAM + 0x8000), argument: RAM + (14 << 20) });
    });
    description.set("/chosen", "xvisor,fdt", RAM + 0x10_0000);
    start(&description, |_, from, _| assert_eq!(from.argument, RAM + 0x10_0000));
}

#[test]
fn images_that_cannot_be_started_are_named() {
    let _alone = boot();
    let kick = |description: &Description| -> String {
        let free = host_mem::free_frames();
        let text = kick_and_destroy(description);
        wait();
        assert_eq!(host_mem::free_frames(), free, "{text}");
        text
    };
    fn kick_and_destroy(description: &Description) -> String {
        let guest = description.create().unwrap();
        let text = guest.kick().map_or_else(|why| format!("{why}"), |()| String::from("started"));
        assert_eq!(guest.state(), crate::State::Reset);
        manager::destroy(&guest).unwrap();
        text
    }
    let chosen = |name: &str| format!("can't be started: /chosen: property \"xvisor,{name}\": ");
    for (file, why) in [
        ("/initrd", "/initrd: no Linux Image, but "),
        ("/kernel.cut", "/kernel.cut: "),
        ("/kernel.huge", "/kernel.huge: needs 1099511627776 bytes, and the guest's memory has 16777216"),
        ("/kernel.bad.gz", "/kernel.bad.gz: truncated gzip file"),
    ] {
        let text = kick(Description::new("bad").kernel(file));
        assert!(text.starts_with(&(chosen("kernel") + why)), "{text}");
    }
    let mut description = Description::new("bad");
    description.kernel("/kernel").set("/chosen", "xvisor,initrd", "/big");
    description.set("/memory@40000000", "reg", [RAM, 6 << 20].as_slice());
    let text = kick(&description);
    assert_eq!(text, chosen("initrd") + "/big has 3145728 bytes, and 2097152 are left of the guest's memory");
    let mut description = Description::new("bad");
    description.set("/flash@0", "compatible", "test,rom").set("/flash@0", "reg", [0u64, 0x1000].as_slice());
    description.set("/flash@0", "xvisor,firmware", "/long");
    assert_eq!(
        kick(&description),
        "can't be started: /flash@0: property \"xvisor,firmware\": /long has 10000 bytes, and there is room for 4096"
    );
    let mut description = Description::new("bad");
    description.set("/chosen", "xvisor,binary", "/big");
    description.set("/memory@40000000", "reg", [RAM, 2 << 20].as_slice());
    let text = kick(&description);
    assert!(text.starts_with(&(chosen("binary") + "/big at 0x40000000: ")), "{text}");
    // After an image was put right the same guest could be started; here: by another kernel's name.
    assert_eq!(
        Description::new("bad").kernel("/none").mistake(),
        "bad: /chosen: property \"xvisor,kernel\": /none: no such file or directory"
    );
    assert_eq!(
        Description::new("bad").kernel("/empty").mistake(),
        "bad: /chosen: property \"xvisor,kernel\": /empty is empty"
    );
}

#[test]
fn a_device_of_several_frames_is_listed_once() {
    let _alone = boot();
    let mut description = Description::new("frames");
    description.set("/uart@9000000", "reg", [UART, 0x1000, UART + 0x10000, 0x1000].as_slice());
    let guest = description.create().unwrap();
    assert_eq!(guest.devices(), ["/uart@9000000"]);
    manager::destroy(&guest).unwrap();
}
