//! CPUs with list registers, and guests on them, to try the controller with.

use std::vec::Vec;

use arch::{GuestPort, Held, IrqSlot, Nanos, SlotState, Width};
use atomic::{Arc, AtomicBool, Ordering};
use vio::irq::Pins;
use vm_bus::{Refused, VcpuWaker};

use crate::irqchip::port::{Shared, affinities};
use crate::irqchip::registers::At;
use crate::irqchip::state::{Gic, Intid, Version};
use crate::irqchip::{distributor_v2, distributor_v3, redistributor, sgi};

/// The versions.
pub(super) const BOTH: [Version; 2] = [Version::V2, Version::V3];
/// The timer's interrupt, in guest and host alike.
pub(super) const TIMER: u32 = 27;

/// Numbers that look random, the same in each run.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    pub(super) fn any(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    pub(super) fn below(&mut self, end: u32) -> u32 {
        ((self.any() >> 32) % u64::from(end)) as u32
    }
    pub(super) fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }
}

#[derive(Default)]
struct Waker(AtomicBool);

impl VcpuWaker for Waker {
    fn wake(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
    fn wake_at(&self, _: Nanos) {}
}

/// A virtual CPU with its hardware.
pub(super) struct Cpu {
    pub(super) port: Arc<dyn GuestPort>,
    pub(super) held: Held,
    waker: Arc<Waker>,
    /// The hardware wants an exchange.
    rang: bool,
    asleep: bool,
    pub(super) exchanges: u32,
    /// The host's interrupt of the timer is active.
    pub(super) timer_active: bool,
}

impl Cpu {
    /// As hardware does it: only what is said to be written is.
    fn exchange(&mut self) {
        let before = self.held.slots;
        self.port.exchange(&mut self.held);
        let written = core::mem::take(&mut self.held.written);
        assert_eq!(u32::from(written) >> self.held.count, 0, "a slot that does not exist is written");
        for (n, (before, now)) in before.iter().zip(&self.held.slots).enumerate() {
            assert!(written >> n & 1 != 0 || before == now, "slot {n} is not said to be written");
        }
    }
}

/// A machine of such CPUs.
pub(super) struct Machine {
    pub(super) shared: Arc<Shared>,
    pub(super) version: Version,
    pub(super) cpus: Vec<Cpu>,
}

impl Machine {
    pub(super) fn new(version: Version, cpus: u32, slots: usize, words: usize) -> Self {
        let shared = Shared::new(version, &affinities(cpus), words, Intid::new(TIMER).unwrap());
        let cpus = (0..cpus)
            .map(|index| {
                let waker = Arc::new(Waker::default());
                Cpu {
                    port: shared.port(index, waker.clone()),
                    held: Held::new(slots),
                    waker,
                    rang: false,
                    asleep: false,
                    exchanges: 0,
                    timer_active: false,
                }
            })
            .collect();
        Self { shared, version, cpus }
    }

    /// One on which everything is enabled, in group 1, and goes to the CPU of its number.
    pub(super) fn enabled(version: Version, cpus: u32, slots: usize, words: usize) -> Self {
        let mut machine = Self::new(version, cpus, slots, words);
        machine.write(0, 0, Width::B4, 3);
        for word in 0..=words as u64 {
            for cpu in 0..cpus {
                for bank in [0x80, 0x100] {
                    machine.write_word(cpu, bank, word, u32::MAX);
                }
            }
        }
        for id in 32..32 * (words as u32 + 1) {
            machine.route(id, id % cpus);
        }
        machine
    }

    pub(super) fn read(&mut self, by: u32, offset: u64, width: Width) -> u64 {
        let at = At { offset, width };
        let version = self.version;
        self.settled(by, offset, |gic, by| match version {
            Version::V2 => distributor_v2::read(gic, by, at),
            Version::V3 => distributor_v3::read(gic, by, at),
        })
    }

    /// Reads, as the run loop does: the CPU's hardware is asked where the controller wants that.
    fn settled(&mut self, by: u32, offset: u64, read: impl Fn(&mut Gic, usize) -> u64) -> u64 {
        self.shared.read(by, offset, &read).unwrap_or_else(|why| {
            assert_eq!(why, Refused::Unsettled);
            self.refresh(by as usize);
            self.shared.read(by, offset, &read).unwrap()
        })
    }

    /// The hardware of CPU `cpu` says what became of its interrupts, and the guest does not run.
    pub(super) fn refresh(&mut self, cpu: usize) {
        self.cpus[cpu].exchange();
        self.check();
    }

