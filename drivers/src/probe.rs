//! Which driver goes to which node, and in which order.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use host_sync::Spin;

use crate::{Declined, Driver, Node, Running, Stage};

/// What became of a device for which there is a driver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// A driver works on it.
    Running,
    /// Its driver waits for this.
    Waiting(String),
    /// Its driver gave up, for this reason.
    Failed(String),
}

/// A device of the host for which there is a driver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// The node's name.
    pub name: String,
    /// The node's path in the host's device tree.
    pub path: String,
    /// The driver's name.
    pub driver: &'static str,
    /// What kind of device it is.
    pub class: &'static str,
    /// How far it is.
    pub state: State,
}

struct Entry {
    device: Device,
    /// Kept for as long as the device is used.
    _running: Option<Running>,
}

static DEVICES: Spin<Vec<Entry>> = Spin::new(Vec::new());

/// Every device for which there is a driver, in the order in which they were tried.
pub fn devices() -> Vec<Device> {
    DEVICES.lock().iter().map(|entry| entry.device.clone()).collect()
}

/// Starts the drivers of these stages, one stage after the other, on the nodes of `tree` that are enabled
/// and not meant for a guest (`xvisor,passthrough`). What runs or failed before is left alone; what
/// waited is tried again.
pub fn probe(tree: &fdt::Tree, stages: &[Stage]) {
    probe_with(crate::CATALOG, tree, stages);
}

/// Says who still waits, and for what.
pub fn report() {
    for device in devices() {
        if let State::Waiting(what) = &device.state {
            host_log::warn!("{}: driver {} waits for {what}", device.path, device.driver);
        }
    }
}

