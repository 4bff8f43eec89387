//! Trees as text, in the source form (chapter 6 and appendix A).

use core::fmt::{self, Write};

use crate::{Node, Property, Tree};

impl Tree {
    /// Writes the whole tree as device tree source.
    ///
    /// # Errors
    /// What `out` says.
    pub fn print(&self, out: &mut dyn Write) -> fmt::Result {
        out.write_str("/dts-v1/;\n\n")?;
        for region in self.reservations() {
            writeln!(out, "/memreserve/ {:#x} {:#x};", region.start, region.size)?;
        }
        self.root().print(out)
    }
}

impl Node<'_> {
    /// Writes this node and all below it as device tree source.
    ///
    /// # Errors
    /// What `out` says.
    pub fn print(self, out: &mut dyn Write) -> fmt::Result {
        print_node(self, out, 0)
    }
}

/// Recursion is bounded: no tree is deeper than `MAX_DEPTH`.
fn print_node(node: Node<'_>, out: &mut dyn Write, depth: usize) -> fmt::Result {
    indent(out, depth)?;
    writeln!(out, "{} {{", if node.parent().is_none() { "/" } else { node.name() })?;
    for property in node.properties() {
        indent(out, depth + 1)?;
        property.print(out)?;
        out.write_str(";\n")?;
    }
    for child in node.children() {
        print_node(child, out, depth + 1)?;
    }
    indent(out, depth)?;
    out.write_str("};\n")
}

fn indent(out: &mut dyn Write, depth: usize) -> fmt::Result {
    (0..depth).try_for_each(|_| out.write_char('\t'))
}

impl Property<'_> {
    /// Writes `name = value`, without a semicolon. What a value means is guessed from its bytes.
    ///
    /// # Errors
    /// What `out` says.
    pub fn print(self, out: &mut dyn Write) -> fmt::Result {
        out.write_str(self.name())?;
        if self.bytes().is_empty() {
            return Ok(());
        }
        out.write_str(" = ")?;
        self.print_value(out)
    }

    /// Writes the value as [`Property::print`] does, without the name.
    ///
    /// # Errors
    /// What `out` says.
    pub fn print_value(self, out: &mut dyn Write) -> fmt::Result {
        if is_text(self.bytes()) {
            for (index, text) in self.lenient_strings().enumerate() {
                out.write_str(if index == 0 { "\"" } else { ", \"" })?;
                for character in text.chars() {
                    if matches!(character, '"' | '\\') {
                        out.write_char('\\')?;
                    }
                    out.write_char(character)?;
                }
                out.write_char('"')?;
            }
            return Ok(());
        }
        match self.cells() {
            Ok(cells) => {
                for (index, cell) in cells.iter().enumerate() {
                    write!(out, "{}{cell:#x}", if index == 0 { '<' } else { ' ' })?;
                }
                out.write_char('>')
            }
            Err(_) => {
                for (index, byte) in self.bytes().iter().enumerate() {
                    write!(out, "{}{byte:02x}", if index == 0 { '[' } else { ' ' })?;
                }
                out.write_char(']')
            }
        }
    }
}

/// Whether the bytes are printable texts, none of them empty.
fn is_text(bytes: &[u8]) -> bool {
    let Some(texts) = bytes.strip_suffix(&[0]) else { return false };
    texts.split(|&byte| byte == 0).all(|text| {
        !text.is_empty() && text.iter().all(|&byte| byte == b' ' || byte == b'\t' || byte.is_ascii_graphic())
    })
}
