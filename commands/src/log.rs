//! `log`: what the hypervisor said, and how much of it reaches the console.

use alloc::string::String;
use core::fmt::Write;

use host_log::Level;

use crate::{Args, Command, Failed, Form, Session};

pub(crate) const COMMAND: Command = Command {
    name: "log",
    about: "show what the hypervisor said",
    forms: &[
        Form { words: "show", arguments: "[<lines>]", run: show },
        Form { words: "follow", arguments: "", run: follow },
        Form { words: "level", arguments: "", run: level },
        Form { words: "change_level", arguments: "<level>", run: change_level },
    ],
};

fn show(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let lines = args.number_or(0, usize::MAX)?;
    host_log::show(session, lines)?;
    Ok(())
}

/// Shows what is said from now on, until q or Ctrl-C is typed.
fn follow(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    const INTERRUPT: u8 = 3;
    let terminal = session.terminal();
    let mut line = String::new();
    let mut typed = [0];
    terminal.hold_log();
    loop {
        while terminal.log_line(&mut line) {
            line.push_str("\r\n");
            terminal.write(line.as_bytes());
            line.clear();
        }
        match terminal.read(&mut typed) {
            0 => terminal.wait(None),
            _ if matches!(typed, [INTERRUPT | b'q']) => break,
            _ => {}
        }
    }
    terminal.release_log();
    Ok(())
}

/// The levels by number. Xvisor's go to 6 (info); 7 adds what is for those who work on the hypervisor.
const LEVELS: [Level; 8] = [
    Level::Emergency,
    Level::Alert,
    Level::Critical,
    Level::Error,
    Level::Warning,
    Level::Note,
    Level::Info,
    Level::Debug,
];

pub(crate) fn level(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let number = LEVELS.iter().take_while(|level| **level != host_log::level()).count();
    writeln!(session, "Default log level : {number}")?;
    Ok(())
}

pub(crate) fn change_level(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let number: usize = args.number(0)?;
    let level = LEVELS.get(number).ok_or_else(|| {
        Failed::Because(alloc::format!("<level>: {number} is none of 0 to {}", LEVELS.len() - 1))
    })?;
    host_log::set_level(*level);
    writeln!(session, "New log level: {number}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::Session;
    use crate::terminal::fake::Terminal;

    #[test]
    fn following_ends_with_q() {
        let mut terminal =
            Terminal { said: ["INFO: one"].into(), typed: b"xqecho".to_vec(), ..Terminal::default() };
        let _ = Session::new(&mut terminal).run_line("log follow");
        assert_eq!(terminal.text(), "INFO: one\n");
        assert_eq!(terminal.typed, b"echo");
        assert!(!terminal.holds);
    }
}