    pub(super) fn write(&self, by: u32, offset: u64, width: Width, value: u64) {
        let at = At { offset, width };
        self.shared.access(by, |gic, by| match self.version {
            Version::V2 => distributor_v2::write(gic, by, at, value),
            Version::V3 => distributor_v3::write(gic, by, at, value),
        });
    }

    pub(super) fn redistributor(
        &mut self,
        by: u32,
        of: usize,
        offset: u64,
        width: Width,
        write: Option<u64>,
    ) -> u64 {
        let at = At { offset, width };
        let Some(value) = write else {
            let register = offset.saturating_sub(0x1_0000);
            return self.settled(by, register, |gic, _| redistributor::read(gic, of, at));
        };
        self.shared.access(by, |gic, _| redistributor::write(gic, of, at, value));
        0
    }

    /// Writes to the register of block `word` in a bank, wherever this version has it.
    pub(super) fn write_word(&mut self, cpu: u32, bank: u64, word: u64, value: u32) {
        if word == 0 && self.version == Version::V3 {
            self.redistributor(cpu, cpu as usize, 0x1_0000 + bank, Width::B4, Some(value.into()));
        } else {
            self.write(cpu, bank + word * 4, Width::B4, value.into());
        }
    }

    /// Reads it.
    pub(super) fn read_word(&mut self, cpu: u32, bank: u64, word: u64) -> u32 {
        if word == 0 && self.version == Version::V3 {
            self.redistributor(cpu, cpu as usize, 0x1_0000 + bank, Width::B4, None) as u32
        } else {
            self.read(cpu, bank + word * 4, Width::B4) as u32
        }
    }

    /// Writes the bit of an interrupt.
    pub(super) fn write_bit(&mut self, cpu: u32, bank: u64, id: u32) {
        self.write_word(cpu, bank, u64::from(id / 32), 1 << (id % 32));
    }

    /// Reads it.
    pub(super) fn read_bit(&mut self, cpu: u32, bank: u64, id: u32) -> bool {
        self.read_word(cpu, bank, u64::from(id / 32)) >> (id % 32) & 1 != 0
    }

    pub(super) fn set_priority(&mut self, cpu: u32, id: u32, priority: u8) {
        if id < 32 && self.version == Version::V3 {
            let offset = 0x1_0400 + u64::from(id);
            self.redistributor(cpu, cpu as usize, offset, Width::B1, Some(priority.into()));
        } else {
            self.write(cpu, 0x400 + u64::from(id), Width::B1, priority.into());
        }
    }

    pub(super) fn set_edge(&mut self, cpu: u32, id: u32, edge: bool) {
        let (word, shift) = (u64::from(id / 16), id % 16 * 2 + 1);
        let before = self.read(cpu, 0xc00 + word * 4, Width::B4);
        let value = before & !(1 << shift) | u64::from(edge) << shift;
        self.write(cpu, 0xc00 + word * 4, Width::B4, value);
    }

    pub(super) fn route(&self, id: u32, cpu: u32) {
        match self.version {
            Version::V2 => self.write(0, 0x800 + u64::from(id), Width::B1, 1 << cpu),
            Version::V3 => {
                let affinity = affinities(cpu + 1)[cpu as usize].mpidr();
                self.write(0, 0x6000 + u64::from(id) * 8, Width::B8, affinity);
            }
        }
    }

    /// SGI `sgi` from `by` to the CPUs of `mask`.
    pub(super) fn send(&self, by: u32, mask: u32, sgi: u32) {
        match self.version {
            Version::V2 => self.write(by, 0xf00, Width::B4, u64::from(mask << 16 | sgi)),
            Version::V3 => {
                let value = u64::from(mask) | u64::from(sgi) << 24;
                self.shared.access(by, |gic, by| sgi::send_v3(gic, by, sgi::Asked::AnyGroup, value));
            }
        }
    }

    pub(super) fn set_line(&self, id: u32, level: bool) {
        self.shared.inputs.set(id, level);
    }

    pub(super) fn set_own_line(&self, cpu: u32, id: u32, level: bool) {
        self.shared.own_pins(cpu).set(id, level);
    }

    /// CPU `cpu` is powered on again.
    pub(super) fn restart(&mut self, cpu: usize) {
        self.refresh(cpu);
        self.shared.with(|gic| gic.reset_cpu(cpu));
        let own = &mut self.cpus[cpu];
        own.held = Held::new(own.held.count);
        self.check();
    }

    /// CPU `cpu` enters its guest, unless it sleeps; says whether it did.
    pub(super) fn enter(&mut self, cpu: usize) -> bool {
        let own = &mut self.cpus[cpu];
        if own.asleep && !own.waker.0.swap(false, Ordering::SeqCst) {
            return false;
        }
        own.asleep = false;
        if own.rang || own.port.stirred() {
            own.rang = false;
            own.exchanges += 1;
            own.exchange();
            self.check();
        }
        true
    }

