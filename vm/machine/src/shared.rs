//! Memory that several guests see, by name.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use atomic::{Arc, Weak};
use host_mem::{AddError, Backing};
use host_sync::Spin;

/// Why there is no such memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SharedError {
    /// There is one of this name already.
    Exists,
    /// There is one, of so many bytes, which are not enough.
    Smaller(u64),
    /// There is none of this name.
    NotFound,
    /// The host can't make it.
    Memory(AddError),
}

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("exists already"),
            Self::Smaller(length) => write!(f, "has {length:#x} bytes only"),
            Self::NotFound => f.write_str("does not exist"),
            Self::Memory(why) => why.fmt(f),
        }
    }
}

struct Entry {
    name: String,
    backing: Weak<Backing>,
    /// Keeps it while no guest has it; what a user created.
    kept: Option<Arc<Backing>>,
}

static ALL: Spin<Vec<Entry>> = Spin::new(Vec::new());

/// The memory of this name, of at least `length` bytes; a new one when there is none. It lasts while
/// somebody has it.
pub fn open(name: &str, length: u64) -> Result<Arc<Backing>, SharedError> {
    if let Some(backing) = find(name) {
        let has = backing.length();
        return if has < length { Err(SharedError::Smaller(has)) } else { Ok(backing) };
    }
    let backing = Backing::new(length).map_err(SharedError::Memory)?;
    add(name, &backing, None)?;
    Ok(backing)
}

/// Makes memory of this name, which lasts until [`destroy`] and while a guest has it.
pub fn create(name: &str, length: u64) -> Result<(), SharedError> {
    if find(name).is_some() {
        return Err(SharedError::Exists);
    }
    let backing = Backing::new(length).map_err(SharedError::Memory)?;
    add(name, &backing, Some(backing.clone()))
}

/// Ends a name. Guests that have the memory keep it.
pub fn destroy(name: &str) -> Result<(), SharedError> {
    let mut all = ALL.lock();
    let index = all.iter().position(|entry| entry.name == name && entry.backing.strong_count() > 0);
    let gone = index.map(|index| all.swap_remove(index));
    drop(all);
    gone.map(drop).ok_or(SharedError::NotFound)
}

/// The memory of this name.
pub fn find(name: &str) -> Option<Arc<Backing>> {
    ALL.lock().iter().filter(|entry| entry.name == name).find_map(|entry| entry.backing.upgrade())
}

/// All names, bytes, and how many regions of guests show them.
pub fn list() -> Vec<(String, u64, usize)> {
    let all = ALL.lock();
    let living = all.iter().filter_map(|entry| {
        let backing = entry.backing.upgrade()?;
        let users = Arc::strong_count(&backing) - 1 - usize::from(entry.kept.is_some());
        Some((entry.name.clone(), backing.length(), users))
    });
    living.collect()
}

fn add(name: &str, backing: &Arc<Backing>, kept: Option<Arc<Backing>>) -> Result<(), SharedError> {
    let mut all = ALL.lock();
    all.retain(|entry| entry.backing.strong_count() > 0);
    if all.iter().any(|entry| entry.name == name) {
        return Err(SharedError::Exists);
    }
    all.push(Entry { name: name.into(), backing: Arc::downgrade(backing), kept });
    Ok(())
}
