//! `inspect`: the state of every object, as a tree.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use inspect::Tree;
use vm_machine::manager;

use crate::{Args, Command, Failed, Form, Session, thread};

pub(crate) const COMMAND: Command = Command {
    name: "inspect",
    about: "show the state of any object",
    forms: &[Form { words: "", arguments: "[<object>]", run: show }],
};

fn show(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let path = args.given(0).unwrap_or("");
    // Collected first: an object may be locked while it is visited, and the terminal may be slow.
    let mut text = String::new();
    inspect::print(&root, path, &mut text)
        .map_err(|error| Failed::Because(format!("\"{path}\": {error}")))?;
    core::fmt::Write::write_str(session, &text)?;
    if !text.ends_with('\n') {
        core::fmt::Write::write_str(session, "\n")?;
    }
    Ok(())
}

/// What the path that is being typed can become.
pub(crate) fn names(typed: &str) -> Vec<String> {
    let parent = typed.rfind('/').and_then(|end| typed.get(..=end)).unwrap_or("");
    let mut names = Vec::new();
    let found = inspect::names(&root, parent, &mut |name| names.push(format!("{parent}{name}")));
    if found.is_ok() { names } else { Vec::new() }
}

fn root(tree: &mut Tree<'_>) {
    tree.child("guests", guests);
    tree.child("host", host);
    tree.child("threads", threads);
    tree.child("vserials", |tree| {
        for port in vio::serial::list() {
            tree.child(&step(port.name()), |tree| {
                tree.field("sent", port.sent());
                tree.field("waiting", port.waiting());
            });
        }
    });
}

/// A name as a step of a path.
fn step(name: &str) -> String {
    name.replace('/', ":")
}

fn guests(tree: &mut Tree<'_>) {
    for guest in manager::list() {
        tree.child(guest.name(), |tree| {
            tree.field("id", guest.id());
            tree.field("state", guest.state());
            tree.field("resets", guest.resets().0);
            tree.child("vcpus", |tree| {
                for vcpu in guest.vcpus() {
                    tree.child(&vcpu.index().to_string(), |tree| {
                        tree.field("name", vcpu.name());
                        tree.field("state", vcpu.state());
                        tree.hex("hardware_id", vcpu.hardware_id());
                        tree.field("resets", vcpu.resets());
                    });
                }
            });
            tree.child("memory", |tree| {
                for region in guest.memory().regions() {
                    tree.field(
                        &format!("{:#x}", region.span().base().get()),
                        format_args!("{:?}", region.rights()),
                    );
                }
            });
            tree.child("devices", |tree| {
                for path in guest.devices() {
                    // A device that goes meanwhile shows nothing.
                    tree.child(&step(path.trim_start_matches('/')), |tree| {
                        guest.inspect_device(&path, tree);
                    });
                }
            });
        });
    }
}

fn host(tree: &mut Tree<'_>) {
    tree.child("memory", |tree| {
        let stats = host_mem::stats();
        tree.field("total_frames", stats.total_frames);
        tree.field("free_frames", stats.free_frames);
        let heap = host_mem::heap_stats();
        tree.child("heap", |tree| {
            tree.field("size", heap.size);
            tree.field("used", heap.used);
            tree.field("pieces", heap.allocations);
        });
    });
    tree.child("devices", |tree| {
        for device in drivers::devices() {
            tree.child(&device.name, |tree| {
                tree.field("path", &device.path);
                tree.field("driver", device.driver);
                tree.field("class", device.class);
                tree.field("state", format_args!("{:?}", device.state));
            });
        }
    });
    tree.child("irqs", |tree| {
        for irq in host_irq::stats() {
            tree.field(&irq.irq.to_string(), format_args!("{} {}", irq.name, irq.count));
        }
    });
}

fn threads(tree: &mut Tree<'_>) {
    for thread in thread::all() {
        tree.child(&thread.id.0.to_string(), |tree| {
            tree.field("name", &thread.name);
            tree.field("state", thread::state(thread.state));
            tree.field("priority", thread.attributes.priority);
            tree.field("running_ns", thread.stats.running.0);
            tree.field("switches", thread.stats.switches);
        });
    }
}
