//! The generic timer's EL1 physical timer (DDI 0487, D12.2), one for each CPU.
//!
//! Guests have the virtual timer in hardware, and read both counters without us. The physical timer's
//! hardware is not for guests; it is emulated here, by the host's timers. Its counter is the host's, as
//! guests read it: CNTPOFF is zero.

use alloc::vec::Vec;

use arch::{Clock, Machine, Nanos, RegisterId};
use atomic::Arc;
use host_sync::{IrqOff, Spin};
use host_thread::time::Timer;
use isa_a64::sysreg::SysReg;
use vio::irq::IrqLine;
use vm_bus::{Access, Refused, Target};
use vm_machine::{Model, NotWired, Wires};

pub(crate) const MODEL: Model = Model { name: "armv8-timer", compatible: &["arm,armv8-timer"], build };

/// Which of the node's interrupts is the physical timer's: the second, or the one of this name.
const PHYSICAL: usize = 1;
const PHYSICAL_NAME: &str = "phys";

fn build(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    let index = match wires.node().property("interrupt-names") {
        Some(names) => names.position(PHYSICAL_NAME)?,
        None => PHYSICAL,
    };
    let cpus = wires.private_irqs(index)?.into_iter().map(Own::new).collect();
    wires.map_registers(&[CTL, CVAL, TVAL], Arc::new(PhysicalTimers(cpus)))
}

// Registers (D24.10), reached by MRS and MSR.
const CTL: RegisterId = RegisterId(SysReg::CNTP_CTL_EL0.bits());
const CVAL: RegisterId = RegisterId(SysReg::CNTP_CVAL_EL0.bits());
const TVAL: RegisterId = RegisterId(SysReg::CNTP_TVAL_EL0.bits());

/// CNTP_CTL_EL0.
const ENABLE: u64 = 1 << 0;
const IMASK: u64 = 1 << 1;
const ISTATUS: u64 = 1 << 2;

/// By the number of the CPU.
struct PhysicalTimers(Vec<Own>);

/// One CPU's. Only that CPU reaches it, and the host's timer.
struct Own {
    state: Arc<Spin<State, IrqOff>>,
    /// Rings when the condition is met that makes the line rise.
    timer: Timer,
}

struct State {
    // Wires.
    line: IrqLine,
    // What the guest set.
    /// ENABLE and IMASK.
    control: u64,
    compare: u64,
}

impl State {
    /// CNTP_CTL_EL0: with the condition as it is when the counter reads `ticks`. (D12.2.4: unsigned.)
    fn control(&self, ticks: u64) -> u64 {
        let met = self.control & ENABLE != 0 && ticks >= self.compare;
        self.control | if met { ISTATUS } else { 0 }
    }

    /// The one place that derives the line's level from the state. Says whether it is yet to rise.
    fn settle(&self) -> bool {
        let control = self.control(Machine::ticks());
        self.line.set(control == ENABLE | ISTATUS);
        control == ENABLE
    }
}

impl Own {
    fn new(line: IrqLine) -> Self {
        let state = Arc::new(Spin::new(State { line, control: 0, compare: 0 }));
        let rung = state.clone();
        let timer = Timer::new(move |_| {
            rung.lock().settle();
        });
        Self { state, timer }
    }

    fn read(&self, register: RegisterId) -> Result<u64, Refused> {
        let state = self.state.lock();
        let ticks = Machine::ticks();
        Ok(match register {
            CTL => state.control(ticks),
            CVAL => state.compare,
            TVAL => state.compare.wrapping_sub(ticks) & 0xffff_ffff,
            _ => return Err(Refused::Nothing),
        })
    }

    fn change(&self, change: impl FnOnce(&mut State) -> Result<(), Refused>) -> Result<(), Refused> {
        let due = {
            let mut state = self.state.lock();
            change(&mut state)?;
            state.settle().then_some(state.compare)
        };
        // Without the lock: cancelling waits for the callback, which takes it.
        match due {
            // A nanosecond may be several ticks: behind it the condition is met for sure.
            Some(compare) => self.timer.arm(Machine::time_of(compare).after(Nanos(1))),
            None => self.timer.cancel(),
        }
        Ok(())
    }

    fn write(&self, register: RegisterId, value: u64) -> Result<(), Refused> {
        self.change(|state| {
            match register {
                CTL => state.control = value & (ENABLE | IMASK),
                CVAL => state.compare = value,
                // A signed distance from now.
                TVAL => {
                    state.compare = Machine::ticks().wrapping_add_signed(i64::from(low(value).cast_signed()))
                }
                _ => return Err(Refused::Nothing),
            }
            Ok(())
        })
    }

    fn reset(&self) {
        // Nothing is refused.
        let _ = self.change(|state| {
            (state.control, state.compare) = (0, 0);
            Ok(())
        });
    }
}

#[expect(clippy::cast_possible_truncation, reason = "TimerValue has 32 bits")]
fn low(value: u64) -> u32 {
    value as u32
}

