//! apt-get with a folder of its own for sources and lists, so that nothing of the machine's
//! configuration is changed.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::sources::Sources;
use crate::context::{Context, make_folder, write};
use crate::shell::{self, Progress};

/// What to do when something cannot be fetched.
const OFFLINE: &str =
    "is there a network, and do this machine's own package sources work (`apt-get update`)?";

/// A private view of the package archive.
pub(crate) struct Apt<'a> {
    context: &'a Context,
    folder: PathBuf,
    /// The foreign architecture whose packages are looked at, with nothing installed; `None` for
    /// the machine itself.
    architecture: Option<&'static str>,
}

/// A package that can be fetched.
pub(crate) struct Candidate {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Bytes to fetch.
    pub(crate) size: u64,
}

impl<'a> Apt<'a> {
    /// For installing on this machine: its own release, and that release's backports.
    pub(crate) fn for_this_machine(context: &'a Context, sources: &Sources) -> Result<Self> {
        let apt = Self { context, folder: context.cache().join("apt-host"), architecture: None };
        apt.begin(
            "fetching Debian's list of packages (about 10 MB)",
            &[sources.for_suite(&sources.codename, true)],
        )?;
        Ok(apt)
    }

    /// For unpacking packages of another architecture and release.
    pub(crate) fn foreign(
        context: &'a Context,
        sources: &Sources,
        architecture: &'static str,
        suite: &str,
    ) -> Result<Self> {
        let folder = context.cache().join(format!("apt-{architecture}-{suite}"));
        let apt = Self { context, folder, architecture: Some(architecture) };
        let what = format!("fetching the list of Debian {suite}'s {architecture} packages (about 10 MB)");
        let alone = sources.for_suite_alone(suite);
        // Backports are what updates them.
        if suite.ends_with("-backports") {
            apt.begin(&what, &[alone])?;
        } else {
            apt.begin(&what, &[sources.for_suite(suite, false), alone])?;
        }
        Ok(apt)
    }

    /// Fetches the lists of the first of `sources` whose lists can be had.
    fn begin(&self, what: &str, sources: &[String]) -> Result<()> {
        ensure!(
            shell::find_program("apt-get").is_some(),
            "this needs apt-get, and this machine has none: it is no Debian. Install by hand what is missing"
        );
        for folder in ["lists/partial", "cache/archives/partial", "download"] {
            make_folder(&self.folder.join(folder))?;
        }
        write(&self.folder.join("status"), b"")?;
        let mut result = Ok(());
        for (attempt, text) in sources.iter().enumerate() {
            if attempt > 0 {
                eprintln!("  once more, without its updates");
            }
            write(&self.folder.join("private.sources"), text.as_bytes())?;
            let mut update = self.command("apt-get");
            update.args(["-q", "-o", "APT::Update::Error-Mode=any", "update"]);
            result = self.watched(&mut update, what, None);
            if result.is_ok() {
                break;
            }
        }
        result.with_context(|| format!("no list of packages: {OFFLINE}"))
    }

