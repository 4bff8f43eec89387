//! The platform-level interrupt controller (riscv-plic-spec, version 1.0.0), with level-sensitive sources.
//!
//! A source's *gateway* passes one request on while its line is high, and the next one when the first was completed.
//! A context is interrupted while a source is pending that is enabled for it and more urgent than its threshold.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use atomic::Arc;
use host_sync::{IrqOff, Rank, Spin};
use isa_plic::{MAX_SOURCES, Register, size};
use vio::irq::{IrqLine, Pins};
use vm_bus::{Access, Refused, Target};
use vm_machine::{Controller, Model, NotWired, Wires};

pub(crate) const MODEL: Model =
    Model { name: "plic", compatible: &["sifive,plic-1.0.0", "riscv,plic0"], build };

const SOURCES: &str = "riscv,ndev";

fn build(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    let sources = wires.number(SOURCES)?.ok_or_else(|| wires.error(Some(SOURCES), "is missing"))?;
    let sources = u32::try_from(sources).ok().filter(|count| (1..MAX_SOURCES).contains(count));
    let sources = sources.ok_or_else(|| wires.error(Some(SOURCES), "is not in 1 to 1023"))?;
    let contexts = wires.node().interrupts()?.len();
    let lines = (0..contexts).map(|index| wires.irq(index)).collect::<Result<Vec<_>, _>>()?;
    let needed = size(u32::try_from(contexts).unwrap_or(u32::MAX));
    let span = wires.reg(0)?;
    if span.length() < needed {
        let text = format!("{contexts} contexts take {needed:#x} bytes, and there are {:#x}", span.length());
        return Err(wires.error(Some("reg"), text));
    }
    let plic = Arc::new(Plic(Spin::ranked(State::new(sources, lines), Rank::Controller)));
    wires.map(0, plic.clone())?;
    wires.set_controller(Arc::new(Chip(plic)));
    Ok(())
}

/// Priorities 1 to 7, as QEMU's board has them.
const PRIORITIES: u32 = 7;

/// Locked with interrupts masked: lines are set from anywhere.
struct Plic(Spin<State, IrqOff>);

struct State {
    // What the guest set.
    /// By source; 0 is none.
    priorities: Vec<u8>,
    contexts: Vec<Context>,
    // What follows. Bit n of word m is source 32 m + n.
    words: Vec<Word>,
}

#[derive(Clone, Copy, Default)]
struct Word {
    /// The line is high.
    level: u32,
    /// A request waits to be claimed.
    pending: u32,
    /// One was claimed, and not completed yet.
    claimed: u32,
}

struct Context {
    // Wires.
    line: IrqLine,
    // What the guest set.
    enabled: Vec<u32>,
    threshold: u8,
    // What follows.
    /// What the line is at.
    level: bool,
}

/// The word of a source, and its bit.
const fn place(source: u32) -> (usize, u32) {
    ((source / 32) as usize, 1 << (source % 32))
}

impl State {
    fn new(sources: u32, lines: Vec<IrqLine>) -> Self {
        let words = (sources / 32 + 1) as usize;
        let context = |line| Context { line, enabled: vec![0; words], threshold: 0, level: false };
        Self {
            priorities: vec![0; sources as usize + 1],
            contexts: lines.into_iter().map(context).collect(),
            words: vec![Word::default(); words],
        }
    }

    fn exists(&self, source: u32) -> bool {
        source != 0 && (source as usize) < self.priorities.len()
    }

    /// The bits of a word that stand for sources.
    fn existing(&self, word: usize) -> u32 {
        let first = word.saturating_mul(32);
        let count = self.priorities.len().saturating_sub(first).min(32);
        let all = u32::try_from((1u64 << count) - 1).unwrap_or(u32::MAX);
        if word == 0 { all & !1 } else { all }
    }

