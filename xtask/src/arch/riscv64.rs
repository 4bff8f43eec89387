//! RISC-V, 64 bits.

use super::{Arch, Emulator};
use crate::setup::{Convert, Image, List, Origin};

/// What is in the list of every architecture. The kernel is Debian's own, as its installer has it.
const EVERYWHERE: &[List] = &[List::stable("arm64")];

/// OpenSBI as QEMU starts it.
const SBI: &str = "./usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin";

pub(super) const ARCH: Arch = Arch {
    name: "riscv64",
    target: "riscv64imac-unknown-none-elf",
    // The linker makes one instruction of each call: a sixteenth of the code less, and one step at each call. That the
    // name of the feature may change is a warning at every crate; `check`, which builds nothing, shows the others.
    build_flags: &["-Ctarget-feature=+relax", "-Awarnings"],
    magic: *b"RSC\x05",
    pe_machine: 0x5064,
    efi_name: "BOOTRISCV64.EFI",
    emulator: Emulator {
        program: "qemu-system-riscv64",
        packages: &["qemu-system-riscv", "qemu-system-misc"],
        // Behind the machine's own firmware, OpenSBI.
        u_boot: ["-kernel", ""],
        efi: ["-drive", "if=pflash,unit=0,format=raw,readonly=on,file="],
    },
    origins: &[
        Origin {
            image: Image::Linux,
            package: "debian-installer-13-netboot-riscv64",
            lists: EVERYWHERE,
            is_pointer: false,
            member: "./usr/lib/debian-installer/images/13/riscv64/text/debian-installer/riscv64/linux",
            convert: Convert::FlatKernel,
        },
        Origin {
            image: Image::Busybox,
            package: "busybox-static",
            lists: &[List::stable("riscv64"), List::next("riscv64")],
            is_pointer: false,
            member: "./*bin/busybox",
            convert: Convert::Nothing,
        },
        Origin {
            image: Image::UBoot,
            package: "u-boot-qemu",
            lists: EVERYWHERE,
            is_pointer: false,
            member: "./usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin",
            convert: Convert::Nothing,
        },
        Origin {
            image: Image::Efi,
            package: "qemu-efi-riscv64",
            lists: EVERYWHERE,
            is_pointer: false,
            member: "./usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd",
            convert: Convert::Nothing,
        },
        Origin {
            image: Image::Grub,
            package: "grub-efi-riscv64-unsigned",
            lists: &[List::stable("riscv64"), List::next("riscv64")],
            is_pointer: false,
            member: "./usr/lib/grub/riscv64-efi/monolithic/grubriscv64.efi",
            convert: Convert::Nothing,
        },
        Origin {
            image: Image::Sbi10,
            package: "opensbi",
            lists: &[List::previous("arm64")],
            is_pointer: false,
            member: SBI,
            convert: Convert::Nothing,
        },
        Origin {
            image: Image::NextSbi,
            package: "opensbi",
            lists: &[List::next("arm64"), List::stable("arm64")],
            is_pointer: false,
            member: SBI,
            convert: Convert::Nothing,
        },
    ],
    board: "qemu-riscv64-virt",
    guest: "virt64",
    firmware_guest: "virt64-uboot",
    console: "ttyS0",
    cpu_method: "sbi",
    uart: 0x1000_0000,
    ipis: Some(0x2f0_0000),
    repeatable: "",
    ending: &["memory", "devices", "firmware", "cpus", "sysregs", "tables", "fences"],
    endless: &["jump", "unmapped", "lost", "spin", "flood", "log", "wfi", "ipi", "timer"],
    // What an exit costs is held against what it takes on Arm: 1.3 times as many instructions as `cargo xtask bench`
    // counts there.
    limits: &[
        ("hypercall get_spec_version", 174 * 13 / 10),
        ("read of an emulated UART register", 281 * 13 / 10),
        ("read of the PLIC", 277 * 13 / 10),
        ("character on an emulated console", 627 * 13 / 10),
        ("guest timer interrupt lateness", 416 * 13 / 10),
        ("wake from WFI", 416 * 13 / 10),
        ("wake of a vCPU on another CPU", 750 * 13 / 10),
        ("IPI between two running vCPUs", 770 * 13 / 10),
        ("switch between two guests", 1095 * 13 / 10),
        ("timer lateness with 1000 timers", 233 * 13 / 10),
        ("Linux boot beyond the native one", 10_000),
        ("EL2 beside two busy Linux guests", 362 * 13 / 10),
        ("power-on to prompt", 5_000_000),
        ("image file", 785_088),
        ("memory kept before guests", 4 << 20),
        ("memory kept per guest", 256 << 10),
    ],
    // 17.4 MiB of memory.
    peers: &[
        ("image file", [None, Some(785_088), None]),
        ("memory kept before guests", [None, Some(18_245_222), None]),
    ],
};
