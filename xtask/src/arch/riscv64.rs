//! RISC-V, 64 bits.

use super::{Arch, Emulator};
use crate::setup::{Convert, Image, Origin};

pub(super) const ARCH: Arch = Arch {
    name: "riscv64",
    target: "riscv64imac-unknown-none-elf",
    magic: *b"RSC\x05",
    emulator: Emulator {
        program: "qemu-system-riscv64",
        packages: &["qemu-system-riscv", "qemu-system-misc"],
    },
    debian: "riscv64",
    origins: &[
        Origin {
            image: Image::Linux,
            package: "linux-image-riscv64",
            is_pointer: true,
            member: "./boot/vmlinu?-*",
            convert: Convert::FlatKernel,
        },
        Origin {
            image: Image::Busybox,
            package: "busybox-static",
            is_pointer: false,
            member: "./*bin/busybox",
            convert: Convert::Nothing,
        },
        Origin {
            image: Image::UBoot,
            package: "u-boot-qemu",
            is_pointer: false,
            member: "./usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin",
            convert: Convert::Nothing,
        },
    ],
    board: "qemu-riscv64-virt",
    guest: "virt64",
    firmware_guest: "virt64-uboot",
    console: "ttyS0",
    uart: 0x1000_0000,
    repeatable: "",
};