impl PhysicalTimers {
    /// The timer that an access is to, and which of its registers.
    fn reach(&self, access: Access) -> Result<(&Own, RegisterId), Refused> {
        let own = self.0.get(access.by as usize).ok_or(Refused::Nothing)?;
        let number = u32::try_from(access.offset).map_err(|_| Refused::Nothing)?;
        Ok((own, RegisterId(number)))
    }
}

impl Target for PhysicalTimers {
    fn read(&self, access: Access) -> Result<u64, Refused> {
        let (own, register) = self.reach(access)?;
        own.read(register)
    }

    fn write(&self, access: Access, value: u64) -> Result<(), Refused> {
        let (own, register) = self.reach(access)?;
        own.write(register, value)
    }

    fn reset(&self) {
        self.0.iter().for_each(Own::reset);
    }

    fn reset_cpu(&self, cpu: u32) {
        if let Some(own) = self.0.get(cpu as usize) {
            own.reset();
        }
    }

    fn inspect(&self, tree: &mut inspect::Tree<'_>) {
        for (cpu, own) in self.0.iter().enumerate() {
            let (control, compare) = {
                let state = own.state.lock();
                (state.control(Machine::ticks()), state.compare)
            };
            let is = |bit, text: &'static str| if control & bit != 0 { text } else { "" };
            tree.field(
                &alloc::format!("vcpu{cpu}"),
                format_args!(
                    "{}{}{}, compares with {compare:#x}",
                    if control & ENABLE != 0 { "on" } else { "off" },
                    is(IMASK, ", masked"),
                    is(ISTATUS, ", due"),
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arch::{Cpu, Width};
    use arch_hosted::time::advance;
    use vio::irq::fake::Pins;

    const MILLISECOND: u64 = 1_000_000;

    /// The timers of two CPUs, whose lines lead to pins 0 and 1. A tick is a nanosecond.
    fn timers() -> (PhysicalTimers, Arc<Pins>) {
        Machine::on_interrupt(host_thread::simple_entry);
        let _ = host_thread::start();
        let pins = Pins::new(2);
        (PhysicalTimers((0..2).map(|cpu| Own::new(pins.line(cpu))).collect()), pins)
    }

    fn access(register: RegisterId, by: u32) -> Access {
        Access { offset: register.0.into(), width: Width::B8, by }
    }

    fn read(timers: &PhysicalTimers, register: RegisterId) -> u64 {
        timers.read(access(register, 0)).unwrap()
    }

    fn write(timers: &PhysicalTimers, register: RegisterId, value: u64) {
        timers.write(access(register, 0), value).unwrap();
    }

    #[test]
    fn the_line_rises_when_the_time_has_come() {
        let (timers, pins) = timers();
        write(&timers, TVAL, MILLISECOND);
        write(&timers, CTL, ENABLE);
        advance(Nanos(MILLISECOND - 1));
        assert_eq!((read(&timers, CTL), pins.level(0)), (ENABLE, false));
        assert_eq!(read(&timers, TVAL), 1);
        advance(Nanos(2));
        assert_eq!((read(&timers, CTL), pins.level(0)), (ENABLE | ISTATUS, true));
        assert_eq!(read(&timers, TVAL), 0xffff_ffff, "it counts on, below zero");
        assert!(!pins.level(1), "each CPU has its own");
    }

    #[test]
    fn masking_disabling_and_moving_on_lower_the_line() {
        let (timers, pins) = timers();
        for (register, value) in [(CTL, ENABLE | IMASK), (CTL, 0), (TVAL, MILLISECOND), (CVAL, u64::MAX)] {
            write(&timers, CVAL, 0);
            write(&timers, CTL, ENABLE);
            assert!(pins.level(0), "what is past is due at once");
            write(&timers, register, value);
            assert!(!pins.level(0));
        }
        write(&timers, CVAL, 0);
        write(&timers, CTL, ENABLE | IMASK);
        assert_eq!(read(&timers, CTL), ENABLE | IMASK | ISTATUS, "the mask hides the line alone");
        write(&timers, CTL, 0);
        assert_eq!(read(&timers, CTL), 0);
        assert!(!timers.0[0].timer.is_armed());
    }

    #[test]
    fn a_negative_distance_is_in_the_past() {
        let (timers, pins) = timers();
        advance(Nanos(MILLISECOND));
        write(&timers, CTL, ENABLE);
        write(&timers, TVAL, 0xffff_fff0);
        assert!(pins.level(0));
        assert_eq!(read(&timers, CVAL), Machine::ticks() - 16);
        write(&timers, TVAL, 0x7fff_ffff);
        assert!(!pins.level(0));
    }

    #[test]
    fn a_reset_of_one_cpu_stops_its_timer_alone() {
        let (timers, pins) = timers();
        for cpu in 0..2 {
            timers.write(access(CTL, cpu), ENABLE).unwrap();
        }
        assert!(pins.level(0) && pins.level(1));
        timers.reset_cpu(0);
        assert!(!pins.level(0) && pins.level(1));
        timers.reset();
        assert!(!pins.level(1));
        assert_eq!(timers.read(access(CTL, 2)), Err(Refused::Nothing), "there is no third");
    }
}
