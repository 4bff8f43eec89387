//! Interrupts (2.4), and other lists of phandles with arguments.

use alloc::vec::Vec;

use crate::{Cells, Error, Node, Problem, Property};

/// An element of a list of phandles with arguments: a node, and cells whose meaning that node's binding tells.
#[derive(Clone, Copy, Debug)]
pub struct Reference<'t> {
    /// The node referred to, such as an interrupt controller.
    pub node: Node<'t>,
    /// The arguments, such as an interrupt specifier.
    pub cells: Cells<'t>,
}

impl<'t> Node<'t> {
    /// The interrupts that this device raises, in order: of `interrupts-extended` if it is there, else of
    /// `interrupts`. None of both is no error.
    ///
    /// # Errors
    /// A property is misshapen, a controller does not exist, or does not say how many cells it takes.
    pub fn interrupts(self) -> Result<Vec<Reference<'t>>, Error> {
        if self.flag("interrupts-extended") {
            return self.references("interrupts-extended", "#interrupt-cells");
        }
        let Some(property) = self.property("interrupts") else { return Ok(Vec::new()) };
        let node = self.interrupt_parent()?;
        let count = argument_count(property, node, "#interrupt-cells")?;
        Ok(property.elements(count)?.map(|cells| Reference { node, cells }).collect())
    }

    /// The interrupt with this index, as [`Node::interrupts`] gives it.
    ///
    /// # Errors
    /// As [`Node::interrupts`]; or there is no such interrupt.
    pub fn interrupt(self, index: usize) -> Result<Reference<'t>, Error> {
        let interrupts = self.interrupts()?;
        let name = if self.flag("interrupts-extended") { "interrupts-extended" } else { "interrupts" };
        interrupts.get(index).copied().ok_or_else(|| {
            let problem = if self.flag(name) { Problem::NoElement(index) } else { Problem::Missing };
            Error::new(self.path(), Some(name), problem)
        })
    }

    /// The interrupt which `interrupt-names` gives this name.
    ///
    /// # Errors
    /// As [`Node::interrupts`]; or `interrupt-names` does not have the name.
    pub fn interrupt_named(self, name: &str) -> Result<Reference<'t>, Error> {
        self.interrupt(self.require("interrupt-names")?.position(name)?)
    }

    /// The controller that this device's interrupts go to: of `interrupt-parent` here or at the nearest
    /// node above that has it, else the nearest node above which is a controller.
    ///
    /// # Errors
    /// There is none, or a phandle is dangling.
    pub fn interrupt_parent(self) -> Result<Node<'t>, Error> {
        let mut at = Some(self);
        while let Some(node) = at {
            if let Some(property) = node.property("interrupt-parent") {
                return property.phandle();
            }
            at = node.parent();
            if let Some(above) = at.filter(|above| above.flag("interrupt-controller")) {
                return Ok(above);
            }
        }
        Err(Error::new(self.path(), Some("interrupt-parent"), Problem::Missing))
    }

    /// A list of phandles, each followed by as many cells as the node it refers to says in `count_name`:
    /// `node.references("clocks", "#clock-cells")`. Empty if the property is not there.
    ///
    /// # Errors
    /// The list ends within an element, a phandle is dangling, or a node does not have `count_name`.
    pub fn references(self, name: &str, count_name: &str) -> Result<Vec<Reference<'t>>, Error> {
        let Some(property) = self.property(name) else { return Ok(Vec::new()) };
        let mut rest = property.cells()?;
        let mut references = Vec::new();
        while let Some(phandle) = rest.get(0) {
            let node = property.dereference(phandle)?;
            let count = argument_count(property, node, count_name)?;
            let (element, behind) =
                rest.split(count + 1).ok_or_else(|| property.error("ends within an element"))?;
            let (_, cells) = element.split(1).unwrap_or((element, element));
            references.push(Reference { node, cells });
            rest = behind;
        }
        Ok(references)
    }
}

/// How many argument cells `node` asks for. More than 8 is no binding that exists.
fn argument_count(property: Property<'_>, node: Node<'_>, name: &str) -> Result<usize, Error> {
    let count = node.u32(name)?;
    match usize::try_from(count) {
        Ok(small) if small <= 8 => Ok(small),
        _ => Err(property.problem(Problem::CellCount(count))),
    }
}