fn probe_with(catalog: &[&[&'static Driver]], tree: &fdt::Tree, stages: &[Stage]) {
    for stage in stages {
        // Whoever declined may have waited for one that has started since.
        while probe_round(catalog, tree, *stage) {}
    }
}

/// Tries each node once, and says whether a driver started for which another may have waited.
fn probe_round(catalog: &[&[&'static Driver]], tree: &fdt::Tree, up_to: Stage) -> bool {
    let mut started = false;
    let mut waiting = false;
    for node in tree.root().descendants() {
        let path = node.path();
        if !is_ours(node, &path) {
            continue;
        }
        for driver in drivers_of(catalog, node).filter(|driver| driver.stage <= up_to) {
            match (driver.start)(&Node::new(node)) {
                Ok(running) => {
                    record(node, &path, driver, State::Running, Some(running));
                    started = true;
                }
                Err(Declined::NotMine) => continue,
                Err(Declined::Later(what)) => {
                    record(node, &path, driver, State::Waiting(what), None);
                    waiting = true;
                }
                Err(Declined::Broken(why)) => {
                    host_log::error!("{path}: driver {}: {why}", driver.name);
                    record(node, &path, driver, State::Failed(why), None);
                }
            }
            break;
        }
    }
    started && waiting
}

/// Whether a driver may still be tried on the node.
fn is_ours(node: fdt::Node<'_>, path: &str) -> bool {
    let done = |entry: &Entry| entry.device.path == path && !matches!(entry.device.state, State::Waiting(_));
    node.flag("compatible")
        && node.is_enabled()
        && !node.flag("xvisor,passthrough")
        && !path.starts_with("/guests/")
        && !DEVICES.lock().iter().any(done)
}

/// The drivers that answer to the node, those of its most particular `compatible` first.
fn drivers_of<'a>(
    catalog: &'a [&'a [&'static Driver]],
    node: fdt::Node<'a>,
) -> impl Iterator<Item = &'static Driver> + 'a {
    node.compatibles().flat_map(|model| {
        catalog.iter().copied().flatten().copied().filter(move |driver| driver.compatible.contains(&model))
    })
}

fn record(node: fdt::Node<'_>, path: &str, driver: &Driver, state: State, running: Option<Running>) {
    let device = Device {
        name: node.name().to_string(),
        path: path.to_string(),
        driver: driver.name,
        class: driver.class,
        state,
    };
    let entry = Entry { device, _running: running };
    let mut devices = DEVICES.lock();
    let before = devices.iter_mut().find(|known| known.device.path == path);
    let replaced = match before {
        Some(known) => Some(core::mem::replace(known, entry)),
        None => {
            devices.push(entry);
            None
        }
    };
    drop(devices);
    drop(replaced);
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use alloc::vec::Vec;

    use atomic::{AtomicBool, Ordering};

    use super::{State, devices, probe_with};
    use crate::{Declined, Driver, Node, Running, Stage};

    static CLOCK_RUNS: AtomicBool = AtomicBool::new(false);

    fn needs_clock(_: &Node<'_>) -> Result<Running, Declined> {
        if CLOCK_RUNS.load(Ordering::Relaxed) {
            Ok(Box::new(()))
        } else {
            Err(Declined::Later("a clock".into()))
        }
    }
    fn clock(_: &Node<'_>) -> Result<Running, Declined> {
        CLOCK_RUNS.store(true, Ordering::Relaxed);
        Ok(Box::new(()))
    }
    fn broken(node: &Node<'_>) -> Result<Running, Declined> {
        node.span(0).map(|_| Box::new(()) as Running)
    }
    fn picky(_: &Node<'_>) -> Result<Running, Declined> {
        Err(Declined::NotMine)
    }

    const fn driver(
        name: &'static str,
        stage: Stage,
        compatible: &'static [&'static str],
        start: fn(&Node<'_>) -> Result<Running, Declined>,
    ) -> Driver {
        Driver { name, class: "test", stage, compatible, start }
    }
    static CATALOG: &[&Driver] = &[
        &driver("user", Stage::Device, &["t,user"], needs_clock),
        &driver("clock", Stage::Device, &["t,clock"], clock),
        &driver("broken", Stage::Device, &["t,broken"], broken),
        &driver("picky", Stage::Device, &["t,thing-v2"], picky),
        &driver("thing", Stage::Device, &["t,thing"], |_| Ok(Box::new(()))),
        &driver("orphan", Stage::Device, &["t,orphan"], |_| Err(Declined::Later("nobody".into()))),
    ];

    #[test]
    fn drivers_wait_fail_and_step_back_without_harm_to_others() {
        let mut tree = fdt::Tree::new();
        for (name, compatible) in [
            ("user", &["t,user"][..]),
            ("off", &["t,thing"]),
            ("given", &["t,thing"]),
            ("broken", &["t,broken"]),
            ("thing", &["t,thing-v2", "t,thing"]),
            ("orphan", &["t,orphan"]),
            ("clock", &["t,clock"]),
        ] {
            let node = tree.add_path(&alloc::format!("/test/{name}")).unwrap();
            tree.set(node, "compatible", compatible).unwrap();
            if name == "off" {
                tree.set(node, "status", "disabled").unwrap();
            }
            if name == "given" {
                tree.set(node, "xvisor,passthrough", ()).unwrap();
            }
        }
        probe_with(&[CATALOG], &tree, Stage::ALL);
        let found: Vec<_> =
            devices().into_iter().filter(|device| device.path.starts_with("/test/")).collect();
        let state =
            |name: &str| found.iter().find(|device| device.name == name).map(|device| device.state.clone());
        assert_eq!(
            state("user"),
            Some(State::Running),
            "it waited for the clock, which comes later in the tree"
        );
        assert_eq!(state("clock"), Some(State::Running));
        assert_eq!(state("thing"), Some(State::Running), "the particular driver stepped back");
        assert_eq!(state("orphan"), Some(State::Waiting("nobody".into())));
        assert!(matches!(state("broken"), Some(State::Failed(why)) if why.contains("reg")));
        assert_eq!(state("off"), None);
        assert_eq!(state("given"), None);
    }
}
