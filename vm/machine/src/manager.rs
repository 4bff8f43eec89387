//! All guests there are.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use atomic::Arc;
use fdt::{Error, Node};
use host_sync::{Once, Spin};

use crate::Model;
use crate::errand::Order;
use crate::guest::{Guest, LifeError};

/// Something happened to a guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Happened {
    /// It was built.
    Created,
    /// It was started.
    Kicked,
    /// It is held.
    Paused,
    /// It goes on.
    Resumed,
    /// It was reset.
    Reset,
    /// It was switched off.
    Halted,
    /// It was taken apart.
    Destroyed,
}

/// Why a guest was not created.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CreateError {
    /// There is one of this name.
    Exists(String),
    /// Its tree is wrong: guest, and what.
    Tree(String, Error),
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(name) => write!(f, "there is a guest {name} already"),
            Self::Tree(name, error) => write!(f, "{name}: {error}"),
        }
    }
}

/// Told about what happens to guests; it must not wait for them.
pub type Watcher = fn(&Guest, Happened);

type Catalog = &'static [&'static [&'static Model]];

static CATALOG: Once<Catalog> = Once::new();
static GUESTS: Spin<Vec<Entry>> = Spin::new(Vec::new());
static WATCHERS: Spin<Vec<Watcher>> = Spin::new(Vec::new());

/// A name that is taken, and the guest once it is built.
struct Entry {
    id: u32,
    name: String,
    guest: Option<Arc<Guest>>,
}

/// Names the devices that guests may have. Called once, at start-up.
pub fn use_catalog(catalog: Catalog) {
    // The first one counts.
    let _ = CATALOG.set(catalog);
}

/// Calls `watcher` for all that happens from now on.
pub fn watch(watcher: Watcher) {
    WATCHERS.lock().push(watcher);
}

/// Builds the guest that `node` describes, with all below it. It is named after the node.
///
/// # Errors
/// There is one of this name, or the tree is wrong. Then nothing is left behind.
pub fn create(node: Node<'_>) -> Result<Arc<Guest>, CreateError> {
    let name = node.name();
    let id = reserve(name)?;
    let tree = node.tree().subtree(node.id());
    let catalog = CATALOG.get().copied().unwrap_or_default();
    let built = tree.and_then(|tree| crate::build::build(name, id, tree, catalog));
    let mut guests = GUESTS.lock();
    let index = guests.iter().position(|entry| entry.id == id);
    match built {
        Ok(guest) => {
            if let Some(entry) = index.and_then(|index| guests.get_mut(index)) {
                entry.guest = Some(guest.clone());
            }
            drop(guests);
            announce(&guest, Happened::Created);
            Ok(guest)
        }
        Err(error) => {
            let entry = index.map(|index| guests.remove(index));
            drop(guests);
            drop(entry);
            Err(CreateError::Tree(name.into(), error))
        }
    }
}

/// Takes the lowest free number for a guest of this name.
fn reserve(name: &str) -> Result<u32, CreateError> {
    let mut guests = GUESTS.lock();
    if guests.iter().any(|entry| entry.name == name) {
        return Err(CreateError::Exists(name.into()));
    }
    let id = (0..).find(|id| guests.iter().all(|entry| entry.id != *id)).unwrap_or(u32::MAX);
    let at = guests.partition_point(|entry| entry.id < id);
    guests.insert(at, Entry { id, name: name.into(), guest: None });
    Ok(id)
}

/// Takes a guest apart. When this returns, nothing of it is left but handles.
pub fn destroy(guest: &Arc<Guest>) -> Result<(), LifeError> {
    guest.destroy()?;
    let mut guests = GUESTS.lock();
    let index = guests.iter().position(|entry| entry.id == guest.id());
    let entry = index.map(|index| guests.remove(index));
    drop(guests);
    drop(entry);
    Ok(())
}

/// All guests, by number.
pub fn list() -> Vec<Arc<Guest>> {
    GUESTS.lock().iter().filter_map(|entry| entry.guest.clone()).collect()
}

/// The guest of this name.
pub fn find(name: &str) -> Option<Arc<Guest>> {
    GUESTS.lock().iter().find(|entry| entry.name == name).and_then(|entry| entry.guest.clone())
}

pub(crate) fn tell(guest: &Guest, order: Order) {
    announce(
        guest,
        match order {
            Order::Kick => Happened::Kicked,
            Order::Pause => Happened::Paused,
            Order::Resume => Happened::Resumed,
            Order::Reset => Happened::Reset,
            Order::Halt => Happened::Halted,
            Order::Destroy => Happened::Destroyed,
        },
    );
}

fn announce(guest: &Guest, what: Happened) {
    let watchers = WATCHERS.lock().clone();
    for watcher in watchers {
        watcher(guest, what);
    }
}
