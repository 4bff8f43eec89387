//! A machine's life, as its errand thread leads it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use atomic::Arc;
use fdt::{NodeId, Tree};
use vio::serial::Serial;
use vm_bus::{VcpuWaker, Work};
use vm_vcpu::Asked;

use crate::boot::Boot;
use crate::errand::Order;
use crate::guest::{Guest, LifeError, State};
use crate::plan::{Bound, Image};
use crate::{Controller, manager};

/// All that belongs to a machine. Dropping it ends the threads of its CPUs and gives everything back.
pub(crate) struct Machine {
    pub(crate) guest: Arc<Guest>,
    pub(crate) controllers: Vec<Arc<dyn Controller>>,
    pub(crate) bells: Vec<Bound>,
    pub(crate) serials: Vec<Arc<Serial>>,
    pub(crate) images: Vec<Image>,
    /// The description; what the guest gets is made from it at each start.
    pub(crate) tree: Tree,
    pub(crate) rewrites: Vec<(NodeId, String, Box<[u8]>)>,
    pub(crate) hidden: Vec<NodeId>,
    pub(crate) boot: Boot,
}

impl Machine {
    /// Carries an order out.
    pub(crate) fn obey(&mut self, order: Order) -> Result<(), LifeError> {
        let state = self.guest.state();
        match (order, state) {
            (Order::Destroy, _) => {}
            (Order::Reset, _) => self.reset(),
            (Order::Kick, State::Reset) => self.kick()?,
            (Order::Pause, State::Running) => {
                self.hold();
                self.guest.set_state(State::Paused);
            }
            (Order::Resume, State::Paused) => {
                self.guest.set_state(State::Running);
                // A guest that is about to be off, or reset, does not go on behind the call.
                if !self.guest.errands.owes_power() {
                    self.release();
                }
            }
            (Order::Halt, State::Running | State::Paused) => self.halt(),
            _ => return Err(LifeError::State(state)),
        }
        manager::tell(&self.guest, order);
        Ok(())
    }

    /// The guest switched itself off.
    pub(crate) fn guest_off(&mut self) {
        if self.guest.state() == State::Running {
            host_log::info!("{}: switched itself off", self.guest.name());
            // Nobody to tell about an error; a running machine can be halted.
            let _ = self.obey(Order::Halt);
        }
    }

    /// The guest reset itself.
    pub(crate) fn guest_reset(&mut self) {
        if self.guest.state() != State::Running {
            return;
        }
        host_log::info!("{}: resets itself", self.guest.name());
        let again = self.obey(Order::Reset).and_then(|()| self.obey(Order::Kick));
        if let Err(why) = again {
            host_log::error!("{}: {why}", self.guest.name());
            self.guest.set_state(State::Halted);
        }
    }

    /// Polls the devices whose bells rang, a bounded amount of work each.
    pub(crate) fn poll(&self) -> Work {
        let mut all = Work::Done;
        for bound in &self.bells {
            if !bound.bell.answer() {
                continue;
            }
            if let Some(target) = &bound.target
                && target.poll() == Work::More
            {
                bound.bell.ring();
                all = Work::More;
            }
        }
        all
    }

    fn kick(&self) -> Result<(), LifeError> {
        let from = crate::boot::load(self).map_err(LifeError::Start)?;
        self.guest.set_state(State::Running);
        self.release();
        if let Some(first) = self.guest.vcpus().first() {
            // It was off, as all are after a reset.
            let _ = first.power_on(from);
        }
        Ok(())
    }

    fn halt(&self) {
        self.hold();
        self.guest.errands.forget_power();
        self.ask_all(Asked::HALT);
        self.guest.set_state(State::Halted);
        self.release();
    }

    fn reset(&self) {
        self.hold();
        self.guest.errands.forget_power();
        self.ask_all(Asked::OFF);
        self.guest.reset_devices();
        for controller in &self.controllers {
            controller.reset();
        }
        self.guest.was_reset();
        self.guest.set_state(State::Reset);
        self.release();
    }

    /// All CPUs are out of the guest when this returns, and stay out.
    fn hold(&self) {
        for vcpu in self.guest.vcpus() {
            vcpu.ask(Asked::HOLD);
        }
        self.wait(Asked::NOTHING);
    }

    fn release(&self) {
        for vcpu in self.guest.vcpus() {
            vcpu.mailbox.clear(Asked::HOLD);
            vcpu.wake();
        }
    }

    fn ask_all(&self, what: Asked) {
        for vcpu in self.guest.vcpus() {
            vcpu.ask(what);
        }
        self.wait(what);
    }

    /// Waits until every CPU is out of the guest and has done what `edges` asked. Each wakes us then.
    fn wait(&self, edges: Asked) {
        while !self.guest.vcpus().iter().all(|vcpu| vcpu.rests(edges)) {
            host_thread::park();
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for vcpu in self.guest.vcpus() {
            vcpu.ask(Asked::END);
        }
        for vcpu in self.guest.vcpus() {
            if let Some(thread) = vcpu.thread() {
                thread.join();
            }
        }
        for serial in &self.serials {
            serial.close();
        }
        self.guest.set_state(State::Destroyed);
        self.guest.strip();
    }
}
