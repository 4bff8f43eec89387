//! Spin tables (Documentation/arch/arm64/booting.rst): each CPU polls a word in memory, and jumps to the address
//! that it finds there. It comes with nothing in its registers, and cannot be sent back.

use alloc::string::{String, ToString};

use addr::Hpa;
use arch::{CpuStart, Machine, Processors};
use atomic::{Arc, AtomicBool, Ordering};
use host_cpus::EnableMethod;

pub(super) const METHOD: super::Method = super::Method { name: "spin-table", of };

struct SpinTable {
    release: Hpa,
    /// Whether the CPU was let go.
    released: AtomicBool,
}

fn of(node: fdt::Node<'_>) -> Result<Arc<dyn EnableMethod>, String> {
    let release = node.u64("cpu-release-addr").map_err(|error| error.to_string())?;
    if !release.is_multiple_of(8) {
        return Err(alloc::format!("property \"cpu-release-addr\": {release:#x} is not aligned to 8 bytes"));
    }
    Ok(Arc::new(SpinTable { release: Hpa::new(release), released: AtomicBool::new(false) }))
}

impl EnableMethod for SpinTable {
    fn name(&self) -> &str {
        METHOD.name
    }

    fn start(&self, _hardware_id: u64, start: CpuStart) -> Result<(), String> {
        self.released.store(true, Ordering::Release);
        host_mem::store_for_waiting_cpu(self.release, start.entry.get())
            .map_err(|why| alloc::format!("property \"cpu-release-addr\": {}: {why}", self.release))?;
        Machine::signal_waiting();
        Ok(())
    }

    fn can_stop(&self) -> bool {
        false
    }

    fn stop(&self) {}

    fn is_off(&self, _hardware_id: u64) -> bool {
        !self.released.load(Ordering::Acquire)
    }
}
