//! What a guest's tree says of its CPUs and depends on the host's: on RISC-V the extensions of the instruction set.
//!
//! A guest's CPU is the host's without what guests don't get. So `/cpus/cpu@N` of a guest's tree need not say what it
//! can do: where it does not, what all harts of the host can do is filled in.

use alloc::string::String;
use alloc::vec::Vec;

use arch::{Boot, Clock, Machine};
use fdt::{Error, Node, NodeId, Tree};
use host_sync::Spin;
use isa_rv::extensions;

/// Properties of a hart's node that are copied as they are.
const COPIED: [&str; 4] =
    ["mmu-type", "riscv,cbom-block-size", "riscv,cboz-block-size", "riscv,cbop-block-size"];

/// The extension of harts with interrupt files.
const FILES: &str = "ssaia";

/// What the host's harts have in common.
#[derive(Clone, Default)]
struct Hart {
    extensions: Vec<String>,
    copied: Vec<(&'static str, Vec<u8>)>,
}

static HOST: Spin<Option<Hart>> = Spin::new(None);

/// Takes a look at the host's own tree; before the first guest starts.
pub fn learn(host: &Tree) {
    let harts = || harts(host).filter(|hart| hart.flag("mmu-type"));
    let Some(first) = harts().next() else { return };
    let mut extensions: Vec<String> =
        names(first).filter(|name| is_for_guests(name)).map(Into::into).collect();
    for other in harts() {
        extensions.retain(|name| names(other).any(|other| other == name));
    }
    // Without a unit, nothing that its registers are for: a guest would try and find no unit. "d" may go for "f" here,
    // or the other way round, and "zcd" for "d" in the next round.
    for _ in 0..2 {
        let there = extensions.clone();
        let is_there = |name: &str| there.iter().any(|other| other == name);
        extensions.retain(|name| extensions::rests_on(name).is_none_or(is_there));
    }
    let value = |name: &'static str| Some((name, first.property(name)?.bytes().to_vec()));
    let copied = COPIED.into_iter().filter_map(value).collect();
    *HOST.lock() = Some(Hart { extensions, copied });
}

/// Whether a guest may use an extension that the host's tree names.
fn is_for_guests(name: &str) -> bool {
    extensions::is_for_guests(name) && !Machine::lacks(name)
}

/// The nodes of RISC-V's harts.
fn harts(tree: &Tree) -> impl Iterator<Item = Node<'_>> {
    let cpus = tree.find("/cpus").into_iter().flat_map(|cpus| cpus.children());
    cpus.filter(|cpu| cpu.is_compatible("riscv") && cpu.is_enabled())
}

/// What a hart's node says that it can do.
fn names(hart: Node<'_>) -> impl Iterator<Item = &str> {
    let listed = hart.property("riscv,isa-extensions").and_then(|list| list.strings().ok());
    let joined = if listed.is_none() { hart.str_opt("riscv,isa").ok().flatten() } else { None };
    listed.into_iter().flatten().chain(joined.into_iter().flat_map(extensions::names))
}

/// Completes the nodes of a guest's CPUs.
pub(crate) fn complete(tree: &mut Tree) -> Result<(), Error> {
    let nodes: Vec<NodeId> =
        harts(tree).filter(|hart| !says_what_it_can(*hart)).map(|hart| hart.id()).collect();
    let Some(host) = HOST.lock().clone().filter(|_| !nodes.is_empty()) else { return Ok(()) };
    let mut host = host;
    // Not what the host's harts have makes that one of a guest's, but its own files of messages.
    let files = tree.compatible(&["riscv,imsics"]).is_some_and(|node| node.is_enabled());
    if files && !host.extensions.iter().any(|name| name == FILES) {
        host.extensions.push(FILES.into());
    }
    let mut list = Vec::new();
    for name in &host.extensions {
        list.extend_from_slice(name.as_bytes());
        list.push(0);
    }
    let mut isa = String::new();
    // A `String` takes everything.
    let _ = extensions::join(host.extensions.iter().map(String::as_str), &mut isa);
    for node in nodes {
        tree.set(node, "riscv,isa-base", "rv64i")?;
        tree.set(node, "riscv,isa-extensions", list.as_slice())?;
        tree.set(node, "riscv,isa", isa.as_str())?;
        for (name, value) in &host.copied {
            tree.set(node, name, value.as_slice())?;
        }
    }
    let cpus = tree.require("/cpus")?;
    if !cpus.flag("timebase-frequency") {
        let frequency = u32::try_from(Machine::frequency()).unwrap_or(u32::MAX);
        let cpus = cpus.id();
        tree.set(cpus, "timebase-frequency", frequency)?;
    }
    Ok(())
}

