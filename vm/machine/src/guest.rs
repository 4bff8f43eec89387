//! A guest, as everybody but its own threads sees it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use addr::{Gpa, Span};
use arch::{Nanos, PowerOn, Width};
use atomic::{Arc, AtomicU8, AtomicU64, Ordering};
use fdt::Error;
use host_mem::GuestRam;
use host_sync::Spin;
use isa_firmware::pv_time::stolen_time;
use vm_bus::Target;
use vm_vcpu::{CpuState, PowerError, Siblings};

use crate::errand::{Errands, Order};
use crate::{Controller, Vcpu};

/// Where a guest is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum State {
    /// Built, or reset; not started.
    Reset,
    /// Started.
    Running,
    /// Held where it is.
    Paused,
    /// Switched off, by itself or by a user; or it could not be started again.
    Halted,
    /// Taken apart.
    Destroyed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Reset => "Reset",
            Self::Running => "Running",
            Self::Paused => "Paused",
            Self::Halted => "Halted",
            Self::Destroyed => "Destroyed",
        })
    }
}

/// Why an order to a guest was not carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LifeError {
    /// It is in a state in which that can't be done.
    State(State),
    /// What it should start from could not be loaded.
    Start(Error),
    /// It is being taken apart.
    Gone,
}

impl fmt::Display for LifeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(state) => write!(f, "not possible while it is {state}"),
            Self::Start(error) => write!(f, "can't be started: {error}"),
            Self::Gone => f.write_str("is gone"),
        }
    }
}

/// A guest. A handle may outlive it; then its memory is gone and orders are refused.
pub struct Guest {
    id: u32,
    name: String,
    state: AtomicU8,
    vcpus: Vec<Arc<Vcpu>>,
    ram: Arc<GuestRam>,
    regions: Vec<(Span<Gpa>, String)>,
    /// Emptied when the guest is taken apart.
    devices: Spin<Vec<(String, Arc<dyn Target>)>>,
    pub(crate) errands: Arc<Errands>,
    resets: AtomicU64,
    reset_at: AtomicU64,
}

impl Guest {
    pub(crate) fn new(
        id: u32,
        name: &str,
        vcpus: Vec<Arc<Vcpu>>,
        ram: Arc<GuestRam>,
        regions: Vec<(Span<Gpa>, String)>,
        devices: Vec<(String, Arc<dyn Target>)>,
        errands: Arc<Errands>,
    ) -> Self {
        Self {
            id,
            name: name.into(),
            state: AtomicU8::new(State::Reset as u8),
            vcpus,
            ram,
            regions,
            devices: Spin::new(devices),
            errands,
            resets: AtomicU64::new(0),
            reset_at: AtomicU64::new(host_thread::time::now().0),
        }
    }

