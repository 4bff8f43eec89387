//! The blob read in place, before there is a heap.

use core::ops::Range;

use crate::blob::{Blob, Token, Tokens, be32};
use crate::{MAX_DEPTH, Malformed, Region};

/// A blob, read where it lies, without allocating. A walk ends at the first thing that is malformed.
#[derive(Clone, Copy)]
pub struct Early<'a> {
    blob: Blob<'a>,
}

/// What `/chosen` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen<'a> {
    /// The command line.
    pub bootargs: Option<&'a str>,
    /// The addresses of the initial RAM disk.
    pub initrd: Option<Range<u64>>,
    /// The console's path or alias, without the options behind a colon.
    pub stdout: Option<&'a str>,
}

/// The console's device.
#[derive(Clone, Copy, Debug)]
pub struct Console<'a> {
    /// The device's node.
    pub node: EarlyNode<'a>,
    /// Its registers, in the CPU's physical address space.
    pub registers: Region,
}

impl<'a> Early<'a> {
    /// Checks the header, and nothing behind it.
    ///
    /// # Errors
    /// The bytes are no blob, or it is truncated.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Blob::new(bytes).map(|blob| Early { blob })
    }

    /// Bytes of the blob, with the room that its maker left in it.
    pub fn total_size(self) -> usize {
        self.blob.total
    }

    /// All nodes, each before its children, the root first.
    pub fn nodes(self) -> impl Iterator<Item = EarlyNode<'a>> {
        Walk { tokens: self.blob.tokens(), depth: 0, cells: [CellCounts::DEFAULT; MAX_DEPTH + 2] }
    }

    /// The RAM: `reg` of all enabled memory nodes below the root.
    pub fn memory(self) -> impl Iterator<Item = Region> {
        let is_memory = |node: &EarlyNode<'a>| {
            node.depth == 1 && node.str("device_type") == Some("memory") && node.is_enabled()
        };
        self.nodes().filter(is_memory).flat_map(EarlyNode::reg).filter(|region| region.size > 0)
    }

    /// What of the RAM is not to be used: `/memreserve/`, and the children of `/reserved-memory` (whose
    /// addresses are the CPU's: 3.5.1 wants empty `ranges`).
    pub fn reserved(self) -> impl Iterator<Item = Region> {
        let mut inside = false;
        let nodes = self.nodes().filter(move |node| {
            if node.depth == 1 {
                inside = node.name == "reserved-memory";
            }
            inside && node.depth == 2 && node.is_enabled()
        });
        self.blob.reservations().chain(nodes.flat_map(EarlyNode::bus_reg))
    }

    /// The node `/chosen`; all empty if there is none.
    pub fn chosen(self) -> Chosen<'a> {
        let Some(node) = self.nodes().find(|node| node.depth == 1 && node.name == "chosen") else {
            return Chosen::default();
        };
        let start = node.property("linux,initrd-start").and_then(number);
        let end = node.property("linux,initrd-end").and_then(number);
        let stdout = node.str("stdout-path").or_else(|| node.str("linux,stdout-path"));
        Chosen {
            bootargs: node.str("bootargs"),
            initrd: start.zip(end).filter(|(start, end)| start < end).map(|(start, end)| start..end),
            stdout: stdout.map(|path| path.split_once(':').map_or(path, |(path, _)| path)),
        }
    }

    /// The device that `/chosen` names as the console, with the address of its registers.
    pub fn console(self) -> Option<Console<'a>> {
        let path = self.chosen().stdout?;
        let node = self.find(path)?;
        Some(Console { node, registers: node.reg().next()? })
    }

    /// The node at `path`, which may begin with an alias instead of `/`.
    pub fn find(self, path: &str) -> Option<EarlyNode<'a>> {
        match path.strip_prefix('/') {
            Some(rest) => self.find_below("", rest),
            None => {
                let (alias, rest) = path.split_once('/').unwrap_or((path, ""));
                let aliases = self.nodes().find(|node| node.depth == 1 && node.name == "aliases")?;
                self.find_below(aliases.str(alias)?.strip_prefix('/')?, rest)
            }
        }
    }

    /// The node at the steps of `first`, then those of `second`. The walk is in the order of the tree, so
    /// it is enough to know how many steps have been taken: who leaves the last one's children has failed.
    fn find_below(self, first: &str, second: &str) -> Option<EarlyNode<'a>> {
        let mut steps = first.split('/').chain(second.split('/')).filter(|step| !step.is_empty());
        let mut wanted = steps.next();
        let mut taken = 0;
        for node in self.nodes() {
            match wanted {
                None if node.depth == taken => return Some(node),
                Some(step) if node.depth == taken + 1 && node.is_named(step) => {
                    taken += 1;
                    wanted = steps.next();
                    if wanted.is_none() {
                        return Some(node);
                    }
                }
                _ if node.depth <= taken && taken > 0 => return None,
                _ => {}
            }
        }
        None
    }
}

/// A node of a blob that is read in place.
#[derive(Clone, Copy)]
pub struct EarlyNode<'a> {
    /// The name, with its unit address.
    pub name: &'a str,
    /// How many nodes lie above; 0 is the root.
    pub depth: usize,
    /// At the first property.
    tokens: Tokens<'a>,
    /// How the bus that it sits on writes addresses.
    cells: CellCounts,
}

