//! One bench for all devices that there are and will be.

use alloc::vec::Vec;

use arch::Width;
use fdt::Tree;
use vm_machine::Model;
use vm_machine::bench::Bench;

use crate::CATALOG;

const DEVICE: u64 = 0x0800_0000;
const LENGTHS: [u64; 3] = [0x40_0000, 0x20_0000, 0x1_0000];

/// A machine of two CPUs with this one device. All properties that any device wants are there.
fn tree(compatible: &str) -> Tree {
    let mut tree = Tree::new();
    let root = tree.root().id();
    tree.set(root, "#address-cells", 2u32).unwrap();
    tree.set(root, "#size-cells", 2u32).unwrap();
    let cpus = tree.add(root, "cpus").unwrap();
    tree.set(cpus, "#address-cells", 1u32).unwrap();
    tree.set(cpus, "#size-cells", 0u32).unwrap();
    for id in 0..2u32 {
        let cpu = tree.add(cpus, &std::format!("cpu@{id}")).unwrap();
        tree.set(cpu, "reg", id).unwrap();
    }
    let memory = tree.add(root, "memory@40000000").unwrap();
    tree.set(memory, "device_type", "memory").unwrap();
    tree.set(memory, "reg", [0x4000_0000u64, 0x40_0000].as_slice()).unwrap();
    let pins = tree.add(root, "pins").unwrap();
    tree.set(pins, "compatible", "bench,pins").unwrap();
    tree.set(pins, "interrupt-controller", ()).unwrap();
    tree.set(pins, "#interrupt-cells", 1u32).unwrap();
    tree.set(pins, "phandle", 1u32).unwrap();
    let device = tree.add(root, "device@8000000").unwrap();
    tree.set(device, "compatible", compatible).unwrap();
    let mut at = DEVICE;
    let mut reg = Vec::new();
    for length in LENGTHS {
        reg.extend([at, length]);
        at += 0x100_0000;
    }
    tree.set(device, "reg", reg.as_slice()).unwrap();
    tree.set(device, "interrupts", [3u32, 3].as_slice()).unwrap();
    tree.set(device, "interrupt-parent", 1u32).unwrap();
    tree.set(device, "#interrupt-cells", 3u32).unwrap();
    tree.set(device, "riscv,ndev", 40u32).unwrap();
    tree.set(device, "riscv,num-sources", 40u32).unwrap();
    tree.set(device, "riscv,num-ids", 63u32).unwrap();
    if compatible == "riscv,aplic" {
        tree.set(device, "interrupts-extended", [1u32, 3, 1, 3].as_slice()).unwrap();
    }
    if compatible == "riscv,imsics" {
        for (id, cpu) in [(2u32, "/cpus/cpu@0"), (3, "/cpus/cpu@1")] {
            let own = tree.add_path(&std::format!("{cpu}/interrupt-controller")).unwrap();
            tree.set(own, "compatible", "riscv,cpu-intc").unwrap();
            tree.set(own, "interrupt-controller", ()).unwrap();
            tree.set(own, "#interrupt-cells", 1u32).unwrap();
            tree.set(own, "phandle", id).unwrap();
        }
        tree.set(device, "interrupts-extended", [2u32, 9, 3, 9].as_slice()).unwrap();
    }
    tree.set(device, "xvisor,target", 0x4000_0000u64).unwrap();
    tree.set(device, "xvisor,name", compatible).unwrap();
    tree
}

struct Random(u64);
impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 24 ^ self.0 << 40
    }
    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

fn boot() {
    use arch::Cpu;
    arch::Machine::on_interrupt(host_thread::simple_entry);
    let _ = host_thread::start();
}

fn bench(model: &Model, compatible: &str) -> Bench {
    Bench::new(&tree(compatible), CATALOG).unwrap_or_else(|error| panic!("{}: {error}", model.name))
}

