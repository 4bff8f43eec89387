//! Tests of the whole: a sample made by another tool, edits, round trips, damaged blobs.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::format;

use crate::{Early, Malformed, Node, Problem, Region, Tree};

/// Made by dtc from `samples/board.dts`.
const BOARD: &[u8] = include_bytes!("../samples/board.dtb");

fn board() -> Tree {
    Tree::from_blob(BOARD).unwrap()
}

fn region(start: u64, size: u64) -> Region {
    Region { start, size }
}

fn text(node: Node<'_>) -> String {
    let mut text = String::new();
    node.print(&mut text).unwrap();
    text
}

#[test]
fn nodes_are_found_by_path_by_alias_and_without_unit_address() {
    let tree = board();
    let uart = tree.find("/soc@fe000000/serial@7e201000").unwrap();
    assert_eq!(uart.path(), "/soc@fe000000/serial@7e201000");
    assert_eq!(tree.find("/soc/serial"), Some(uart));
    assert_eq!(tree.find("serial0"), Some(uart));
    assert_eq!(tree.find("bus/serial/"), Some(uart));
    assert_eq!(tree.find("/"), Some(tree.root()));
    assert_eq!(tree.find("/soc/nothing"), None);
    assert_eq!(tree.find("nothing"), None);
    assert_eq!(tree.require("/x").unwrap_err().to_string(), "/x: is missing");
    assert_eq!((uart.base_name(), uart.unit_address()), ("serial", Some("7e201000")));
}

#[test]
fn values_have_types_and_errors_name_node_and_property() {
    let tree = board();
    let clock = tree.find("/clock").unwrap();
    assert_eq!(clock.u32("clock-frequency").unwrap(), 24_000_000);
    assert_eq!(clock.u64("clock-frequency").unwrap(), 24_000_000);
    assert_eq!(clock.u32_or("nothing", 7).unwrap(), 7);
    assert_eq!(clock.u32("nothing").unwrap_err().to_string(), "/clock: property \"nothing\": is missing");
    assert!(clock.u32("nothing").unwrap_err().is_missing());
    assert_eq!(
        clock.str("#clock-cells").unwrap_err().to_string(),
        "/clock: property \"#clock-cells\": is not text"
    );
    let root = tree.root();
    assert!(root.is_compatible("example,family") && !root.is_compatible("example"));
    assert_eq!(
        root.require("compatible").unwrap().strings().unwrap().collect::<Vec<_>>(),
        ["example,board", "example,family"]
    );
    assert!(root.require("compatible").unwrap().str().is_err());
    let bytes = tree.find("/soc/irq").unwrap().require("bytes").unwrap();
    assert_eq!(
        bytes.cells().unwrap_err().to_string(),
        "/soc@fe000000/irq@7e400000: property \"bytes\": has 3 bytes, not a multiple of 4"
    );
    assert!(tree.find("/timer").unwrap().flag("always-on"));
    assert_eq!(tree.compatible(&["arm,gic-400", "arm,gic-v3"]).unwrap().base_name(), "interrupt-controller");
}

#[test]
fn addresses_are_translated_to_the_cpus() {
    let tree = board();
    let uart = tree.find("serial0").unwrap();
    assert_eq!(uart.reg().unwrap(), [region(0xfe20_1000, 0x1000), region(0x10_0000_0010, 0x20)]);
    assert_eq!(uart.region_named("data").unwrap(), region(0x10_0000_0010, 0x20));
    assert_eq!(uart.bus_reg().unwrap()[0], region(0x7e20_1000, 0x1000));
    assert_eq!(
        uart.region(2).unwrap_err().to_string(),
        "/soc@fe000000/serial@7e201000: property \"reg\": has no element 2"
    );
    assert_eq!(
        uart.region_named("x").unwrap_err().to_string(),
        "/soc@fe000000/serial@7e201000: property \"reg-names\": does not list \"x\""
    );
    assert_eq!(tree.find("/soc/hub/dev").unwrap().region(0).unwrap(), region(0xfe30_0100, 0x10));
    assert_eq!(
        tree.find("/soc/hub/far").unwrap().reg().unwrap_err().to_string(),
        "/soc@fe000000/hub/far@20000: property \"reg\": address 0x20000 is in no range of its bus"
    );
    assert!(tree.find("/soc/isolated/dev").unwrap().reg().is_err());
    assert_eq!(tree.find("/cpus/cpu@101").unwrap().bus_reg().unwrap(), [region(0x101, 0)]);
}