    /// `program` (`apt-get` or `apt-cache`) looking at the private lists.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
        self.options(&mut command);
        command
    }

    fn options(&self, command: &mut Command) {
        let mut option = |name: &str, value: &str| {
            command.args(["-o", &format!("{name}={value}")]);
        };
        let inside = |name: &str| self.folder.join(name).display().to_string();
        option("Dir::Etc::SourceList", &inside("private.sources"));
        option("Dir::Etc::SourceParts", "/dev/null");
        option("Dir::State::Lists", &inside("lists"));
        option("Dir::Cache::pkgcache", "");
        option("Dir::Cache::srcpkgcache", "");
        option("Acquire::Languages", "none");
        // The private folder need not be readable to apt's own user.
        option("APT::Sandbox::User", "root");
        if let Some(architecture) = self.architecture {
            option("APT::Architecture", architecture);
            option("APT::Architectures", architecture);
            option("Dir::State::status", &inside("status"));
            option("Dir::Cache", &inside("cache"));
            option("Dir::Etc::Preferences", "/dev/null");
            option("Dir::Etc::PreferencesParts", "/dev/null");
        }
    }

    fn watched(&self, command: &mut Command, what: &str, size: Option<u64>) -> Result<()> {
        let download = self.folder.join("download");
        let progress = Progress { what, expected: size.map(|size| (download.as_path(), size)) };
        shell::watched(self.context, command, &self.folder.join("log"), Some(&progress))
    }

    /// The newest version of `package` in the archive.
    pub(crate) fn candidate(&self, package: &str) -> Result<Candidate> {
        self.describe(package, package)
    }

    /// The version of `package` that `upstream` was packed as, which may be an old one.
    pub(crate) fn exact(&self, package: &str, upstream: &str) -> Result<Candidate> {
        let of =
            |version: &str| version.strip_prefix(upstream).is_some_and(|rest| rest.starts_with(['+', '-']));
        let versions = self.versions(package);
        let (version, _) = versions
            .iter()
            .find(|(version, _)| of(version))
            .with_context(|| format!("the archive has no {package} {upstream}"))?;
        self.describe(package, &format!("{package}={version}"))
    }

    fn describe(&self, package: &str, wanted: &str) -> Result<Candidate> {
        let text = shell::ask(self.command("apt-cache").args(["show", "--no-all-versions", wanted]))
            .with_context(|| format!("the archive has no package {package}"))?;
        let field = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        Ok(Candidate {
            name: package.to_owned(),
            version: field("Version").unwrap_or("?").to_owned(),
            size: field("Size").and_then(|size| size.parse().ok()).unwrap_or(0),
        })
    }

    /// The first package that `package` depends on: what a package without content stands for.
    pub(crate) fn first_dependency(&self, package: &str) -> Result<String> {
        let text = shell::ask(self.command("apt-cache").args(["depends", "--important", package]))
            .with_context(|| format!("the archive has no package {package}"))?;
        let name = text.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
        name.map(str::to_owned).with_context(|| format!("the package {package} stands for no other"))
    }

    /// Fetches a package, without installing it, and returns its file.
    pub(crate) fn download(&self, package: &Candidate) -> Result<PathBuf> {
        let folder = self.folder.join("download");
        // What an interrupted attempt left; on the first there is nothing.
        let _ = fs::remove_dir_all(&folder);
        make_folder(&folder)?;
        let mut fetch = self.command("apt-get");
        fetch.current_dir(&folder).args(["-q", "download"]);
        fetch.arg(format!("{}={}", package.name, package.version));
        let what = format!("fetching {} {}", package.name, package.version);
        self.watched(&mut fetch, &what, Some(package.size))
            .with_context(|| format!("no package {}: {OFFLINE}", package.name))?;
        let mut files = fs::read_dir(&folder)?.flatten().map(|entry| entry.path());
        files
            .find(|file| file.extension().is_some_and(|extension| extension == "deb"))
            .with_context(|| format!("apt-get fetched no file for {}", package.name))
    }

    /// The versions of `package` that the release and its backports have, the release's own first.
    pub(crate) fn versions(&self, package: &str) -> Vec<(String, Origin)> {
        let text = shell::ask(self.command("apt-cache").args(["madison", package])).unwrap_or_default();
        let mut versions: Vec<(String, Origin)> = text
            .lines()
            .filter_map(|line| {
                let mut columns = line.split('|').map(str::trim);
                let (_, version, place) = (columns.next()?, columns.next()?, columns.next()?);
                let origin = if place.contains("-backports") { Origin::Backports } else { Origin::Release };
                (!place.ends_with("Sources")).then(|| (version.to_owned(), origin))
            })
            .collect();
        versions.sort_by_key(|(_, origin)| *origin == Origin::Backports);
        versions
    }

    /// Installs packages on this machine, as root or with sudo.
    pub(crate) fn install(&self, packages: &[&str], origin: Origin, sources: &Sources) -> Result<()> {
        let mut command = as_root(self.context, "apt-get", &format!("install {}", packages.join(" ")))?;
        self.options(&mut command);
        command.args(["-q", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold"]);
        command.args(["-o", "DPkg::Lock::Timeout=300"]);
        if origin == Origin::Backports {
            command.args(["-t", &format!("{}-backports", sources.codename)]);
        }
        command.arg("install").args(packages);
        let what = format!("installing {}", packages.join(", "));
        self.watched(&mut command, &what, None)
            .with_context(|| format!("cannot install {}: {OFFLINE}", packages.join(", ")))
    }
}

/// Which part of the archive a version comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// The machine's release itself, its updates and its security fixes.
    Release,
    /// The release's backports.
    Backports,
}

/// `program` to be run as root: directly if this is root, else through sudo, which may ask for the
/// password here.
fn as_root(context: &Context, program: &str, purpose: &str) -> Result<Command> {
    use std::os::unix::fs::MetadataExt as _;
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let words = ["env", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", program];
    if is_root {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        return Ok(command);
    }
    if shell::find_program("sudo").is_none() {
        bail!("this must be done as root, and there is no sudo: {program} {purpose}");
    }
    if !context.dry_run {
        eprintln!("  sudo is needed for: {program} {purpose}");
        let allowed = Command::new("sudo").arg("-v").stdin(Stdio::inherit()).status();
        ensure!(
            allowed.is_ok_and(|status| status.success()),
            "sudo was refused. As root, do: {program} {purpose}"
        );
    }
    let mut command = Command::new("sudo");
    command.arg("-n").args(words);
    Ok(command)
}
