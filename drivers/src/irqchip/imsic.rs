//! The incoming MSI controller (AIA 1.0, chapter 3): each hart's file of interrupts, to which messages are sent. The
//! file is part of the hart ([`LocalIrqs::take_messages`]); what is here is where the files lie and how many identities
//! there are. Its messages come as lines of the hart's own controller.
//!
//! Files for guests, if there are any, follow the supervisor's of the same hart. They are given to virtual CPUs below
//! ([`VirtualInterface::Files`]); when one has something for a CPU that waits, its hart is interrupted.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use addr::{Hpa, Span};
use arch::{Boot, IrqsOff, LocalIrqs, Machine, Virt, VirtualInterface};
use atomic::{Arc, AtomicU32, Ordering};
use host_irq::{Line, Outcome, Trigger};
use host_mmio::Window;
use host_sync::Spin;
use isa_aia::imsic::{FILE_SIZE, Layout, MAX_IDENTITIES};
use isa_rv::extensions::Extension;
use isa_rv::{cause, local};

use super::harts::{self, Hart};
use crate::{Declined, Driver, Node, Running, Stage};

pub(crate) const DRIVER: Driver =
    Driver { name: "imsic", class: "irqchip", stage: Stage::IrqChip, compatible: &["riscv,imsics"], start };

/// The supervisors' files.
pub(super) struct Imsic {
    /// By hart: the place among the files, which is the index by which an APLIC reaches it (AIA, 4.9.1).
    harts: Vec<Hart>,
    /// The highest identity; it is for interrupts between CPUs.
    highest: u32,
    /// Where the files are, for good: CPUs always need to reach each other, and guests may have the others.
    windows: Vec<Window>,
    layout: Layout,
    /// The highest identity in files for guests; 0 when there are none.
    highest_of_guests: u32,
    /// The highest identity that some controller has for its sources.
    reserved: AtomicU32,
}

/// By the phandle of the node: for those whose `msi-parent` it is.
static FOUND: Spin<Vec<(u32, Arc<Imsic>)>> = Spin::new(Vec::new());

struct Started {
    phandle: u32,
    _line: Option<Line>,
}