#[test]
fn interrupts_go_to_the_parent_or_where_they_say() {
    let tree = board();
    let timer = tree.find("/timer").unwrap();
    let hyp = timer.interrupt_named("hyp-phys").unwrap();
    assert_eq!(hyp.node.base_name(), "interrupt-controller");
    assert_eq!(hyp.cells.iter().collect::<Vec<_>>(), [1, 10, 4]);
    assert_eq!(timer.interrupts().unwrap().len(), 4);
    let extended = tree.find("/soc/hub/dev").unwrap().interrupts().unwrap();
    assert_eq!((extended[0].node.base_name(), extended[0].cells.get(0)), ("irq", Some(7)));
    assert_eq!((extended[1].cells.len(), extended[1].cells.get(1)), (3, Some(9)));
    let clocks = tree.find("serial0").unwrap().references("clocks", "#clock-cells").unwrap();
    assert_eq!(clocks[1].node.name(), "clock");
    let clock = tree.find("/clock").unwrap();
    assert_eq!(clock.interrupt(0).unwrap_err().to_string(), "/clock: property \"interrupts\": is missing");
}

#[test]
fn a_dangling_phandle_is_named() {
    let mut tree = board();
    let uart = tree.find("serial0").unwrap().id();
    tree.set(uart, "interrupt-parent", 0x77_u32).unwrap();
    assert_eq!(
        tree.node(uart).unwrap().interrupts().unwrap_err().to_string(),
        "/soc@fe000000/serial@7e201000: property \"interrupt-parent\": \
         refers to phandle 0x77, which no node has"
    );
}

#[test]
fn the_chosen_node_and_memory_are_read_by_both_readers_alike() {
    let tree = board();
    let early = Early::new(BOARD).unwrap();
    let stdout = tree.stdout().unwrap().unwrap();
    assert_eq!((stdout.node, stdout.options), (tree.find("serial0").unwrap(), Some("115200n8")));
    assert_eq!(tree.bootargs().unwrap(), Some("vmm.bootcmd=\"help\" debug"));
    assert_eq!(tree.initrd().unwrap(), Some(0x4400_0000..0x4410_0000));
    let memory = [
        region(0x4000_0000, 0x1000_0000),
        region(0x8_8000_0000, 0x1_0000_0000),
        region(0x6000_0000, 0x800_0000),
    ];
    assert_eq!(tree.memory().unwrap(), memory);
    let reserved = [region(0x4800_0000, 0x1_0000), region(0x4f00_0000, 0x10_0000)];
    assert_eq!(tree.reserved().unwrap(), reserved);

    assert_eq!(early.memory().collect::<Vec<_>>(), memory);
    assert_eq!(early.reserved().collect::<Vec<_>>(), reserved);
    let chosen = early.chosen();
    assert_eq!(chosen.bootargs, tree.bootargs().unwrap());
    assert_eq!(chosen.initrd, tree.initrd().unwrap());
    assert_eq!(chosen.stdout, Some("serial0"));
    let console = early.console().unwrap();
    assert!(console.node.is_compatible("arm,pl011"));
    assert_eq!(console.registers, region(0xfe20_1000, 0x1000));
    assert_eq!(early.total_size(), BOARD.len());
    assert_eq!(early.nodes().count(), tree.root().descendants().count() + 1);
    for node in tree.root().descendants() {
        let found = early.find(&node.path()).unwrap();
        assert_eq!(found.name, node.name());
        if let Ok(reg) = node.reg() {
            assert_eq!(found.reg().collect::<Vec<_>>(), reg, "{node:?}");
        }
    }
    assert!(early.find("/soc/timer").is_none() && early.find("/clock/x").is_none());
    assert_eq!(early.find("/").unwrap().depth, 0);
}

#[test]
fn a_tree_survives_its_blob() {
    let tree = board();
    let again = Tree::from_blob(&tree.to_blob()).unwrap();
    assert_eq!(text(tree.root()), text(again.root()));
    assert_eq!(again.reservations(), tree.reservations());
    let mut padded = tree.to_blob();
    padded.extend_from_slice(&[0xff; 64]);
    assert!(Tree::from_blob(&padded).is_ok());
    assert!(Tree::from_blob(&Tree::new().to_blob()).is_ok());
}

