//! The advanced platform-level interrupt controller (AIA 1.0, chapter 4): one domain, that of supervisors. It interrupts
//! its guest's CPUs directly, or where they have interrupt files (`msi-parent`) by messages. Which of the two, the node
//! says; `domaincfg.DM` reads so.
//!
//! The devices' lines are high where they have something to say.

mod state;
#[cfg(test)]
mod tests;

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use arch::Width;
use atomic::Arc;
use host_sync::{IrqOff, Rank, Spin};
use isa_aia::aplic::{MAX_SOURCES, Register, SIZE_MSI, size_direct};
use vio::irq::{IrqLine, Messages, Pins};
use vm_bus::{Access, Refused, Target};
use vm_machine::{Controller, Model, NotWired, Wires};

use state::{State, Way};

pub(crate) const MODEL: Model = Model { name: "aplic", compatible: &["riscv,aplic"], build };

const SOURCES: &str = "riscv,num-sources";
const WIRES: &str = "interrupts-extended";
const MESSAGES: &str = "msi-parent";

fn build(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    let sources = wires.number(SOURCES)?.ok_or_else(|| wires.error(Some(SOURCES), "is missing"))?;
    let sources = u32::try_from(sources).ok().filter(|count| (1..MAX_SOURCES).contains(count));
    let sources = sources.ok_or_else(|| wires.error(Some(SOURCES), "is not in 1 to 1023"))?;
    for other in ["riscv,children", "riscv,delegation", "riscv,delegate"] {
        if wires.flag(other) {
            return Err(wires.error(Some(other), "a guest has one domain of interrupts, that of supervisors"));
        }
    }
    let (way, messages, needed) = match (wires.flag(WIRES), wires.flag(MESSAGES)) {
        (true, false) => {
            let harts = wires.node().interrupts()?.len();
            let lines = (0..harts).map(|index| wires.irq(index)).collect::<Result<Vec<_>, _>>()?;
            (Way::direct(lines), None, size_direct(u32::try_from(harts).unwrap_or(u32::MAX)))
        }
        (false, true) => {
            let messages = wires.messages()?;
            let harts = (0..).take_while(|hart| messages.address(*hart).is_some()).count();
            (Way::Messages(u32::try_from(harts).unwrap_or(0)), Some(messages), SIZE_MSI)
        }
        (true, true) => {
            let text = "CPUs are interrupted by messages (msi-parent) or by wires, not by both";
            return Err(wires.error(Some(WIRES), text));
        }
        (false, false) => {
            let text = "is missing, and msi-parent as well: nobody is interrupted";
            return Err(wires.error(Some(WIRES), text));
        }
    };
    let span = wires.reg(0)?;
    if span.length() < needed {
        let text = format!("the registers take {needed:#x} bytes, and there are {:#x}", span.length());
        return Err(wires.error(Some("reg"), text));
    }
    let aplic = Arc::new(Aplic { state: Spin::ranked(State::new(sources, way), Rank::Controller), messages });
    wires.map(0, aplic.clone())?;
    wires.set_controller(Arc::new(Chip(aplic)));
    Ok(())
}

struct Aplic {
    /// Locked with interrupts masked: lines are set from anywhere.
    state: Spin<State, IrqOff>,
    messages: Option<Arc<dyn Messages>>,
}

impl Aplic {
    /// Does something to the state; what follows from it goes to the CPUs.
    #[inline]
    fn change<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        let (result, mut next) = {
            let mut state = self.state.lock();
            let result = what(&mut state);
            (result, state.settle())
        };
        // Nobody's lock is held while a message is taken in.
        while let Some(message) = next {
            if let Some(messages) = &self.messages
                && let Some(address) = messages.address(message.hart)
            {
                messages.send(address, message.identity);
            }
            next = self.state.lock().settle();
        }
        result
    }
}

/// Registers are words; there is nothing at the other places of the frame, where reads give zero.
#[inline]
fn register(access: Access) -> Result<Option<Register>, Refused> {
    if access.width != Width::B4 {
        return Err(Refused::Width);
    }
    if !access.offset.is_multiple_of(4) {
        return Err(Refused::Alignment);
    }
    Ok(Register::decode(access.offset))
}

impl Target for Aplic {
    fn read(&self, access: Access) -> Result<u64, Refused> {
        let Some(register) = register(access)? else { return Ok(0) };
        // One register does something when it is read.
        let value = if matches!(register, Register::ClaimI(_)) {
            self.change(|state| state.read(register))
        } else {
            self.state.lock().read(register)
        };
        Ok(value.into())
    }

    fn write(&self, access: Access, value: u64) -> Result<(), Refused> {
        if let Some(register) = register(access)? {
            self.change(|state| state.write(register, (value & 0xffff_ffff) as u32));
        }
        Ok(())
    }

    fn inspect(&self, tree: &mut inspect::Tree<'_>) {
        self.state.lock().inspect(tree);
    }
}

impl Pins for Aplic {
    fn set(&self, pin: u32, level: bool) {
        self.change(|state| state.set_input(pin, level));
    }
}

/// The controller as the machine holds it.
struct Chip(Arc<Aplic>);

impl Controller for Chip {
    fn translate(&self, cells: &[u32]) -> Result<u32, Cow<'static, str>> {
        match cells {
            [source, 1 | 4] if self.0.state.lock().exists(*source) => Ok(*source),
            [source, 1 | 4] => Err(format!("there is no source {source}").into()),
            [_, trigger] => {
                Err(format!("lines are rising edges (1) or high levels (4), not {trigger}").into())
            }
            _ => Err("takes two cells".into()),
        }
    }
    fn line(&self, pin: u32) -> IrqLine {
        IrqLine::new(self.0.clone(), pin)
    }
    fn reset(&self) {
        self.0.change(State::reset);
    }
}
