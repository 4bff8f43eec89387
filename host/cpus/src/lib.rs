//! This machine's CPUs: which there are, who brings them up and takes them down, and how they interrupt each
//! other.
//!
//! A driver of a way to start CPUs (`drivers`, class `cpus`) [`add`]s those that the host's tree lists, each with
//! an [`EnableMethod`]. [`online`] brings one up, [`offline`] takes one down while guests run: its threads, timers
//! and interrupts move to others first. The CPU that started the machine is no different once another one runs.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

mod ipi;
mod start;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use arch::{CpuId, CpuStart, IrqsOff, LocalIrqs, Machine};
use atomic::Arc;
use host_sync::Spin;

pub use ipi::{connect, poke, stop_others};
pub use start::{offline, online};

/// A way in which CPUs are started and stopped.
pub trait EnableMethod: Send + Sync {
    /// Its name, as a tree's `enable-method` has it.
    fn name(&self) -> &str;
    /// Has the CPU with this hardware id begin where `start` says.
    ///
    /// # Errors
    /// In words, what refuses it.
    fn start(&self, hardware_id: u64, start: CpuStart) -> Result<(), String>;
    /// Whether a CPU can be stopped so that [`EnableMethod::start`] starts it again.
    fn can_stop(&self) -> bool;
    /// Stops the CPU that calls, with interrupts masked. Returns only if that failed.
    fn stop(&self);
    /// Whether the CPU with this hardware id, which called [`EnableMethod::stop`], is off.
    fn is_off(&self, hardware_id: u64) -> bool;
}

/// What a CPU does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// It runs threads.
    Online,
    /// It was taken down, or never started.
    Offline,
    /// It was to come up, and did not.
    Failed(String),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Online => f.write_str("online"),
            Self::Offline => f.write_str("offline"),
            Self::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

/// A CPU of this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Info {
    /// Its number.
    pub cpu: CpuId,
    /// Its hardware id (MPIDR's affinity fields on Arm).
    pub hardware_id: u64,
    /// The path of its node in the host's tree.
    pub path: String,
    /// The way in which it is started; empty for one that only the boot loader can start.
    pub method: String,
    /// What it does.
    pub state: State,
}

/// What is kept of a CPU.
struct Entry {
    /// Once it was prepared.
    cpu: Option<CpuId>,
    hardware_id: u64,
    path: String,
    method: Option<Arc<dyn EnableMethod>>,
    state: State,
}

static ALL: Spin<Vec<Entry>> = Spin::new(Vec::new());

/// Why a CPU is not brought up or taken down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CpuError {
    /// There is none of this number.
    NoSuchCpu(CpuId),
    /// It is in that state already.
    Already(CpuId, State),
    /// Something is missing or went wrong, in words.
    Failed(CpuId, String),
}

impl fmt::Display for CpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchCpu(cpu) => write!(f, "there is no {cpu}"),
            Self::Already(cpu, state) => write!(f, "{cpu} is {state} already"),
            Self::Failed(cpu, why) => write!(f, "{cpu}: {why}"),
        }
    }
}

/// Notes a CPU that the host's tree lists. The one that calls is known to run; the others are [`online`]'s to bring
/// up.
///
/// # Errors
/// There is one with this hardware id already: its path.
pub fn add(path: &str, hardware_id: u64, method: Option<Arc<dyn EnableMethod>>) -> Result<(), String> {
    let masked = IrqsOff::now();
    let is_own = Machine::hardware_id(&masked) == hardware_id;
    let own = <Machine as arch::Cpu>::id(&masked);
    drop(masked);
    let state = if is_own { State::Online } else { State::Offline };
    let entry = Entry { cpu: is_own.then_some(own), hardware_id, path: path.to_string(), method, state };
    let mut all = ALL.lock();
    if let Some(twin) = all.iter().find(|known| known.hardware_id == hardware_id) {
        return Err(twin.path.clone());
    }
    all.push(entry);
    Ok(())
}

/// Brings all up that were [added](add) and do not run; those that do not come are named in the log. Says how many
/// run now.
pub fn bring_up() -> usize {
    let ids: Vec<u64> = ALL.lock().iter().map(|entry| entry.hardware_id).collect();
    for hardware_id in ids {
        if with(hardware_id, |entry| entry.state == State::Online).unwrap_or(true) {
            continue;
        }
        if let Err((path, why)) = start::bring_up(hardware_id) {
            host_log::warn!("{path}: {why}; going on without it");
        }
    }
    ALL.lock().iter().filter(|entry| entry.state == State::Online).count()
}

/// All CPUs that have a number, in the order of their numbers.
pub fn list() -> Vec<Info> {
    let all = ALL.lock();
    let mut list: Vec<Info> = all
        .iter()
        .filter_map(|entry| {
            Some(Info {
                cpu: entry.cpu?,
                hardware_id: entry.hardware_id,
                path: entry.path.clone(),
                method: entry.method.as_ref().map_or(String::new(), |method| method.name().to_string()),
                state: entry.state.clone(),
            })
        })
        .collect();
    drop(all);
    list.sort_unstable_by_key(|info| info.cpu);
    list
}

/// Does something with the entry of the CPU with this hardware id.
fn with<R>(hardware_id: u64, act: impl FnOnce(&mut Entry) -> R) -> Option<R> {
    ALL.lock().iter_mut().find(|entry| entry.hardware_id == hardware_id).map(act)
}

/// The hardware id of the CPU of this number.
fn find(cpu: CpuId) -> Result<u64, CpuError> {
    let found = ALL.lock().iter().find(|entry| entry.cpu == Some(cpu)).map(|entry| entry.hardware_id);
    found.ok_or(CpuError::NoSuchCpu(cpu))
}