    /// The guest waits for an interrupt.
    pub(super) fn wait(&mut self, cpu: usize) {
        let own = &mut self.cpus[cpu];
        let pending = own.held.slots().iter().any(|slot| slot.state == SlotState::Pending);
        if !pending && !own.port.stirred() && !own.rang {
            own.asleep = true;
        }
    }

    /// What the guest on `cpu` would take now.
    pub(super) fn next(&mut self, cpu: usize) -> Option<IrqSlot> {
        let slots = self.cpus[cpu].held.slots();
        let active = |slot: &&mut IrqSlot| matches!(slot.state, SlotState::Active | SlotState::PendingActive);
        let running = slots.iter_mut().filter(active).map(|slot| slot.priority).min();
        let pending = slots.iter().filter(|slot| slot.state == SlotState::Pending);
        let best = pending.min_by_key(|slot| (slot.priority, slot.id)).copied()?;
        running.is_none_or(|running| best.priority < running).then_some(best)
    }

    /// The guest takes its most urgent interrupt.
    pub(super) fn take(&mut self, cpu: usize) -> Option<IrqSlot> {
        let best = self.next(cpu)?;
        let slots = self.cpus[cpu].held.slots();
        let slot = slots.iter_mut().find(|slot| slot.state == SlotState::Pending && slot.id == best.id)?;
        slot.state = SlotState::Active;
        Some(best)
    }

    /// The interrupt that the guest took last.
    pub(super) fn running(&mut self, cpu: usize) -> Option<u32> {
        let active = |slot: &&mut IrqSlot| matches!(slot.state, SlotState::Active | SlotState::PendingActive);
        let slots = self.cpus[cpu].held.slots().iter_mut().filter(active);
        slots.min_by_key(|slot| slot.priority).map(|slot| slot.id)
    }

    /// The guest ends an interrupt.
    pub(super) fn end(&mut self, cpu: usize, id: u32) {
        let own = &mut self.cpus[cpu];
        // The underflow interrupt: as good as nothing is left.
        let left = own.held.slots().iter().filter(|slot| slot.state != SlotState::Empty).count();
        own.rang |= own.held.overflow && left <= 2;
        for slot in own.held.slots() {
            if slot.id != id || !matches!(slot.state, SlotState::Active | SlotState::PendingActive) {
                continue;
            }
            let again = slot.state == SlotState::PendingActive;
            slot.state = if again { SlotState::Pending } else { SlotState::Empty };
            own.rang |= slot.notify;
            if slot.behind.is_some() {
                own.timer_active = false;
            }
        }
    }

    /// What must always be true.
    pub(super) fn check(&self) {
        self.shared.with(check_state);
        for cpu in &self.cpus {
            let used = |slot: &&IrqSlot| slot.state != SlotState::Empty;
            for (n, slot) in cpu.held.slots.iter().enumerate().filter(|(_, slot)| used(slot)) {
                assert!(n < cpu.held.count, "a slot that does not exist is used");
                let twice = cpu.held.slots.iter().filter(used).filter(|other| other.id == slot.id).count();
                assert_eq!(twice, 1, "interrupt {} is in several slots", slot.id);
                assert!(
                    slot.behind.is_none() || slot.state != SlotState::PendingActive && !slot.notify,
                    "a linked slot can't be that"
                );
            }
        }
    }
}

/// An interrupt is held by exactly the slot that its holder names.
fn check_state(gic: &mut Gic) {
    for word in 0..gic.words() {
        let views = if word == 0 { gic.cpus.len() } else { 1 };
        for view in 0..views {
            for bit in 0..32 {
                let block = gic.block(view, word).unwrap();
                let held = block.held >> bit & 1 != 0;
                let holder = *block.holder.at(bit);
                let latched = block.latched >> bit & 1 != 0;
                assert!(held || !latched, "latched without being held");
                let id = Intid::at(word, bit);
                let in_slots: Vec<(usize, usize)> = gic
                    .cpus
                    .iter()
                    .enumerate()
                    .filter(|(cpu, _)| word != 0 || *cpu == view)
                    .flat_map(|(cpu, own)| (0..16).filter(|n| own.given >> n & 1 != 0).map(move |n| (cpu, n)))
                    .filter(|&(cpu, n)| gic.cpus[cpu].slots[n].id == id)
                    .collect();
                let expected =
                    if held { std::vec![(holder.cpu.get(), usize::from(holder.slot))] } else { Vec::new() };
                assert_eq!(in_slots, expected, "interrupt {}", id.get());
            }
        }
    }
}