    /// The most urgent source that is pending and enabled for a context, and its priority; the one with the lowest
    /// number among equals.
    #[inline]
    fn most_urgent(&self, context: &Context) -> Option<(u32, u8)> {
        let mut best = None::<(u32, u8)>;
        for (first, (word, enabled)) in (0..).step_by(32).zip(self.words.iter().zip(&context.enabled)) {
            let mut ready = word.pending & enabled;
            while ready != 0 {
                let source = first + ready.trailing_zeros();
                ready &= ready - 1;
                let priority = self.priorities.get(source as usize).copied().unwrap_or(0);
                if priority > best.map_or(0, |(_, most)| most) {
                    best = Some((source, priority));
                }
            }
        }
        best
    }

    /// The one place that derives the levels of the contexts' lines from the state.
    fn settle(&mut self) {
        for index in 0..self.contexts.len() {
            let Some(context) = self.contexts.get(index) else { return };
            let level = self.most_urgent(context).is_some_and(|(_, priority)| priority > context.threshold);
            if let Some(context) = self.contexts.get_mut(index)
                && context.level != level
            {
                context.level = level;
                context.line.set(level);
            }
        }
    }

    /// A line rose or fell.
    fn set_line(&mut self, source: u32, level: bool) {
        let (index, bit) = place(source);
        let Some(word) = self.words.get_mut(index) else { return };
        if !level {
            // A request that was passed on stays.
            word.level &= !bit;
            return;
        }
        word.level |= bit;
        if word.claimed & bit == 0 && word.pending & bit == 0 {
            word.pending |= bit;
            self.settle();
        }
    }

    /// A context takes its most urgent request, whatever its threshold is.
    fn claim(&mut self, context: usize) -> u32 {
        let Some((source, _)) = self.contexts.get(context).and_then(|context| self.most_urgent(context))
        else {
            return 0;
        };
        let (index, bit) = place(source);
        if let Some(word) = self.words.get_mut(index) {
            word.pending &= !bit;
            word.claimed |= bit;
        }
        self.settle();
        source
    }

    /// A context completed a request; ignored where the source is not enabled for it.
    fn complete(&mut self, context: usize, source: u32) {
        let (index, bit) = place(source);
        let enabled = self.contexts.get(context).and_then(|context| context.enabled.get(index));
        let enabled = enabled.is_some_and(|enabled| enabled & bit != 0);
        let Some(word) = self.words.get_mut(index).filter(|word| enabled && word.claimed & bit != 0) else {
            return;
        };
        word.claimed &= !bit;
        if word.level & bit != 0 {
            word.pending |= bit;
            self.settle();
        }
    }

    fn read(&mut self, register: Register) -> u32 {
        let at = |index: u32| index as usize;
        match register {
            Register::Claim(context) => self.claim(at(context)),
            Register::Priority(source) => self.priorities.get(at(source)).copied().unwrap_or(0).into(),
            Register::Pending(word) => self.words.get(at(word)).map_or(0, |word| word.pending),
            Register::Enable(context, word) => {
                let context = self.contexts.get(at(context));
                context.and_then(|context| context.enabled.get(at(word))).copied().unwrap_or(0)
            }
            Register::Threshold(context) => {
                self.contexts.get(at(context)).map_or(0, |context| context.threshold.into())
            }
        }
    }

    fn write(&mut self, register: Register, value: u32) {
        let at = |index: u32| index as usize;
        // Values that a field cannot hold become the highest one (WARL).
        let priority = u8::try_from(value.min(PRIORITIES)).unwrap_or(0);
        match register {
            Register::Claim(context) => return self.complete(at(context), value),
            Register::Priority(source) if self.exists(source) => {
                if let Some(place) = self.priorities.get_mut(at(source)) {
                    *place = priority;
                }
            }
            Register::Enable(context, word) => {
                let value = value & self.existing(at(word));
                let context = self.contexts.get_mut(at(context));
                if let Some(place) = context.and_then(|context| context.enabled.get_mut(at(word))) {
                    *place = value;
                }
            }
            Register::Threshold(context) => {
                if let Some(context) = self.contexts.get_mut(at(context)) {
                    context.threshold = priority;
                }
            }
            Register::Priority(_) | Register::Pending(_) => return,
        }
        self.settle();
    }

