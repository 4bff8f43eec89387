//! What a guest starts from: a kernel loaded directly, firmware in a ROM, or what a user loaded by hand.
//!
//! `/chosen` says it: `xvisor,kernel` and `xvisor,initrd` name files; `xvisor,entry` and `xvisor,fdt` are
//! addresses, for what was loaded by hand or is the file that `xvisor,binary` names. The rest of `/chosen` is
//! the guest's.

use alloc::format;
use alloc::string::String;
use core::fmt;

use addr::{Gpa, Span};
use arch::{PowerOn, Virt};
use fdt::{Error, Problem, Tree};
use host_mem::GuestRam;
use image::gzip;
use image::linux::{HEADER_SIZE, Image, RISCV_MAGIC};

use crate::machine::Machine;
use crate::plan::{self, Plan};

/// What the description says about starting.
pub(crate) struct Boot {
    kernel: Option<String>,
    /// A file that is loaded as it is to where the guest begins.
    binary: Option<String>,
    initrd: Option<String>,
    entry: Option<Gpa>,
    fdt: Option<Gpa>,
    firmware: Option<Gpa>,
    /// The memory that things are placed in: the node's first region.
    ram: Span<Gpa>,
}

/// Kernels begin at multiples of this (booting.rst: "a 2MB aligned base address").
const KERNEL_ALIGN: u64 = 2 << 20;
/// The device tree lies this near to the beginning of memory, which all kernels can reach early.
const FDT_REACH: u64 = 512 << 20;
/// Copied in pieces of this size, so that others run in between.
const PIECE: usize = 256 << 10;

impl Boot {
    /// Reads `/chosen`, and looks whether the files are there.
    pub(crate) fn read(plan: &mut Plan, tree: &Tree) -> Result<Self, Error> {
        let mut boot = Self {
            kernel: None,
            binary: None,
            initrd: None,
            entry: None,
            fdt: None,
            firmware: plan.firmware.as_ref().map(|(entry, _)| *entry),
            ram: first_ram(plan, tree)?,
        };
        let Some(chosen) = tree.find("/chosen") else { return Ok(boot) };
        let mut file = |name: &str| -> Result<Option<String>, Error> {
            plan.take(chosen, name);
            let Some(path) = chosen.str_opt(name)? else { return Ok(None) };
            plan::file_length(chosen, name, path)?;
            Ok(Some(path.into()))
        };
        boot.kernel = file(KERNEL)?;
        boot.binary = file(BINARY)?;
        boot.initrd = file(INITRD)?;
        let mut address = |name: &str| -> Result<Option<Gpa>, Error> {
            plan.take(chosen, name);
            Ok(chosen.property(name).map(|property| property.u64()).transpose()?.map(Gpa::new))
        };
        boot.entry = address(ENTRY)?;
        boot.fdt = address(FDT)?;
        let error =
            |property, text: &'static str| Error::new("/chosen", Some(property), Problem::Other(text.into()));
        if boot.initrd.is_some() && boot.kernel.is_none() {
            return Err(error(INITRD, "is of no use without xvisor,kernel"));
        }
        if boot.kernel.is_some() && boot.binary.is_some() {
            return Err(error(BINARY, "xvisor,kernel says already what the guest begins with"));
        }
        if let (Some((_, whose)), Some(_)) = (&plan.firmware, boot.kernel.as_ref().or(boot.binary.as_ref())) {
            let text =
                format!("the guest begins with the firmware of {whose}, which loads its kernel itself");
            return Err(Error::new("/chosen", Some(KERNEL), Problem::Other(text.into())));
        }
        Ok(boot)
    }
}

const KERNEL: &str = "xvisor,kernel";
const BINARY: &str = "xvisor,binary";
const INITRD: &str = "xvisor,initrd";
const ENTRY: &str = "xvisor,entry";
const FDT: &str = "xvisor,fdt";

fn first_ram(plan: &Plan, tree: &Tree) -> Result<Span<Gpa>, Error> {
    let memory =
        tree.root().children().find(|node| node.str_opt("device_type").ok().flatten() == Some("memory"));
    let Some(node) = memory else { return Err(tree.root().error("there is no memory")) };
    plan::span(node, node.region(0)?, plan.address_bits())
}

