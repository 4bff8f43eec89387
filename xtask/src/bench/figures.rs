//! The figures: what was measured, what it must be, and how both are shown.

use std::fmt;

use super::peers;
use crate::arch::Arch;

/// One figure.
struct Figure {
    name: String,
    value: u64,
    unit: String,
    /// The same without a hypervisor.
    native: Option<u64>,
}

/// What was measured, in the order of measuring.
pub(super) struct Figures {
    arch: &'static Arch,
    figures: Vec<Figure>,
}

impl Figures {
    /// Nothing yet of this architecture.
    pub(super) fn new(arch: &'static Arch) -> Self {
        Self { arch, figures: Vec::new() }
    }

    fn limit(&self, figure: &Figure) -> Option<u64> {
        self.arch.limits.iter().find(|(name, _)| *name == figure.name).map(|(_, limit)| *limit)
    }

    fn is_missed(&self, figure: &Figure) -> bool {
        self.limit(figure).is_some_and(|limit| figure.value > limit)
    }

    pub(super) fn add(&mut self, name: &str, value: u64, unit: &str, native: Option<u64>) {
        self.figures.push(Figure { name: name.to_owned(), value, unit: unit.to_owned(), native });
    }

    /// A figure's value, and the native one.
    pub(super) fn get(&self, name: &str) -> Option<(u64, Option<u64>)> {
        let figure = self.figures.iter().find(|figure| figure.name == name)?;
        Some((figure.value, figure.native))
    }

    /// Adds what a guest program printed, and beside it what it printed without a hypervisor.
    pub(super) fn add_lines(&mut self, hosted: &str, native: &str) {
        for (name, value, unit) in lines(hosted) {
            let native = lines(native).find(|(other, ..)| *other == name).map(|(_, value, _)| value);
            let known = self
                .arch
                .limits
                .iter()
                .map(|(known, _)| *known)
                .find(|known| known.replace(' ', "-") == name);
            let name = known.map_or_else(|| name.replace('-', " "), str::to_owned);
            self.add(&name, value, unit, native);
        }
    }

    /// The names of the figures that are more than they must be.
    pub(super) fn missed(&self) -> Vec<&str> {
        let missed = self.figures.iter().filter(|figure| self.is_missed(figure));
        missed.map(|figure| figure.name.as_str()).collect()
    }

    /// A list of objects with name, value, unit and native.
    pub(super) fn json(&self) -> String {
        let objects: Vec<String> = self
            .figures
            .iter()
            .map(|Figure { name, value, unit, native }| {
                let native = native.map_or("null".to_owned(), |native| native.to_string());
                // Names and units are our own words, without quotes in them.
                format!("  {{\"name\": \"{name}\", \"value\": {value}, \"unit\": \"{unit}\", \"native\": {native}}}")
            })
            .collect();
        format!("[\n{}\n]\n", objects.join(",\n"))
    }
}

/// The lines `BENCH name-with-dashes value unit` in what a guest program printed.
fn lines(text: &str) -> impl Iterator<Item = (&str, u64, &str)> {
    text.lines().filter_map(|line| {
        let mut words = line.split_once("BENCH ")?.1.split_whitespace();
        Some((words.next()?, words.next()?.parse().ok()?, words.next()?))
    })
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let optional = |number: Option<u64>| number.map_or("-".to_owned(), grouped);
        let [xen, xvisor, kvm] = peers::NAMES;
        writeln!(
            out,
            "{:<36} {:>13} {:>13} {:>13} {xen:>13} {xvisor:>13} {kvm:>13}  unit",
            "figure", "value", "must", "native"
        )?;
        for figure in &self.figures {
            let value = grouped(figure.value);
            let limit = optional(self.limit(figure));
            let native = optional(figure.native);
            let [xen, xvisor, kvm] = peers::of(self.arch, &figure.name).map(optional);
            let remark = if self.is_missed(figure) { "  <-- too much" } else { "" };
            writeln!(
                out,
                "{:<36} {value:>13} {limit:>13} {native:>13} {xen:>13} {xvisor:>13} {kvm:>13}  {}{remark}",
                figure.name, figure.unit
            )?;
        }
        Ok(())
    }
}

/// `1234567` → `1 234 567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_guest_program_become_figures() {
        let mut figures = Figures::new(crate::arch::DEFAULT);
        figures.add_lines(
            "[guest0/uart0] BENCH hypercall-PSCI_VERSION 201 instructions\nnoise\nBENCH x y z\nBENCH own 7 ns\n",
            "BENCH own 5 ns",
        );
        assert_eq!(figures.missed(), ["hypercall PSCI_VERSION"]);
        assert!(figures.json().contains(r#"{"name": "own", "value": 7, "unit": "ns", "native": 5}"#));
        assert!(figures.to_string().contains("too much"));
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([7, 1234, 1_000_000].map(grouped), ["7", "1 234", "1 000 000"]);
    }
}
