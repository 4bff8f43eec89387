//! What only this architecture has to be measured.

use isa_firmware::psci;
use isa_gic::gicd::{self, irouter};

use super::firmware;
use super::mmio::{load32, load64, store32};
use super::registers::{affinity, get};
use crate::bench::{MANY, average, dawdle, each, figure, to_self};
use crate::runtime::faults::attempt;
use crate::runtime::machine::Machine;
use crate::runtime::timer;

pub(crate) fn calls(machine: &Machine) {
    let version = || match machine.parts.conduit {
        firmware::Conduit::Hvc => firmware::hvc([psci::VERSION.into(), 0, 0, 0]),
        firmware::Conduit::Smc => firmware::smc([psci::VERSION.into(), 0, 0, 0]),
    };
    figure("hypercall-PSCI_VERSION", each(MANY, version));
    const UNKNOWN: u64 = 0x8400_ff77;
    figure("hypercall-unknown", each(MANY, || firmware::hvc([UNKNOWN, 0, 0, 0])));
    if attempt(|| firmware::smc([UNKNOWN, 0, 0, 0])).is_ok() {
        figure("SMC-unknown", each(MANY, || firmware::smc([UNKNOWN, 0, 0, 0])));
    }
}

pub(crate) fn registers(machine: &Machine) {
    let typer = machine.parts.gic.distributor() + gicd::TYPER;
    figure("read-of-the-distributor", each(MANY, || load32(typer)));
    let enable = gicd::bit_register(machine.parts.gic.distributor() + gicd::ISENABLER, 100);
    figure("write-of-the-distributor", each(MANY, || store32(enable, 0)));
    // Registers with state behind them, as reads and as writes.
    figure("read-of-the-distributor-ISENABLER", each(MANY, || load32(enable)));
    if let Some(own) = machine.parts.gic.own_registers() {
        let route = machine.parts.gic.distributor() + irouter(40);
        figure("read-of-the-distributor-IROUTER", each(MANY, || load64(route)));
        figure("read-of-the-redistributor-ISPENDR0", each(MANY, || load32(own + gicd::ISPENDR)));
    }
    figure("read-of-an-ID-register", each(MANY, || get!("id_aa64pfr0_el1")));
}

pub(crate) fn interrupts(machine: &Machine) {
    let gic = machine.parts.gic;
    let own = affinity();
    figure("SGI-to-self-send-to-receive", to_self(|| gic.send(1, own)));
    let whole = || {
        gic.send(1, own);
        let taken = gic.acknowledge();
        gic.end(taken);
    };
    figure("SGI-to-self-acknowledged-and-ended", each(MANY, whole));
    let end = |index: u64| {
        dawdle(index);
        gic.send(1, own);
        let taken = gic.acknowledge();
        let begun = timer::now();
        gic.end(taken);
        timer::now() - begun
    };
    figure("end-of-interrupt", average(end));
}