fn says_what_it_can(hart: Node<'_>) -> bool {
    hart.flag("riscv,isa") || hart.flag("riscv,isa-extensions")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(harts: &[&[(&str, &[u8])]]) -> Tree {
        let mut tree = Tree::new();
        let cpus = tree.add_path("/cpus").unwrap();
        for (id, properties) in harts.iter().enumerate() {
            let cpu = tree.add(cpus, &alloc::format!("cpu@{id}")).unwrap();
            tree.set(cpu, "compatible", "riscv").unwrap();
            for (name, value) in *properties {
                tree.set(cpu, name, *value).unwrap();
            }
        }
        tree
    }

    #[test]
    fn a_guest_gets_what_all_harts_have_but_for_what_is_not_for_guests() {
        let mmu = ("mmu-type", &b"riscv,sv48\0"[..]);
        learn(&tree(&[
            // A small hart that runs no operating system does not count.
            &[("riscv,isa", b"rv64imac\0")],
            &[
                mmu,
                ("riscv,isa-extensions", b"i\0m\0a\0c\0h\0v\0zicboz\0zve32x\0sstc\0"),
                ("riscv,cboz-block-size", b"\0\0\0@"),
            ],
            &[mmu, ("riscv,isa", b"rv64imach_zicboz_zve32x_sstc_zba\0")],
        ]));
        let mut guest = tree(&[&[], &[("riscv,isa", b"rv64i\0")]]);
        complete(&mut guest).unwrap();
        let cpu = guest.find("/cpus/cpu@0").unwrap();
        assert_eq!(cpu.str("riscv,isa"), Ok("rv64imac_zicboz_sstc"));
        assert_eq!(cpu.require("riscv,isa-extensions").unwrap().bytes(), b"i\0m\0a\0c\0zicboz\0sstc\0");
        assert_eq!(cpu.str("mmu-type"), Ok("riscv,sv48"));
        assert_eq!(cpu.u32("riscv,cboz-block-size"), Ok(64));
        assert_eq!(guest.find("/cpus/cpu@1").unwrap().str("riscv,isa"), Ok("rv64i"), "what is said stays");
        assert_eq!(guest.find("/cpus").unwrap().u64("timebase-frequency"), Ok(Machine::frequency()));

        let mut guest = tree(&[&[]]);
        let imsic = guest.add_path("/imsics").unwrap();
        guest.set(imsic, "compatible", "riscv,imsics").unwrap();
        complete(&mut guest).unwrap();
        let isa = guest.find("/cpus/cpu@0").unwrap().str("riscv,isa");
        assert_eq!(isa, Ok("rv64imac_zicboz_sstc_ssaia"), "a hart with a file of messages");

        learn(&tree(&[&[mmu, ("riscv,isa", b"rv64imafch_zfa_zba\0")]]));
        let mut guest = tree(&[&[]]);
        complete(&mut guest).unwrap();
        let isa = guest.find("/cpus/cpu@0").unwrap().str("riscv,isa");
        assert_eq!(isa, Ok("rv64imac_zba"), "floating-point registers of 32 bits are not kept");
    }
}
