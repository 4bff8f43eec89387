//! Descriptions of guests: device trees from files, changed by overrides.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use fdt::{NodeId, Tree};

use crate::{Args, Failed, Session, tree};

/// `vfs fdt_load`: a device tree from a file becomes a node of the tree that runs.
pub(super) fn fdt_load(_: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let loaded = read(args.text(2)?, args.rest(3))?;
    tree::replace(args.text(0)?, args.text(1)?, &loaded)
}

/// `vfs guest_fdt_load`: a guest's description, with as many CPUs as it shall have.
pub(super) fn guest_fdt_load(_: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let path = args.text(1)?;
    let count: u32 = args.number(2)?;
    let mut loaded = read(path, args.rest(3))?;
    set_cpus(&mut loaded, count).map_err(|failed| Failed::Because(format!("{path}: {failed}")))?;
    tree::replace(tree::GUESTS, args.text(0)?, &loaded)
}

fn read(path: &str, overrides: &[String]) -> Result<Tree, Failed> {
    let bytes = host_vfs::bytes(path)?;
    let mut loaded = Tree::from_blob(&bytes).map_err(|error| Failed::Because(format!("{path}: {error}")))?;
    for word in overrides {
        change(&mut loaded, word).map_err(|failed| Failed::Because(format!("\"{word}\": {failed}")))?;
    }
    Ok(loaded)
}

/// Sets a property, as `alias,property,type,value` says. In place of an alias a path may stand, or the
/// name of a node below the root; values other than strings may be several, separated by blanks.
fn change(loaded: &mut Tree, word: &str) -> Result<(), Failed> {
    let parts: Vec<&str> = word.split(',').collect();
    // Names of properties have commas too: the first word that is a type ends them.
    let at = parts.iter().skip(2).position(|part| tree::TYPES.contains(part)).map(|at| at + 2);
    let Some(([place, name @ ..], [kind, value @ ..])) = at.and_then(|at| parts.split_at_checked(at)) else {
        return Err(Failed::because("is not <alias>,<attr>,<type>,<value>"));
    };
    if value.is_empty() {
        return Err(Failed::because("has no <value>"));
    }
    let (name, value) = (name.join(","), value.join(","));
    // An alias, a path, or a node right below the root.
    let node = loaded
        .find(place)
        .or_else(|| loaded.root().child(place))
        .ok_or_else(|| Failed::Because(format!("the tree has no alias or path \"{place}\"")))?
        .id();
    let values: Vec<&str> =
        if *kind == "string" { [value.as_str()].into() } else { value.split_whitespace().collect() };
    tree::set_from_words(loaded, node, &name, kind, &values)
}

/// More than any interrupt controller has room for.
const MAX_CPUS: u32 = 512;
/// CPUs that share the upper affinity fields: as many as one list of targets of a GICv3 reaches.
const CLUSTER: u32 = 16;

/// Gives the description `count` CPUs: the last of them go, or copies of the first one come.
fn set_cpus(loaded: &mut Tree, count: u32) -> Result<(), Failed> {
    if !(1..=MAX_CPUS).contains(&count) {
        return Err(Failed::Because(format!("<vcpu_count>: {count} is none of 1 to {MAX_CPUS}")));
    }
    let parent = loaded.require("/cpus")?;
    let wide = parent.address_cells()? == 2;
    let parent = parent.id();
    let cpus: Vec<NodeId> = loaded
        .require("/cpus")?
        .children()
        .filter(|node| node.base_name() == "cpu")
        .map(fdt::Node::id)
        .collect();
    let first = *cpus.first().ok_or_else(|| Failed::because("/cpus: has no node \"cpu\""))?;
    for surplus in cpus.iter().skip(count as usize) {
        if let Some((_, own)) = own_controller(loaded, *surplus)? {
            extend(loaded, own, None)?;
        }
        loaded.remove(*surplus)?;
    }
    let is_riscv = loaded.require("/cpus")?.children().any(|cpu| cpu.is_compatible("riscv"));
    for index in (0..count).skip(cpus.len()) {
        let affinity = if is_riscv { index } else { ((index / CLUSTER) << 8) | (index % CLUSTER) };
        let cpu = loaded.copy(first, parent, &format!("cpu@{affinity:x}"))?;
        if wide {
            loaded.set(cpu, "reg", u64::from(affinity))?;
        } else {
            loaded.set(cpu, "reg", affinity)?;
        }
        // What interrupts the first one interrupts the copy as well.
        if let (Some((_, from)), Some((controller, _))) =
            (own_controller(loaded, first)?, own_controller(loaded, cpu)?)
        {
            let to = loaded.ensure_phandle(controller)?;
            extend(loaded, from, Some(to))?;
        }
    }
    // It would name CPUs that went, and not those that came.
    if count as usize != cpus.len()
        && let Some(map) = loaded.find("/cpus/cpu-map").map(fdt::Node::id)
    {
        loaded.remove(map)?;
    }
    Ok(())
}

