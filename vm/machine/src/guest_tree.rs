//! The device tree that the guest gets: its own description without our private properties, with what the
//! devices changed, and with `/chosen` filled in.

use alloc::string::String;
use alloc::vec::Vec;

use addr::Gpa;
use fdt::{Error, NodeId, Tree};
use vm_vcpu::entropy;

use crate::machine::Machine;
use crate::plan::PRIVATE;

/// Bytes of seed that Linux takes from `rng-seed`.
const SEED: usize = 64;

/// Makes the blob. `initrd` is where the initial RAM disk begins and ends.
pub(crate) fn make(machine: &Machine, initrd: Option<(Gpa, Gpa)>) -> Result<Vec<u8>, Error> {
    let mut tree = machine.tree.clone();
    for (node, property, value) in &machine.rewrites {
        tree.set(*node, property, &**value)?;
    }
    for node in &machine.hidden {
        tree.remove(*node)?;
    }
    crate::host_cpu::complete(&mut tree)?;
    strip(&mut tree)?;
    let chosen = tree.add_path("/chosen")?;
    if let Some((start, end)) = initrd {
        tree.set(chosen, "linux,initrd-start", start.get())?;
        tree.set(chosen, "linux,initrd-end", end.get())?;
    }
    let now = host_thread::time::now().0;
    let mut seed = [0; SEED];
    entropy::fill(&mut seed, now);
    tree.set(chosen, "rng-seed", seed.as_slice())?;
    tree.set(chosen, "kaslr-seed", entropy::word(now))?;
    Ok(tree.to_blob())
}

/// Takes our private properties out.
fn strip(tree: &mut Tree) -> Result<(), Error> {
    let mut private: Vec<(NodeId, String)> = Vec::new();
    for node in core::iter::once(tree.root()).chain(tree.root().descendants()) {
        for property in node.properties().filter(|property| property.name().starts_with(PRIVATE)) {
            private.push((node.id(), property.name().into()));
        }
    }
    for (node, name) in private {
        tree.remove_property(node, &name)?;
    }
    Ok(())
}
