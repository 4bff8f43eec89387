//! What a person sees of the controller. The state is copied block by block with the lock held, and written
//! without it.

use super::block::Block;
use super::lanes::{Lanes, bits};
use super::port::Shared;
use super::state::{CpuIndex, Gic, Intid};

/// A block, as it was.
struct Summary {
    interesting: u32,
    enabled: u32,
    pending: u32,
    active: u32,
    held: u32,
    edge: u32,
    group1: u32,
    level: u32,
    priority: Lanes<u8>,
    target: Lanes<CpuIndex>,
}

impl Summary {
    fn of(block: &Block) -> Self {
        Self {
            interesting: block.enabled | block.pending() | block.active | block.held,
            enabled: block.enabled,
            pending: block.pending(),
            active: block.active,
            held: block.held,
            edge: block.edge,
            group1: block.group1,
            level: block.level,
            priority: block.priority,
            target: block.target,
        }
    }

    fn show(&self, word: usize, tree: &mut inspect::Tree<'_>) {
        for bit in bits(self.interesting) {
            let id = Intid::at(word, bit);
            let is = |word: u32, text: &'static str| if word >> bit & 1 != 0 { text } else { "" };
            let name = alloc::format!("{}", isa_gic::IntId::new(id.get()));
            let target = *self.target.at(bit);
            let target = if target == CpuIndex::NOBODY { -1 } else { target.get() as i64 };
            let trigger = if self.edge >> bit & 1 != 0 { "edge" } else { "level" };
            let group = self.group1 >> bit & 1;
            tree.field(
                &name,
                format_args!(
                    "{trigger}, group {group}, priority {:#04x}, to vCPU {target}{}{}{}{}{}",
                    self.priority.at(bit),
                    is(self.enabled, ", enabled"),
                    is(self.level, ", line high"),
                    is(self.pending, ", pending"),
                    is(self.active, ", active"),
                    is(self.held, ", in hardware"),
                ),
            );
        }
    }
}

/// The distributor and the shared interrupts.
pub(super) fn shared(gic: &Shared, tree: &mut inspect::Tree<'_>) {
    let (version, groups, words) = gic.with(|gic| (gic.version, gic.groups, gic.words()));
    tree.field("version", format_args!("{version:?}"));
    tree.field("group 0", if groups.zero { "on" } else { "off" });
    tree.field("group 1", if groups.one { "on" } else { "off" });
    tree.field("interrupts", words * 32);
    for word in 1..words {
        show(gic, 0, word, tree);
    }
    private(gic, tree);
}

/// Each CPU's own interrupts.
pub(super) fn private(gic: &Shared, tree: &mut inspect::Tree<'_>) {
    for cpu in 0..gic.inputs.bells().len() {
        tree.child(&alloc::format!("vcpu{cpu}"), |tree| {
            let slots = gic.with(|gic| gic.cpus.get(cpu).map_or(0, |own| own.given.count_ones()));
            tree.field("slots in use", slots);
            show(gic, cpu, 0, tree);
        });
    }
}

fn show(gic: &Shared, cpu: usize, word: usize, tree: &mut inspect::Tree<'_>) {
    let summary = |gic: &mut Gic| {
        gic.drain(cpu);
        gic.block(cpu, word).map(|block| Summary::of(block))
    };
    if let Some(summary) = gic.with(summary) {
        summary.show(word, tree);
    }
}