#[test]
fn text_is_device_tree_source() {
    let tree = board();
    let mut all = String::new();
    tree.print(&mut all).unwrap();
    assert!(all.starts_with("/dts-v1/;\n\n/memreserve/ 0x48000000 0x10000;\n/ {\n\tmodel = \"sample\";\n"));
    assert_eq!(
        text(tree.find("/soc/irq").unwrap()),
        "irq@7e400000 {\n\tinterrupt-controller;\n\t#interrupt-cells = <0x1>;\n\
         \treg = <0x7e400000 0x10>;\n\tbytes = [01 02 03];\n\tphandle = <0x3>;\n};\n"
    );
    assert!(text(tree.find("/chosen").unwrap()).contains(r#"bootargs = "vmm.bootcmd=\"help\" debug";"#));
    assert!(text(tree.root()).contains("\tcompatible = \"example,board\", \"example,family\";\n"));
}

#[test]
fn nodes_can_be_added_and_removed() {
    let mut tree = board();
    let guests = tree.add_path("/guests").unwrap();
    let before = (tree.slots.len(), tree.to_blob());
    for _ in 0..3 {
        let guest = tree.add(guests, "guest0").unwrap();
        let deep = tree.add_path("/guests/guest0/vcpus/vcpu0").unwrap();
        tree.set(deep, "priority", 3_u32).unwrap();
        assert_eq!(tree.find("/guests/guest0/vcpus/vcpu0").unwrap().u32("priority").unwrap(), 3);
        tree.remove(guest).unwrap();
        assert!(tree.node(deep).is_none());
        assert!(tree.set(deep, "x", ()).is_err());
        assert!(tree.remove(deep).is_err());
    }
    assert_eq!(tree.slots.len(), before.0 + 3);
    assert_eq!(tree.find("/guests").unwrap().children().count(), 0);
    // Nothing is left behind but the name of the property.
    assert_eq!(tree.to_blob().len(), before.1.len() + "priority".len() + 1);

    let first = tree.add(guests, "a").unwrap();
    let names =
        |tree: &Tree| tree.find("/guests").unwrap().children().map(|n| n.name().to_string()).collect();
    tree.add(guests, "b").unwrap();
    let last = tree.add(guests, "c").unwrap();
    tree.remove(last).unwrap();
    tree.add(guests, "d").unwrap();
    tree.remove(first).unwrap();
    let names: Vec<String> = names(&tree);
    assert_eq!(names, ["b", "d"]);
    assert_eq!(tree.add(guests, "b").unwrap_err().to_string(), "/guests: has a node b already");
    assert!(
        tree.add(guests, "").is_err() && tree.add(guests, "x/y").is_err() && tree.add(guests, "ü").is_err()
    );
    let root = tree.root().id();
    assert_eq!(tree.remove(root).unwrap_err().to_string(), "/: is the root, and stays");
}

#[test]
fn a_tree_grows_no_deeper_than_it_may() {
    let mut tree = Tree::new();
    let error = tree.add_path(&"/x".repeat(crate::MAX_DEPTH + 1)).unwrap_err();
    assert!(error.to_string().ends_with("lies too deep for another node below it"));
    assert!(Tree::from_blob(&tree.to_blob()).is_ok());
}

#[test]
fn properties_can_be_set_and_removed() {
    let mut tree = Tree::new();
    let node = tree.add_path("/a").unwrap();
    tree.set(node, "text", "one").unwrap();
    tree.set(node, "text", "other").unwrap();
    tree.set(node, "list", &["x", "y"][..]).unwrap();
    tree.set(node, "cells", &[1_u32, 2][..]).unwrap();
    tree.set(node, "wide", 0x1_0000_0002_u64).unwrap();
    tree.set(node, "reg", &[0x4000_0000_u64, 0x1000][..]).unwrap();
    tree.set(node, "flag", ()).unwrap();
    tree.set(node, "raw", &[1_u8][..]).unwrap();
    assert!(tree.set(node, "", ()).is_err() && tree.set(node, &"n".repeat(128), ()).is_err());
    let root = tree.root().id();
    tree.set(root, "#size-cells", 2_u32).unwrap();
    assert_eq!(tree.find("/a").unwrap().region(0).unwrap(), region(0x4000_0000, 0x1000));
    assert_eq!(
        text(tree.find("/a").unwrap()),
        "a {\n\ttext = \"other\";\n\tlist = \"x\", \"y\";\n\tcells = <0x1 0x2>;\n\twide = <0x1 0x2>;\n\
         \treg = <0x0 0x40000000 0x0 0x1000>;\n\tflag;\n\traw = [01];\n};\n"
    );
    assert!(tree.remove_property(node, "text").unwrap());
    assert!(!tree.remove_property(node, "text").unwrap());
    let phandle = tree.ensure_phandle(node).unwrap();
    assert_eq!(tree.ensure_phandle(node).unwrap(), phandle);
    assert_eq!(tree.by_phandle(phandle).unwrap().id(), node);
    tree.remove_property(node, "phandle").unwrap();
    assert!(tree.by_phandle(phandle).is_none());
}

#[test]
fn trees_are_copied_and_merged() {
    let mut tree = board();
    let soc = tree.find("/soc").unwrap().id();
    // Into itself: what is copied is what was there before.
    tree.copy(soc, soc, "copy").unwrap();
    assert_eq!(tree.find("/soc/copy/serial").unwrap().str("reg-names").ok(), None);
    assert!(tree.find("/soc/copy/serial").unwrap().is_compatible("arm,pl011"));
    assert_eq!(tree.find("/soc/copy/irq").unwrap().phandle(), None);
    assert!(!tree.find("/soc/copy/irq").unwrap().flag("phandle"));
    assert!(tree.find("/soc/copy/copy").is_none());

    let mut guest = Tree::new();
    let node = guest.add_path("/machine/ram").unwrap();
    guest.set(node, "size", 1_u32).unwrap();
    let target = tree.add_path("/guests/guest0/machine/ram").unwrap();
    tree.set(target, "size", 2_u32).unwrap();
    tree.set(target, "kept", ()).unwrap();
    let target = tree.find("/guests/guest0").unwrap().id();
    tree.merge(target, guest.root()).unwrap();
    let ram = tree.find("/guests/guest0/machine/ram").unwrap();
    assert_eq!((ram.u32("size").unwrap(), ram.flag("kept")), (1, true));
    assert_eq!(tree.subtree(target).unwrap().find("/machine/ram").unwrap().u32("size").unwrap(), 1);
}

#[test]
fn bad_headers_are_refused() {
    let reason = |bytes: &[u8]| match Tree::from_blob(bytes).unwrap_err().problem() {
        Problem::Blob(malformed) => *malformed,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(&[]), Malformed::Truncated);
    assert_eq!(reason(b"no device tree"), Malformed::Magic);
    assert_eq!(reason(&BOARD[..BOARD.len() - 1]), Malformed::Truncated);
    let patched = |offset: usize, value: u32| {
        let mut bytes = BOARD.to_vec();
        bytes[offset..offset + 4].copy_from_slice(&value.to_be_bytes());
        bytes
    };
    assert_eq!(reason(&patched(20, 16)), Malformed::Version(16));
    assert_eq!(reason(&patched(8, 0xffff_fff0)), Malformed::OutOfBounds(0xffff_fff0));
    assert_eq!(reason(&patched(36, 0xffff_fff0)), Malformed::TooBig);
    assert_eq!(Tree::from_blob(b"x").unwrap_err().to_string(), "truncated device tree blob");
}

/// A small generator of numbers that look random (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % end
    }
}