    /// Everything as it was built, but for what the lines say.
    fn reset(&mut self) {
        self.priorities.fill(0);
        for word in &mut self.words {
            (word.pending, word.claimed) = (word.level, 0);
        }
        for context in &mut self.contexts {
            context.enabled.fill(0);
            context.threshold = 0;
        }
        self.settle();
    }
}

/// Registers are words; there is nothing at the other places of the frame, where reads give zero.
#[inline]
fn register(access: Access) -> Result<Option<Register>, Refused> {
    Ok(Register::decode(access.word()?))
}

impl Target for Plic {
    fn read(&self, access: Access) -> Result<u64, Refused> {
        Ok(register(access)?.map_or(0, |register| self.0.lock().read(register)).into())
    }

    fn write(&self, access: Access, value: u64) -> Result<(), Refused> {
        if let Some(register) = register(access)? {
            self.0.lock().write(register, (value & 0xffff_ffff) as u32);
        }
        Ok(())
    }

    fn inspect(&self, tree: &mut inspect::Tree<'_>) {
        let state = self.0.lock();
        for (index, context) in state.contexts.iter().enumerate() {
            let urgent = state.most_urgent(context).map_or(0, |(source, _)| source);
            let enabled: u32 = context.enabled.iter().map(|word| word.count_ones()).sum();
            tree.field(
                &format!("context {index}"),
                format_args!(
                    "{enabled} enabled, threshold {}, next {urgent}, line {}",
                    context.threshold,
                    if context.level { "high" } else { "low" },
                ),
            );
        }
        for source in (1..).take(state.priorities.len().saturating_sub(1)) {
            let (index, bit) = place(source);
            let Some(word) = state.words.get(index) else { continue };
            let is = |bits: u32, text: &'static str| if bits & bit != 0 { text } else { "" };
            if (word.level | word.pending | word.claimed) & bit != 0 {
                tree.field(
                    &format!("source {source}"),
                    format_args!(
                        "{}{}{}",
                        is(word.level, "high "),
                        is(word.pending, "pending "),
                        is(word.claimed, "claimed")
                    ),
                );
            }
        }
    }
}

impl Pins for Plic {
    fn set(&self, pin: u32, level: bool) {
        let mut state = self.0.lock();
        if state.exists(pin) {
            state.set_line(pin, level);
        }
    }
}

/// The controller as the machine holds it.
struct Chip(Arc<Plic>);

