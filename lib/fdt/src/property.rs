//! A property, and what its bytes can mean (2.2.4).

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::tree::Entry;
use crate::{Error, Node, Problem};

/// A property of a node, for reading.
#[derive(Clone, Copy)]
pub struct Property<'t> {
    pub(crate) node: Node<'t>,
    pub(crate) entry: &'t Entry,
}

impl fmt::Debug for Property<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:x?}", self.name(), self.bytes())
    }
}

impl<'t> Property<'t> {
    /// The name.
    pub fn name(self) -> &'t str {
        self.node.tree.string(self.entry)
    }

    /// The node that it belongs to.
    pub fn node(self) -> Node<'t> {
        self.node
    }

    /// The value as it is.
    pub fn bytes(self) -> &'t [u8] {
        &self.entry.value
    }

    /// An error about this property.
    pub fn error(self, text: impl Into<Cow<'static, str>>) -> Error {
        self.problem(Problem::Other(text.into()))
    }

    pub(crate) fn problem(self, problem: Problem) -> Error {
        Error::new(self.node.path(), Some(self.name()), problem)
    }

    fn length_problem(self, unit: usize) -> Error {
        self.problem(Problem::Length { is: self.bytes().len(), unit })
    }

    /// The value as one cell.
    ///
    /// # Errors
    /// It is not four bytes long.
    pub fn u32(self) -> Result<u32, Error> {
        let word = self.bytes().try_into().map_err(|_| self.length_problem(4))?;
        Ok(u32::from_be_bytes(word))
    }

    /// The value as one number of one cell or two.
    ///
    /// # Errors
    /// It is not four or eight bytes long.
    pub fn u64(self) -> Result<u64, Error> {
        match self.bytes().try_into() {
            Ok(word) => Ok(u64::from_be_bytes(word)),
            Err(_) => self.u32().map(u64::from).map_err(|_| self.error("is not one number of 1 or 2 cells")),
        }
    }

    /// The value as one text.
    ///
    /// # Errors
    /// It does not end with a NUL, has another NUL, or is not UTF-8.
    pub fn str(self) -> Result<&'t str, Error> {
        let text = self.bytes().strip_suffix(&[0]).filter(|text| !text.contains(&0));
        text.and_then(|text| core::str::from_utf8(text).ok()).ok_or_else(|| self.problem(Problem::NotText))
    }

    /// The value as a list of texts.
    ///
    /// # Errors
    /// It does not end with a NUL, or is not UTF-8.
    pub fn strings(self) -> Result<impl Iterator<Item = &'t str> + Clone, Error> {
        let text = self.bytes().strip_suffix(&[0]).and_then(|text| core::str::from_utf8(text).ok());
        Ok(text.ok_or_else(|| self.problem(Problem::NotText))?.split('\0'))
    }

    /// The texts of a list; what is no text is left out.
    pub(crate) fn lenient_strings(self) -> impl Iterator<Item = &'t str> + Clone {
        let bytes = self.bytes().strip_suffix(&[0]).unwrap_or(self.bytes());
        bytes.split(|&byte| byte == 0).filter_map(|text| core::str::from_utf8(text).ok())
    }

    /// The index of `name` in a list of texts, as `reg-names` gives names to the elements of `reg`.
    ///
    /// # Errors
    /// It is no list of texts, or does not have this one.
    pub fn position(self, name: &str) -> Result<usize, Error> {
        self.strings()?
            .position(|known| known == name)
            .ok_or_else(|| self.error(alloc::format!("does not list \"{name}\"")))
    }

    /// The value as a list of cells.
    ///
    /// # Errors
    /// It is not made of whole cells.
    pub fn cells(self) -> Result<Cells<'t>, Error> {
        match self.bytes().as_chunks() {
            (cells, []) => Ok(Cells { cells }),
            _ => Err(self.length_problem(4)),
        }
    }

    /// The value as a list of elements of `count` cells each.
    pub(crate) fn elements(self, count: usize) -> Result<impl Iterator<Item = Cells<'t>>, Error> {
        let cells = self.cells()?.cells;
        if count == 0 || !cells.len().is_multiple_of(count) {
            return Err(self.length_problem(count * 4));
        }
        Ok(cells.chunks_exact(count).map(|cells| Cells { cells }))
    }

    /// The node whose phandle is the value.
    ///
    /// # Errors
    /// It is not one cell, or no node has that phandle.
    pub fn phandle(self) -> Result<Node<'t>, Error> {
        self.dereference(self.u32()?)
    }

    pub(crate) fn dereference(self, phandle: u32) -> Result<Node<'t>, Error> {
        self.node.tree.by_phandle(phandle).ok_or_else(|| self.problem(Problem::Dangling(phandle)))
    }
}

/// A list of cells: big-endian 32-bit numbers.
#[derive(Clone, Copy)]
pub struct Cells<'t> {
    pub(crate) cells: &'t [[u8; 4]],
}

impl<'t> Cells<'t> {
    /// How many there are.
    pub fn len(self) -> usize {
        self.cells.len()
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.cells.is_empty()
    }

    /// The cell with this index.
    pub fn get(self, index: usize) -> Option<u32> {
        self.cells.get(index).map(|cell| u32::from_be_bytes(*cell))
    }

    /// The cells from first to last.
    pub fn iter(self) -> impl Iterator<Item = u32> + Clone + 't {
        self.cells.iter().map(|cell| u32::from_be_bytes(*cell))
    }

    /// The first `count` cells, and the rest.
    pub(crate) fn split(self, count: usize) -> Option<(Cells<'t>, Cells<'t>)> {
        let (first, rest) = self.cells.split_at_checked(count)?;
        Some((Cells { cells: first }, Cells { cells: rest }))
    }

    /// All cells as one number; of more than four, the last four.
    pub(crate) fn number(self) -> u128 {
        self.iter().fold(0, |number, cell| number << 32 | u128::from(cell))
    }
}

impl fmt::Debug for Cells<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// What can be made the value of a property.
pub trait Value {
    /// The bytes of the value.
    fn encode(&self) -> Box<[u8]>;
}

/// A flag: the property is there, and empty.
impl Value for () {
    fn encode(&self) -> Box<[u8]> {
        Box::default()
    }
}

/// One cell.
impl Value for u32 {
    fn encode(&self) -> Box<[u8]> {
        self.to_be_bytes().into()
    }
}

/// Two cells.
impl Value for u64 {
    fn encode(&self) -> Box<[u8]> {
        self.to_be_bytes().into()
    }
}

/// A text; gets its NUL.
impl Value for &str {
    fn encode(&self) -> Box<[u8]> {
        [self.as_bytes(), &[0]].concat().into()
    }
}

/// A list of texts; each gets its NUL.
impl Value for &[&str] {
    fn encode(&self) -> Box<[u8]> {
        self.iter().flat_map(|text| text.bytes().chain([0])).collect()
    }
}

/// A list of cells.
impl Value for &[u32] {
    fn encode(&self) -> Box<[u8]> {
        self.iter().flat_map(|cell| cell.to_be_bytes()).collect()
    }
}

/// A list of numbers of two cells each.
impl Value for &[u64] {
    fn encode(&self) -> Box<[u8]> {
        self.iter().flat_map(|number| number.to_be_bytes()).collect()
    }
}

/// The bytes as they are.
impl Value for &[u8] {
    fn encode(&self) -> Box<[u8]> {
        (*self).into()
    }
}

/// The bytes as they are.
impl Value for Vec<u8> {
    fn encode(&self) -> Box<[u8]> {
        self.as_slice().into()
    }
}
