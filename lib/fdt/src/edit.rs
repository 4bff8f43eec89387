//! Editing a tree.

use alloc::vec::Vec;

use crate::blob::{MAX_NAME, be32, is_name_byte};
use crate::tree::{Entry, NONE};
use crate::{Error, MAX_DEPTH, Node, NodeId, Problem, Tree, Value};

impl Tree {
    /// Adds a child to `parent`.
    ///
    /// # Errors
    /// The parent is gone, has a child of this name, or lies too deep; or `name` can't be a node's.
    pub fn add(&mut self, parent: NodeId, name: &str) -> Result<NodeId, Error> {
        let above = self.node(parent).ok_or_else(gone)?;
        if !is_name(name) {
            return Err(above.error(alloc::format!("\"{name}\" can't be the name of a node")));
        }
        if above.children().any(|child| child.name() == name) {
            return Err(above.error(alloc::format!("has a node {name} already")));
        }
        if above.depth() >= MAX_DEPTH {
            return Err(above.error("lies too deep for another node below it"));
        }
        let index = self.new_slot(parent.index, name);
        Ok(Node { tree: self, index }.id())
    }

    /// The node at `path`, which begins with `/`; what is missing on the way is added.
    ///
    /// # Errors
    /// As [`Tree::add`].
    pub fn add_path(&mut self, path: &str) -> Result<NodeId, Error> {
        let mut at = self.root().id();
        for step in path.split('/').filter(|step| !step.is_empty()) {
            let child = self.node(at).and_then(|node| node.child(step)).map(Node::id);
            at = child.map_or_else(|| self.add(at, step), Ok)?;
        }
        Ok(at)
    }

    /// Removes a node and all below it.
    ///
    /// # Errors
    /// It is gone already, or is the root.
    pub fn remove(&mut self, id: NodeId) -> Result<(), Error> {
        let node = self.node(id).ok_or_else(gone)?;
        let Some(parent) = node.parent() else { return Err(node.error("is the root, and stays")) };
        let parent = parent.index;
        let doomed: Vec<u32> =
            core::iter::once(id.index).chain(node.descendants().map(|node| node.index)).collect();
        self.unlink(parent, id.index);
        for index in doomed {
            let unused = self.unused;
            if let Some(slot) = self.slot_mut(index) {
                slot.used = false;
                slot.name = "".into();
                slot.properties = Vec::new();
                slot.next = unused;
                self.unused = index;
            }
        }
        Ok(())
    }

    /// Takes `child` out of the list of the children of `parent`.
    fn unlink(&mut self, parent: u32, child: u32) {
        let after = self.slot(child).map_or(NONE, |slot| slot.next);
        let before = Node { tree: self, index: parent }
            .children()
            .map(|node| node.index)
            .take_while(|&index| index != child)
            .last();
        if let Some(slot) = before.and_then(|index| self.slot_mut(index)) {
            slot.next = after;
        }
        if let Some(slot) = self.slot_mut(parent) {
            if slot.first_child == child {
                slot.first_child = after;
            }
            if slot.last_child == child {
                slot.last_child = before.unwrap_or(NONE);
            }
        }
    }

    /// Sets a property, new or not.
    ///
    /// ```
    /// # fn main() -> Result<(), fdt::Error> {
    /// let mut tree = fdt::Tree::new();
    /// let chosen = tree.add_path("/chosen")?;
    /// tree.set(chosen, "bootargs", "console=ttyAMA0")?;
    /// tree.set(chosen, "linux,initrd-start", 0x4800_0000_u64)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The node is gone, or `name` can't be a property's.
    pub fn set(&mut self, id: NodeId, name: &str, value: impl Value) -> Result<(), Error> {
        let node = self.node(id).ok_or_else(gone)?;
        let (true, Ok(length)) = (is_name(name), u8::try_from(name.len())) else {
            return Err(node.error(alloc::format!("\"{name}\" can't be the name of a property")));
        };
        let position = node.entries().iter().position(|entry| self.string(entry) == name);
        let value = value.encode();
        let is_phandle = name == "phandle" || name == "linux,phandle";
        let phandle = is_phandle.then(|| be32(&value, 0).unwrap_or(0));
        let entry = match position {
            None => Some(self.intern(name)),
            Some(_) => None,
        };
        let Some(slot) = self.slot_mut(id.index) else { return Err(gone()) };
        slot.phandle = phandle.unwrap_or(slot.phandle);
        match (entry, position.and_then(|position| slot.properties.get_mut(position))) {
            (_, Some(entry)) => entry.value = value,
            (Some(name), None) => slot.properties.push(Entry { name, length, value }),
            (None, None) => {}
        }
        Ok(())
    }

