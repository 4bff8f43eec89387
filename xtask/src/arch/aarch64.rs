//! ARMv8-A, AArch64.

use super::{Arch, Emulator};
use crate::setup::{Convert, Image, List, Origin};

const LISTS: &[List] = &[List::stable("arm64")];

pub(super) const ARCH: Arch = Arch {
    name: "aarch64",
    target: "aarch64-unknown-none-softfloat",
    magic: *b"ARM\x64",
    pe_machine: 0xaa64,
    efi_name: "BOOTAA64.EFI",
    emulator: Emulator { program: "qemu-system-aarch64", packages: &["qemu-system-arm"] },
    origins: &[
        Origin {
            image: Image::Linux,
            package: "linux-image-arm64",
            lists: LISTS,
            is_pointer: true,
            member: "./boot/vmlinuz-*",
            convert: Convert::FlatKernel,
        },
        Origin {
            image: Image::Zcu102Tree,
            package: "linux-image-arm64",
            lists: LISTS,
            is_pointer: true,
            member: "./usr/lib/linux-image-*/xilinx/zynqmp-zcu102-rev1.0.dtb",
            convert: Convert::Nothing,
        },
        Origin {
            image: Image::RaspberryPi4Tree,
            package: "linux-image-arm64",
            lists: LISTS,
            is_pointer: true,
            member: "./usr/lib/linux-image-*/broadcom/bcm2711-rpi-4-b.dtb",
            convert: Convert::Nothing,
        },
        Origin {
            image: Image::Busybox,
            package: "busybox-static",
            lists: LISTS,
            is_pointer: false,
            member: "./*bin/busybox",
            convert: Convert::Nothing,
        },
        Origin {
            image: Image::UBoot,
            package: "u-boot-qemu",
            lists: LISTS,
            is_pointer: false,
            member: "./usr/lib/u-boot/qemu_arm64/u-boot.bin",
            convert: Convert::Nothing,
        },
        Origin {
            image: Image::Efi,
            package: "qemu-efi-aarch64",
            lists: LISTS,
            is_pointer: false,
            member: "./usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
            convert: Convert::Nothing,
        },
        Origin {
            image: Image::Grub,
            package: "grub-efi-arm64-unsigned",
            lists: LISTS,
            is_pointer: false,
            member: "./usr/lib/grub/arm64-efi/monolithic/grubaa64.efi",
            convert: Convert::Nothing,
        },
    ],
    board: "virt-gicv3",
    guest: "virt-v8",
    firmware_guest: "virt-v8-uboot",
    console: "ttyAMA0",
    cpu_method: "psci",
    uart: 0x0900_0000,
    repeatable: ",dtb-randomness=off",
};