/// What every aligned word of every frame of the device reads as.
fn all_words(bench: &mut Bench) -> Vec<(u64, u32, Result<u64, vm_bus::Refused>)> {
    let mut words = Vec::new();
    for (first, last) in bench.places() {
        for at in (first..=last.min(first + 0x1_ffff)).step_by(4) {
            for by in 0..2 {
                words.push((at, by, bench.read(at, Width::B4, by)));
            }
        }
    }
    words
}

#[test]
fn no_device_minds_what_guests_and_far_ends_do_and_all_forget_it_at_reset() {
    boot();
    for model in CATALOG.iter().copied().flatten() {
        for compatible in model.compatible {
            let mut used = bench(model, compatible);
            torment(&mut used, 20_000);
            for serial in used.serials() {
                while serial.take().is_some() {}
            }
            used.reset();
            assert!(!used.level(3), "{compatible}: the line stays up");
            let mut fresh = bench(model, compatible);
            for (after, new) in all_words(&mut used).into_iter().zip(all_words(&mut fresh)) {
                assert_eq!(after, new, "{compatible}: not as it was built");
            }
        }
    }
}

/// Random accesses of random widths by both CPUs and some by more, bytes from the far end, polls.
fn torment(bench: &mut Bench, steps: u32) {
    let mut random = Random(0x5eed);
    let places = bench.places();
    let registers = bench.registers();
    for _ in 0..steps {
        let by = random.below(3) as u32;
        let width = Width::from_bytes(1 << random.below(4)).unwrap();
        let value = match random.below(4) {
            0 => random.next(),
            1 => u64::MAX,
            2 => 1 << random.below(64),
            _ => random.below(256),
        };
        if let Some((first, last)) = places.get(random.below(places.len().max(1) as u64) as usize) {
            // Mostly where registers are: at the beginning and at the end of a page.
            let within = match random.below(4) {
                0 => random.below(0x100),
                1 => 0xf80 + random.below(0x80),
                2 => random.below(0x1_0000),
                _ => random.below(last - first + 1),
            };
            let at = (first + within.min(last - first)) & !random.below(8);
            if random.below(2) == 0 {
                let _ = bench.read(at, width, by);
            } else {
                let _ = bench.write(at, width, by, value & width.mask());
            }
        }
        if let Some(id) = registers.get(random.below(registers.len().max(1) as u64) as usize) {
            let _ = bench.read_register(*id, by);
            let _ = bench.write_register(*id, by, value);
        }
        if random.below(16) == 0 {
            for serial in bench.serials() {
                serial.write(&value.to_le_bytes());
            }
            bench.ring();
        }
        if random.below(64) == 0 {
            arch_hosted::time::advance(arch::Nanos(random.below(10_000_000_000)));
        }
        assert!(bench.poll(1000), "a poll does not come to an end");
    }
}

#[test]
fn no_two_devices_answer_to_the_same_name() {
    let mut names: Vec<&str> =
        CATALOG.iter().copied().flatten().flat_map(|model| model.compatible).copied().collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// The trees of `guests/aarch64`, compiled.
fn guest_trees(arch: &str) -> Vec<(std::string::String, Tree)> {
    let folder = &std::format!("{}/../guests/{arch}", env!("CARGO_MANIFEST_DIR"));
    let mut trees = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "dts") {
            continue;
        }
        let script = "cpp -nostdinc -undef -x assembler-with-cpp -I \"$1\" \"$2\" | dtc -q -I dts -O dtb";
        let shell = std::process::Command::new("sh").args(["-c", script, "sh", folder]).arg(&path).output();
        let output = shell.unwrap();
        let complaint = std::string::String::from_utf8_lossy(&output.stderr).into_owned();
        // Both come with what `cargo xtask` sets up.
        let tree = Tree::from_blob(&output.stdout).unwrap_or_else(|_| panic!("cpp and dtc: {complaint}"));
        trees.push((std::format!("{}", path.display()), tree));
    }
    trees
}

