//! The devices of one conversation, and the actions that several steps share.

use std::rc::Rc;

use serde_json::json;

use crate::account::{Account, uuid};
use crate::device::Device;
use crate::engine::{Changes, Engine, Handshakes, Outcome};
use crate::requests;
use crate::xrpc::{Refusal, Service, base64};

/// Makes the engine of the device with this number, for this DID.
pub type Maker = Box<dyn Fn(usize, &str) -> Outcome<Box<dyn Engine>>>;

pub struct Scenario {
    pub label: String,
    pub handshakes: Handshakes,
    service: Rc<Service>,
    suite: u16,
    make: Maker,
    pub devices: Vec<Device>,
    /// The devices that read the conversation now.
    pub readers: Vec<usize>,
    pub convo: String,
    step: usize,
    pub failures: usize,
}

pub fn removing(leaves: Vec<u32>) -> Changes {
    Changes { remove: leaves, ..Changes::default() }
}

pub fn adding(key_package: &[u8]) -> Changes {
    Changes { add: vec![key_package.to_vec()], ..Changes::default() }
}

pub fn expect_refusal<T>(outcome: Outcome<T>, name: &str) -> Outcome<()> {
    match outcome {
        Ok(_) => Err(format!("succeeded instead of being refused as {name}").into()),
        Err(error) if error.downcast_ref::<Refusal>().is_some_and(|refusal| refusal.name() == name) => Ok(()),
        Err(error) => Err(error),
    }
}

impl Scenario {
    pub fn new(label: String, handshakes: Handshakes, suite: u16, service: Rc<Service>, make: Maker) -> Self {
        let (devices, readers, convo) = (Vec::new(), Vec::new(), String::new());
        Self { label, handshakes, service, suite, make, devices, readers, convo, step: 0, failures: 0 }
    }

    /// Runs one step and prints its result. A step returns a description of what it did.
    pub fn step<T: Into<String>>(&mut self, name: &str, run: impl FnOnce(&mut Self) -> Outcome<T>) {
        self.step += 1;
        let outcome = run(self);
        let (label, step) = (&self.label, self.step);
        match outcome {
            Ok(done) => println!("ok {label} | {step:02} {name}: {}", done.into()),
            Err(error) => {
                println!("FAILED {label} | {step:02} {name}: {error}");
                self.failures += 1;
                // Drops pending commits, so that later steps do not fail because of this one.
                for device in &mut self.devices {
                    device.engine.discard().ok();
                }
            }
        }
    }

    /// Creates a new device without registering it.
    pub fn enter(&mut self, account: Rc<Account>) -> Outcome<usize> {
        let at = self.devices.len();
        let engine = (self.make)(at, &account.did)?;
        self.devices.push(Device::new(account, Rc::clone(&self.service), self.suite, engine));
        Ok(at)
    }

    /// Creates and registers another device of the same person, and returns it with its key package.
    pub fn enter_again(&mut self, at: usize) -> Outcome<(usize, Vec<u8>)> {
        let account = Rc::clone(&self.devices[at].account);
        let other = self.enter(account)?;
        let key_package = self.devices[other].register("another device")?;
        Ok((other, key_package))
    }

    pub fn did(&self, at: usize) -> String {
        self.devices[at].account.did.clone()
    }

    /// Makes all devices catch up and checks that they have the same secrets of the same epoch.
    pub fn agree(&mut self) -> Outcome<String> {
        let mut states = Vec::new();
        for at in &self.readers {
            let device = &mut self.devices[*at];
            device.catch_up().map_err(|error| format!("device {at} could not catch up: {error}"))?;
            states.push((device.engine.epoch()?, device.engine.epoch_authenticator()?));
        }
        let Some(first) = states.first() else { return Ok("no device reads".into()) };
        if states.iter().any(|state| state != first) {
            let epochs: Vec<_> = states.iter().map(|state| state.0).collect();
            return Err(format!("the devices differ; their epochs are {epochs:?}").into());
        }
        Ok(format!("{} devices agree on epoch {}", states.len(), first.0))
    }

    /// Each device sends a message, and all other devices read it.
    pub fn talk(&mut self) -> Outcome<String> {
        self.agree()?;
        for at in self.readers.clone() {
            let text = format!("{} of {at}", uuid());
            self.devices[at].send(&text)?;
            for other in self.readers.clone() {
                self.devices[other].catch_up()?;
                if other != at && self.devices[other].texts.last() != Some(&text) {
                    return Err(format!("device {other} did not read what device {at} wrote").into());
                }
            }
        }
        Ok(format!("{} messages, each read by all others", self.readers.len()))
    }

    /// Makes a commit that does not change the list of members.
    pub fn commit(&mut self, at: usize, changes: &Changes) -> Outcome<()> {
        let convo = self.convo.clone();
        self.devices[at].commit(changes, |commit| requests::commit(&convo, commit))
    }

    /// `at` adds `added`, whose key package has this hash; `added` joins by Welcome.
    pub fn add(&mut self, at: usize, added: usize, changes: &Changes, hash: &str) -> Outcome<()> {
        let (convo, did) = (self.convo.clone(), self.did(added));
        self.devices[at].commit(changes, |commit| requests::add_members(&convo, &did, &[hash], commit))?;
        self.devices[added].join(&convo)?;
        self.readers.push(added);
        Ok(())
    }

    /// `at` removes `removed`, a member or a person who has left.
    pub fn remove(&mut self, at: usize, removed: usize, changes: &Changes) -> Outcome<()> {
        let (convo, did) = (self.convo.clone(), self.did(removed));
        let (devices, readers) = (&self.devices, &mut self.readers);
        readers.retain(|each| devices[*each].account.did != did);
        self.devices[at].commit(changes, |commit| requests::remove_member(&convo, &did, commit))
    }

    /// Calls `updateGroupInfo` with the GroupInfo of the current epoch.
    pub fn store_group_info(&mut self, at: usize, with_tree: bool) -> Outcome<()> {
        let device = &mut self.devices[at];
        device.catch_up()?;
        let group_info = base64(&device.engine.group_info(with_tree)?);
        let body = json!({ "convoId": self.convo, "groupInfo": group_info, "epoch": device.engine.epoch()? });
        device.post("updateGroupInfo", &body)?;
        Ok(())
    }
}
