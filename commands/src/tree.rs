//! The device tree that runs: the host's own, and below `/guests` the descriptions of guests, as scripts
//! load them and users edit them before a guest is made of one.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use fdt::{Error, NodeId, Tree};
use host_sync::{Once, Spin};

use crate::Failed;

/// Where the descriptions of guests are.
pub const GUESTS: &str = "/guests";

static TREE: Once<Spin<Tree>> = Once::new();

/// Makes the host's tree the one that commands see and edit. Only the first one counts.
pub fn set(tree: Tree) {
    let _ = TREE.set(Spin::new(tree));
}

/// Reads or edits the tree. `act` must not print: nobody else reads the tree meanwhile.
pub fn with<R>(act: impl FnOnce(&mut Tree) -> R) -> R {
    act(&mut TREE.get_or_init(|| Spin::new(Tree::new())).lock())
}

/// A copy of the node at `path` and all below it, with its phandles.
///
/// # Errors
/// There is no such node.
pub fn copy_of(path: &str) -> Result<Tree, Error> {
    with(|tree| {
        let id = tree.require(path)?.id();
        tree.subtree(id)
    })
}

/// The names of the nodes below `path`.
pub fn names_below(path: &str) -> Vec<String> {
    with(|tree| {
        let node = tree.find(path);
        node.into_iter().flat_map(fdt::Node::children).map(|node| node.name().into()).collect()
    })
}

/// Puts `source` in as the node `name` below `parent`, in place of what has that name already.
///
/// # Errors
/// There is no such parent, or `name` cannot be a node's.
pub(crate) fn replace(parent: &str, name: &str, source: &Tree) -> Result<(), Failed> {
    with(|tree| {
        let above = if parent == GUESTS { tree.add_path(GUESTS)? } else { tree.require(parent)?.id() };
        let known = tree.node(above).and_then(|node| node.children().find(|child| child.name() == name));
        if let Some(old) = known.map(fdt::Node::id) {
            tree.remove(old)?;
        }
        let node = tree.add(above, name)?;
        let merged = tree.merge(node, source.root());
        if merged.is_err() {
            tree.remove(node)?;
        }
        Ok(merged?)
    })
}

/// The types of values in words.
pub(crate) const TYPES: &[&str] = &[
    "string", "strings", "bytes", "uint32", "uint64", "physaddr", "physsize", "virtaddr", "virtsize",
    "unknown",
];

/// Sets a property from words: what `devtree attr set` and the overrides of `vfs fdt_load` have in common.
///
/// # Errors
/// The type is unknown, or a word is not of it.
pub(crate) fn set_from_words(
    tree: &mut Tree,
    node: NodeId,
    name: &str,
    kind: &str,
    words: &[&str],
) -> Result<(), Failed> {
    let numbers = || {
        let parse = |word: &&str| crate::arguments::number::<u64>("value", word);
        words.iter().map(parse).collect::<Result<Vec<u64>, _>>()
    };
    let cells = || -> Result<Vec<u8>, Failed> {
        let mut bytes = Vec::new();
        for (number, word) in numbers()?.into_iter().zip(words) {
            let cell = u32::try_from(number)
                .map_err(|_| Failed::Because(format!("<value>: \"{word}\" is more than 32 bits")))?;
            bytes.extend_from_slice(&cell.to_be_bytes());
        }
        Ok(bytes)
    };
    match kind {
        "string" => tree.set(node, name, words.join(" ").as_str())?,
        "strings" => tree.set(node, name, words)?,
        "bytes" | "unknown" => {
            let parse = |word: &&str| crate::arguments::number::<u8>("value", word);
            tree.set(node, name, words.iter().map(parse).collect::<Result<Vec<u8>, _>>()?)?;
        }
        "uint32" => tree.set(node, name, cells()?)?,
        "uint64" => tree.set(node, name, numbers()?.as_slice())?,
        // As many cells as addresses (or sizes) have at this node.
        "physaddr" | "virtaddr" | "physsize" | "virtsize" => {
            let above = tree.node(node).map(|node| node.parent().unwrap_or(node));
            let count = match above {
                Some(above) if kind.ends_with("addr") => above.address_cells()?,
                Some(above) => above.size_cells()?,
                None => 2,
            };
            if count == 1 {
                tree.set(node, name, cells()?)?;
            } else {
                tree.set(node, name, numbers()?.as_slice())?;
            }
        }
        _ => {
            let types = TYPES.join(", ");
            return Err(Failed::Because(format!("<type>: \"{kind}\" is none of {types}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use fdt::Tree;

    use super::set_from_words;

    #[test]
    fn words_become_properties_of_their_type() {
        let mut tree = Tree::new();
        let node = tree.add_path("/a").unwrap();
        let mut set = |kind: &str, words: &[&str]| set_from_words(&mut tree, node, kind, kind, words).is_ok();
        assert!(set("string", &["a", "b"]));
        assert!(set("uint32", &["1", "0x10"]));
        assert!(!set("uint32", &["0x100000000"]));
        assert!(set("uint64", &["0x100000000"]));
        assert!(!set("bytes", &["256"]));
        assert!(set("physsize", &["5"]));
        assert!(!set("float", &["1"]));
        let node = tree.find("/a").unwrap();
        assert_eq!(node.str("string").unwrap(), "a b");
        assert_eq!(node.require("uint32").unwrap().bytes(), [0, 0, 0, 1, 0, 0, 0, 16]);
        assert_eq!(node.u64("uint64").unwrap(), 1 << 32);
        assert_eq!(node.u32("physsize").unwrap(), 5, "one cell is the default for sizes");
    }
}
