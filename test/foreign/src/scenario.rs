//! What the devices do, step by step.

use std::rc::Rc;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::account::{Account, hex, random_bytes, uuid};
use crate::device::{Device, Request};
use crate::engine::{Changes, Commit, Engine, Outcome};
use crate::service::{Refusal, Service, base64};

pub const PEOPLE: usize = 5;

/// Makes the engine of the device with this number, for this DID.
pub type Maker = Box<dyn Fn(usize, &str) -> Outcome<Box<dyn Engine>>>;

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;
const DAN: usize = 3;
const ERIN: usize = 4;
const BOBS_TABLET: usize = 5;
const BOBS_LAPTOP: usize = 6;

pub struct Scenario {
    label: String,
    service: Rc<Service>,
    suite: u16,
    devices: Vec<Device>,
    /// Who reads the conversation now.
    readers: Vec<usize>,
    convo: String,
    step: usize,
    pub failures: usize,
}

fn commit_request(convo: &str, commit: &Commit) -> Request {
    let mut body = json!({
        "convoId": convo,
        "commit": { "$bytes": base64(&commit.message) },
        "groupInfo": { "$bytes": base64(&commit.group_info) },
        "idempotencyKey": uuid(),
    });
    if let Some(welcome) = &commit.welcome {
        body["welcome"] = json!({ "$bytes": base64(welcome) });
    }
    ("commit", body)
}

fn remove_request(convo: &str, did: &str, commit: &Commit) -> Request {
    let body =
        json!({ "convoId": convo, "targetDid": did, "commit": base64(&commit.message), "idempotencyKey": uuid() });
    ("removeMember", body)
}

fn removing(leaves: Vec<u32>) -> Changes {
    Changes { remove: leaves, ..Changes::default() }
}

fn expect_refusal<T>(outcome: Outcome<T>, name: &str) -> Outcome<()> {
    match outcome {
        Ok(_) => Err(format!("was answered, not refused as {name}").into()),
        Err(error) if error.downcast_ref::<Refusal>().is_some_and(|refusal| refusal.name() == name) => Ok(()),
        Err(error) => Err(error),
    }
}

impl Scenario {
    pub fn new(label: String, service: Rc<Service>, suite: u16) -> Self {
        let (devices, readers, convo) = (Vec::new(), Vec::new(), String::new());
        Self { label, service, suite, devices, readers, convo, step: 0, failures: 0 }
    }

    pub fn play(&mut self, make: &Maker, people: Vec<Account>) {
        self.beginning(make, people);
        self.commits_that_change_nobody();
        self.growing(make);
        self.removing_and_leaving();
        self.external_commits(make);
        self.step("everybody still writes and reads", |it| it.talk());
    }

    /// Runs one step and prints how it went. A step says what it did.
    fn step<T: Into<String>>(&mut self, name: &str, run: impl FnOnce(&mut Self) -> Outcome<T>) {
        self.step += 1;
        let outcome = run(self);
        let (label, step) = (self.label.clone(), self.step);
        match outcome {
            Ok(done) => println!("ok {label} | {step:02} {name}: {}", done.into()),
            Err(error) => {
                self.failures += 1;
                // The steps after it should not fail because of it.
                for device in &mut self.devices {
                    device.engine.discard().ok();
                }
                println!("FAILED {label} | {step:02} {name}: {error}");
            }
        }
    }

    fn enter(&mut self, make: &Maker, account: Rc<Account>) -> Outcome<usize> {
        let at = self.devices.len();
        let engine = make(at, &account.did)?;
        self.devices.push(Device::new(account, Rc::clone(&self.service), self.suite, engine));
        Ok(at)
    }

    fn did(&self, at: usize) -> String {
        self.devices[at].did().into()
    }

