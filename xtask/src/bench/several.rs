//! What is between several CPUs, several guests and many timers.

use anyhow::{Context as _, Result, ensure};

use super::counter::Counts;
use super::figures::Figures;
use super::{Bench, PROGRAM, PROGRAM_ENDS, QUIET, SILENT};

/// What the hypervisor says at three points of time.
const MARKS: [&str; 3] = ["BENCH first", "BENCH second", "BENCH third"];

/// Commands that print the marks, with `short` milliseconds between the first two and `long` between the last two.
fn marked(short: u64, long: u64) -> String {
    let [first, second, third] = MARKS;
    format!("echo {first};sleep msecs {short};echo {second};sleep msecs {long};echo {third}")
}

/// What was counted in the longer time less what was counted in the shorter: the terminal does the same in both,
/// so what is left is only what happens while nobody types. Instructions of the hypervisor, all, and entries.
fn between(counts: &[Counts]) -> Result<[u64; 3]> {
    let [first, second, third] = counts else { anyhow::bail!("{} of 3 marks were counted", counts.len()) };
    let less = |what: fn(&Counts) -> u64| {
        let (short, long) = (what(second) - what(first), what(third) - what(second));
        long.checked_sub(short).context("the longer time had less in it")
    };
    Ok([less(Counts::hypervisor)?, less(Counts::all)?, less(|counts| counts.entries)?])
}

impl Bench<'_> {
    /// A guest with two vCPUs, each on a CPU of its own. The program can only measure what both CPUs execute in all;
    /// the sender's way back into its guest, which the receiver does not wait for, is what the plugin saw.
    pub(super) fn between_cpus(&self, figures: &mut Figures) -> Result<()> {
        let mut machine = self.program_machine(PROGRAM);
        machine.cpus = Some(2);
        machine.guests.count = 0;
        let guest = format!(
            "vfs guest_fdt_load guest0 /guests/{}.dtb 2 chosen,bootargs,string,{PROGRAM}",
            machine.guests.tree
        );
        machine.boot_command = Some(format!(
            "vfs mount initrd /;{guest};guest create guest0;vcpu set_affinity guest0/vcpu0 0;\
             vcpu set_affinity guest0/vcpu1 1;guest kick guest0;vserial bind guest0/uart0"
        ));
        let (counts, hosted) = self.measure("between-cpus", &mut machine, &[PROGRAM_ENDS])?;
        let words = ["-kernel".into(), self.test_guest.clone().into(), "-append".into(), PROGRAM.into()];
        let (_, native) = self.native("native-between-cpus", 2, &words, PROGRAM_ENDS)?;
        figures.add_lines(&hosted, &native);
        let way_back = counts.last().map_or(0, |counts| counts.way_back);
        for name in ["wake of a vCPU on another CPU", "IPI between two running vCPUs"] {
            let in_all = figures.get(&format!("{name} in all"));
            let (value, native) = in_all.with_context(|| format!("the program did not measure: {name}"))?;
            figures.add(name, value.saturating_sub(way_back), "instructions", native);
        }
        Ok(())
    }

    /// Two guests that never trap: the hypervisor is only entered at the end of a time slice, and leaves into the
    /// other guest. All that it executes then is what a switch costs: interrupt, policy, state, timer and way back.
    pub(super) fn switch(&self, figures: &mut Figures) -> Result<()> {
        const SLICE: &str = "1ms";
        let mut machine = self.program_machine("mischief=spin");
        machine.guests.count = 2;
        machine.boot_command = Some(format!(
            "vfs mount initrd /;vfs run /boot.xscript;vcpu set_time_slice guest0/vcpu0 {SLICE};\
             vcpu set_time_slice guest1/vcpu0 {SLICE};sleep msecs 50;{}",
            marked(20, 220)
        ));
        let (counts, _) = self.measure("switch", &mut machine, &MARKS)?;
        let [hypervisor, _, entries] = between(&counts)?;
        ensure!(entries >= 150, "only {entries} switches in 200 ms with slices of 1 ms");
        figures.add("switch between two guests", hypervisor / entries, "instructions", None);
        Ok(())
    }

    /// The average of the thousand timers of the hypervisor's own test, each of which notes how late it was.
    pub(super) fn timers(&self, figures: &mut Figures) -> Result<()> {
        const END: &str = " ns late on average";
        let mut machine = self.machine();
        machine.append = SILENT.to_owned();
        machine.guests.count = 0;
        machine.boot_command = Some("selftest run timers".to_owned());
        let (_, text) = self.measure("timers", &mut machine, &[END])?;
        let number = text.split(END).next().and_then(|before| before.rsplit(' ').next()?.parse().ok());
        let late = number.with_context(|| format!("no number stands before \"{END}\""))?;
        figures.add("timer lateness with 1000 timers", late, "instructions", None);
        Ok(())
    }

    /// Two Linux guests on one CPU whose only process never waits: which part of all that is executed is the
    /// hypervisor's.
    pub(super) fn linux_share(&self, figures: &mut Figures) -> Result<()> {
        // After this time both have long been busy: a boot alone takes a third of it.
        const BOOTED: u64 = 3000;
        let mut machine = self.machine();
        machine.append = SILENT.to_owned();
        machine.guests.count = 2;
        machine.guests.append = Some(format!(
            "console={} {QUIET} rdinit=/bin/awk -- BEGIN{{while(1)x++}}",
            self.board.arch.console
        ));
        machine.boot_command = Some(format!(
            "vfs mount initrd /;vfs run /boot.xscript;sleep msecs {BOOTED};{}",
            marked(100, 600)
        ));
        let (counts, _) = self.measure("linux-share", &mut machine, &MARKS)?;
        let [hypervisor, all, entries] = between(&counts)?;
        // Guests that wait, or that have ended, would leave the CPU to the hypervisor's idle loop: asleep.
        ensure!(all >= 490_000_000, "the guests were busy only for {all} ns of 500 ms");
        figures.add("EL2 beside two busy Linux guests", hypervisor * 1_000_000 / all, "ppm", Some(0));
        figures.add("EL2 per entry beside them", hypervisor / entries.max(1), "instructions", None);
        Ok(())
    }
}
