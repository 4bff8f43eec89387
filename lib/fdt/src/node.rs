//! A node as its reader sees it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::tree::{Entry, NONE, NodeId, Slot};
use crate::{Error, Problem, Property, Tree};

/// A node of a tree, for reading.
#[derive(Clone, Copy)]
pub struct Node<'t> {
    pub(crate) tree: &'t Tree,
    pub(crate) index: u32,
}

impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self.tree, other.tree) && self.index == other.index
    }
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

impl<'t> Node<'t> {
    fn slot(self) -> Option<&'t Slot> {
        self.tree.slot(self.index)
    }

    pub(crate) fn entries(self) -> &'t [Entry] {
        self.slot().map_or(&[], |slot| &slot.properties)
    }

    fn at(self, index: u32) -> Option<Node<'t>> {
        (index != NONE).then_some(Node { tree: self.tree, index })
    }

    /// The tree that this is a node of.
    pub fn tree(self) -> &'t Tree {
        self.tree
    }

    /// What names this node in edits.
    pub fn id(self) -> NodeId {
        NodeId { index: self.index, generation: self.slot().map_or(0, |slot| slot.generation) }
    }

    /// The name, with its unit address: `uart@9000000`. Empty for the root.
    pub fn name(self) -> &'t str {
        self.slot().map_or("", |slot| &slot.name)
    }

    /// The name without the unit address: `uart`.
    pub fn base_name(self) -> &'t str {
        self.name().split_once('@').map_or(self.name(), |(base, _)| base)
    }

    /// The unit address, as it is written: `9000000`.
    pub fn unit_address(self) -> Option<&'t str> {
        self.name().split_once('@').map(|(_, address)| address)
    }

    /// The path from the root: `/soc/uart@9000000`.
    pub fn path(self) -> String {
        let mut steps = Vec::new();
        let mut node = self;
        while let Some(parent) = node.parent() {
            steps.push(node.name());
            node = parent;
        }
        let mut path = String::new();
        for step in steps.iter().rev() {
            path.push('/');
            path.push_str(step);
        }
        if path.is_empty() {
            path.push('/');
        }
        path
    }

    /// The parent; the root has none.
    pub fn parent(self) -> Option<Node<'t>> {
        self.at(self.slot()?.parent)
    }

    /// The children, in order.
    pub fn children(self) -> Children<'t> {
        Children { next: self.slot().and_then(|slot| self.at(slot.first_child)) }
    }

    /// The child with this name, or, if `name` has no unit address, the first that has it without its own.
    pub fn child(self, name: &str) -> Option<Node<'t>> {
        let exact = self.children().find(|child| child.name() == name);
        exact.or_else(|| self.children().find(|child| child.base_name() == name))
    }

    /// All nodes below this one; each before its children.
    pub fn descendants(self) -> Descendants<'t> {
        Descendants { top: self, at: self }
    }

    /// The properties, in order.
    pub fn properties(self) -> Properties<'t> {
        Properties { node: self, entries: self.entries().iter() }
    }

    /// The property with this name.
    pub fn property(self, name: &str) -> Option<Property<'t>> {
        let entry = self.entries().iter().find(|entry| self.tree.string(entry) == name)?;
        Some(Property { node: self, entry })
    }

    /// The property with this name, which has to be there.
    ///
    /// # Errors
    /// [`Problem::Missing`].
    pub fn require(self, name: &str) -> Result<Property<'t>, Error> {
        self.property(name).ok_or_else(|| Error::new(self.path(), Some(name), Problem::Missing))
    }

    /// An error about this node.
    pub fn error(self, text: impl Into<alloc::borrow::Cow<'static, str>>) -> Error {
        Error::new(self.path(), None, Problem::Other(text.into()))
    }

    /// A property that has to be one cell.
    ///
    /// # Errors
    /// It is missing, or has another length.
    pub fn u32(self, name: &str) -> Result<u32, Error> {
        self.require(name)?.u32()
    }

    /// A property of one cell, or `default` if it is not there.
    ///
    /// # Errors
    /// It has another length.
    pub fn u32_or(self, name: &str, default: u32) -> Result<u32, Error> {
        self.property(name).map_or(Ok(default), Property::u32)
    }

    /// A property that has to be one number of one or two cells.
    ///
    /// # Errors
    /// It is missing, or has another length.
    pub fn u64(self, name: &str) -> Result<u64, Error> {
        self.require(name)?.u64()
    }

    /// A property of one or two cells, or `default` if it is not there.
    ///
    /// # Errors
    /// It has another length.
    pub fn u64_or(self, name: &str, default: u64) -> Result<u64, Error> {
        self.property(name).map_or(Ok(default), Property::u64)
    }

    /// A property that has to be one text.
    ///
    /// # Errors
    /// It is missing, or is not text.
    pub fn str(self, name: &str) -> Result<&'t str, Error> {
        self.require(name)?.str()
    }

    /// A property of one text, if it is there.
    ///
    /// # Errors
    /// It is not text.
    pub fn str_opt(self, name: &str) -> Result<Option<&'t str>, Error> {
        self.property(name).map(Property::str).transpose()
    }

    /// Whether the property is there, whatever its value.
    pub fn flag(self, name: &str) -> bool {
        self.property(name).is_some()
    }

    /// The values of `compatible`, the most particular first (2.3.1).
    pub fn compatibles(self) -> impl Iterator<Item = &'t str> {
        self.property("compatible").into_iter().flat_map(Property::lenient_strings)
    }

    /// Whether `compatible` lists `model`.
    pub fn is_compatible(self, model: &str) -> bool {
        self.compatibles().any(|known| known == model)
    }

    /// Whether `status` says that the device works, or says nothing (2.3.4).
    pub fn is_enabled(self) -> bool {
        self.property("status").is_none_or(|status| matches!(status.str(), Ok("okay" | "ok")))
    }

    /// The phandle, if the node has one.
    pub fn phandle(self) -> Option<u32> {
        self.slot().map(|slot| slot.phandle).filter(|&phandle| phandle != 0)
    }

    /// How many nodes lie above this one.
    pub fn depth(self) -> usize {
        core::iter::successors(self.parent(), |node| node.parent()).count()
    }
}

/// The children of a node.
#[derive(Clone)]
pub struct Children<'t> {
    next: Option<Node<'t>>,
}

impl<'t> Iterator for Children<'t> {
    type Item = Node<'t>;

    fn next(&mut self) -> Option<Node<'t>> {
        let node = self.next?;
        self.next = node.slot().and_then(|slot| node.at(slot.next));
        Some(node)
    }
}

/// The nodes below a node.
#[derive(Clone)]
pub struct Descendants<'t> {
    top: Node<'t>,
    at: Node<'t>,
}

impl<'t> Iterator for Descendants<'t> {
    type Item = Node<'t>;

    fn next(&mut self) -> Option<Node<'t>> {
        let mut next = self.at.children().next();
        let mut above = self.at;
        while next.is_none() && above.index != self.top.index {
            next = above.slot().and_then(|slot| above.at(slot.next));
            above = above.parent()?;
        }
        // Past the last, `at` stays where it is, and the same climb finds the end again.
        self.at = next?;
        next
    }
}

/// The properties of a node.
#[derive(Clone)]
pub struct Properties<'t> {
    node: Node<'t>,
    entries: core::slice::Iter<'t, Entry>,
}

impl<'t> Iterator for Properties<'t> {
    type Item = Property<'t>;

    fn next(&mut self) -> Option<Property<'t>> {
        let entry = self.entries.next()?;
        Some(Property { node: self.node, entry })
    }
}