    /// Removes a property, and says whether it was there.
    ///
    /// # Errors
    /// The node is gone.
    pub fn remove_property(&mut self, id: NodeId, name: &str) -> Result<bool, Error> {
        let node = self.node(id).ok_or_else(gone)?;
        let position = node.entries().iter().position(|entry| self.string(entry) == name);
        let Some((position, slot)) = position.zip(self.slot_mut(id.index)) else { return Ok(false) };
        slot.properties.remove(position);
        if name == "phandle" || name == "linux,phandle" {
            slot.phandle = 0;
        }
        Ok(true)
    }

    /// The node's phandle; a new one if it has none.
    ///
    /// # Errors
    /// The node is gone.
    pub fn ensure_phandle(&mut self, id: NodeId) -> Result<u32, Error> {
        let node = self.node(id).ok_or_else(gone)?;
        if let Some(phandle) = node.phandle() {
            return Ok(phandle);
        }
        let phandle = self.unused_phandle();
        self.set(id, "phandle", phandle)?;
        Ok(phandle)
    }

    /// Copies a node and all below it to a new child `name` of `parent`. The copies have no phandles,
    /// which must not be given twice.
    ///
    /// # Errors
    /// As [`Tree::add`]; or the source is gone.
    pub fn copy(&mut self, source: NodeId, parent: NodeId, name: &str) -> Result<NodeId, Error> {
        let mut copied = self.subtree(source)?;
        for slot in &mut copied.slots {
            slot.phandle = 0;
        }
        for index in 0..copied.slots.len() {
            let Ok(index) = u32::try_from(index) else { break };
            let id = Node { tree: &copied, index }.id();
            copied.remove_property(id, "phandle")?;
            copied.remove_property(id, "linux,phandle")?;
        }
        let target = self.add(parent, name)?;
        if let Err(error) = self.merge(target, copied.root()) {
            self.remove(target)?;
            return Err(error);
        }
        Ok(target)
    }

    /// A node and all below it as a tree of its own.
    ///
    /// # Errors
    /// The node is gone.
    pub fn subtree(&self, id: NodeId) -> Result<Tree, Error> {
        let node = self.node(id).ok_or_else(gone)?;
        let mut tree = Tree::new();
        let root = tree.root().id();
        tree.merge(root, node)?;
        Ok(tree)
    }

    /// Merges `source`, a node of another tree, into `target`: its properties replace those of the same
    /// name, its children are merged into those of the same name or added.
    ///
    /// # Errors
    /// The target is gone, or nodes would lie too deep. What was merged until then stays.
    pub fn merge(&mut self, target: NodeId, source: Node<'_>) -> Result<(), Error> {
        for property in source.properties() {
            self.set(target, property.name(), property.bytes())?;
        }
        for child in source.children() {
            let node = self.node(target).ok_or_else(gone)?;
            let known = node.children().find(|known| known.name() == child.name()).map(Node::id);
            let id = known.map_or_else(|| self.add(target, child.name()), Ok)?;
            self.merge(id, child)?;
        }
        Ok(())
    }
}

fn gone() -> Error {
    Error::new("", None, Problem::Other("the node has been removed".into()))
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_name_byte)
}
