//! Running other programs: shown when asked, quiet while they succeed, with their words when they fail.

use std::ffi::OsStr;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::context::Context;

/// A command line as one would type it.
pub(crate) fn show(command: &Command) -> String {
    let mut line = String::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            line.push_str(&format!("{}={} ", name.display(), quote(value)));
        }
    }
    line.push_str(&quote(command.get_program()));
    for word in command.get_args() {
        line.push(' ');
        line.push_str(&quote(word));
    }
    line
}

fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=./,:+@%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Prints the command if that is wished; false if it is not to be run.
fn announce(context: &Context, command: &Command) -> bool {
    if context.verbose {
        eprintln!("+ {}", show(command));
    }
    !context.dry_run
}

fn missing(command: &Command) -> String {
    format!("cannot start `{}`", command.get_program().display())
}

/// Runs a command with the terminal's input and output, and returns how it ended.
pub(crate) fn status(context: &Context, command: &mut Command) -> Result<ExitStatus> {
    if !announce(context, command) {
        return Ok(ExitStatus::default());
    }
    command.status().with_context(|| missing(command))
}

/// Runs a command with the terminal's input and output; an error if it does not succeed.
pub(crate) fn run(context: &Context, command: &mut Command) -> Result<()> {
    let status = status(context, command)?;
    if !status.success() {
        bail!("this failed ({status}): {}", show(command));
    }
    Ok(())
}

/// Runs a command and returns what it printed; what it printed is in the error if it fails.
/// It asks and changes nothing, so it also runs when commands are only to be shown.
pub(crate) fn ask(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| missing(command))?;
    if !output.status.success() {
        bail!("this failed: {}\n{}", show(command), tail(&String::from_utf8_lossy(&output.stderr), 12));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command quietly, its output going to `log`; the end of the log is in the error if it fails.
pub(crate) fn logged(context: &Context, command: &mut Command, log: &Path) -> Result<()> {
    watched(context, command, log, None)
}

/// The same, with a line of progress that tells the time, or how much of `expected` is there.
pub(crate) fn watched(
    context: &Context,
    command: &mut Command,
    log: &Path,
    progress: Option<&Progress<'_>>,
) -> Result<()> {
    if !announce(context, command) {
        return Ok(());
    }
    if let Some(folder) = log.parent() {
        crate::context::make_folder(folder)?;
    }
    let file = std::fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let errors = file.try_clone()?;
    let mut child =
        command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn().with_context(|| missing(command))?;
    let begun = Instant::now();
    let mut told = Duration::ZERO;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(50));
        if let Some(progress) = progress {
            told = progress.tell(begun.elapsed(), told);
        }
    };
    if let Some(progress) = progress {
        progress.done(status.success(), begun.elapsed());
    }
    if !status.success() {
        let text = std::fs::read(log).unwrap_or_default();
        bail!("this failed: {}\n{}", show(command), tail(&String::from_utf8_lossy(&text), 12));
    }
    Ok(())
}

/// What is told while a command runs.
pub(crate) struct Progress<'a> {
    /// What is being done: `fetching …`.
    pub(crate) what: &'a str,
    /// A folder that grows and the number of bytes that it will have in the end.
    pub(crate) expected: Option<(&'a Path, u64)>,
}

impl Progress<'_> {
    fn amount(&self) -> String {
        let Some((folder, expected)) = self.expected else { return String::new() };
        let sizes = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let have: u64 = sizes.filter_map(|entry| entry.metadata().ok()).map(|data| data.len()).sum();
        format!(", {} of {} MB", have / 1_000_000, expected.div_ceil(1_000_000))
    }

    /// Tells how far it is: often on a terminal, every ten seconds in a log.
    fn tell(&self, elapsed: Duration, told: Duration) -> Duration {
        let terminal = std::io::stderr().is_terminal();
        let pause = Duration::from_millis(if terminal { 250 } else { 10_000 });
        if elapsed < told + pause {
            return told;
        }
        let line = format!("  {}: {} s{}", self.what, elapsed.as_secs(), self.amount());
        if terminal {
            eprint!("\r{line} \x1b[K");
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("{line}");
        }
        elapsed
    }

    fn done(&self, success: bool, elapsed: Duration) {
        let clear = if std::io::stderr().is_terminal() { "\r\x1b[K" } else { "" };
        let how = if success { "done" } else { "FAILED" };
        eprintln!("{clear}  {}: {how} in {:.1} s", self.what, elapsed.as_secs_f32());
    }
}

/// The last `count` lines of `text`.
pub(crate) fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n")
}

/// Where `program` is on the search path.
pub(crate) fn find_program(program: &str) -> Option<std::path::PathBuf> {
    let usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let path = std::env::var_os("PATH").unwrap_or_else(|| usual.into());
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_command_can_be_typed_again() {
        let mut command = Command::new("qemu");
        command.args(["-append", "it's a \"x\"", "-m", "1G", ""]).env("A", "b c");
        assert_eq!(show(&command), r#"A='b c' qemu -append 'it'\''s a "x"' -m 1G ''"#);
    }

    #[test]
    fn the_tail_is_the_end() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a", 5), "a");
    }
}