impl Controller for Chip {
    fn translate(&self, cells: &[u32]) -> Result<u32, Cow<'static, str>> {
        match cells {
            [source] if self.0.0.lock().exists(*source) => Ok(*source),
            [source] => Err(format!("there is no source {source}").into()),
            _ => Err("takes one cell".into()),
        }
    }
    fn line(&self, pin: u32) -> IrqLine {
        IrqLine::new(self.0.clone(), pin)
    }
    fn reset(&self) {
        self.0.0.lock().reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arch::Width;
    use vio::irq::fake;

    /// Two contexts, whose lines lead to pins 0 and 1, and 40 sources.
    fn plic() -> (Plic, Arc<fake::Pins>) {
        let pins = fake::Pins::new(2);
        (Plic(Spin::ranked(State::new(40, vec![pins.line(0), pins.line(1)]), Rank::Controller)), pins)
    }
    fn read(plic: &Plic, register: Register) -> u32 {
        plic.read(Access { offset: register.offset(), width: Width::B4, by: 0 }).unwrap() as u32
    }
    fn write(plic: &Plic, register: Register, value: u32) {
        plic.write(Access { offset: register.offset(), width: Width::B4, by: 0 }, value.into()).unwrap();
    }
    /// Sources 3 and 35 with priorities 1 and 2, enabled for context 0.
    fn set_up(plic: &Plic) {
        write(plic, Register::Priority(3), 1);
        write(plic, Register::Priority(35), 2);
        write(plic, Register::Enable(0, 0), 1 << 3);
        write(plic, Register::Enable(0, 1), 1 << 3);
    }

    #[test]
    fn the_most_urgent_is_claimed_first_and_comes_again_while_its_line_is_high() {
        let (plic, pins) = plic();
        set_up(&plic);
        plic.set(3, true);
        plic.set(35, true);
        assert!(pins.level(0) && !pins.level(1));
        assert_eq!(read(&plic, Register::Claim(0)), 35);
        assert_eq!(read(&plic, Register::Claim(0)), 3);
        assert_eq!(read(&plic, Register::Claim(0)), 0);
        assert!(!pins.level(0));
        plic.set(35, false);
        write(&plic, Register::Claim(0), 35);
        assert!(!pins.level(0));
        write(&plic, Register::Claim(0), 3);
        assert!(pins.level(0), "its line is high still");
        assert_eq!(read(&plic, Register::Pending(0)), 1 << 3);
    }

    #[test]
    fn a_request_that_was_passed_on_stays_when_its_line_falls() {
        let (plic, pins) = plic();
        set_up(&plic);
        plic.set(3, true);
        plic.set(3, false);
        assert!(pins.level(0));
        assert_eq!(read(&plic, Register::Claim(0)), 3);
        write(&plic, Register::Claim(0), 3);
        assert!(!pins.level(0));
    }

    #[test]
    fn thresholds_hide_requests_from_the_line_and_not_from_claims() {
        let (plic, pins) = plic();
        set_up(&plic);
        write(&plic, Register::Threshold(0), 1);
        plic.set(3, true);
        assert!(!pins.level(0));
        write(&plic, Register::Threshold(0), 0);
        assert!(pins.level(0));
        write(&plic, Register::Threshold(0), 100);
        assert_eq!(read(&plic, Register::Threshold(0)), PRIORITIES);
        assert_eq!(read(&plic, Register::Claim(0)), 3);
    }

    #[test]
    fn contexts_do_not_complete_what_is_not_enabled_for_them() {
        let (plic, pins) = plic();
        set_up(&plic);
        plic.set(3, true);
        assert_eq!(read(&plic, Register::Claim(1)), 0);
        assert_eq!(read(&plic, Register::Claim(0)), 3);
        write(&plic, Register::Claim(1), 3);
        assert!(!pins.level(0), "it is claimed still");
        write(&plic, Register::Claim(0), 3);
        assert!(pins.level(0));
    }

    #[test]
    fn what_does_not_exist_reads_as_zero_and_keeps_nothing() {
        let (plic, _) = plic();
        for register in [Register::Priority(0), Register::Priority(41), Register::Enable(2, 0)] {
            write(&plic, register, u32::MAX);
            assert_eq!(read(&plic, register), 0, "{register:?}");
        }
        write(&plic, Register::Enable(1, 1), u32::MAX);
        assert_eq!(read(&plic, Register::Enable(1, 1)), 0x1ff);
        write(&plic, Register::Enable(1, 0), u32::MAX);
        assert_eq!(read(&plic, Register::Enable(1, 0)), !1);
        assert_eq!(plic.read(Access { offset: 0, width: Width::B8, by: 0 }), Err(Refused::Width));
        plic.set(100, true);
        assert!(Chip(Arc::new(plic)).translate(&[41]).is_err());
    }

    #[test]
    fn a_reset_forgets_all_but_the_levels() {
        let (plic, pins) = plic();
        set_up(&plic);
        plic.set(3, true);
        assert_eq!(read(&plic, Register::Claim(0)), 3);
        plic.0.lock().reset();
        assert!(!pins.level(0));
        set_up(&plic);
        assert!(pins.level(0));
    }
}
