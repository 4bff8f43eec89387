//! What an APLIC knows, and what follows from it (AIA 1.0, 4.5 to 4.9).

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use isa_aia::aplic::{Mode, Register, SOURCECFG_DELEGATE, domaincfg, target};
use vio::irq::IrqLine;

/// How interrupts get to CPUs.
pub(super) enum Way {
    /// By a wire to each, with a delivery control.
    Direct(Vec<Idc>),
    /// By messages, to so many.
    Messages(u32),
}

impl Way {
    pub(super) fn direct(lines: Vec<IrqLine>) -> Self {
        Self::Direct(lines.into_iter().map(Idc::new).collect())
    }

    fn harts(&self) -> u32 {
        match self {
            Self::Direct(all) => u32::try_from(all.len()).unwrap_or(u32::MAX),
            Self::Messages(count) => *count,
        }
    }
}

/// A message that is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Message {
    /// The CPU's place among those that are reached.
    pub(super) hart: u32,
    pub(super) identity: u32,
}

/// The interrupt delivery control of a CPU (4.8.1).
pub(super) struct Idc {
    // Wires.
    line: IrqLine,
    // What the guest set.
    delivers: bool,
    forced: bool,
    /// Priorities from here on do not interrupt; 0 for all do.
    threshold: u8,
    // What follows.
    /// A source that is ready is within the threshold.
    reached: bool,
    /// What the line is at.
    level: bool,
}

impl Idc {
    fn new(line: IrqLine) -> Self {
        Self { line, delivers: false, forced: false, threshold: 0, reached: false, level: false }
    }

    /// Whether a source of this priority is within the threshold.
    fn lets_in(&self, priority: u32) -> bool {
        self.threshold == 0 || priority < u32::from(self.threshold)
    }
}

/// 32 sources. Bit n of word m is source 32 m + n.
#[derive(Clone, Copy, Default)]
struct Word {
    /// The wire is high.
    input: u32,
    pending: u32,
    enabled: u32,
}

pub(super) struct State {
    way: Way,
    // What the guest set.
    /// `domaincfg.IE`.
    on: bool,
    /// By source; 0 is none.
    modes: Vec<Mode>,
    targets: Vec<u32>,
    // What follows, or was set by the guest.
    words: Vec<Word>,
    /// What `genmsi` was told.
    asked: Option<Message>,
}

/// The word of a source, and its bit.
const fn place(source: u32) -> (usize, u32) {
    ((source / 32) as usize, 1 << (source % 32))
}

impl State {
    pub(super) fn new(sources: u32, way: Way) -> Self {
        let count = sources as usize + 1;
        let words = vec![Word::default(); (sources / 32 + 1) as usize];
        Self {
            way,
            on: false,
            modes: vec![Mode::Inactive; count],
            targets: vec![0; count],
            words,
            asked: None,
        }
    }

    pub(super) fn exists(&self, source: u32) -> bool {
        source != 0 && (source as usize) < self.modes.len()
    }

    fn mode(&self, source: u32) -> Mode {
        self.modes.get(source as usize).copied().unwrap_or_default()
    }

    fn is_direct(&self) -> bool {
        matches!(self.way, Way::Direct(_))
    }

    fn word(&self, source: u32) -> (Word, u32) {
        let (index, bit) = place(source);
        (self.words.get(index).copied().unwrap_or_default(), bit)
    }

    /// What the wire says, as the mode reads it (4.5.2, "rectified input value").
    fn is_high(&self, source: u32, mode: Mode) -> bool {
        let (word, bit) = self.word(source);
        !matches!(mode, Mode::Inactive | Mode::Detached) && (word.input & bit != 0) != mode.is_inverted()
    }

    fn set_pending(&mut self, source: u32, pending: bool) {
        let (index, bit) = place(source);
        if let Some(word) = self.words.get_mut(index) {
            word.pending = if pending { word.pending | bit } else { word.pending & !bit };
        }
    }

    fn set_enabled(&mut self, source: u32, enabled: bool) {
        let (index, bit) = place(source);
        let possible = enabled && self.mode(source) != Mode::Inactive;
        if let Some(word) = self.words.get_mut(index) {
            word.enabled = if possible { word.enabled | bit } else { word.enabled & !bit };
        }
    }

    /// A wire rose or fell.
    pub(super) fn set_input(&mut self, source: u32, level: bool) {
        if !self.exists(source) {
            return;
        }
        let mode = self.mode(source);
        let before = self.is_high(source, mode);
        let (index, bit) = place(source);
        if let Some(word) = self.words.get_mut(index) {
            word.input = if level { word.input | bit } else { word.input & !bit };
        }
        self.look_at(source, mode, before);
    }

    /// Pending bits by wires (4.7): a level is pending as long as it is high, with messages until one was sent; an edge
    /// stays.
    fn look_at(&mut self, source: u32, mode: Mode, before: bool) {
        let now = self.is_high(source, mode);
        if now && !before {
            self.set_pending(source, true);
        } else if !now && mode.is_level() {
            self.set_pending(source, false);
        }
    }

