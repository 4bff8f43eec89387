//! Ways in which CPUs are started: what `enable-method` in `/cpus` names (Devicetree Specification 3.8).
//!
//! To add one: one file, its `mod` line, one line in `METHODS`.

mod psci;
mod sbi;
mod spin_table;

use alloc::string::{String, ToString};

use atomic::Arc;
use host_cpus::EnableMethod;
use isa_rv::extensions::{Extension, Extensions};

/// Every way.
const METHODS: &[&Method] = &[&psci::METHOD, &sbi::METHOD, &spin_table::METHOD];

/// A way in which CPUs are started.
struct Method {
    /// What `enable-method` says.
    name: &'static str,
    /// Looks at a CPU's node.
    ///
    /// # Errors
    /// What the tree lacks, in words.
    of: fn(fdt::Node<'_>) -> Result<Arc<dyn EnableMethod>, String>,
}

/// Notes all CPUs that the tree lists, brings them up, and says how many run.
pub fn start(tree: &fdt::Tree) -> usize {
    match host_cpus::connect() {
        Ok(true) => {}
        Ok(false) => {
            host_log::warn!("the interrupt controller cannot interrupt other CPUs: they are left alone");
            return 1;
        }
        Err(why) => {
            host_log::warn!("other CPUs are left alone: {why}");
            return 1;
        }
    }
    let Some(cpus) = tree.find("/cpus") else {
        host_log::warn!("the host's device tree has no /cpus: other CPUs are left alone");
        return 1;
    };
    for node in cpus.children().filter(|node| is_cpu(*node)) {
        if let Err(why) = note(node) {
            host_log::warn!("{}: {why}; going on without it", node.path());
        }
    }
    host_cpus::bring_up()
}

fn is_cpu(node: fdt::Node<'_>) -> bool {
    node.str_opt("device_type").ok().flatten() == Some("cpu") || node.base_name() == "cpu"
}

/// Notes one CPU.
fn note(node: fdt::Node<'_>) -> Result<(), String> {
    let regions = node.bus_reg().map_err(|error| error.to_string())?;
    let hardware_id = regions.first().ok_or("property \"reg\" is empty")?.start;
    // "disabled" says that the CPU waits for its enable-method (Devicetree Specification 3.8.1); "fail" says no.
    let status = node.str_opt("status").ok().flatten().unwrap_or("okay");
    if status.starts_with("fail") {
        return Err(alloc::format!("property \"status\": {status}"));
    }
    if lacks_hypervisor(node) {
        return Err("the hart has no hypervisor extension (H)".into());
    }
    let method = method(node);
    let (method, why) = match method {
        Ok(method) => (method, None),
        Err(why) => (None, Some(why)),
    };
    host_cpus::add(&node.path(), hardware_id, method)
        .map_err(|twin| alloc::format!("has the same hardware id as {twin}"))?;
    why.map_or(Ok(()), Err)
}

/// Whether it is a hart, and says what it has, which is not what we need.
fn lacks_hypervisor(node: fdt::Node<'_>) -> bool {
    let names = node.property("riscv,isa-extensions").map(|names| names.bytes());
    let has = Extensions::from_node(names, node.str_opt("riscv,isa").ok().flatten());
    has != Extensions::NONE && !has.has(Extension::H)
}

/// The way in which a CPU is started; `None` when the tree names none, as for a CPU that only the boot loader
/// starts.
fn method(node: fdt::Node<'_>) -> Result<Option<Arc<dyn EnableMethod>>, String> {
    let named = node.str_opt("enable-method").map_err(|error| error.to_string())?;
    let inherited = || node.parent().and_then(|cpus| cpus.str_opt("enable-method").ok().flatten());
    // No tree names it where there is no other.
    let implied = || node.is_compatible("riscv").then_some(sbi::METHOD.name);
    let Some(name) = named.or_else(inherited).or_else(implied) else { return Ok(None) };
    let method = METHODS
        .iter()
        .find(|method| method.name == name)
        .ok_or_else(|| alloc::format!("property \"enable-method\": there is no driver for \"{name}\""))?;
    (method.of)(node).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_its_address_or_with_an_unknown_method_is_refused_by_name() {
        let mut tree = fdt::Tree::new();
        let cpus = tree.add_path("/cpus").unwrap();
        tree.set(cpus, "#address-cells", 1u32).unwrap();
        tree.set(cpus, "#size-cells", 0u32).unwrap();
        let cpu = tree.add_path("/cpus/cpu@1").unwrap();
        assert!(note(tree.node(cpu).unwrap()).unwrap_err().contains("reg"));
        tree.set(cpu, "reg", 1u32).unwrap();
        tree.set(cpu, "enable-method", "by-magic").unwrap();
        assert!(note(tree.node(cpu).unwrap()).unwrap_err().contains("by-magic"));
        tree.set(cpu, "enable-method", "spin-table").unwrap();
        assert!(method(tree.node(cpu).unwrap()).err().unwrap().contains("cpu-release-addr"));
        tree.set(cpu, "cpu-release-addr", 0x8000_fff8u64).unwrap();
        assert_eq!(method(tree.node(cpu).unwrap()).unwrap().unwrap().name(), "spin-table");
        tree.set(cpu, "riscv,isa", "rv64imac_sstc").unwrap();
        assert!(note(tree.node(cpu).unwrap()).unwrap_err().contains("(H)"));
        tree.set(cpu, "riscv,isa", "rv64imach_sstc").unwrap();
        assert!(!lacks_hypervisor(tree.node(cpu).unwrap()));
        tree.set(cpu, "status", "fail-burnt").unwrap();
        assert!(note(tree.node(cpu).unwrap()).unwrap_err().contains("fail-burnt"));
    }
}