/// Loads all that the guest starts from, and says how its first CPU begins.
pub(crate) fn load(machine: &Machine) -> Result<PowerOn, Error> {
    let (boot, ram) = (&machine.boot, &**machine.guest.memory());
    for image in &machine.images {
        let node_error =
            |text: String| Error::new(&*image.node, Some(image.property), Problem::Other(text.into()));
        let bytes = host_vfs::bytes(&image.path).map_err(|why| node_error(format!("{why}")))?;
        if bytes.len() as u64 > image.span.length() {
            let text = format!(
                "{} has {} bytes, and there is room for {}",
                image.path,
                bytes.len(),
                image.span.length()
            );
            return Err(node_error(text));
        }
        write(ram, image.span.base(), &bytes).map_err(|why| node_error(format!("{}: {why}", image.path)))?;
    }
    match (&boot.kernel, boot.firmware) {
        (Some(kernel), _) => load_kernel(machine, ram, kernel),
        // As QEMU's virt board does for firmware: the tree lies where memory begins.
        (None, Some(entry)) => start_with_fdt(machine, ram, entry, boot.fdt.unwrap_or(boot.ram.base())),
        (None, None) => {
            let entry = boot.entry.unwrap_or(boot.ram.base());
            if let Some(path) = &boot.binary {
                load_binary(ram, path, entry)?;
            }
            let tree = crate::guest_tree::make(machine, None)?;
            let at = match boot.fdt {
                Some(at) => at,
                None => last_place(boot.ram, tree.len() as u64)?,
            };
            place_fdt(ram, at, &tree)?;
            Ok(PowerOn { entry, argument: at.get() })
        }
    }
}

/// A file as it is, at the entry point.
fn load_binary(ram: &GuestRam, path: &str, entry: Gpa) -> Result<(), Error> {
    let error = |text: String| Error::new("/chosen", Some(BINARY), Problem::Other(text.into()));
    let bytes = host_vfs::bytes(path).map_err(|why| error(format!("{why}")))?;
    write(ram, entry, &bytes).map_err(|why| error(format!("{path} at {:#x}: {why}", entry.get())))
}

fn start_with_fdt(machine: &Machine, ram: &GuestRam, entry: Gpa, at: Gpa) -> Result<PowerOn, Error> {
    place_fdt(ram, at, &crate::guest_tree::make(machine, None)?)?;
    Ok(PowerOn { entry, argument: at.get() })
}

/// The last place in reach where `length` bytes fit.
fn last_place(ram: Span<Gpa>, length: u64) -> Result<Gpa, Error> {
    let end = ram.length().min(FDT_REACH);
    let offset =
        end.checked_sub(length).ok_or_else(|| no_room("the guest's device tree", length, ram.length()))?;
    Ok(ram.base().offset(offset & !(KERNEL_ALIGN - 1)))
}

/// Kernel, tree and initial RAM disk, one after the other from the beginning of memory on.
fn load_kernel(machine: &Machine, ram: &GuestRam, path: &str) -> Result<PowerOn, Error> {
    let boot = &machine.boot;
    let chosen = |property: &'static str| {
        move |text: String| Error::new("/chosen", Some(property), Problem::Other(text.into()))
    };
    let error = chosen(KERNEL);
    let bytes = host_vfs::bytes(path).map_err(|why| error(format!("{why}")))?;
    let base =
        boot.ram.base().checked_add(KERNEL_ALIGN - 1).unwrap_or(boot.ram.last()).align_down(KERNEL_ALIGN);
    let room = boot.ram.last().since(base).map_or(0, |last| last + 1);
    let target = Target { ram, base, room };
    let kernel = if image::Kind::detect(&bytes) == image::Kind::Gzip {
        target.inflate(&bytes)
    } else {
        target.copy(&bytes)
    }
    .map_err(|why| error(format!("{path}: {why}")))?;

    // The tree's length does not depend on where the initial RAM disk will be.
    let initrd = match &boot.initrd {
        None => None,
        Some(path) => Some((path, host_vfs::bytes(path).map_err(|why| chosen(INITRD)(format!("{why}")))?)),
    };
    let placeholder = initrd.as_ref().map(|_| (Gpa::new(0), Gpa::new(0)));
    let tree_length = crate::guest_tree::make(machine, placeholder)?.len() as u64;
    let fdt = align_up(kernel.end, KERNEL_ALIGN);
    let mut place = None;
    if let Some((path, bytes)) = &initrd {
        let error = chosen(INITRD);
        let start = align_up(fdt.offset(tree_length), KERNEL_ALIGN);
        let left = boot.ram.last().since(start).map_or(0, |last| last + 1);
        if bytes.len() as u64 > left {
            return Err(error(format!(
                "{path} has {} bytes, and {left} are left of the guest's memory",
                bytes.len()
            )));
        }
        write(ram, start, bytes).map_err(|why| error(format!("{path}: {why}")))?;
        place = Some((start, start.offset(bytes.len() as u64)));
    }
    place_fdt(ram, fdt, &crate::guest_tree::make(machine, place)?)?;
    Ok(PowerOn { entry: kernel.entry, argument: fdt.get() })
}

