//! Descriptions with mistakes: each is named, and nothing is left behind.

use std::vec::Vec;

use fdt::Tree;

use super::fixture::{Description, RAM, boot, wait};
use crate::manager;

fn mistake(change: impl FnOnce(&mut Description) -> &mut Description) -> std::string::String {
    let mut description = Description::new("g");
    change(&mut description);
    let free = host_mem::free_frames();
    let text = description.mistake();
    assert_eq!(host_mem::free_frames(), free, "{text}");
    assert!(manager::list().is_empty());
    text
}

fn reg(values: &[u64]) -> &[u64] {
    values
}

#[test]
fn each_mistake_is_named_with_node_and_property() {
    let _alone = boot();
    let memory = "/memory@40000000";
    let uart = "/uart@9000000";
    let is = |text: std::string::String, expected: &str| assert_eq!(text, std::format!("g: {expected}"));
    is(
        mistake(|d| d.set(uart, "reg", reg(&[RAM + 0x1000, 0x1000]))),
        "/uart@9000000: property \"reg\": 0x40001000..=0x40001fff overlaps 0x40000000..=0x40ffffff of /memory@40000000",
    );
    is(
        mistake(|d| d.set(memory, "reg", reg(&[RAM + 0x800, 0x1000]))),
        "/memory@40000000: property \"reg\": 0x40000800..=0x400017ff is not made of whole pages of 4096 bytes",
    );
    is(
        mistake(|d| d.set(memory, "reg", reg(&[RAM, 0]))),
        "/memory@40000000: property \"reg\": is empty at 0x40000000",
    );
    assert!(
        mistake(|d| d.set(memory, "reg", reg(&[RAM, 1 << 36])))
            .starts_with("g: /memory@40000000: property \"reg\": 65536 MiB are wanted, and the host has ")
    );
    assert!(mistake(|d| d.set(memory, "reg", reg(&[1 << 52, 1 << 20]))).contains("are beyond "));
    assert!(mistake(|d| d.set(memory, "reg", reg(&[u64::MAX, 2]))).starts_with("g: /memory@40000000: "));
    is(
        mistake(|d| d.set(memory, "reg", 3u32)),
        "/memory@40000000: property \"reg\": has 4 bytes, not a multiple of 16",
    );
    is(mistake(|d| d.unset(memory, "reg")), "/memory@40000000: property \"reg\": is missing");
    is(
        mistake(|d| d.unset(memory, "device_type")),
        "/: there is no memory: no node with device_type = \"memory\"",
    );
    is(mistake(|d| d.unset(uart, "reg")), "/uart@9000000: property \"reg\": is missing");
    is(
        mistake(|d| d.set(uart, "interrupt-parent", 99u32)),
        "/uart@9000000: property \"interrupt-parent\": refers to phandle 0x63, which no node has",
    );
    is(
        mistake(|d| d.set(uart, "interrupts", 6u32)),
        "/uart@9000000: property \"interrupts\": is not the only pin",
    );
    is(mistake(|d| d.unset(uart, "interrupts")), "/uart@9000000: property \"interrupts\": is missing");
    is(
        mistake(|d| d.set(uart, "compatible", ["acme,uart", "acme,any"].as_slice())),
        "/uart@9000000: property \"compatible\": no emulated device answers to \"acme,uart\", \"acme,any\"",
    );
    is(
        mistake(|d| d.unset(uart, "compatible")),
        "/uart@9000000: property \"compatible\": is missing, so nobody knows what this is",
    );
    is(
        mistake(|d| d.set(uart, "xvisor,quite", ())),
        "/uart@9000000: property \"xvisor,quite\": is not a property of this node",
    );
    is(
        mistake(|d| d.set("", "xvisor,kernel", "/kernel")),
        "/: property \"xvisor,kernel\": is not a property of this node",
    );
    is(
        mistake(|d| d.set("/timer", "interrupts", 7u32)),
        "/timer: property \"interrupts\": is not the only pin",
    );
    is(
        mistake(|d| d.set("/cpus/cpu@1", "reg", 0u32)),
        "/cpus/cpu@1: property \"reg\": another CPU has this number",
    );
    is(
        mistake(|d| d.set("/cpus", "xvisor,priority", 8u32)),
        "/cpus: property \"xvisor,priority\": 8 is not a priority (0 to 7)",
    );
    is(
        mistake(|d| d.set("/chosen", "xvisor,initrd", "/initrd")),
        "/chosen: property \"xvisor,initrd\": is of no use without xvisor,kernel",
    );
    is(
        mistake(|d| d.set("/gic", "status", "disabled")),
        "/uart@9000000: property \"interrupts\": /gic is no interrupt controller of this machine",
    );
}

