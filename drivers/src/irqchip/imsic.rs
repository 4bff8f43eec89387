//! The incoming MSI controller (AIA 1.0, chapter 3): each hart's file of interrupts, to which messages are sent. The
//! file is part of the hart ([`LocalIrqs::take_messages`]); what is here is where the files lie and how many identities
//! there are. Its messages come as lines of the hart's own controller.

use alloc::boxed::Box;
use alloc::vec::Vec;

use arch::{IrqsOff, LocalIrqs, Machine};
use atomic::Arc;
use host_sync::Spin;
use isa_aia::imsic::{Layout, MAX_IDENTITIES};
use isa_rv::local;

use super::harts::{self, Hart};
use crate::{Declined, Driver, Node, Running, Stage};

pub(crate) const DRIVER: Driver =
    Driver { name: "imsic", class: "irqchip", stage: Stage::IrqChip, compatible: &["riscv,imsics"], start };

/// The supervisors' files.
pub(super) struct Imsic {
    /// By hart: the place among the files, which is the index by which an APLIC reaches it (AIA, 4.9.1).
    pub(super) harts: Vec<Hart>,
    /// The highest identity.
    pub(super) highest: u32,
}

/// By the phandle of the node: for those whose `msi-parent` it is.
static FOUND: Spin<Vec<(u32, Arc<Imsic>)>> = Spin::new(Vec::new());

struct Started(u32);

fn start(node: &Node<'_>) -> Result<Running, Declined> {
    let phandle = super::phandle(node)?;
    let harts = harts::of(node, isa_plic::SUPERVISOR_EXTERNAL)?;
    if harts.is_empty() {
        // Those of machine mode are the firmware's.
        return Err(Declined::NotMine);
    }
    // The hart's own controller comes first: messages are lines of it.
    harts::own_line(node, isa_plic::SUPERVISOR_EXTERNAL)?;
    let highest = node.u32("riscv,num-ids")?;
    if highest == 0 || highest >= MAX_IDENTITIES {
        return Err(Declined::Broken(alloc::format!(
            "property \"riscv,num-ids\": {highest} is not in 1 to 2047"
        )));
    }
    let usual = Layout::for_harts(u32::try_from(harts.len()).unwrap_or(u32::MAX));
    let layout = Layout {
        guest_bits: node.u32_or("riscv,guest-index-bits", usual.guest_bits)?,
        hart_bits: node.u32_or("riscv,hart-index-bits", usual.hart_bits)?,
        group_bits: node.u32_or("riscv,group-index-bits", usual.group_bits)?,
        group_shift: node.u32_or("riscv,group-index-shift", usual.group_shift)?,
    };
    if !layout.is_possible() {
        return Err(Declined::broken("properties \"riscv,…-index-bits\" overlap"));
    }
    let imsic = Arc::new(Imsic { harts, highest });
    imsic.start_cpu(&IrqsOff::now());
    FOUND.lock().push((phandle, imsic));
    Ok(Box::new(Started(phandle)))
}

impl Drop for Started {
    fn drop(&mut self) {
        FOUND.lock().retain(|(phandle, _)| *phandle != self.0);
    }
}

/// The files that a node sends its messages to.
pub(super) fn parent(node: &Node<'_>) -> Result<Arc<Imsic>, Declined> {
    let parent = node.require("msi-parent")?.phandle()?;
    let found = FOUND.lock().iter().find(|(phandle, _)| Some(*phandle) == parent.phandle()).cloned();
    found.map(|(_, imsic)| imsic).ok_or_else(|| Declined::Later(parent.path()))
}

/// Whether the files that a node sends to are supervisors', and not the firmware's.
pub(super) fn is_parent_ours(node: &Node<'_>) -> Result<bool, Declined> {
    let parent = node.require("msi-parent")?.phandle()?;
    Ok(!harts::of(&Node::new(parent), isa_plic::SUPERVISOR_EXTERNAL)?.is_empty())
}

impl Imsic {
    /// The asking CPU takes messages: every identity, since none is sent that nobody asked for.
    pub(super) fn start_cpu(&self, masked: &IrqsOff) {
        Machine::take_messages(masked, self.highest);
        for identity in 1..=self.highest {
            Machine::set_enabled(masked, local::message(identity), true);
        }
    }

    /// The place of a hart among the files.
    pub(super) fn place(&self, hart: u64) -> Option<u32> {
        self.harts.iter().find(|known| known.id == hart).map(|known| known.place)
    }
}
