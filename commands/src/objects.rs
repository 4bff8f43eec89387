//! Names of objects, for completion: a parameter's name says which objects can stand there.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use host_vfs::Kind;

use crate::{COMMANDS, guest, host, inspect_command, selftest, tree, vcpu};

/// The names of the objects that `parameter` can be, as far as `typed` leads (a path, to its directory).
pub(crate) fn names(parameter: &str, typed: &str) -> Vec<String> {
    match parameter {
        "command" => COMMANDS.iter().map(|command| command.name.to_string()).collect(),
        "guest" => guest::names(),
        "new_guest" => tree::names_below(tree::GUESTS),
        "vcpu" => vcpu::names(),
        "host_cpu" => host::cpu_names(),
        "vserial" => vio::serial::list().iter().map(|port| port.name().to_string()).collect(),
        "chardev" => vio::chardev::list().iter().map(|device| device.name().to_string()).collect(),
        "rtc" => vio::rtc::list().iter().map(|device| device.name().to_string()).collect(),
        "bus" => [host::PLATFORM.to_string()].into(),
        "selftest" => selftest::names(),
        "class" => host::classes().into_iter().map(String::from).collect(),
        "source" => host_vfs::sources(),
        "mount_point" => host_vfs::mounts().into_iter().map(|mount| mount.path).collect(),
        "file" => files(typed, |_| true),
        "dir" => files(typed, |kind| kind == Kind::Directory),
        "node" => nodes(typed),
        "object" => inspect_command::names(typed),
        "type" => tree::TYPES.iter().map(|name| name.to_string()).collect(),
        _ => Vec::new(),
    }
}

/// What is in the directory of the path that is being typed.
fn files(typed: &str, wanted: impl Fn(Kind) -> bool) -> Vec<String> {
    let directory = typed.rfind('/').and_then(|end| typed.get(..=end)).unwrap_or("/");
    let entries = host_vfs::list(directory).unwrap_or_default();
    let named = |entry: host_vfs::Entry| {
        let slash = if entry.stat.kind == Kind::Directory { "/" } else { "" };
        format!("{directory}{}{slash}", entry.name)
    };
    entries
        .into_iter()
        .filter(|entry| entry.stat.kind == Kind::Directory || wanted(entry.stat.kind))
        .map(named)
        .collect()
}

/// What is below the node of the path that is being typed.
fn nodes(typed: &str) -> Vec<String> {
    let parent = typed.rfind('/').and_then(|end| typed.get(..end)).unwrap_or("");
    let path = if parent.is_empty() { "/" } else { parent };
    tree::names_below(path).into_iter().map(|name| format!("{parent}/{name}")).collect()
}

/// Where the host device of this name is in the device tree.
pub(crate) fn device_path(name: &str) -> String {
    let found = drivers::devices().into_iter().find(|device| device.name == name);
    found.map_or_else(|| String::from("---"), |device| device.path)
}