    /// Software makes a source pending, where it can (4.7).
    fn ask(&mut self, source: u32) {
        let can = match self.mode(source) {
            Mode::Inactive => false,
            Mode::Detached | Mode::EdgeRising | Mode::EdgeFalling => true,
            mode => !self.is_direct() && self.is_high(source, mode),
        };
        if can {
            self.set_pending(source, true);
        }
    }

    /// Software takes a request back, where it can (4.7).
    fn revoke(&mut self, source: u32) {
        if !(self.is_direct() && self.mode(source).is_level()) {
            self.set_pending(source, false);
        }
    }

    fn configure(&mut self, source: u32, value: u32) {
        let delegates = value & SOURCECFG_DELEGATE != 0;
        let mode = if delegates { None } else { Mode::decode(value) }.unwrap_or_default();
        let before = self.is_high(source, self.mode(source));
        let Some(place) = self.modes.get_mut(source as usize).filter(|_| source != 0) else { return };
        *place = mode;
        if mode == Mode::Inactive {
            self.set_pending(source, false);
            self.set_enabled(source, false);
            if let Some(target) = self.targets.get_mut(source as usize) {
                *target = 0;
            }
        } else if mode.is_level() {
            // With wires a level is what its pending bit says (4.7), whatever the mode was before.
            let before = before && !self.is_direct();
            self.look_at(source, mode, before);
        }
    }

    fn aim(&mut self, source: u32, value: u32) {
        let hart = value >> target::HART_SHIFT & target::HART;
        // A CPU that is not there becomes the first one.
        let hart = if hart < self.way.harts() { hart } else { 0 };
        let rest = match self.way {
            Way::Direct(_) => (value & target::PRIORITY).max(1),
            Way::Messages(_) => value & target::IDENTITY,
        };
        if self.mode(source) != Mode::Inactive
            && let Some(place) = self.targets.get_mut(source as usize)
        {
            *place = hart << target::HART_SHIFT | rest;
        }
    }

    fn target_of(&self, source: u32) -> u32 {
        self.targets.get(source as usize).copied().unwrap_or(0)
    }

    fn idc(&self, hart: u32) -> Option<&Idc> {
        let Way::Direct(all) = &self.way else { return None };
        all.get(hart as usize)
    }

    fn idc_mut(&mut self, hart: u32) -> Option<&mut Idc> {
        let Way::Direct(all) = &mut self.way else { return None };
        all.get_mut(hart as usize)
    }

    /// topi (4.8.1.4): the most urgent source of a CPU within its threshold, and its priority; 0 for none.
    fn top_of(&self, hart: u32) -> u32 {
        let Some(idc) = self.idc(hart) else { return 0 };
        let own = ready(&self.words).filter_map(|source| {
            let target = self.target_of(source);
            let priority = target & target::PRIORITY;
            (target >> target::HART_SHIFT == hart && idc.lets_in(priority)).then_some((priority, source))
        });
        own.min().map_or(0, |(priority, source)| source << target::SOURCE_SHIFT | priority)
    }

    /// claimi (4.8.1.5): takes what topi says. Where that is nothing, a forced interrupt is over.
    fn claim(&mut self, hart: u32) -> u32 {
        let top = self.top_of(hart);
        if top != 0 {
            self.revoke(top >> target::SOURCE_SHIFT);
        } else if let Some(idc) = self.idc_mut(hart) {
            idc.forced = false;
        }
        top
    }

    /// The one place that derives the lines' levels from the state; or the message that is due.
    pub(super) fn settle(&mut self) -> Option<Message> {
        if let Some(asked) = self.asked.take() {
            return Some(asked);
        }
        if self.is_direct() {
            self.settle_lines();
            return None;
        }
        let source = if self.on { ready(&self.words).next() } else { None }?;
        self.set_pending(source, false);
        let target = self.target_of(source);
        Some(Message { hart: target >> target::HART_SHIFT, identity: target & target::IDENTITY })
    }

    /// In one pass over the sources, however many CPUs there are: each access of the guest comes here.
    fn settle_lines(&mut self) {
        let Way::Direct(all) = &mut self.way else { return };
        for idc in all.iter_mut() {
            idc.reached = false;
        }
        for source in ready(&self.words) {
            let target = self.targets.get(source as usize).copied().unwrap_or(0);
            if let Some(idc) = all.get_mut((target >> target::HART_SHIFT) as usize) {
                idc.reached |= idc.lets_in(target & target::PRIORITY);
            }
        }
        for idc in all {
            let level = self.on && idc.delivers && (idc.forced || idc.reached);
            if idc.level != level {
                idc.level = level;
                idc.line.set(level);
            }
        }
    }