    /// The number; no two living guests have the same.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is in its life.
    pub fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            0 => State::Reset,
            1 => State::Running,
            2 => State::Paused,
            3 => State::Halted,
            _ => State::Destroyed,
        }
    }

    /// Its CPUs.
    pub fn vcpus(&self) -> &[Arc<Vcpu>] {
        &self.vcpus
    }

    /// Its memory.
    pub fn memory(&self) -> &Arc<GuestRam> {
        &self.ram
    }

    /// What is at which of its addresses, by the path of the node; in no order.
    pub fn regions(&self) -> &[(Span<Gpa>, String)] {
        &self.regions
    }

    /// How often it was reset, and when the last time.
    pub fn resets(&self) -> (u64, Nanos) {
        (self.resets.load(Ordering::Relaxed), Nanos(self.reset_at.load(Ordering::Relaxed)))
    }

    /// The paths of its devices' nodes, each once.
    pub fn devices(&self) -> Vec<String> {
        let mut paths = Vec::<String>::new();
        for (path, _) in self.devices.lock().iter() {
            if !paths.contains(path) {
                paths.push(path.clone());
            }
        }
        paths
    }

    /// Shows the state of a device: where it has several frames, the first one shows it all. `false` when there
    /// is none of this path.
    pub fn inspect_device(&self, path: &str, tree: &mut inspect::Tree<'_>) -> bool {
        let found =
            self.devices.lock().iter().find(|(known, _)| known == path).map(|(_, target)| target.clone());
        let Some(target) = found else { return false };
        target.inspect(tree);
        true
    }

    /// Starts it: loads its images and powers its first CPU on.
    pub fn kick(&self) -> Result<(), LifeError> {
        self.errands.order(Order::Kick)
    }

    /// Holds it where it is.
    pub fn pause(&self) -> Result<(), LifeError> {
        self.errands.order(Order::Pause)
    }

    /// Lets it go on.
    pub fn resume(&self) -> Result<(), LifeError> {
        self.errands.order(Order::Resume)
    }

    /// Switches it off where it is, until it is reset.
    pub fn halt(&self) -> Result<(), LifeError> {
        self.errands.order(Order::Halt)
    }

    /// Resets CPUs and devices; memory keeps what it holds. It is started again by [`Guest::kick`].
    pub fn reset(&self) -> Result<(), LifeError> {
        self.errands.order(Order::Reset)
    }

    /// Takes it apart. When this returns its threads have ended and its memory is given back.
    pub(crate) fn destroy(&self) -> Result<(), LifeError> {
        self.errands.order(Order::Destroy)?;
        if let Some(thread) = self.errands.thread() {
            thread.join();
        }
        Ok(())
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
    }

    pub(crate) fn was_reset(&self) {
        self.resets.fetch_add(1, Ordering::Relaxed);
        self.reset_at.store(host_thread::time::now().0, Ordering::Relaxed);
    }

    pub(crate) fn reset_devices(&self) {
        let devices = self.devices.lock().clone();
        for (_, device) in devices {
            device.reset();
        }
    }

    /// A CPU begins anew.
    pub(crate) fn reset_cpu(&self, cpu: u32) {
        let devices = self.devices.lock().clone();
        for (_, device) in devices {
            device.reset_cpu(cpu);
        }
    }

    /// Gives devices and memory up.
    pub(crate) fn strip(&self) {
        let devices = core::mem::take(&mut *self.devices.lock());
        drop(devices);
        self.ram.revoke();
    }
}

/// What the CPUs of a guest can do to each other.
pub(crate) struct Peers {
    pub(crate) vcpus: Vec<Arc<Vcpu>>,
    pub(crate) ram: Arc<GuestRam>,
    /// Where each CPU finds how much time was taken from it.
    pub(crate) stolen_time: Option<Gpa>,
    /// What each is joined to.
    pub(crate) controllers: Vec<Arc<dyn Controller>>,
}

impl Peers {
    fn find(&self, hardware_id: u64) -> Option<&Arc<Vcpu>> {
        self.vcpus.iter().find(|vcpu| vcpu.hardware_id() == hardware_id)
    }
}

impl Siblings for Peers {
    fn power_on(&self, hardware_id: u64, from: PowerOn) -> Result<(), PowerError> {
        let vcpu = self.find(hardware_id).ok_or(PowerError::NoSuchCpu)?;
        if !self.can_start(from) {
            return Err(PowerError::BadEntry);
        }
        vcpu.power_on(from)
    }

    fn state(&self, hardware_id: u64) -> Option<CpuState> {
        self.find(hardware_id).map(|vcpu| vcpu.power())
    }

    fn stolen_time(&self, index: u32) -> Option<Gpa> {
        self.stolen_time?.checked_add(u64::from(index) * stolen_time::SIZE)
    }

    fn steal(&self, index: u32, stolen: Nanos) {
        if let Some(at) = self.stolen_time(index).and_then(|at| at.checked_add(stolen_time::STOLEN)) {
            // A guest that is being taken apart has no memory any more.
            let _ = self.ram.store(at, Width::B8, stolen.0);
        }
    }
    fn hardware_id(&self, index: u32) -> Option<u64> {
        self.vcpus.get(index as usize).map(|vcpu| vcpu.hardware_id())
    }

    fn set_software(&self, index: u32, raised: bool) {
        if let Some(controller) = self.controllers.get(index as usize) {
            controller.set_software(index, raised);
        }
    }

    fn set_suspended(&self, index: u32, suspended: bool) {
        if let Some(vcpu) = self.vcpus.get(index as usize) {
            vcpu.set_suspended(suspended);
        }
    }

    fn can_start(&self, from: PowerOn) -> bool {
        self.ram.contains(from.entry, 4)
    }
}