impl core::fmt::Debug for EarlyNode<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name)
    }
}

impl<'a> EarlyNode<'a> {
    /// The value of a property.
    pub fn property(self, wanted: &str) -> Option<&'a [u8]> {
        let mut tokens = self.tokens;
        while let Ok(Token::Property { name, value }) = tokens.next() {
            if tokens.blob.is_property_name(name, wanted) {
                return Some(value);
            }
        }
        None
    }

    /// A property of one text.
    pub fn str(self, name: &str) -> Option<&'a str> {
        text(self.property(name)?)
    }

    /// Whether `compatible` lists `model`.
    pub fn is_compatible(self, model: &str) -> bool {
        let list = self.property("compatible").unwrap_or(&[]);
        list.split(|&byte| byte == 0).any(|known| known == model.as_bytes())
    }

    /// Whether `status` says that the device works, or says nothing.
    pub fn is_enabled(self) -> bool {
        self.property("status").is_none_or(|status| matches!(text(status), Some("okay" | "ok")))
    }

    /// The elements of `reg` in the CPU's physical address space; what can't be translated is left out.
    pub fn reg(self) -> impl Iterator<Item = Region> {
        self.bus_reg().filter_map(move |region| {
            Some(Region { start: self.translate(region.start, region.size)?, size: region.size })
        })
    }

    /// The elements of `reg` as they stand.
    fn bus_reg(self) -> impl Iterator<Item = Region> {
        let (address, size) = self.cells.bytes();
        let reg = self.property("reg").unwrap_or(&[]);
        reg.chunks_exact((address + size).max(4)).filter_map(move |element| {
            let (start, size) = element.split_at_checked(address)?;
            Some(Region { start: number(start)?, size: number(size)? })
        })
    }

    /// The address that the CPU uses for an address of this node's bus.
    fn translate(self, mut address: u64, size: u64) -> Option<u64> {
        let mut node = self;
        while node.depth > 1 {
            let bus = node.parent()?;
            let ranges = bus.property("ranges")?;
            if !ranges.is_empty() {
                let (child, length) = node.cells.bytes();
                let (parent, _) = bus.cells.bytes();
                address = ranges.chunks_exact((child + parent + length).max(4)).find_map(|range| {
                    let (child, rest) = range.split_at_checked(child)?;
                    let (parent, length) = rest.split_at_checked(parent)?;
                    let offset = address.checked_sub(number(child)?)?;
                    let room = number(length)?.checked_sub(offset)?;
                    if room == 0 || size > room { None } else { number(parent)?.checked_add(offset) }
                })?;
            }
            node = bus;
        }
        Some(address)
    }

    /// The node above: the last one before this which is less deep by one. (A walk: ask seldom.)
    fn parent(self) -> Option<EarlyNode<'a>> {
        Early { blob: self.tokens.blob }
            .nodes()
            .take_while(|node| node.tokens.offset < self.tokens.offset)
            .filter(|node| node.depth + 1 == self.depth)
            .last()
    }

    fn is_named(self, step: &str) -> bool {
        self.name == step || self.name.split_once('@').is_some_and(|(base, _)| base == step)
    }
}

/// Cells of an address and of a size.
#[derive(Clone, Copy)]
struct CellCounts {
    address: u8,
    size: u8,
}

impl CellCounts {
    const DEFAULT: CellCounts = CellCounts { address: 2, size: 1 };

    fn bytes(self) -> (usize, usize) {
        (usize::from(self.address) * 4, usize::from(self.size) * 4)
    }
}

/// A walk over the nodes.
struct Walk<'a> {
    tokens: Tokens<'a>,
    /// Of the next node.
    depth: usize,
    /// What the node above a depth said, or has left to the default.
    cells: [CellCounts; MAX_DEPTH + 2],
}

impl<'a> Iterator for Walk<'a> {
    type Item = EarlyNode<'a>;

    fn next(&mut self) -> Option<EarlyNode<'a>> {
        loop {
            match self.tokens.next().ok()? {
                Token::Begin { name } => {
                    let depth = self.depth;
                    let cells = *self.cells.get(depth)?;
                    self.depth += 1;
                    *self.cells.get_mut(self.depth)? = CellCounts::DEFAULT;
                    return Some(EarlyNode { name, depth, tokens: self.tokens, cells });
                }
                Token::Property { name, value } => {
                    let blob = self.tokens.blob;
                    let cells = self.cells.get_mut(self.depth)?;
                    if blob.is_property_name(name, "#address-cells") {
                        cells.address = cell_count(value)?;
                    } else if blob.is_property_name(name, "#size-cells") {
                        cells.size = cell_count(value)?;
                    }
                }
                Token::EndNode => self.depth = self.depth.checked_sub(1)?,
                Token::End => return None,
            }
        }
    }
}

fn cell_count(value: &[u8]) -> Option<u8> {
    u8::try_from(be32(value, 0)?).ok().filter(|&count| count <= 4)
}

fn text(value: &[u8]) -> Option<&str> {
    core::str::from_utf8(value.strip_suffix(&[0])?).ok()
}

/// A number of any count of cells, if it fits.
fn number(cells: &[u8]) -> Option<u64> {
    cells.iter().try_fold(0_u64, |number, &byte| Some(number.checked_mul(256)? | u64::from(byte)))
}