/// Everything that reads, on whatever the blob has become.
fn exercise(bytes: &[u8]) -> bool {
    if let Ok(early) = Early::new(bytes) {
        let _ = (early.memory().count(), early.reserved().count(), early.chosen());
        let _ = (early.console(), early.find("/soc/hub/dev").map(|node| node.reg().count()));
    }
    let Ok(mut tree) = Tree::from_blob(bytes) else { return false };
    let _ = (tree.memory(), tree.reserved(), tree.stdout(), tree.initrd());
    for node in tree.root().descendants() {
        let _ = (node.reg(), node.ranges(), node.interrupts(), node.is_enabled());
        let _ = node.references("clocks", "#clock-cells");
    }
    let mut text = String::new();
    tree.print(&mut text).unwrap();
    assert!(Tree::from_blob(&tree.to_blob()).is_ok(), "what was read can be written");
    let root = tree.root().id();
    tree.set(root, "new", 1_u32).unwrap();
    assert_eq!(tree.root().u32("new").unwrap(), 1, "{text}");
    true
}

#[test]
fn damaged_blobs_are_errors_or_trees_never_panics() {
    let mut random = Random(0x5eed);
    let mut read = 0;
    for _ in 0..100_000 {
        let mut bytes = BOARD.to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
                1 => bytes[at] ^= 1 << random.below(8),
                2 => {
                    let at = (at & !3).min(bytes.len() - 4);
                    let tokens = [[0, 0, 0, 1], [0, 0, 0, 2], [0, 0, 0, 3], [0, 0, 0, 9], [0xff; 4], [0; 4]];
                    bytes[at..at + 4].copy_from_slice(&tokens[random.below(tokens.len())]);
                }
                _ => bytes[40 + at % 900] = 0,
            }
        }
        if random.below(20) == 0 {
            bytes.truncate(random.below(bytes.len()));
        }
        read += usize::from(exercise(&bytes));
    }
    assert!((10_000..90_000).contains(&read), "{}", format!("{read} of 100000 could still be read"));
}
