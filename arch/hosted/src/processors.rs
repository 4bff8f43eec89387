//! Further processors: threads of the operating system that a test starts.

use std::collections::BTreeMap;
use std::sync::Mutex;

use addr::Hpa;
use arch_api::{Cpu, CpuId, CpuStart, IrqsOff, Processors};

use crate::cpu::{self, Handed};
use crate::{Hosted, time};

/// A processor that was prepared.
struct Prepared {
    block: Handed,
    main: extern "C" fn() -> !,
}

/// By hardware id, which tests choose.
static PREPARED: Mutex<BTreeMap<u64, Prepared>> = Mutex::new(BTreeMap::new());

#[expect(unsafe_code, reason = "the contract has an unsafe member")]
impl Processors for Hosted {
    unsafe fn prepare_cpu(
        hardware_id: u64,
        _stack_top: *mut u8,
        main: extern "C" fn() -> !,
    ) -> Option<CpuStart> {
        let mut all = cpu::lock(&PREPARED);
        let prepared = all
            .entry(hardware_id)
            .or_insert_with(|| Prepared { block: Handed(cpu::make(Some(cpu::here().machine))), main });
        prepared.main = main;
        Some(CpuStart { cpu: prepared.block.0.id, entry: Hpa::new(0), argument: hardware_id })
    }

    fn hardware_id_of(cpu: CpuId) -> Option<u64> {
        Some(u64::from(cpu.0))
    }

    fn is_of_this_machine(cpu: CpuId) -> bool {
        cpu::machine_of(cpu) == Some(cpu::here().machine)
    }
}

/// Does what firmware does for `start`: the processor begins, with interrupts masked, real time, and the
/// interrupt entry of the processor that asks. `false` when it was not prepared.
pub fn begin(start: CpuStart) -> bool {
    let all = cpu::lock(&PREPARED);
    let Some(prepared) = all.get(&start.argument) else { return false };
    let (block, main) = (Handed(prepared.block.0), prepared.main);
    drop(all);
    let entry = cpu::here().entry.get();
    std::thread::spawn(move || {
        let block = block;
        cpu::run_on(Handed(block.0));
        let own = cpu::here();
        own.masked.set(true);
        own.nesting.exchange(0, false);
        own.entry.set(entry);
        time::use_real_clock();
        main()
    });
    true
}

/// The processor that this thread ran on is off: the thread of the operating system stays where it is.
pub fn off() -> ! {
    let masked = IrqsOff::<Hosted>::now();
    let _ = Hosted::id(&masked);
    loop {
        std::thread::park();
    }
}
