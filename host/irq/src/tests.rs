//! A scripted controller against the dispatcher.

use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::vec::Vec;

use arch::IrqsOff;
use atomic::{Arc, Ordering};

use alloc::boxed::Box;

use super::*;

#[derive(Default)]
struct Script {
    pending: Mutex<Vec<u32>>,
    said: Mutex<Vec<(&'static str, u32)>>,
}

impl Script {
    fn say(&self, word: &'static str, irq: u32) {
        self.said.lock().unwrap().push((word, irq));
    }
    fn take(&self) -> Vec<(&'static str, u32)> {
        std::mem::take(&mut self.said.lock().unwrap())
    }
}

impl Chip for Script {
    fn name(&self) -> &str {
        "script"
    }
    fn lines(&self) -> u32 {
        8
    }
    fn translate(&self, cells: &[u32]) -> Result<(u32, Trigger), BadSpecifier> {
        match cells {
            [irq, 4] => Ok((*irq, Trigger::LevelHigh)),
            _ => Err(BadSpecifier),
        }
    }
    fn claim(&self, _masked: &IrqsOff) -> Option<u32> {
        self.pending.lock().unwrap().pop()
    }
    fn drop_priority(&self, _masked: &IrqsOff, irq: u32) {
        self.say("drop", irq);
    }
    fn deactivate(&self, _masked: &IrqsOff, irq: u32) {
        self.say("deactivate", irq);
    }
    fn enable(&self, irq: u32) {
        self.say("enable", irq);
    }
    fn disable(&self, irq: u32) {
        self.say("disable", irq);
    }
    fn set_trigger(&self, irq: u32, _trigger: Trigger) {
        self.say("trigger", irq);
    }
}

static TAILS: AtomicU32 = AtomicU32::new(0);

// One test: the tables are the machine's, and there is one machine.
#[test]
fn an_interrupt_finds_its_handler_and_is_ended_as_the_handler_says() {
    let chip = Arc::new(Script::default());
    let ring = |irq: u32| {
        chip.pending.lock().unwrap().push(irq);
        entry(&IrqsOff::now());
    };
    assert_eq!(translate(1, &[3, 4]), Err(LineError::Later));
    publish(chip.clone(), 1).unwrap();
    assert_eq!(publish(chip.clone(), 1).err(), Some(LineError::PublishedTwice(1)));
    set_tail(|_| {
        TAILS.fetch_add(1, Ordering::Relaxed);
    });

    assert_eq!(translate(1, &[3]), Err(LineError::BadSpecifier));
    assert_eq!(translate(1, &[8, 4]), Err(LineError::NoSuchLine(8)));
    let (irq, trigger) = translate(1, &[3, 4]).unwrap();
    assert_eq!((irq, trigger), (3, Trigger::LevelHigh));

    let heard = Arc::new(AtomicU32::new(0));
    let handler = |outcome: Outcome| {
        let heard = heard.clone();
        Box::new(move |_: &IrqsOff, irq| {
            heard.fetch_add(irq, Ordering::Relaxed);
            outcome
        }) as Handler
    };
    let line = Line::on(irq, trigger, "uart0", handler(Outcome::Done)).unwrap();
    assert_eq!(
        Line::on(irq, trigger, "uart1", handler(Outcome::Done)).err(),
        Some(LineError::Taken("uart0".into()))
    );
    assert_eq!(Line::on(99, trigger, "uart1", handler(Outcome::Done)).err(), Some(LineError::NoSuchLine(99)));
    assert_eq!(chip.take(), [("trigger", 3), ("enable", 3)]);
    ring(3);
    assert_eq!(heard.load(Ordering::Relaxed), 3);
    assert_eq!(TAILS.load(Ordering::Relaxed), 1);
    assert_eq!(chip.take(), [("drop", 3), ("deactivate", 3)]);

    let kept = Line::on(5, trigger, "guest", handler(Outcome::Keep)).unwrap();
    ring(5);
    assert_eq!(chip.take(), [("trigger", 5), ("enable", 5), ("drop", 5)]);
    drop(kept);
    assert_eq!(chip.take(), [("disable", 5), ("deactivate", 5)]);

    let waits = Line::on(7, trigger, "script", handler(Outcome::Done)).unwrap();
    assert_eq!(stats().len(), 2, "what another controller waits for in vain is not listed");
    drop(waits);
    chip.take();
    let known = stats();
    assert_eq!(known.len(), 2);
    assert_eq!((known[0].name.as_str(), known[0].count, known[0].enabled), ("uart0", 1, true));
    assert_eq!((known[1].name.as_str(), known[1].count, known[1].enabled), ("", 1, false));

    drop(line);
    assert_eq!(Arc::strong_count(&heard), 1, "the handlers are freed with their lines");
    assert_eq!(chip.take(), [("disable", 3)]);
    ring(3);
    ring(700);
    assert_eq!(heard.load(Ordering::Relaxed), 3 + 5);
    assert_eq!(
        chip.take(),
        [
            ("disable", 3),
            ("drop", 3),
            ("deactivate", 3),
            ("disable", 700),
            ("drop", 700),
            ("deactivate", 700)
        ]
    );
}
