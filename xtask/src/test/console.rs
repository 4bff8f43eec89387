//! A console to be read and typed at by a script: QEMU's first serial port.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::arch::Arch;

/// What the management terminal prints when it waits for a command.
pub(crate) const PROMPT: &str = "XVisor# ";

/// Seconds that a command may take unless a scenario says otherwise.
const COMMAND_SECONDS: u64 = 20;

/// What has been read so far.
#[derive(Default)]
struct Output {
    text: String,
    ended: bool,
}

/// What the thread that reads and the script share.
#[derive(Default)]
struct Shared {
    output: Mutex<Output>,
    news: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Output> {
        self.output.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A running machine and its console. Dropping it ends the machine.
pub(crate) struct Console {
    /// The machine's architecture.
    pub(crate) arch: &'static Arch,
    child: Child,
    input: ChildStdin,
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
    /// How much of the output was looked at.
    seen: usize,
    patience: u32,
}

impl Console {
    /// Starts the machine; what it prints is also written to `log`.
    pub(crate) fn start(
        arch: &'static Arch,
        qemu: &mut Command,
        log: &Path,
        patience: u32,
        show: bool,
    ) -> Result<Self> {
        let mut log = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let errors = log.try_clone()?;
        let mut child = qemu
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .with_context(|| format!("cannot start {}", qemu.get_program().display()))?;
        let (input, output) = child.stdin.take().zip(child.stdout.take()).context("QEMU has no console")?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let reader = std::thread::spawn(move || {
            let mut output = output;
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                let new = bytes.get(..count).unwrap_or_default();
                let _ = log.write_all(new);
                if show {
                    let _ = std::io::stderr().write_all(new);
                }
                theirs.lock().text.push_str(&String::from_utf8_lossy(new).replace('\r', ""));
                theirs.news.notify_all();
            }
            theirs.lock().ended = true;
            theirs.news.notify_all();
        });
        Ok(Self { arch, child, input, shared, reader: Some(reader), seen: 0, patience })
    }

    /// Waits until `wanted` is printed, and returns what stood before it. What was looked at is
    /// not looked at again.
    pub(crate) fn expect(&mut self, wanted: &str, seconds: u64) -> Result<String> {
        Ok(self.expect_any(&[wanted], seconds)?.1)
    }

    /// Waits until one of `wanted` is printed; returns which one came first, and what stood before it.
    pub(crate) fn expect_any(&mut self, wanted: &[&str], seconds: u64) -> Result<(usize, String)> {
        let deadline = Instant::now() + Duration::from_secs(seconds) * self.patience;
        let mut output = self.shared.lock();
        loop {
            let rest = output.text.get(self.seen..).unwrap_or_default();
            let places = wanted.iter().enumerate();
            let first = places.filter_map(|(index, text)| Some((rest.find(text)?, index))).min();
            if let Some((place, index)) = first {
                let before = rest.get(..place).unwrap_or_default().to_owned();
                self.seen += place + wanted.get(index).map_or(0, |text| text.len());
                return Ok((index, before));
            }
            let wanted = wanted.join("` or `");
            if output.ended {
                bail!("expected `{wanted}`, but QEMU ended");
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("expected `{wanted}` within {seconds} s");
            }
            let waited = self.shared.news.wait_timeout(output, left);
            output = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    /// Types `text` as it is.
    pub(crate) fn send(&mut self, text: &str) -> Result<()> {
        self.input.write_all(text.as_bytes()).context("QEMU takes no input any more")?;
        self.input.flush().context("QEMU takes no input any more")
    }

    /// Types a line.
    pub(crate) fn line(&mut self, text: &str) -> Result<()> {
        self.send(&format!("{text}\r"))
    }

    /// Waits for the prompt of the management terminal.
    pub(crate) fn prompt(&mut self, seconds: u64) -> Result<String> {
        self.expect(PROMPT, seconds)
    }

    /// Gives a command to the management terminal and returns what it prints up to the next prompt.
    pub(crate) fn command(&mut self, line: &str) -> Result<String> {
        self.slow_command(line, COMMAND_SECONDS)
    }

    /// The same for a command that may take `seconds`.
    pub(crate) fn slow_command(&mut self, line: &str, seconds: u64) -> Result<String> {
        self.line(line)?;
        let after = || format!("after the command `{line}`");
        // The terminal echoes the command: what it prints begins on the next line. Before that there may be
        // prompts that were shown again because the log had something to say.
        let echo = format!("{line}\n");
        if !line.contains('\x1b') {
            self.expect(&echo, seconds).with_context(after)?;
            return self.prompt(seconds).with_context(after);
        }
        let output = self.prompt(seconds).with_context(after)?;
        Ok(output.split_once('\n').map_or(String::new(), |(_, output)| output.to_owned()))
    }

    /// Gives a command and expects `wanted` somewhere in what it prints.
    pub(crate) fn check(&mut self, line: &str, wanted: &str) -> Result<String> {
        let output = self.command(line)?;
        if !output.contains(wanted) {
            bail!("`{line}` did not print `{wanted}` but:\n{output}");
        }
        Ok(output)
    }

    /// Attaches to a guest's console, such as `guest0/uart0`.
    pub(crate) fn attach(&mut self, port: &str) -> Result<()> {
        self.line(&format!("vserial bind {port}"))?;
        self.expect(&format!("[{port}] "), COMMAND_SECONDS).map(drop)
    }

    /// Leaves the guest's console.
    pub(crate) fn detach(&mut self) -> Result<()> {
        self.send("\x1bxq")?;
        self.prompt(COMMAND_SECONDS).map(drop)
    }

    /// For how many seconds QEMU ran on this machine during the next `seconds`: hardly at all while all CPUs wait for
    /// interrupts.
    pub(crate) fn runs_in(&self, seconds: f64) -> Result<f64> {
        let before = self.cpu_time()?;
        std::thread::sleep(Duration::from_secs_f64(seconds));
        Ok(self.cpu_time()? - before)
    }

    /// How long QEMU has run, in seconds.
    fn cpu_time(&self) -> Result<f64> {
        // Hundredths of a second in user and kernel mode (proc_pid_stat(5), utime and stime), behind the name in
        // parentheses.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let behind = stat.rsplit(')').next().unwrap_or_default();
        let ticks = behind.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
        Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
    }

    /// Waits until the machine has ended by itself.
    pub(crate) fn ended(&mut self, seconds: u64) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(seconds) * self.patience;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("the machine did not power off within {seconds} s");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Ends the machine, and returns all that it printed.
    pub(crate) fn stop(mut self) -> String {
        self.end();
        let output = self.shared.lock();
        output.text.clone()
    }

    fn end(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::DEFAULT;

    /// A shell instead of QEMU: it prompts, echoes what is typed, and answers.
    fn console(script: &str) -> Console {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("xtask-console-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let log = std::env::temp_dir().join(name);
        let console =
            Console::start(DEFAULT, Command::new("sh").args(["-c", script]), &log, 1, false).unwrap();
        std::fs::remove_file(log).unwrap();
        console
    }

    #[test]
    fn text_is_found_across_reads_and_only_once() {
        let mut console = console("printf 'one tw'; sleep 0.05; printf 'o three'; exec sleep 5");
        assert_eq!(console.expect("two", 5).unwrap(), "one ");
        assert!(console.expect("one", 0).is_err());
        assert_eq!(console.expect_any(&["four", "three"], 5).unwrap(), (1, " ".to_owned()));
    }

    #[test]
    fn a_command_returns_what_stands_between_echo_and_prompt() {
        let mut console = console(
            "printf 'XVisor# '; IFS= read -r -n 1 x; printf 'a\\r\\nb\\r\\nc\\r\\nXVisor# '; exec sleep 5",
        );
        console.prompt(5).unwrap();
        assert_eq!(console.command("a").unwrap(), "b\nc\n");
    }

    #[test]
    fn an_ended_machine_is_told_from_a_slow_one() {
        let mut quick = console("true");
        assert!(quick.expect("x", 5).unwrap_err().to_string().contains("ended"));
        quick.ended(5).unwrap();
        let mut slow = console("exec sleep 5");
        assert!(slow.expect("x", 0).unwrap_err().to_string().contains("within"));
    }
}
