//! One device of a person: its requests to the service, and its handling of the responses.

use std::collections::HashSet;
use std::rc::Rc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::account::{Account, uuid};
use crate::engine::{Changes, Commit, Engine, Outcome, Received};
use crate::envelope;
use crate::requests::Request;
use crate::xrpc::{EventStream, Refusal, Service, base64, from_base64};

const COMMIT_ATTEMPTS: usize = 3;
const PAGE_SIZE: &str = "100";
/// Later than the lifetime in the key package; the service uses the earlier of the two times.
const PACKAGES_EXPIRE: &str = "2035-01-01T00:00:00.000Z";

/// A key package that was claimed by this device.
pub struct Package {
    pub bytes: Vec<u8>,
    pub hash: String,
}

pub struct Device {
    pub account: Rc<Account>,
    service: Rc<Service>,
    suite_name: &'static str,
    pub engine: Box<dyn Engine>,
    pub device_id: String,
    pub convo: String,
    /// `seq` of the last message that was processed.
    seq: u64,
    /// The `msgId`s of this device's messages and proposals.
    sent: HashSet<String>,
    /// SHA-256 of the commit that the service has accepted and that this device has not read back yet.
    pending: Option<Vec<u8>>,
    /// The texts of other devices.
    pub texts: Vec<String>,
}

pub fn suite_name(suite: u16) -> &'static str {
    match suite {
        1 => "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
        2 => "MLS_128_DHKEMP256_AES128GCM_SHA256_P256",
        _ => "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
    }
}

