//! The end: what, where, registers and a symbolized backtrace, then reset or halt.
#![expect(unsafe_code, reason = "start-up code calls the crash report by a name that is not mangled")]

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use arch::{Boot, Cpu, Machine};
use atomic::{AtomicBool, AtomicU8, Ordering};

/// How many return addresses are told.
const FRAMES: usize = 32;

/// What to do after the report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum After {
    /// Stop this CPU.
    Halt = 0,
    /// Reset the machine.
    Reset = 1,
}

static AFTER: AtomicU8 = AtomicU8::new(After::Halt as u8);
/// A panic during the report must not begin another one.
static TELLING: AtomicBool = AtomicBool::new(false);

/// Chooses what follows a report: the boot argument `vmm.panic=`.
pub(crate) fn set_after(after: After) {
    AFTER.store(after as u8, Ordering::Relaxed);
}

/// Prints at once, past every lock.
struct Raw;

impl Write for Raw {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        Machine::early_print(text);
        Ok(())
    }
}

#[panic_handler]
fn panicked(info: &PanicInfo<'_>) -> ! {
    Machine::mask_irqs();
    begin();
    match info.location() {
        Some(place) => print(format_args!("\nPANIC: {} ({place})\n", info.message())),
        None => print(format_args!("\nPANIC: {}\n", info.message())),
    }
    print(format_args!("Backtrace:\n"));
    Machine::backtrace(FRAMES, &mut |back| print_caller(back));
    end()
}

/// A fault that the processor found in our own code: `what` has its registers.
#[unsafe(no_mangle)]
fn hypervisor_crashed(what: &fmt::Arguments<'_>, frame: usize, pc: usize) -> ! {
    Machine::mask_irqs();
    begin();
    print(format_args!("\nPANIC: {what}\nBacktrace:\n"));
    print_symbol(pc);
    Machine::backtrace_from(frame, FRAMES, &mut |back| print_caller(back));
    end()
}

fn begin() {
    if TELLING.swap(true, Ordering::Relaxed) {
        Machine::early_print("\nPANIC: another one while the first was told\n");
        Machine::halt();
    }
    host_cpus::stop_others();
    host_log::release_now();
}

fn end() -> ! {
    if AFTER.load(Ordering::Relaxed) == After::Reset as u8 {
        Machine::early_print("Resetting.\n");
        Machine::reset_now();
    }
    Machine::early_print("Halted. (vmm.panic=reset resets instead.)\n");
    Machine::halt()
}

fn print(text: fmt::Arguments<'_>) {
    // The console cannot fail.
    let _ = Raw.write_fmt(text);
}

/// A return address. The call lies before it; after a call that never returns, another function may begin.
fn print_caller(back: usize) {
    print_line(back, back.wrapping_sub(1));
}

/// An address where something happened.
fn print_symbol(address: usize) {
    print_line(address, address);
}

/// One line of the backtrace: the address, and the function around `inside`.
fn print_line(address: usize, inside: usize) {
    let base = Machine::image_base();
    let offset = inside.wrapping_sub(base);
    let mut buffer = [0; symbols::LONGEST_NAME];
    let found = u32::try_from(offset).ok();
    match found.and_then(|offset| symbols::find(Machine::symbols(), offset, &mut buffer)) {
        Some((name, start)) => {
            let into = address.wrapping_sub(base).wrapping_sub(start as usize);
            print(format_args!("   0x{address:016x}  {name} + {into:#x}\n"));
        }
        None => print(format_args!("   0x{address:016x}\n")),
    }
}
