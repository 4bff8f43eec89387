//! The figures: what was measured, what it must be, and how both are shown.

use std::fmt;

/// What each figure must be at most.
const LIMITS: &[(&str, u64)] = &[
    ("hypercall PSCI_VERSION", 200),
    ("read of an emulated UART register", 300),
    ("read of the distributor", 300),
    ("character on an emulated console", 800),
    ("guest timer interrupt lateness", 500),
    ("wake from WFI", 700),
    ("wake of a vCPU on another CPU", 1200),
    ("IPI between two running vCPUs", 800),
    ("switch between two guests", 1200),
    ("timer lateness with 1000 timers", 500),
    ("EL2 in a Linux boot", 800_000),
    ("EL2 beside two busy Linux guests", 2000),
    ("power-on to first line", 1_000_000),
    ("power-on to prompt", 5_000_000),
    ("image file", 1_000_000),
    ("memory kept before guests", 4 << 20),
    ("memory kept per guest", 256 << 10),
];

/// One figure.
struct Figure {
    name: String,
    value: u64,
    unit: String,
    /// The same without a hypervisor.
    native: Option<u64>,
}

/// What was measured, in the order of measuring.
#[derive(Default)]
pub(super) struct Figures {
    figures: Vec<Figure>,
}

impl Figures {
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
            let known = LIMITS.iter().map(|(known, _)| *known).find(|known| known.replace(' ', "-") == name);
            let name = known.map_or_else(|| name.replace('-', " "), str::to_owned);
            self.add(&name, value, unit, native);
        }
    }

    /// The names of the figures that are more than they must be.
    pub(super) fn missed(&self) -> Vec<&str> {
        let missed =
            self.figures.iter().filter(|figure| figure.limit().is_some_and(|limit| figure.value > limit));
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

impl Figure {
    fn limit(&self) -> Option<u64> {
        LIMITS.iter().find(|(name, _)| *name == self.name).map(|(_, limit)| *limit)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let optional = |number: Option<u64>| number.map_or("-".to_owned(), grouped);
        writeln!(out, "{:<36} {:>15} {:>15} {:>15}  unit", "figure", "value", "must", "native")?;
        for figure in &self.figures {
            let value = grouped(figure.value);
            let limit = optional(figure.limit());
            let native = optional(figure.native);
            let remark =
                if figure.limit().is_some_and(|limit| figure.value > limit) { "  <-- too much" } else { "" };
            writeln!(
                out,
                "{:<36} {value:>15} {limit:>15} {native:>15}  {}{remark}",
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
        let mut figures = Figures::default();
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
