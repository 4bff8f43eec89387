//! The owned tree: nodes in one vector, linked by index.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::blob::MAX_NAME;
use crate::{Error, Node, Problem, Region};

/// Names a node of a [`Tree`] for editing; keeps naming that node, and nothing once it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// A device tree that one can edit.
#[derive(Clone)]
pub struct Tree {
    pub(crate) slots: Vec<Slot>,
    /// The first of the unused slots, linked by `next`.
    pub(crate) unused: u32,
    /// Names of properties, each ended by a NUL: the strings block of a blob.
    pub(crate) strings: String,
    pub(crate) reservations: Vec<Region>,
    pub(crate) boot_cpu: u32,
}

/// No node.
pub(crate) const NONE: u32 = u32::MAX;

#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) generation: u32,
    pub(crate) used: bool,
    pub(crate) parent: u32,
    pub(crate) first_child: u32,
    pub(crate) last_child: u32,
    pub(crate) next: u32,
    /// The node's phandle, kept beside its property since every interrupt is found by it; 0 is none.
    pub(crate) phandle: u32,
    pub(crate) name: Box<str>,
    pub(crate) properties: Vec<Entry>,
}

/// A property: where its name is in `strings`, and its bytes.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: u32,
    pub(crate) length: u8,
    pub(crate) value: Box<[u8]>,
}

// A length is kept in a byte.
const _: () = assert!(MAX_NAME <= u8::MAX as usize);

impl Default for Tree {
    fn default() -> Self {
        Tree::new()
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tree of {} nodes", self.root().descendants().count() + 1)
    }
}

impl Tree {
    /// A tree of an empty root.
    pub fn new() -> Self {
        let mut tree = Tree {
            slots: Vec::new(),
            unused: NONE,
            strings: String::new(),
            reservations: Vec::new(),
            boot_cpu: 0,
        };
        tree.new_slot(NONE, "");
        tree
    }

    /// The root.
    pub fn root(&self) -> Node<'_> {
        Node { tree: self, index: 0 }
    }

    /// The node that `id` names, unless it has been removed.
    pub fn node(&self, id: NodeId) -> Option<Node<'_>> {
        let slot = self.slot(id.index)?;
        (slot.used && slot.generation == id.generation).then_some(Node { tree: self, index: id.index })
    }

    /// The node at `path`.
    ///
    /// A path which does not begin with `/` begins with an alias (3.3). A step without a unit address also
    /// finds the first node which has that name and an address.
    pub fn find(&self, path: &str) -> Option<Node<'_>> {
        let (mut node, rest) = match path.strip_prefix('/') {
            Some(rest) => (self.root(), rest),
            None => {
                let (alias, rest) = path.split_once('/').unwrap_or((path, ""));
                (self.alias(alias)?, rest)
            }
        };
        for step in rest.split('/').filter(|step| !step.is_empty()) {
            node = node.child(step)?;
        }
        Some(node)
    }

    /// As [`Tree::find`], with an error that names the path.
    ///
    /// # Errors
    /// [`Problem::Missing`] if there is no such node.
    pub fn require(&self, path: &str) -> Result<Node<'_>, Error> {
        self.find(path).ok_or_else(|| Error::new(path, None, Problem::Missing))
    }

    /// The node that a property of `/aliases` names. The alias must hold a path, not another alias.
    pub fn alias(&self, name: &str) -> Option<Node<'_>> {
        let path = self.root().child("aliases")?.property(name)?.str().ok()?;
        if path.starts_with('/') { self.find(path) } else { None }
    }

    /// The node which has this phandle.
    pub fn by_phandle(&self, phandle: u32) -> Option<Node<'_>> {
        if phandle == 0 {
            return None;
        }
        let index = self.slots.iter().position(|slot| slot.used && slot.phandle == phandle)?;
        Some(Node { tree: self, index: u32::try_from(index).ok()? })
    }

    /// A phandle that no node has.
    pub fn unused_phandle(&self) -> u32 {
        let highest = self.slots.iter().filter(|slot| slot.used).map(|slot| slot.phandle).max().unwrap_or(0);
        // All ones is not a phandle (2.3.3); then look for a gap.
        if highest < u32::MAX - 1 {
            return highest + 1;
        }
        (1..).find(|&phandle| self.by_phandle(phandle).is_none()).unwrap_or(1)
    }

    /// The first enabled node which is `compatible` with any of `models`, in the order of the tree.
    pub fn compatible<'t>(&'t self, models: &[&str]) -> Option<Node<'t>> {
        self.root()
            .descendants()
            .find(|node| node.is_enabled() && models.iter().any(|model| node.is_compatible(model)))
    }

    /// The table of reserved memory which stands before the tree in its blob (`/memreserve/`).
    pub fn reservations(&self) -> &[Region] {
        &self.reservations
    }

    /// Adds to the table of reserved memory.
    pub fn reserve(&mut self, region: Region) {
        self.reservations.push(region);
    }

    pub(crate) fn slot(&self, index: u32) -> Option<&Slot> {
        self.slots.get(usize::try_from(index).ok()?)
    }

    pub(crate) fn slot_mut(&mut self, index: u32) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(index).ok()?)
    }

    /// Appends a node to the children of `parent`. The caller has looked at `name`.
    pub(crate) fn new_slot(&mut self, parent: u32, name: &str) -> u32 {
        let generation = self.slot(self.unused).map_or(0, |slot| slot.generation.wrapping_add(1));
        let fresh = Slot {
            generation,
            used: true,
            parent,
            first_child: NONE,
            last_child: NONE,
            next: NONE,
            phandle: 0,
            name: name.into(),
            properties: Vec::new(),
        };
        let mut index = self.unused;
        let next_unused = self.slot(index).map_or(NONE, |slot| slot.next);
        match self.slot_mut(index) {
            Some(slot) => {
                *slot = fresh;
                self.unused = next_unused;
            }
            None => {
                index = u32::try_from(self.slots.len()).unwrap_or(NONE);
                self.slots.push(fresh);
            }
        }
        let previous = self.slot(parent).map_or(NONE, |slot| slot.last_child);
        if let Some(slot) = self.slot_mut(previous) {
            slot.next = index;
        }
        if let Some(slot) = self.slot_mut(parent) {
            slot.last_child = index;
            if previous == NONE {
                slot.first_child = index;
            }
        }
        index
    }

    /// The name at an offset of `strings`.
    pub(crate) fn string(&self, entry: &Entry) -> &str {
        let start = usize::try_from(entry.name).unwrap_or(usize::MAX);
        self.strings.get(start..start.saturating_add(usize::from(entry.length))).unwrap_or("")
    }

    /// Where `name` is in `strings`, appending it if it is new there.
    pub(crate) fn intern(&mut self, name: &str) -> u32 {
        let mut offset = 0;
        for known in self.strings.split_terminator('\0') {
            if known == name {
                return u32::try_from(offset).unwrap_or(u32::MAX);
            }
            offset += known.len() + 1;
        }
        self.strings.push_str(name);
        self.strings.push('\0');
        u32::try_from(offset).unwrap_or(u32::MAX)
    }
}
