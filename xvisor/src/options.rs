//! The boot arguments: `bootargs` in the host tree's `/chosen`.
//!
//! | argument | meaning |
//! |---|---|
//! | `vmm.console=<device>` | the terminal's device, by path or name; `stdout-path` otherwise |
//! | `vmm.rtcdev=<device>` | the clock that the wall clock is set from; the first one otherwise |
//! | `vmm.bootcmd="<command>;…"` | what the terminal runs first |
//! | `vmm.loglevel=<0 to 7>` | up to which level log lines are shown |
//! | `vmm.sched=<policy>[@<CPUs>],…` | which policy schedules which CPU; `priority` |
//! | `vmm.balance=on\|off` | whether virtual CPUs are moved to host CPUs with time for them; `on` |
//! | `vmm.panic=reset\|halt` | what follows a crash of the hypervisor; `halt` |

use alloc::string::{String, ToString};

use crate::panic::{After, set_after};

/// What the boot arguments say.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) console: Option<String>,
    pub(crate) rtc: Option<String>,
    pub(crate) bootcmd: Option<String>,
    /// Virtual CPUs stay where they were put.
    pub(crate) stays: bool,
}

impl Options {
    /// Reads the line. What is not understood is reported and skipped: a typing mistake must not keep a
    /// machine from starting.
    pub(crate) fn parse(line: &str) -> Self {
        let mut options = Self::default();
        for parameter in cmdline::parameters(line) {
            let text = parameter.value.unwrap_or_default();
            match parameter.key {
                "vmm.console" => options.console = Some(text.to_string()),
                "vmm.rtcdev" => options.rtc = Some(text.to_string()),
                "vmm.bootcmd" => options.bootcmd = Some(text.to_string()),
                "vmm.loglevel" => match text.parse().ok().and_then(host_log::Level::from_number) {
                    Some(level) => host_log::set_level(level),
                    None => host_log::warn!("boot argument vmm.loglevel={text}: not a level"),
                },
                "vmm.sched" => match host_thread::policy::Plan::parse(text) {
                    Ok(plan) => host_thread::set_plan(plan),
                    Err(why) => host_log::warn!("boot argument vmm.sched={text}: {why}"),
                },
                "vmm.balance" => match text {
                    "on" => options.stays = false,
                    "off" => options.stays = true,
                    _ => host_log::warn!("boot argument vmm.balance={text}: neither on nor off"),
                },
                "vmm.panic" => match text {
                    "reset" => set_after(After::Reset),
                    "halt" => set_after(After::Halt),
                    _ => host_log::warn!("boot argument vmm.panic={text}: neither reset nor halt"),
                },
                other if other.starts_with("vmm.") => {
                    host_log::warn!("boot argument {other}: not known");
                }
                _ => {}
            }
        }
        options
    }
}