fn align_up(at: Gpa, alignment: u64) -> Gpa {
    at.offset(alignment - 1).align_down(alignment)
}

fn place_fdt(ram: &GuestRam, at: Gpa, tree: &[u8]) -> Result<(), Error> {
    write(ram, at, tree).map_err(|_| no_room("the guest's device tree", tree.len() as u64, 0))
}

fn no_room(what: &str, length: u64, room: u64) -> Error {
    let text =
        format!("{what} has {length} bytes and does not fit into the guest's memory ({room} bytes left)");
    Error::new("/chosen", None, Problem::Other(text.into()))
}

/// Where a loaded kernel begins and ends.
struct Loaded {
    entry: Gpa,
    end: Gpa,
}

/// Where kernels are loaded to.
struct Target<'a> {
    ram: &'a GuestRam,
    base: Gpa,
    room: u64,
}

/// Why a kernel was not loaded.
enum BadKernel {
    Header(image::linux::NotImage),
    OtherProcessor(image::Kind),
    Gzip(gzip::Error<Outside>),
    TooBig { needs: u64, room: u64 },
    Outside,
}

impl fmt::Display for BadKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(why) => why.fmt(f),
            Self::OtherProcessor(kind) => write!(f, "is for another processor: {kind}"),
            Self::Gzip(why) => why.fmt(f),
            Self::TooBig { needs, room } => {
                write!(f, "needs {needs} bytes, and the guest's memory has {room}")
            }
            Self::Outside => Outside.fmt(f),
        }
    }
}

/// Something would lie outside of the guest's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Outside;

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("does not fit into the guest's memory")
    }
}

impl Target<'_> {
    /// Where a kernel with this header goes.
    fn place(&self, header: &Image) -> Result<Loaded, BadKernel> {
        if header.magic != <arch::Machine as Virt>::KERNEL_MAGIC {
            let kind =
                if header.magic == RISCV_MAGIC { image::Kind::RiscvImage } else { image::Kind::Arm64Image };
            return Err(BadKernel::OtherProcessor(kind));
        }
        let needs = header.text_offset.saturating_add(header.memory_size);
        if needs > self.room {
            return Err(BadKernel::TooBig { needs, room: self.room });
        }
        Ok(Loaded { entry: self.base.offset(header.text_offset), end: self.base.offset(needs) })
    }

    fn copy(&self, file: &[u8]) -> Result<Loaded, BadKernel> {
        let loaded = self.place(&Image::parse(file).map_err(BadKernel::Header)?)?;
        write(self.ram, loaded.entry, file).map_err(|_| BadKernel::Outside)?;
        Ok(loaded)
    }

    /// Inflates straight into the guest's memory: the header is in the first piece.
    fn inflate(&self, file: &[u8]) -> Result<Loaded, BadKernel> {
        let mut loaded = None;
        let mut bad = None;
        let mut at = self.base;
        let length = gzip::inflate(file, self.room, |piece| {
            if loaded.is_none() {
                let header = piece.get(..HEADER_SIZE).unwrap_or(piece);
                match Image::parse(header).map_err(BadKernel::Header).and_then(|header| self.place(&header)) {
                    Ok(place) => {
                        at = place.entry;
                        loaded = Some(place);
                    }
                    Err(why) => {
                        bad = Some(why);
                        return Err(Outside);
                    }
                }
            }
            write(self.ram, at, piece)?;
            at = at.offset(piece.len() as u64);
            Ok(())
        });
        if let Some(bad) = bad {
            return Err(bad);
        }
        let length = length.map_err(BadKernel::Gzip)?;
        let Some(loaded) = loaded else { return Err(BadKernel::Gzip(gzip::Error::Truncated)) };
        // The file may be longer than its header says that it needs.
        let end = loaded.end.max(loaded.entry.offset(length));
        Ok(Loaded { end, ..loaded })
    }
}

/// Writes to memory or ROM, and makes it seen by a CPU whose caches are off.
fn write(ram: &GuestRam, at: Gpa, bytes: &[u8]) -> Result<(), Outside> {
    let mut to = at;
    for piece in bytes.chunks(PIECE) {
        ram.install(to, piece).map_err(|_| Outside)?;
        ram.clean(to, piece.len() as u64).map_err(|_| Outside)?;
        to = to.checked_add(piece.len() as u64).ok_or(Outside)?;
    }
    Ok(())
}