/// The interrupt controller in a CPU's node, and its phandle, which it gets if it has none.
fn own_controller(loaded: &mut Tree, cpu: NodeId) -> Result<Option<(NodeId, u32)>, Failed> {
    let mut all = loaded.root().descendants();
    let own = all.find(|node| {
        node.flag("interrupt-controller") && node.parent().is_some_and(|above| above.id() == cpu)
    });
    let Some(own) = own.map(fdt::Node::id) else { return Ok(None) };
    Ok(Some((own, loaded.ensure_phandle(own)?)))
}

/// Has controllers that interrupt the CPU with controller `from` interrupt that with `to` as well; or, without one,
/// that CPU no more. Elements of `interrupts-extended` have two cells then.
fn extend(loaded: &mut Tree, from: u32, to: Option<u32>) -> Result<(), Failed> {
    const LIST: &str = "interrupts-extended";
    let mut changed = Vec::new();
    for node in loaded.root().descendants() {
        let Some(list) = node.property(LIST) else { continue };
        let cells: Vec<u32> = list.cells()?.iter().collect();
        let (pairs, rest) = cells.as_chunks::<2>();
        if !rest.is_empty() || !pairs.iter().any(|[parent, _]| *parent == from) {
            continue;
        }
        let added = pairs.iter().filter(|[parent, _]| *parent == from);
        let list: Vec<u32> = match to {
            Some(to) => pairs.iter().copied().chain(added.map(|[_, cell]| [to, *cell])).flatten().collect(),
            None => pairs.iter().filter(|[parent, _]| *parent != from).flatten().copied().collect(),
        };
        changed.push((node.id(), list));
    }
    for (node, list) in changed {
        loaded.set(node, LIST, list.as_slice())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use fdt::Tree;

    use super::{change, set_cpus};

    fn tree() -> Tree {
        let mut tree = Tree::new();
        let cpus = tree.add_path("/cpus").unwrap();
        tree.set(cpus, "#address-cells", 1_u32).unwrap();
        tree.set(cpus, "#size-cells", 0_u32).unwrap();
        let cpu = tree.add_path("/cpus/cpu@0").unwrap();
        tree.set(cpu, "reg", 0_u32).unwrap();
        tree.set(cpu, "enable-method", "psci").unwrap();
        let aliases = tree.add_path("/aliases").unwrap();
        tree.set(aliases, "mem", "/memory").unwrap();
        tree.add_path("/memory").unwrap();
        tree
    }

    #[test]
    fn cpus_are_copied_and_removed() {
        let mut tree = tree();
        set_cpus(&mut tree, 18).unwrap();
        let last = tree.require("/cpus/cpu@101").unwrap();
        assert_eq!(last.u32("reg").unwrap(), 0x101);
        assert_eq!(last.str("enable-method").unwrap(), "psci");
        set_cpus(&mut tree, 2).unwrap();
        assert_eq!(tree.require("/cpus").unwrap().children().count(), 2);
        assert!(set_cpus(&mut tree, 0).is_err());
        assert!(set_cpus(&mut tree, 1 << 20).is_err());
        assert!(set_cpus(&mut Tree::new(), 1).is_err());
    }

    #[test]
    fn what_interrupts_a_cpu_interrupts_its_copies() {
        let mut tree = tree();
        let cpu = tree.find("/cpus/cpu@0").unwrap().id();
        tree.set(cpu, "compatible", "riscv").unwrap();
        let own = tree.add(cpu, "interrupt-controller").unwrap();
        tree.set(own, "interrupt-controller", ()).unwrap();
        tree.set(own, "#interrupt-cells", 1_u32).unwrap();
        tree.set(own, "phandle", 1_u32).unwrap();
        let plic = tree.add_path("/plic").unwrap();
        tree.set(plic, "interrupts-extended", [1_u32, 9].as_slice()).unwrap();
        set_cpus(&mut tree, 18).unwrap();
        let harts = |tree: &Tree| -> Vec<u32> {
            let plic = tree.require("/plic").unwrap().interrupts().unwrap();
            plic.iter().map(|element| element.node.parent().unwrap().u32("reg").unwrap()).collect()
        };
        assert_eq!(harts(&tree), (0..18).collect::<Vec<u32>>(), "harts are numbered one by one");
        set_cpus(&mut tree, 3).unwrap();
        assert_eq!(harts(&tree), [0, 1, 2]);
    }

    #[test]
    fn overrides_find_their_node_by_alias_or_path() {
        let mut tree = tree();
        change(&mut tree, "mem,device_type,string,memory, or so").unwrap();
        change(&mut tree, "/memory,cells,uint32,1 2").unwrap();
        change(&mut tree, "memory,size,uint64,1M").unwrap();
        change(&mut tree, "/memory,xvisor,name,string,/a,b").unwrap();
        let memory = tree.require("/memory").unwrap();
        assert_eq!(memory.str("xvisor,name").unwrap(), "/a,b", "properties and values may have commas");
        assert_eq!(memory.str("device_type").unwrap(), "memory, or so");
        assert_eq!(memory.require("cells").unwrap().bytes().len(), 8);
        for wrong in ["", "mem", "mem,a,uint32", "nowhere,a,uint32,1", "mem,a,uint32,x", "mem,a,int,1"] {
            assert!(change(&mut tree, wrong).is_err(), "{wrong}");
        }
    }
}
