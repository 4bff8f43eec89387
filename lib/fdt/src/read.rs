//! From a blob to a tree.

use alloc::string::String;
use alloc::vec::Vec;

use crate::blob::{Blob, Token, be32};
use crate::tree::{Entry, NONE};
use crate::{Error, MAX_DEPTH, Malformed, Tree};

impl Tree {
    /// Reads a blob. What lies behind its end is not looked at.
    ///
    /// # Errors
    /// [`Problem::Blob`](crate::Problem::Blob) says what is wrong with the bytes. Whatever they are, the
    /// work and the memory are bounded by their number.
    pub fn from_blob(bytes: &[u8]) -> Result<Tree, Error> {
        let blob = Blob::new(bytes)?;
        let strings = core::str::from_utf8(blob.strings).map_err(|bad| Malformed::Name(bad.valid_up_to()))?;
        let mut tree = Tree {
            slots: Vec::new(),
            unused: NONE,
            strings: String::from(strings),
            reservations: blob.reservations().collect(),
            boot_cpu: blob.boot_cpu,
        };
        // A last name without its end could not be appended to.
        if !strings.is_empty() && !strings.ends_with('\0') {
            tree.strings.push('\0');
        }
        tree.read_structure(blob)?;
        Ok(tree)
    }

    fn read_structure(&mut self, blob: Blob<'_>) -> Result<(), Malformed> {
        let mut tokens = blob.tokens();
        match tokens.next()? {
            Token::Begin { name: "" } => {}
            _ => return Err(Malformed::Token(0)),
        }
        let mut at = self.new_slot(NONE, "");
        let mut depth = 0;
        loop {
            match tokens.next()? {
                Token::Begin { name } => {
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return Err(Malformed::TooBig);
                    }
                    if name.is_empty() {
                        return Err(Malformed::Name(0));
                    }
                    at = self.new_slot(at, name);
                }
                Token::Property { name: offset, value } => {
                    let name = blob.property_name(offset)?;
                    let entry = Entry {
                        name: u32::try_from(offset).map_err(|_| Malformed::TooBig)?,
                        length: u8::try_from(name.len()).map_err(|_| Malformed::TooBig)?,
                        value: value.into(),
                    };
                    let slot = self.slot_mut(at).ok_or(Malformed::TooBig)?;
                    if name == "phandle" || name == "linux,phandle" {
                        slot.phandle = be32(value, 0).unwrap_or(0);
                    }
                    slot.properties.push(entry);
                }
                Token::EndNode if depth == 0 => break,
                Token::EndNode => {
                    depth -= 1;
                    at = self.slot(at).map_or(NONE, |slot| slot.parent);
                }
                Token::End => return Err(Malformed::Token(blob.structure.len())),
            }
        }
        match tokens.next()? {
            Token::End => Ok(()),
            _ => Err(Malformed::Token(blob.structure.len())),
        }
    }
}