    pub(super) fn read(&mut self, register: Register) -> u32 {
        let word = |index: u32| self.words.get(index as usize).copied().unwrap_or_default();
        match register {
            Register::ClaimI(hart) => self.claim(hart),
            Register::DomainCfg => {
                let on = if self.on { domaincfg::IE } else { 0 };
                domaincfg::READS | on | if self.is_direct() { 0 } else { domaincfg::DM }
            }
            Register::SourceCfg(source) => self.mode(source) as u32,
            Register::Target(source) => self.target_of(source),
            Register::SetIp(index) => word(index).pending,
            Register::SetIe(index) => word(index).enabled,
            Register::InClrIp(index) => {
                let bits = (0..32).filter(|bit| {
                    let source = index * 32 + bit;
                    self.is_high(source, self.mode(source))
                });
                bits.fold(0, |word, bit| word | 1 << bit)
            }
            Register::TopI(hart) => self.top_of(hart),
            Register::IDelivery(hart) => self.idc(hart).map_or(0, |idc| idc.delivers.into()),
            Register::IForce(hart) => self.idc(hart).map_or(0, |idc| idc.forced.into()),
            Register::IThreshold(hart) => self.idc(hart).map_or(0, |idc| idc.threshold.into()),
            // Those that are only written, and where the harts' files are, which a root domain has alone.
            _ => 0,
        }
    }

    pub(super) fn write(&mut self, register: Register, value: u32) {
        match register {
            Register::DomainCfg => self.on = value & domaincfg::IE != 0,
            Register::SourceCfg(source) => self.configure(source, value),
            Register::Target(source) => self.aim(source, value),
            Register::SetIp(index) => each(index, value, |source| self.ask(source)),
            Register::InClrIp(index) => each(index, value, |source| self.revoke(source)),
            Register::SetIe(index) => each(index, value, |source| self.set_enabled(source, true)),
            Register::ClrIe(index) => each(index, value, |source| self.set_enabled(source, false)),
            Register::SetIpNum | Register::SetIpNumLe => self.ask(value),
            Register::SetIpNumBe => self.ask(value.swap_bytes()),
            Register::ClrIpNum => self.revoke(value),
            Register::SetIeNum => self.set_enabled(value, true),
            Register::ClrIeNum => self.set_enabled(value, false),
            Register::GenMsi if !self.is_direct() => {
                let hart = value >> target::HART_SHIFT & target::HART;
                self.asked = Some(Message { hart, identity: value & target::IDENTITY });
            }
            Register::IDelivery(hart) => {
                self.with_idc(hart, |idc| idc.delivers = value & 1 != 0);
            }
            Register::IForce(hart) => self.with_idc(hart, |idc| idc.forced = value & 1 != 0),
            Register::IThreshold(hart) => {
                self.with_idc(hart, |idc| idc.threshold = (value & target::PRIORITY) as u8);
            }
            Register::GenMsi | Register::MsiAddrCfg(_) | Register::TopI(_) | Register::ClaimI(_) => {}
        }
    }

    fn with_idc(&mut self, hart: u32, what: impl FnOnce(&mut Idc)) {
        if let Some(idc) = self.idc_mut(hart) {
            what(idc);
        }
    }

    /// Everything as it was built, but for what the wires say.
    pub(super) fn reset(&mut self) {
        self.on = false;
        self.asked = None;
        self.modes.fill(Mode::Inactive);
        self.targets.fill(0);
        for word in &mut self.words {
            (word.pending, word.enabled) = (0, 0);
        }
        if let Way::Direct(all) = &mut self.way {
            for idc in all {
                (idc.delivers, idc.forced, idc.threshold) = (false, false, 0);
            }
        }
    }

    pub(super) fn inspect(&self, tree: &mut inspect::Tree<'_>) {
        let how = if self.is_direct() { "directly" } else { "by messages" };
        tree.field("delivery", format_args!("{how}, {}", if self.on { "on" } else { "off" }));
        for hart in 0..self.way.harts() {
            let Some(idc) = self.idc(hart) else { break };
            let next = self.top_of(hart) >> target::SOURCE_SHIFT;
            let level = if idc.level { "high" } else { "low" };
            let text = format_args!("threshold {}, next {next}, line {level}", idc.threshold);
            tree.field(&format!("hart {hart}"), text);
        }
        for source in 1..u32::try_from(self.modes.len()).unwrap_or(0) {
            let mode = self.mode(source);
            if mode == Mode::Inactive {
                continue;
            }
            let (word, bit) = self.word(source);
            let is = |bits: u32, text: &'static str| if bits & bit != 0 { text } else { "" };
            let target = self.target_of(source);
            let text = format_args!(
                "{mode:?}, to hart {} as {}{}{}{}",
                target >> target::HART_SHIFT,
                target & target::IDENTITY,
                is(word.enabled, ", enabled"),
                is(word.pending, ", pending"),
                is(word.input, ", high"),
            );
            tree.field(&format!("source {source}"), text);
        }
    }
}

/// Sources that are pending and enabled, those with low numbers first.
fn ready(words: &[Word]) -> impl Iterator<Item = u32> {
    (0..).step_by(32).zip(words).flat_map(|(first, word)| {
        let mut ready = word.pending & word.enabled;
        core::iter::from_fn(move || {
            let bit = (ready != 0).then(|| ready.trailing_zeros())?;
            ready &= ready - 1;
            Some(first + bit)
        })
    })
}

/// The sources whose bits are set in a word.
fn each(index: u32, mut bits: u32, mut with: impl FnMut(u32)) {
    while bits != 0 {
        with(index.saturating_mul(32).saturating_add(bits.trailing_zeros()));
        bits &= bits - 1;
    }
}
