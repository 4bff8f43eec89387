//! What a system is told about its memory and its start (3.4, 3.5, 3.6).

use alloc::vec::Vec;
use core::ops::Range;

use crate::{Error, Node, Region, Tree};

/// The console that `/chosen` names.
#[derive(Clone, Copy, Debug)]
pub struct Stdout<'t> {
    /// The device.
    pub node: Node<'t>,
    /// What follows the colon, such as `115200n8`.
    pub options: Option<&'t str>,
}

impl Tree {
    /// The node `/chosen`.
    pub fn chosen(&self) -> Option<Node<'_>> {
        self.root().child("chosen")
    }

    /// The kernel's command line, `bootargs` of `/chosen`.
    ///
    /// # Errors
    /// It is not text.
    pub fn bootargs(&self) -> Result<Option<&str>, Error> {
        self.chosen().map_or(Ok(None), |chosen| chosen.str_opt("bootargs"))
    }

    /// The initial RAM disk, `linux,initrd-start` and `linux,initrd-end` of `/chosen`, each of 32 or 64 bits.
    ///
    /// # Errors
    /// One of the two is missing or misshapen, or the end lies before the start.
    pub fn initrd(&self) -> Result<Option<Range<u64>>, Error> {
        let Some(chosen) = self.chosen() else { return Ok(None) };
        let Some(start) = chosen.property("linux,initrd-start") else { return Ok(None) };
        let start = start.u64()?;
        let end = chosen.require("linux,initrd-end")?;
        if end.u64()? < start {
            return Err(end.error("lies before linux,initrd-start"));
        }
        Ok(Some(start..end.u64()?))
    }

    /// The console: `stdout-path` of `/chosen`, a path or an alias.
    ///
    /// # Errors
    /// It names no node.
    pub fn stdout(&self) -> Result<Option<Stdout<'_>>, Error> {
        let Some(chosen) = self.chosen() else { return Ok(None) };
        let property = chosen.property("stdout-path").or_else(|| chosen.property("linux,stdout-path"));
        let Some(property) = property else { return Ok(None) };
        let text = property.str()?;
        let (path, options) = text.split_once(':').map_or((text, None), |(path, rest)| (path, Some(rest)));
        let node = self.find(path).ok_or_else(|| property.error(alloc::format!("no node {path}")))?;
        Ok(Some(Stdout { node, options }))
    }

    /// The RAM: `reg` of all enabled memory nodes, in the order of the tree.
    ///
    /// # Errors
    /// A memory node's `reg` is missing or misshapen.
    pub fn memory(&self) -> Result<Vec<Region>, Error> {
        let is_memory =
            |node: &Node<'_>| matches!(node.str("device_type"), Ok("memory")) && node.is_enabled();
        let mut regions = Vec::new();
        for node in self.root().children().filter(is_memory) {
            regions.extend(node.reg()?);
        }
        regions.retain(|region| region.size > 0);
        Ok(regions)
    }

    /// What of the RAM is not to be used: `/memreserve/`, and `reg` of the children of `/reserved-memory`.
    /// (Children without `reg` ask for any place, and so reserve none.)
    ///
    /// # Errors
    /// A child's `reg` is misshapen.
    pub fn reserved(&self) -> Result<Vec<Region>, Error> {
        let mut regions = self.reservations.clone();
        for node in self.root().child("reserved-memory").into_iter().flat_map(Node::children) {
            if node.is_enabled() && node.flag("reg") {
                regions.extend(node.reg()?);
            }
        }
        Ok(regions)
    }
}
