//! `reset` and `shutdown`: the host begins anew, or goes off.

use core::fmt::Write;

use vio::power::{self, Power};

use crate::{Args, Command, Failed, Form, Session};

pub(crate) const RESET: Command = Command {
    name: "reset",
    about: "reset hypervisor",
    forms: &[Form { words: "", arguments: "", run: |session, args| act(session, args, Power::Reset) }],
};

pub(crate) const SHUTDOWN: Command = Command {
    name: "shutdown",
    about: "shutdown hypervisor",
    forms: &[Form { words: "", arguments: "", run: |session, args| act(session, args, Power::Off) }],
};

fn act(session: &mut Session<'_>, _: &Args<'_>, what: Power) -> Result<(), Failed> {
    writeln!(
        session,
        "System {} ...",
        match what {
            Power::Off => "Shutdown",
            Power::Reset => "Reset",
        }
    )?;
    session.flush();
    power::act(what);
    Err(Failed::because("no driver could do it (on Arm it is the firmware's PSCI)"))
}