fn digest(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

fn is_refusal(error: &(dyn std::error::Error + 'static), name: &str) -> bool {
    error.downcast_ref::<Refusal>().is_some_and(|refusal| refusal.name() == name)
}

impl Device {
    pub fn new(account: Rc<Account>, service: Rc<Service>, suite: u16, engine: Box<dyn Engine>) -> Self {
        Self {
            account,
            service,
            suite_name: suite_name(suite),
            engine,
            device_id: String::new(),
            convo: String::new(),
            seq: 0,
            sent: HashSet::new(),
            pending: None,
            texts: Vec::new(),
        }
    }

    pub fn get(&self, method: &str, parameters: &[(&str, &str)]) -> Outcome<Value> {
        self.service.get(&self.account, method, parameters)
    }

    pub fn post(&self, method: &str, body: &Value) -> Outcome<Value> {
        self.service.post(&self.account, method, body)
    }

    fn package_item(&self, key_package: &[u8]) -> Value {
        json!({ "keyPackage": base64(key_package), "cipherSuite": self.suite_name, "expires": PACKAGES_EXPIRE })
    }

    /// Registers the device with one key package and returns the key package.
    pub fn register(&mut self, device_name: &str) -> Outcome<Vec<u8>> {
        let key_package = self.engine.new_key_package()?;
        let body = json!({
            "deviceName": device_name,
            "deviceUUID": uuid(),
            "keyPackages": [self.package_item(&key_package)],
            "signaturePublicKey": { "$bytes": base64(&self.engine.signature_key()) },
        });
        let answer = self.post("registerDevice", &body)?;
        self.device_id = answer["deviceId"].as_str().ok_or("no deviceId")?.into();
        Ok(key_package)
    }

    pub fn publish(&mut self, count: usize) -> Outcome<()> {
        let mut items = Vec::new();
        for _ in 0..count {
            let key_package = self.engine.new_key_package()?;
            let mut item = self.package_item(&key_package);
            item["deviceId"] = self.device_id.as_str().into();
            items.push(item);
        }
        let answer = self.post("publishKeyPackages", &json!({ "keyPackages": items }))?;
        if answer["succeeded"] == count { Ok(()) } else { Err(format!("not all were taken: {answer}").into()) }
    }

    /// Claims one key package for each device of `did` that is not in the group.
    pub fn take_packages(&self, did: &str) -> Outcome<Vec<Package>> {
        let query = [("dids", did), ("cipherSuite", self.suite_name), ("asMlsMessage", "true")];
        let answer = self.get("getKeyPackages", &query)?;
        let members: Vec<_> =
            self.engine.leaves().unwrap_or_default().into_iter().map(|leaf| leaf.signature_key).collect();
        let mut packages = Vec::new();
        for item in answer["keyPackages"].as_array().ok_or("no keyPackages")? {
            let bytes = from_base64(&item["keyPackage"])?;
            let hash = item["keyPackageHash"].as_str().ok_or("no keyPackageHash")?.into();
            if !members.contains(&self.engine.key_of_package(&bytes)?) {
                packages.push(Package { bytes, hash });
            }
        }
        if packages.is_empty() { Err(format!("no key package to add: {answer}").into()) } else { Ok(packages) }
    }

    /// Creates a group with one other person, and its conversation.
    pub fn create(&mut self, group_id: &[u8], convo: &str, other: &str) -> Outcome<()> {
        let packages = self.take_packages(other)?;
        self.engine.create(group_id)?;
        let add = packages.iter().map(|each| each.bytes.clone()).collect();
        let commit = self.engine.commit(&Changes { add, ..Changes::default() })?;
        let hashes: Vec<_> = packages.iter().map(|each| json!({ "did": other, "hash": each.hash })).collect();
        let body = json!({
            "groupId": convo,
            "cipherSuite": self.suite_name,
            "initialMembers": [other],
            "welcomeMessage": base64(commit.welcome.as_deref().ok_or("no Welcome")?),
            "keyPackageHashes": hashes,
            "groupInfo": base64(&commit.group_info),
            "idempotencyKey": uuid(),
        });
        self.post("createConvo", &body)?;
        // The first commit is not in the log, because no other member could race with it.
        self.engine.accept()?;
        self.convo = convo.into();
        Ok(())
    }

    pub fn join(&mut self, convo: &str) -> Outcome<()> {
        let answer = self.get("getWelcome", &[("convoId", convo), ("deviceId", &self.device_id)])?;
        self.engine.join(&from_base64(&answer["welcome"])?)?;
        self.post("confirmWelcome", &json!({ "convoId": convo, "success": true, "deviceId": self.device_id }))?;
        self.convo = convo.into();
        self.catch_up()
    }

    /// Joins or rejoins by external commit. `psk_hash` is the hash of an invite.
    pub fn join_externally(&mut self, convo: &str, psk_hash: Option<&str>) -> Outcome<()> {
        let mut parameters = vec![("convoId", convo)];
        parameters.extend(psk_hash.map(|hash| ("pskHash", hash)));
        let answer = self.get("getGroupInfo", &parameters)?;
        let commit = self.engine.join_externally(&from_base64(&answer["groupInfo"])?)?;
        let mut body = json!({
            "convoId": convo,
            "externalCommit": base64(&commit.message),
            "groupInfo": base64(&commit.group_info),
            "idempotencyKey": uuid(),
        });
        if let Some(hash) = psk_hash {
            body["pskHash"] = hash.into();
        }
        if let Err(error) = self.post("processExternalCommit", &body) {
            self.engine.forget_group()?;
            return Err(error);
        }
        self.convo = convo.into();
        self.catch_up()
    }

    /// Drops the group's state and the position in the log.
    pub fn forget_group(&mut self) -> Outcome<()> {
        self.seq = 0;
        self.engine.forget_group()
    }

    /// Sends an application message or a proposal of this epoch.
    pub fn send_message(&mut self, convo: &str, message: &[u8], epoch: u64) -> Outcome<()> {
        let padded = envelope::wrap(message);
        let id = uuid();
        let body = json!({
            "convoId": convo,
            "msgId": id,
            "epoch": epoch,
            "ciphertext": { "$bytes": base64(&padded) },
            "paddedSize": padded.len(),
        });
        self.post("sendMessage", &body)?;
        self.sent.insert(id);
        Ok(())
    }

    pub fn send(&mut self, text: &str) -> Outcome<()> {
        self.catch_up()?;
        let message = self.engine.encrypt(text)?;
        self.send_message(&self.convo.clone(), &message, self.engine.epoch()?)
    }

    pub fn propose(&mut self, make: impl FnOnce(&mut dyn Engine) -> Outcome<Vec<u8>>) -> Outcome<()> {
        self.catch_up()?;
        let proposal = make(&mut *self.engine)?;
        self.send_message(&self.convo.clone(), &proposal, self.engine.epoch()?)
    }

    /// Proposes from outside the group to add this device with `key_package`; returns whether its library supports it.
    pub fn propose_joining(&mut self, convo: &str, key_package: &[u8]) -> Outcome<bool> {
        let answer = self.get("getGroupInfo", &[("convoId", convo)])?;
        let Some((proposal, epoch)) = self.engine.propose_joining(&from_base64(&answer["groupInfo"])?, key_package)?
        else {
            return Ok(false);
        };
        self.send_message(convo, &proposal, epoch)?;
        Ok(true)
    }

    /// Commits; after an EpochMismatch it catches up and commits again.
    pub fn commit(&mut self, changes: &Changes, mut request: impl FnMut(&Commit) -> Request) -> Outcome<()> {
        for _ in 0..COMMIT_ATTEMPTS {
            self.catch_up()?;
            let commit = self.engine.commit(changes)?;
            match self.submit(&commit, request(&commit)) {
                Err(error) if is_refusal(&*error, "EpochMismatch") => continue,
                other => return other,
            }
        }
        Err("others always committed first".into())
    }

    /// Sends a commit. It is applied when it is read back, so that all earlier messages are read in their epoch.
    pub fn submit(&mut self, commit: &Commit, (method, body): Request) -> Outcome<()> {
        if let Err(error) = self.post(method, &body) {
            self.engine.discard()?;
            return Err(error);
        }
        self.pending = Some(digest(&commit.message));
        self.catch_up()?;
        if self.pending.take().is_some() { Err("the commit did not come back".into()) } else { Ok(()) }
    }

    /// Processes all messages since the last call.
    pub fn catch_up(&mut self) -> Outcome<()> {
        loop {
            let since = self.seq.to_string();
            let page =
                self.get("getMessages", &[("convoId", &self.convo), ("sinceSeq", &since), ("limit", PAGE_SIZE)])?;
            let messages = page["messages"].as_array().ok_or("no messages")?;
            if messages.is_empty() {
                return Ok(());
            }
            for message in messages {
                self.seq = message["seq"].as_u64().ok_or("no seq")?;
                self.process(message)?;
            }
        }
    }

    /// Processes one message of the conversation; messages are processed in the order of `seq`.
    fn process(&mut self, message: &Value) -> Outcome<()> {
        let bytes = from_base64(&message["ciphertext"]["$bytes"])?;
        let epoch = message["epoch"].as_u64().ok_or("no epoch")?;
        if message["messageType"] == "commit" {
            return self.process_commit(&bytes, epoch, &from_base64(&message["digest"]["$bytes"])?);
        }
        let is_own = message["id"].as_str().is_some_and(|id| self.sent.contains(id));
        // A device cannot decrypt its own messages, nor those from before it joined.
        if is_own || epoch < self.engine.epoch()? {
            return Ok(());
        }
        if let Received::Text(text) = self.engine.receive(envelope::unwrap(&bytes)?)? {
            self.texts.push(text);
        }
        Ok(())
    }

    /// `epoch` is the epoch that the commit began.
    fn process_commit(&mut self, commit: &[u8], epoch: u64, digest: &[u8]) -> Outcome<()> {
        // The commit that added this device, or by which it joined.
        if epoch <= self.engine.epoch()? {
            return Ok(());
        }
        if self.pending.as_deref() == Some(digest) {
            self.pending = None;
            return self.engine.accept();
        }
        self.engine.receive(commit)?;
        Ok(())
    }

    /// Opens the stream of events of all conversations.
    pub fn open_stream(&self) -> Outcome<EventStream> {
        self.service.open_stream(&self.account)
    }

    /// Returns every leaf of a person.
    pub fn leaves_of(&self, did: &str) -> Outcome<Vec<u32>> {
        Ok(self.engine.leaves()?.into_iter().filter(|leaf| leaf.did == did).map(|leaf| leaf.index).collect())
    }
}
