//! What memory the hypervisor keeps, as its own terminal tells.

use anyhow::{Context as _, Result};

use crate::test::console::Console;

/// Seconds from power-on to the prompt.
const BOOT: u64 = 60;
/// Bytes of a frame.
const FRAME: u64 = 4096;

/// What was not free before there was a guest, of `installed` bytes, without the `archive` that the boot loader put
/// there; and what each of `guests` guests takes beside its memory, its page tables included.
pub(super) fn kept(
    console: &mut Console,
    installed: u64,
    archive: u64,
    guests: u32,
) -> Result<(u64, Vec<u64>)> {
    console.prompt(BOOT)?;
    let before = free(console)?;
    let mut last = before;
    let mut each = Vec::new();
    for number in 0..guests {
        let name = format!("guest{number}");
        let tree = console.arch.guest;
        console.command(&format!("vfs guest_fdt_load {name} /guests/{tree}.dtb 1"))?;
        console.command(&format!("guest create {name}"))?;
        let memory = 1024 * number_after(&console.command(&format!("guest info {name}"))?, "Memory")?;
        let now = free(console)?;
        each.push(last.saturating_sub(now).saturating_sub(memory));
        last = now;
    }
    Ok((installed - before - archive.next_multiple_of(FRAME), each))
}

/// Free memory, in bytes.
fn free(console: &mut Console) -> Result<u64> {
    Ok(FRAME * number_after(&console.command("host ram info")?, "Total Free Frames")?)
}

/// The number in the line `LABEL : NUMBER …`.
fn number_after(text: &str, label: &str) -> Result<u64> {
    let values = text.lines().filter_map(|line| line.split_once(':'));
    let value = values.filter(|(found, _)| found.trim() == label).map(|(_, value)| value).next();
    let number = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("there is no number behind \"{label}\" in:\n{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_label() {
        let text = "Frame Size               : 4096 (0x00001000)\nMemory                   : 262144 KB\n";
        assert_eq!(number_after(text, "Memory").unwrap(), 262_144);
        assert_eq!(number_after(text, "Frame Size").unwrap(), 4096);
        assert!(number_after(text, "Frame").is_err());
    }
}