fn start(node: &Node<'_>) -> Result<Running, Declined> {
    let phandle = super::phandle(node)?;
    let harts = harts::of(node, isa_plic::SUPERVISOR_EXTERNAL)?;
    if harts.is_empty() {
        // Those of machine mode are the firmware's.
        return Err(Declined::NotMine);
    }
    if Machine::lacks(Extension::Ssaia.name()) {
        return Err(Declined::broken(
            "the harts have no registers for it, or the firmware keeps them (Ssaia)",
        ));
    }
    // The hart's own controller comes first: messages are lines of it.
    harts::own_line(node, isa_plic::SUPERVISOR_EXTERNAL)?;
    let highest = node.u32("riscv,num-ids")?;
    if !(2..MAX_IDENTITIES).contains(&highest) {
        return Err(Declined::Broken(alloc::format!(
            "property \"riscv,num-ids\": {highest} is not in 2 to 2047"
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
    let windows: Vec<Window> =
        (0..node.reg()?.len()).map(|index| node.window(index)).collect::<Result<_, _>>()?;
    let ranges: Vec<Span<Hpa>> = windows.iter().map(Window::span).collect();
    let harts = places(harts, layout, &ranges);
    let highest_of_guests = guests(node, layout, highest)?;
    let line = (highest_of_guests != 0).then(|| {
        let handler = |masked: &IrqsOff, _| {
            Machine::interface_rang(masked);
            Outcome::Done
        };
        Line::on(local::cause(cause::GUEST_EXTERNAL), Trigger::LevelHigh, node.name(), Box::new(handler))
    });
    let line = line.transpose()?;
    let imsic = Arc::new(Imsic { highest_of_guests, ..Imsic::new(harts, highest, layout, windows) });
    imsic.start_cpu(&IrqsOff::now()).map_err(Declined::Broken)?;
    FOUND.lock().push((phandle, imsic));
    Ok(Box::new(Started { phandle, _line: line }))
}

impl Drop for Started {
    fn drop(&mut self) {
        FOUND.lock().retain(|(phandle, _)| *phandle != self.phandle);
    }
}

/// The harts with the places of their files. Those follow each other through all ranges of registers, one for each group
/// of harts; and a group need not be full.
fn places(harts: Vec<Hart>, layout: Layout, ranges: &[Span<Hpa>]) -> Vec<Hart> {
    let base = ranges.iter().map(|range| range.base().get()).min().unwrap_or(0);
    let place = |hart: Hart| {
        let mut offset = u64::from(hart.place) * (FILE_SIZE << layout.guest_bits);
        for range in ranges {
            if offset < range.length() {
                let (place, _) = layout.place(range.base().get() - base + offset);
                return Some(Hart { place, ..hart });
            }
            offset -= range.length();
        }
        None
    };
    harts.into_iter().filter_map(place).collect()
}

/// The highest identity in the files for guests that the node tells of; 0 if there are none.
fn guests(node: &Node<'_>, layout: Layout, highest: u32) -> Result<u32, Declined> {
    if layout.guest_bits == 0 {
        return Ok(0);
    }
    let highest = node.u32_or("riscv,num-guest-ids", highest)?;
    if !(1..MAX_IDENTITIES).contains(&highest) {
        let text = alloc::format!("property \"riscv,num-guest-ids\": {highest} is not in 1 to 2047");
        return Err(Declined::Broken(text));
    }
    Ok(highest)
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
    pub(super) const fn new(harts: Vec<Hart>, highest: u32, layout: Layout, windows: Vec<Window>) -> Self {
        Self { harts, highest, windows, layout, highest_of_guests: 0, reserved: AtomicU32::new(0) }
    }

    /// The asking CPU takes messages: every identity, since none is sent that nobody asked for.
    ///
    /// # Errors
    /// The files lack that of this hart.
    pub(super) fn start_cpu(&self, masked: &IrqsOff) -> Result<(), String> {
        let hart = Machine::hardware_id(masked);
        let page = self.page(hart).ok_or_else(|| alloc::format!("hart {hart} has no interrupt file"))?;
        Machine::take_messages(masked, self.highest, page);
        for identity in 1..=self.highest {
            Machine::set_enabled(masked, local::message(identity), true);
        }
        if let Some(interface) = self.interface(hart) {
            Machine::use_interface(masked, interface);
        }
        Ok(())
    }

    /// Where a hart's own file is mapped.
    fn page(&self, hart: u64) -> Option<usize> {
        let at = self.place_of_file(hart, 0)?;
        let window = self.windows.iter().find(|window| window.span().contains(at))?;
        Some(window.address() + (at.get() - window.span().base().get()) as usize)
    }

    /// Where a hart's own file is (0), or one for its guests.
    fn place_of_file(&self, hart: u64, guest: u32) -> Option<Hpa> {
        let base = self.windows.iter().map(|window| window.span().base().get()).min()?;
        // What tells files apart is zero in the address of the first one (AIA, 3.6).
        Some(Hpa::new(base + self.layout.offset(self.place(hart)?, guest)))
    }

    /// The files for guests of a hart.
    fn interface(&self, hart: u64) -> Option<VirtualInterface> {
        let count = (1_u32 << self.layout.guest_bits) - 1;
        if self.highest_of_guests == 0 || count == 0 {
            return None;
        }
        let (first, last) = (self.place_of_file(hart, 1)?, self.place_of_file(hart, count)?);
        let inside = |window: &Window| window.span().contains(first) && window.span().contains(last);
        let interface = VirtualInterface::Files { first, count, highest: self.highest_of_guests };
        self.windows.iter().any(inside).then_some(interface)
    }

    /// The highest identity that devices may send.
    pub(super) const fn highest_of_devices(&self) -> u32 {
        self.highest - 1
    }

    /// Gives a controller identities for its sources, from 1 on: what comes before the first one's, and for how many
    /// there is one.
    pub(super) fn reserve(&self, sources: u32) -> (u32, u32) {
        let most = self.highest_of_devices();
        let after = |before: u32| before.saturating_add(sources).min(most);
        let update = |before| Some(after(before));
        let before = self.reserved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, update).unwrap_or(most);
        (before, after(before) - before)
    }

    /// The place of a hart among the files.
    pub(super) fn place(&self, hart: u64) -> Option<u32> {
        self.harts.iter().find(|known| known.id == hart).map(|known| known.place)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use host_mmio::fake::Registers;

    use super::*;

    #[test]
    fn the_file_of_a_hart_is_behind_those_of_the_guests_of_the_one_before() {
        let registers = Registers::new(0x8000);
        let harts = vec![Hart { id: 4, place: 0 }, Hart { id: 2, place: 1 }, Hart { id: 3, place: 2 }];
        let layout = Layout { guest_bits: 2, ..Layout::for_harts(3) };
        let window = registers.window();
        let base = window.address();
        let imsic = Imsic::new(harts, 255, layout, vec![window]);
        let page = |hart| imsic.page(hart).map(|at| at - base);
        assert_eq!([page(4), page(2)], [Some(0), Some(0x4000)]);
        assert_eq!([page(3), page(1)], [None, None], "one is outside of the registers, one has none");
        assert_eq!(imsic.highest_of_devices(), 254);
    }

    #[test]
    fn a_group_of_harts_need_not_be_full() {
        let ranges = [0x2800_0000, 0x2900_0000].map(|base| Span::<Hpa>::new(Hpa::new(base), 0x3000).unwrap());
        let harts = (0..7).map(|place| Hart { id: 10 + u64::from(place), place }).collect();
        let layout = Layout { guest_bits: 0, hart_bits: 2, group_bits: 1, group_shift: 24 };
        let found: Vec<u32> = places(harts, layout, &ranges).iter().map(|hart| hart.place).collect();
        assert_eq!(found, [0, 1, 2, 4, 5, 6], "the last one has no file");
    }
}
