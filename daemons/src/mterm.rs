//! The management terminal: lines are edited on the host's console and run as commands.

mod console;

use alloc::boxed::Box;
use alloc::string::String;

use commands::{Session, Status, Terminal};
use host_thread::{Options, Priority, SpawnError, Thread};
use lineedit::{Editor, Event};

use console::Console;

/// What stands before the user's lines.
const PROMPT: &str = "XVisor# ";
/// Above that of virtual CPUs: a guest that never yields does not keep the user out.
const PRIORITY: u8 = 5;
/// Building a guest descends through its whole tree.
const STACK: usize = 64 << 10;

/// Starts the terminal on the console (see [`vio::chardev::set_console`]). It first runs `bootcmd`, the
/// commands of the boot argument `vmm.bootcmd`, and then shows `greeting` and the prompt.
///
/// # Errors
/// There is no memory for its stack.
pub fn start(bootcmd: Option<&str>, greeting: &str) -> Result<Thread, SpawnError> {
    let options =
        Options::new("mterm").priority(Priority::new(PRIORITY).unwrap_or(Priority::DEFAULT)).stack(STACK);
    let (bootcmd, greeting) = (bootcmd.map(String::from), String::from(greeting));
    host_thread::spawn(
        options,
        Box::new(move || {
            let mut console = Console::new();
            if let Some(line) = &bootcmd {
                boot(&mut console, line);
            }
            let mut mterm = Mterm::new();
            mterm.begin(&mut console, &greeting);
            serve(&mut mterm, &mut console);
        }),
    )
}

/// Runs the boot arguments' commands, until one fails.
fn boot(terminal: &mut dyn Terminal, line: &str) {
    let commands = match cmdline::split(line) {
        Ok(commands) => commands,
        Err(error) => {
            host_log::error!("vmm.bootcmd: {error}");
            return;
        }
    };
    let mut session = Session::new(terminal);
    for words in commands {
        host_log::init!("bootcmd: {}", words.join(" "));
        if session.run_command(&words) == Status::Failed {
            host_log::error!("vmm.bootcmd: the commands after this one are not run");
            return;
        }
    }
}

fn serve(mterm: &mut Mterm, console: &mut Console) -> ! {
    let mut byte = [0];
    loop {
        // One at a time: what is typed ahead belongs to the command that runs when its turn comes.
        mterm.listen(console);
        if console.read(&mut byte) == 0 {
            console.wait(None);
        } else {
            mterm.key(byte[0], console);
        }
    }
}

/// A user's lines, apart from where they come from.
struct Mterm {
    editor: Editor,
    /// What the editor shows, collected for one write.
    shown: String,
}

impl Mterm {
    fn new() -> Self {
        Self { editor: Editor::new(PROMPT), shown: String::new() }
    }

    /// Greets, and shows the first prompt.
    fn begin(&mut self, terminal: &mut dyn Terminal, greeting: &str) {
        terminal.write(b"\r\n");
        for line in greeting.lines() {
            terminal.write(line.as_bytes());
            terminal.write(b"\r\n");
        }
        self.prompt(terminal);
    }

    /// Takes a byte that was typed, and runs the line that it ends.
    fn key(&mut self, byte: u8, terminal: &mut dyn Terminal) {
        let event = self.editor.feed(byte, &mut self.shown, &commands::complete);
        self.show(terminal);
        match event {
            Event::None => return,
            Event::Line(line) => {
                terminal.release_log();
                // The user sees how it ended; nobody else asks.
                let _ = Session::new(terminal).run_line(&line);
            }
            Event::Interrupt | Event::EndOfInput => {}
        }
        self.prompt(terminal);
    }

    /// Shows what the hypervisor said while a line is edited: above that line.
    fn listen(&mut self, terminal: &mut dyn Terminal) {
        let mut lines = String::new();
        while terminal.log_line(&mut lines) {
            lines.push_str("\r\n");
        }
        if !lines.is_empty() {
            self.shown.push_str("\r\x1b[K");
            self.shown.push_str(&lines);
            self.prompt(terminal);
        }
    }

    /// The line is the editor's from here on.
    fn prompt(&mut self, terminal: &mut dyn Terminal) {
        terminal.hold_log();
        self.editor.prompt(&mut self.shown);
        self.show(terminal);
    }

    fn show(&mut self, terminal: &mut dyn Terminal) {
        if !self.shown.is_empty() {
            terminal.write(self.shown.as_bytes());
            self.shown.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use arch::Nanos;
    use atomic::Arc;
    use commands::Terminal;

    use super::{Mterm, boot};

    /// Keeps what is shown; nothing is typed but what the test types.
    #[derive(Default)]
    struct Paper {
        shown: Vec<u8>,
        said: Vec<&'static str>,
        holds: bool,
    }

    impl Terminal for Paper {
        fn write(&mut self, bytes: &[u8]) {
            self.shown.extend_from_slice(bytes);
        }
        fn read(&mut self, _: &mut [u8]) -> usize {
            0
        }
        fn wait(&mut self, _: Option<Nanos>) {}
        fn bell(&self) -> Arc<dyn Fn() + Send + Sync> {
            Arc::new(|| {})
        }
        fn hold_log(&mut self) {
            self.holds = true;
        }
        fn log_line(&mut self, line: &mut String) -> bool {
            if !self.holds || self.said.is_empty() {
                return false;
            }
            line.push_str(self.said.remove(0));
            true
        }
        fn release_log(&mut self) {
            self.holds = false;
        }
    }

    fn after(keys: &[u8]) -> String {
        let mut paper = Paper::default();
        let mut mterm = Mterm::new();
        mterm.begin(&mut paper, "Hello");
        for key in keys {
            mterm.key(*key, &mut paper);
        }
        String::from_utf8_lossy(&paper.shown).replace("\x1b[K", "")
    }

    #[test]
    fn a_line_is_edited_run_and_followed_by_the_prompt() {
        let text = after(b"ehco\x08\x08\x08cho hi\r");
        assert!(text.starts_with("\r\nHello\r\n\rXVisor# "), "{text:?}");
        assert!(text.ends_with("\r\nhi\r\n\rXVisor# "), "{text:?}");
    }

    #[test]
    fn what_the_hypervisor_says_stands_above_the_line_that_is_typed() {
        let mut paper = Paper::default();
        let mut mterm = Mterm::new();
        mterm.begin(&mut paper, "");
        for key in b"echo a\x1b[D" {
            mterm.key(*key, &mut paper);
        }
        paper.shown.clear();
        mterm.listen(&mut paper);
        assert!(paper.shown.is_empty());
        paper.said.extend(["INFO: one", "NOTE: two"]);
        mterm.listen(&mut paper);
        let text = String::from_utf8_lossy(&paper.shown);
        assert_eq!(text, "\r\x1b[KINFO: one\r\nNOTE: two\r\n\rXVisor# echo a\x1b[K\x08");
    }

    #[test]
    fn tab_completes_words_of_the_command_table() {
        let text = after(b"wallc\tget_timez\t\r");
        assert!(text.contains("\r\nUTC"), "{text:?}");
    }

    #[test]
    fn boot_commands_end_with_the_first_that_fails() {
        let mut paper = Paper::default();
        boot(&mut paper, "echo one; nonsense; echo two");
        let text = String::from_utf8_lossy(&paper.shown);
        assert!(text.contains("one") && text.contains("nonsense") && !text.contains("two"), "{text}");
    }
}
