//! What the same work costs other hypervisors, counted in the same way.
//!
//! The counts are with the architectures ([`Arch::peers`]). They were made once, in instructions under `-icount`, on
//! QEMU's arm64 virt board with one cortex-a72 (KVM with VHE: a76), Debian's 6.12 kernel and 256 MiB for the guest. What
//! could not be counted, or is not published, is left out.

use crate::arch::Arch;

/// The others, as they head their columns.
pub(crate) const NAMES: [&str; 3] = ["Xen 4.20", "Xvisor 0.3.2", "KVM+kvmtool"];

/// A figure's name, and what it is for each of [`NAMES`].
pub(crate) type Row = (&'static str, [Option<u64>; 3]);

/// What a figure is for the others, on an architecture.
pub(super) fn of(arch: &Arch, figure: &str) -> [Option<u64>; 3] {
    arch.peers.iter().find(|(name, _)| *name == figure).map_or([None; 3], |(_, values)| *values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch;

    #[test]
    fn each_row_belongs_to_a_figure_that_has_a_limit() {
        for arch in arch::ALL {
            for (figure, _) in arch.peers {
                assert!(arch.limits.iter().any(|(known, _)| known == figure), "{}: {figure}", arch.name);
            }
        }
    }

    #[test]
    fn what_is_not_known_of_the_others_is_left_out() {
        assert_eq!(of(arch::DEFAULT, "switch between two guests"), [None; 3]);
    }
}
