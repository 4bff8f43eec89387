//! ID registers (DDI 0487, D24.2): what is told is what can be used.

use crate::arch::gic::Gic;
use crate::runtime::faults::attempt;
use crate::runtime::machine::machine;
use crate::runtime::registers::get;
use crate::selfcheck::Report;

pub(super) fn run(report: &mut Report) {
    let field = |register: u64, shift: u32| register >> shift & 0xf;
    let pfr0 = get!("id_aa64pfr0_el1");
    let pfr1 = get!("id_aa64pfr1_el1");
    report.check("EL1 and EL0 are there", matches!(field(pfr0, 4), 1 | 2) && matches!(field(pfr0, 0), 1 | 2));
    report.check("CurrentEL is 1", get!("currentel") >> 2 == 1);
    let has_gicv3 = field(pfr0, 24) != 0;
    let wants_gicv3 = matches!(machine().parts.gic, Gic::V3 { .. });
    report.check("GICv3's system registers are told where there is a GICv3", has_gicv3 || !wants_gicv3);
    if machine().hypervised {
        report.equal("there is no EL2", field(pfr0, 8), 0);
        report.equal("there is no SVE", field(pfr0, 32), 0);
        report.equal("there is no SME", field(pfr1, 24), 0);
        report.equal("there is no MTE with tags in memory", field(pfr1, 8) > 1, false);
        report.equal("there is no PMU", matches!(field(get!("id_aa64dfr0_el1"), 8), 0 | 0xf), true);
        report.equal("there is no statistical profiling", field(get!("id_aa64dfr0_el1"), 32), 0);
    } else {
        report.skip("what a guest is not told");
    }
    // Encodings of the ID space that no feature has used yet read as zero.
    report.equal("unallocated ID registers are zero", attempt(|| get!("S3_0_C0_C7_7")).ok(), Some(0));
    let range = get!("id_aa64mmfr0_el1") & 0xf;
    report.check("at least 32 bits of physical addresses, and no more than 52", range <= 6);
    report.check("MPIDR_EL1 is a CPU of the device tree", {
        let own = crate::runtime::registers::affinity();
        machine().cpus().contains(&own)
    });
    let mut frequency = 0;
    if let Ok(value) = attempt(|| get!("cntfrq_el0")) {
        frequency = value;
    }
    report.check("CNTFRQ_EL0 is between 1 MHz and 1 GHz", (1_000_000..=1_000_000_000).contains(&frequency));
}
