//! Guests that are no Linux.

use super::{BOOT, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "u-boot",
    about: "Debian's U-Boot for QEMU's virt board reaches its prompt from the flash address",
    boards: &["virt-gicv3", "qemu-riscv64-virt"],
    machine: |machine| machine.guests.tree = machine.board.arch.firmware_guest.to_owned(),
    script: |console| {
        console.prompt(BOOT)?;
        console.attach("guest0/uart0")?;
        // A key stops the countdown; the prompt may already be there.
        console.send("\r")?;
        console.expect("=> ", 60)?;
        console.line("version")?;
        console.expect("U-Boot 20", 20)?;
        console.expect("=> ", 20)?;
        console.detach()
    },
}];