    /// Everybody catches up; all must be in the same epoch with the same secrets.
    fn agree(&mut self) -> Outcome<String> {
        let mut states = Vec::new();
        for at in &self.readers {
            let device = &mut self.devices[*at];
            device.catch_up().map_err(|error| format!("device {at} could not catch up: {error}"))?;
            states.push((device.engine.epoch()?, device.engine.epoch_authenticator()?));
        }
        let Some(first) = states.first() else { return Ok("nobody reads".into()) };
        if states.iter().any(|state| state != first) {
            let epochs: Vec<_> = states.iter().map(|state| state.0).collect();
            return Err(format!("the devices differ; their epochs are {epochs:?}").into());
        }
        Ok(format!("{} devices agree on epoch {}", states.len(), first.0))
    }

    /// Each device writes, and all others read it.
    fn talk(&mut self) -> Outcome<String> {
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

    fn beginning(&mut self, make: &Maker, people: Vec<Account>) {
        self.step("five people register a device and publish key packages", |it| {
            for account in people {
                let at = it.enter(make, Rc::new(account))?;
                it.devices[at].register("telephone")?;
                it.devices[at].publish(3)?;
            }
            Ok("registerDevice, publishKeyPackages")
        });
        self.step("Alice creates a group with Bob", |it| {
            let group_id = random_bytes::<16>();
            it.convo = hex(&group_id);
            let bob = it.did(BOB);
            let convo = it.convo.clone();
            it.devices[ALICE].create(&group_id, &convo, &bob)?;
            Ok("createConvo")
        });
        self.step("Bob joins by Welcome", |it| {
            let listed = it.devices[BOB].get("getConvos", &[])?;
            if listed["conversations"][0]["groupId"] != it.convo.as_str() {
                return Err(format!("not listed: {listed}").into());
            }
            it.devices[BOB].join(&it.convo)?;
            it.readers = vec![ALICE, BOB];
            it.agree()
        });
        self.step("both write and read", |it| it.talk());
    }

    fn commits_that_change_nobody(&mut self) {
        self.step("Alice updates herself by a commit", |it| {
            it.plain_commit(ALICE, &Changes::default())?;
            it.agree()
        });
        self.step("Bob updates himself, and stores the GroupInfo afterwards", |it| {
            let convo = it.convo.clone();
            it.devices[BOB].commit(&Changes::default(), |commit| {
                ("commit", json!({ "convoId": convo, "commit": { "$bytes": base64(&commit.message) } }))
            })?;
            let device = &it.devices[BOB];
            let group_info = base64(&device.engine.group_info()?);
            let body = json!({ "convoId": convo, "groupInfo": group_info, "epoch": device.engine.epoch()? });
            device.post("updateGroupInfo", &body)?;
            it.agree()
        });
        self.step("Bob proposes an update, and Alice commits it", |it| {
            it.devices[BOB].propose(|engine| engine.propose_update())?;
            it.plain_commit(ALICE, &Changes::default())?;
            it.agree()
        });
        self.step("Alice changes the group context", |it| {
            it.plain_commit(ALICE, &Changes { group_context: true, ..Changes::default() })?;
            it.agree()
        });
        self.step("two commit at once; the second catches up and commits again", |it| {
            it.agree()?;
            let late = it.devices[BOB].engine.commit(&Changes::default())?;
            it.plain_commit(ALICE, &Changes::default())?;
            let request = commit_request(&it.convo, &late);
            expect_refusal(it.devices[BOB].submit(&late, request), "EpochMismatch")?;
            it.plain_commit(BOB, &Changes::default())?;
            it.agree()
        });
    }

    fn growing(&mut self, make: &Maker) {
        self.step("Bob proposes to add Carol and commits it; she joins by Welcome", |it| {
            let carol = it.did(CAROL);
            it.agree()?;
            let packages = it.devices[BOB].take_packages(&carol)?;
            it.devices[BOB].propose(|engine| engine.propose_add(&packages[0].bytes))?;
            // The service takes a Welcome from whoever it gave the key package to.
            it.add(BOB, CAROL, Changes::default(), &packages[0].hash)?;
            it.agree()
        });
        self.step("Alice adds Dan, who joins by Welcome", |it| {
            let dan = it.did(DAN);
            let packages = it.devices[ALICE].take_packages(&dan)?;
            let changes = Changes { add: vec![packages[0].bytes.clone()], ..Changes::default() };
            it.add(ALICE, DAN, changes, &packages[0].hash)?;
            it.agree()
        });
        self.step("Bob registers a tablet, Carol adds it, and it joins by Welcome", |it| {
            let (at, key_package) = it.second_device(make)?;
            let is_proposed = it.devices[at].propose_joining(&it.convo, &key_package)?;
            let bob = it.did(BOB);
            let packages = it.devices[CAROL].take_packages(&bob)?;
            let by_value = if is_proposed { Vec::new() } else { vec![packages[0].bytes.clone()] };
            it.plain_commit(CAROL, &Changes { add: by_value, ..Changes::default() })?;
            it.devices[at].join(&it.convo)?;
            it.readers.push(at);
            let way = if is_proposed { "as the tablet proposed" } else { "by value" };
            it.agree().map(|agreed| format!("{way}; {agreed}"))
        });
        self.step("everybody writes and reads", |it| it.talk());
    }

    fn removing_and_leaving(&mut self) {
        self.step("Carol proposes to remove Dan, and Alice commits it", |it| {
            it.agree()?;
            let dan = it.did(DAN);
            let leaf = it.devices[CAROL].leaves_of(&dan)?[0];
            it.devices[CAROL].propose(|engine| engine.propose_remove(leaf))?;
            it.remove(ALICE, DAN, Changes::default())?;
            expect_refusal(it.devices[DAN].catch_up(), "NotMember")?;
            it.agree()
        });
        self.step("Bob removes his tablet", |it| {
            it.agree()?;
            let key = it.devices[BOBS_TABLET].engine.signature_key();
            let leaves = it.devices[BOB].engine.leaves()?;
            let leaf = leaves.into_iter().find(|leaf| leaf.signature_key == key).ok_or("the tablet has no leaf")?;
            it.plain_commit(BOB, &removing(vec![leaf.index]))?;
            it.readers.retain(|at| *at != BOBS_TABLET);
            it.agree()
        });
        self.step("Carol proposes her own removal and leaves; Bob commits it", |it| {
            let carol = it.did(CAROL);
            let leaf = it.devices[CAROL].leaves_of(&carol)?[0];
            it.devices[CAROL].propose(|engine| engine.propose_remove(leaf))?;
            it.devices[CAROL].post("leaveConvo", &json!({ "convoId": it.convo }))?;
            let listed = it.devices[BOB].get("getConvos", &[])?;
            if listed["conversations"][0]["needsRemovalCommit"][0] != carol {
                return Err(format!("her removal is not asked for: {listed}").into());
            }
            it.remove(BOB, CAROL, Changes::default())?;
            it.agree()
        });
    }

    fn external_commits(&mut self, make: &Maker) {
        self.step("Carol comes back by external commit", |it| {
            it.devices[CAROL].forget_group()?;
            let package = base64(&it.devices[CAROL].engine.new_key_package()?);
            let body = json!({ "convoId": it.convo, "keyPackage": package, "deviceId": it.devices[CAROL].device_id });
            it.devices[CAROL].post("rejoin", &body)?;
            it.store_group_info(ALICE)?;
            it.devices[CAROL].join_externally(&it.convo, None)?;
            it.readers.push(CAROL);
            it.agree()
        });
        self.step("Erin joins by external commit with an invite", |it| {
            let psk_hash = hex(&Sha256::digest(random_bytes::<32>()));
            let body = json!({ "convoId": it.convo, "pskHash": psk_hash, "maxUses": 1, "idempotencyKey": uuid() });
            it.devices[ALICE].post("createInvite", &body)?;
            it.devices[ERIN].join_externally(&it.convo, Some(&psk_hash))?;
            it.readers.push(ERIN);
            it.agree()
        });
        self.step("Bob loses the state, and comes back by an external commit that removes his old leaf", |it| {
            it.devices[BOB].forget_group()?;
            it.devices[BOB].join_externally(&it.convo, None)?;
            let bob = it.did(BOB);
            if it.devices[BOB].leaves_of(&bob)?.len() != 1 {
                return Err("the old leaf is still there".into());
            }
            it.agree()
        });
        self.step("Bob's laptop joins by external commit", |it| {
            let (at, _) = it.second_device(make)?;
            it.devices[at].join_externally(&it.convo, None)?;
            it.readers.push(at);
            it.agree()
        });
        self.step("Erin leaves, and Carol removes her leaf", |it| {
            it.devices[ERIN].post("leaveConvo", &json!({ "convoId": it.convo }))?;
            it.readers.retain(|at| *at != ERIN);
            let erin = it.did(ERIN);
            it.agree()?;
            let leaves = it.devices[CAROL].leaves_of(&erin)?;
            it.remove(CAROL, ERIN, removing(leaves))?;
            it.agree()
        });
        self.step("Alice takes Bob and his devices out", |it| {
            let bob = it.did(BOB);
            let leaves = it.devices[ALICE].leaves_of(&bob)?;
            let convo = it.convo.clone();
            it.devices[ALICE].commit(&removing(leaves), |commit| {
                ("leaveConvo", json!({ "convoId": convo, "targetDid": bob, "commit": base64(&commit.message) }))
            })?;
            it.readers.retain(|at| *at != BOB && *at != BOBS_LAPTOP);
            expect_refusal(it.devices[BOBS_LAPTOP].catch_up(), "NotMember")?;
            it.agree()
        });
    }

    /// A commit that changes nobody on the list of members.
    fn plain_commit(&mut self, at: usize, changes: &Changes) -> Outcome<()> {
        let convo = self.convo.clone();
        self.devices[at].commit(changes, |commit| commit_request(&convo, commit))
    }

    /// `at` adds `added` to the conversation, who joins by Welcome.
    fn add(&mut self, at: usize, added: usize, changes: Changes, hash: &str) -> Outcome<()> {
        let (convo, did) = (self.convo.clone(), self.did(added));
        self.devices[at].commit(&changes, |commit| {
            let body = json!({
                "convoId": convo,
                "didList": [did],
                "commit": base64(&commit.message),
                "welcomeMessage": base64(commit.welcome.as_deref().unwrap_or_default()),
                "keyPackageHashes": [{ "did": did, "hash": hash }],
                "groupInfo": base64(&commit.group_info),
                "idempotencyKey": uuid(),
            });
            ("addMembers", body)
        })?;
        self.devices[added].join(&self.convo)?;
        self.readers.push(added);
        Ok(())
    }

    fn remove(&mut self, at: usize, removed: usize, changes: Changes) -> Outcome<()> {
        let (convo, did) = (self.convo.clone(), self.did(removed));
        self.readers.retain(|at| *at != removed);
        self.devices[at].commit(&changes, |commit| remove_request(&convo, &did, commit))?;
        // `removeMember` takes no GroupInfo.
        self.store_group_info(at)
    }

    fn store_group_info(&mut self, at: usize) -> Outcome<()> {
        let device = &mut self.devices[at];
        device.catch_up()?;
        let group_info = base64(&device.engine.group_info()?);
        let body = json!({ "convoId": self.convo, "groupInfo": group_info, "epoch": device.engine.epoch()? });
        device.post("updateGroupInfo", &body)?;
        Ok(())
    }

    /// Another device of Bob, registered.
    fn second_device(&mut self, make: &Maker) -> Outcome<(usize, Vec<u8>)> {
        let account = Rc::clone(&self.devices[BOB].account);
        let at = self.enter(make, account)?;
        let key_package = self.devices[at].register("another device")?;
        Ok((at, key_package))
    }
}