/// Every guest of an architecture on the bench, with less memory than it says.
fn guests_of(arch: &str, memory: u64, mut check: impl FnMut(&str, &Tree, Bench)) {
    boot();
    // Any file will do for the images; all tests see the same ones.
    static MOUNTED: std::sync::Once = std::sync::Once::new();
    MOUNTED.call_once(|| {
        host_vfs::publish_image("images", cpio(&["images/linux", "images/initrd.gz", "images/u-boot.bin"]));
        host_vfs::mount("images", "/").unwrap();
    });
    let trees = guest_trees(arch);
    assert!(trees.len() >= 2);
    for (path, mut tree) in trees {
        let node = tree.find(&std::format!("/memory@{memory:x}")).unwrap().id();
        tree.set(node, "reg", [memory, 0x20_0000].as_slice()).unwrap();
        let bench = Bench::new(&tree, CATALOG).unwrap_or_else(|error| panic!("{path}: {error}"));
        check(&path, &tree, bench);
    }
}

#[test]
fn every_guest_of_ours_can_be_built() {
    guests_of("aarch64", 0x4000_0000, |path, tree, mut bench| {
        assert_eq!(bench.read(0x0900_0fe0, Width::B4, 0), Ok(0x11), "{path}: PL011");
        assert_eq!(bench.read(0x0901_0fe0, Width::B4, 0), Ok(0x31), "{path}: PL031");
        assert!(bench.read(0x0800_0004, Width::B4, 0).is_ok(), "{path}: GICD_TYPER");
        if tree.find("/flash@0").is_some() {
            assert_eq!(bench.read(0x0400_0004, Width::B1, 0), Ok(0xff), "{path}: the second flash is erased");
        }
    });
}

#[test]
fn every_guest_of_ours_for_risc_v_can_be_built() {
    guests_of("riscv64", 0x8000_0000, |path, tree, mut bench| {
        assert_eq!(bench.read(0x1000_0005, Width::B1, 0), Ok(0x60), "{path}: LSR");
        assert!(bench.read(0x0010_1000, Width::B4, 0).is_ok(), "{path}: the clock");
        assert!(bench.read(0x0010_0000, Width::B4, 0).is_ok(), "{path}: the test device");
        if tree.find("/soc/plic@c000000").is_some() {
            // The UART's interrupt, enabled for CPU 0, is claimed.
            for (register, value) in [(0x0c00_0028, 1), (0x0c00_2000, 1 << 10), (0x1000_0001, 2)] {
                let width = if register == 0x1000_0001 { Width::B1 } else { Width::B4 };
                bench.write(register, width, 0, value).unwrap();
            }
            assert_eq!(bench.read(0x0c20_0004, Width::B4, 0), Ok(10), "{path}: PLIC");
        } else {
            // The UART's level, on and for CPU 0.
            for (register, value) in [(0x0d00_0000, 0x100), (0x0d00_0028, 6), (0x0d00_3028, 10)] {
                bench.write(register, Width::B4, 0, value).unwrap();
            }
            bench.write(0x0d00_1edc, Width::B4, 0, 10).unwrap();
            bench.write(0x1000_0001, Width::B1, 0, 2).unwrap();
            if tree.find("/soc/imsics@28000000").is_some() {
                assert_eq!(bench.read_register(arch::RegisterId(0x1_0080), 0), Ok(1 << 10), "{path}: IMSIC");
            } else {
                assert_eq!(bench.read(0x0d00_4018, Width::B4, 0), Ok(10 << 16 | 10), "{path}: APLIC");
            }
        }
    });
}

/// An archive of files with one byte each.
fn cpio(names: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, length) in names.iter().map(|name| (*name, 1)).chain([("TRAILER!!!", 0)]) {
        let header = [0, 0o100_644, 0, 0, 1, 0, length, 0, 0, 0, 0, name.len() + 1, 0];
        bytes.extend_from_slice(b"070701");
        for number in header {
            bytes.extend_from_slice(std::format!("{number:08x}").as_bytes());
        }
        for part in [&[name.as_bytes(), b"\0"].concat(), &b"x"[..length]] {
            bytes.extend_from_slice(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
    }
    bytes
}