#[test]
fn files_and_overlaps_are_named_before_anything_is_built() {
    let _alone = boot();
    let rom = "/flash@0";
    let firmware = |d: &mut Description, file: &str| {
        d.set(rom, "compatible", "test,rom").set(rom, "reg", reg(&[0, 0x1000]));
        d.set(rom, "xvisor,firmware", file);
    };
    let chosen = |name: &str, file: &str| {
        mistake(|d| {
            let d = if name == "xvisor,initrd" { d.kernel("/kernel") } else { d };
            d.set("/chosen", name, file)
        })
    };
    for name in ["xvisor,kernel", "xvisor,initrd", "xvisor,binary"] {
        let place = std::format!("g: /chosen: property \"{name}\": ");
        assert_eq!(chosen(name, "/none"), std::format!("{place}/none: no such file or directory"));
        assert_eq!(chosen(name, "/empty"), std::format!("{place}/empty is empty"));
        assert_eq!(
            chosen(name, "/none/in/there"),
            std::format!("{place}/none/in/there: no such file or directory")
        );
    }
    let place = "g: /flash@0: property \"xvisor,firmware\": ";
    for (file, why) in [("/none", "/none: no such file or directory"), ("/empty", "/empty is empty")] {
        let text = mistake(|d| {
            firmware(d, file);
            d
        });
        assert!(text.starts_with(&(std::string::String::from(place) + why)), "{text}");
    }
    // Memory over memory: two nodes, and two regions of one.
    let twice = mistake(|d| {
        d.set("/memory@41000000", "device_type", "memory").set(
            "/memory@41000000",
            "reg",
            reg(&[RAM + (15 << 20), 2 << 20]),
        )
    });
    assert!(
        twice.starts_with("g: /memory@41000000: property \"reg\": ") && twice.contains("overlaps"),
        "{twice}"
    );
    let twice = mistake(|d| d.set("/memory@40000000", "reg", reg(&[RAM, 1 << 20, RAM, 1 << 20])));
    assert!(
        twice.starts_with("g: /memory@40000000: property \"reg\": ") && twice.contains("overlaps"),
        "{twice}"
    );
    // As much as the host has at most, but twice: no block of it is left taken.
    let both = mistake(|d| d.set("/memory@40000000", "reg", reg(&[RAM, 1 << 20, 1 << 32, 1 << 40])));
    assert!(both.starts_with("g: /memory@40000000: property \"reg\": "), "{both}");
}

#[test]
fn what_is_disabled_is_not_built_and_a_bus_is_looked_into() {
    let _alone = boot();
    let mut description = Description::new("g");
    description.set("/odd@1", "compatible", "acme,odd").set("/odd@1", "reg", reg(&[0x1000, 1]));
    description.set("/odd@1", "status", "disabled");
    description.set("/soc", "compatible", "simple-bus").set("/soc", "ranges", ());
    description.set("/soc", "#address-cells", 2u32).set("/soc", "#size-cells", 2u32);
    description.set("/soc/uart@1", "compatible", "test,uart").set(
        "/soc/uart@1",
        "interrupts",
        super::fixture::PIN,
    );
    description.set("/soc/uart@1", "reg", reg(&[0xa00_0000, 0x1000]));
    let guest = description.create().unwrap();
    assert_eq!(guest.devices(), ["/uart@9000000", "/soc/uart@1"]);
    let again = description.create().map(|_| ()).unwrap_err();
    assert_eq!(std::format!("{again}"), "there is a guest g already");
    manager::destroy(&guest).unwrap();
}

#[test]
fn mutated_descriptions_never_panic_and_leave_nothing_behind() {
    let _alone = boot();
    let mut description = Description::new("m");
    description.kernel("/kernel").set("/cpus", "xvisor,time-slice", 5_000_000u64);
    let blob = description.0.to_blob();
    let mut seed = 99u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let mut outcomes = [0; 3];
    let free = host_mem::free_frames();
    for _ in 0..3000 {
        let mut bytes: Vec<u8> = blob.clone();
        for _ in 0..1 + random(4) {
            let at = random(bytes.len());
            bytes[at] = match random(3) {
                0 => random(256) as u8,
                1 => bytes[at] ^ 1 << random(8),
                _ => 0,
            };
        }
        let Ok(tree) = Tree::from_blob(&bytes) else {
            outcomes[0] += 1;
            continue;
        };
        for node in tree.find("/guests").into_iter().flat_map(fdt::Node::children) {
            match manager::create(node) {
                Ok(guest) => {
                    outcomes[1] += 1;
                    let _ = guest.kick();
                    manager::destroy(&guest).unwrap();
                }
                Err(error) => {
                    outcomes[2] += 1;
                    assert!(!std::format!("{error}").is_empty());
                }
            }
        }
    }
    wait();
    assert!(outcomes.iter().all(|count| *count > 100), "{outcomes:?}");
    assert_eq!(host_mem::free_frames(), free);
    assert!(manager::list().is_empty());
}
