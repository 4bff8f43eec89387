//! Tables as Xvisor prints them: framed by lines of dashes, columns aligned to the left.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Characters of a frame: 80 columns, without the last one, in which terminals wrap.
const FRAME: usize = 79;

/// A table that grows row by row, and whose columns grow with what is in them.
pub(crate) struct Table<const N: usize> {
    columns: [(&'static str, usize); N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// Columns with their headers and least widths.
    pub(crate) fn new(columns: [(&'static str, usize); N]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: [String; N]) {
        for ((_, width), cell) in self.columns.iter_mut().zip(&cells) {
            *width = (*width).max(cell.chars().count() + 1);
        }
        self.rows.push(cells);
    }

    pub(crate) fn print(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let width = self.columns.iter().map(|(_, width)| width).sum::<usize>().max(FRAME);
        rule(out, width)?;
        line(out, self.columns.iter().map(|(header, width)| (*header, *width)))?;
        rule(out, width)?;
        for row in &self.rows {
            line(out, row.iter().zip(&self.columns).map(|(cell, (_, width))| (cell.as_str(), *width)))?;
        }
        rule(out, width)
    }
}

fn line<'a>(out: &mut dyn fmt::Write, cells: impl Iterator<Item = (&'a str, usize)>) -> fmt::Result {
    let mut text = String::new();
    for (cell, width) in cells {
        text.push(' ');
        text.push_str(cell);
        text.extend(core::iter::repeat_n(' ', width.saturating_sub(cell.chars().count() + 1)));
    }
    writeln!(out, "{}", text.trim_end())
}

fn rule(out: &mut dyn fmt::Write, width: usize) -> fmt::Result {
    writeln!(out, "{:-<width$}", "")
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use super::Table;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let mut table = Table::new([("ID", 4), ("Name", 6)]);
        table.row(["1".to_string(), "guest-with-a-name".to_string()]);
        let mut text = String::new();
        table.print(&mut text).unwrap();
        let lines: std::vec::Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[0], "-".repeat(79));
        assert_eq!(lines[1], " ID  Name");
        assert_eq!(lines[3], " 1   guest-with-a-name");
    }
}
