//! A member of a conversation on OpenMLS, to copy from: the device joins the first conversation to which its person is
//! added, and answers every message. On the message `/renew` it renews its keys by a commit, on `/leave` it leaves.
//!
//! Usage: `member <URL of the service> <DID of the service> <DID> <secp256k1 signing key in base64url>`. A real client
//! gets its tokens from the person's PDS instead of a key, and stores the MLS state on disk; this one has it in memory.

#[path = "../src/account.rs"]
mod account;
#[path = "../src/envelope.rs"]
#[allow(dead_code, reason = "The example sends no structure without its MLSMessage.")]
mod envelope;
#[path = "../src/xrpc.rs"]
mod xrpc;

/// The part of the other program's `engine.rs` that the shared files use.
mod engine {
    pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
}

use std::collections::HashSet;

use account::{Account, uuid};
use engine::Outcome;
use openmls::prelude::tls_codec::Deserialize;
use openmls::prelude::*;
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use xrpc::{Refusal, Service, base64, from_base64};

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
const SUITE_NAME: &str = "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519";
/// Later than the lifetime in the key package; the service uses the earlier of the two times.
const PACKAGES_EXPIRE: &str = "2035-01-01T00:00:00.000Z";
const KEY_PACKAGES: usize = 5;
const ATTEMPTS: usize = 10;

struct Member {
    account: Account,
    service: Service,
    provider: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
    device_id: String,
    group: Option<MlsGroup>,
    convo: String,
    /// `seq` of the last message that was processed.
    seq: u64,
    /// `msgId`s of this device's messages.
    sent: HashSet<String>,
    /// SHA-256 of the commit that was sent and that the service has not returned yet.
    pending: Option<Vec<u8>>,
    has_left: bool,
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, service_did, did, key] = arguments.as_slice() else {
        return Err("usage: member <URL of the service> <DID of the service> <DID> <signing key>".into());
    };
    let mut member = Member::register(Account::new(did, key)?, Service::new(url, service_did))?;
    println!("registered");
    while !member.has_left {
        // The stream begins now; what was sent earlier comes from getMessages.
        let mut stream = member.service.open_stream(&member.account)?;
        member.catch_up()?;
        // A stream that ends is opened again.
        while let Ok(event) = stream.next(|event| Some(event.clone())) {
            member.on_event(&event)?;
            if member.has_left {
                break;
            }
        }
    }
    println!("left");
    Ok(())
}

impl Member {
    /// Registers the device with one key package, and publishes more.
    fn register(account: Account, service: Service) -> Outcome<Self> {
        let provider = OpenMlsRustCrypto::default();
        let signer = SignatureKeyPair::new(SUITE.signature_algorithm())?;
        // The credential is the bare DID, also if a person has several devices.
        let credential = CredentialWithKey {
            credential: BasicCredential::new(account.did.as_str().into()).into(),
            signature_key: signer.to_public_vec().into(),
        };
        let new_package = || -> Outcome<Value> {
            let bundle = KeyPackage::builder().build(SUITE, &provider, &signer, credential.clone())?;
            let bytes = MlsMessageOut::from(bundle.key_package().clone()).to_bytes()?;
            Ok(json!({ "keyPackage": base64(&bytes), "cipherSuite": SUITE_NAME, "expires": PACKAGES_EXPIRE }))
        };
        let body = json!({
            "deviceName": "A Rust program",
            "deviceUUID": uuid(),
            "keyPackages": [new_package()?],
            "signaturePublicKey": { "$bytes": base64(&signer.to_public_vec()) },
        });
        let registered = service.post(&account, "registerDevice", &body)?;
        let device_id = registered["deviceId"].as_str().ok_or("no deviceId")?.to_owned();
        let mut packages = (1..KEY_PACKAGES).map(|_| new_package()).collect::<Outcome<Vec<_>>>()?;
        for package in &mut packages {
            package["deviceId"] = device_id.as_str().into();
        }
        service.post(&account, "publishKeyPackages", &json!({ "keyPackages": packages }))?;
        Ok(Self {
            account,
            service,
            provider,
            signer,
            device_id,
            group: None,
            convo: String::new(),
            seq: 0,
            sent: HashSet::new(),
            pending: None,
            has_left: false,
        })
    }

    /// Joins after this person was added, and processes new messages of the conversation.
    fn on_event(&mut self, event: &Value) -> Outcome<()> {
        let name = event["$type"].as_str().and_then(|name| name.split_once('#')).map_or("", |(_, name)| name);
        let is_own = event["did"] == self.account.did.as_str();
        match name {
            "messageEvent" => self.catch_up(),
            "membershipChangeEvent" if is_own && event["action"] == "joined" => self.catch_up(),
            _ => Ok(()),
        }
    }

    /// Joins the first conversation that has a Welcome for this device.
    fn join(&mut self) -> Outcome<()> {
        let listed = self.service.get(&self.account, "getConvos", &[])?;
        let Some(convo) = listed["conversations"][0]["groupId"].as_str() else { return Ok(()) };
        let query = [("convoId", convo), ("deviceId", self.device_id.as_str())];
        let answer = self.service.get(&self.account, "getWelcome", &query)?;
        let bytes = from_base64(&answer["welcome"])?;
        let MlsMessageBodyIn::Welcome(welcome) = MlsMessageIn::tls_deserialize_exact(bytes)?.extract() else {
            return Err("no Welcome".into());
        };
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(true)
            .build();
        let staged = StagedWelcome::new_from_welcome(&self.provider, &config, welcome, None)?;
        self.group = Some(staged.into_group(&self.provider)?);
        self.convo = convo.to_owned();
        let body = json!({ "convoId": convo, "deviceId": self.device_id, "success": true });
        self.service.post(&self.account, "confirmWelcome", &body)?;
        println!("joined");
        Ok(())
    }

    /// Processes all new messages in the order of `seq`.
    fn catch_up(&mut self) -> Outcome<()> {
        if self.group.is_none() {
            self.join()?;
        }
        while self.group.is_some() && !self.has_left {
            let since = self.seq.to_string();
            let query = [("convoId", self.convo.as_str()), ("sinceSeq", &since)];
            let page = self.service.get(&self.account, "getMessages", &query)?;
            let messages = page["messages"].as_array().ok_or("no messages")?;
            if messages.is_empty() {
                return Ok(());
            }
            for message in messages {
                let seq = message["seq"].as_u64().ok_or("no seq")?;
                // An answer that was sent in between has processed further messages.
                if seq > self.seq {
                    self.seq = seq;
                    self.process(message)?;
                }
            }
        }
        Ok(())
    }

    fn process(&mut self, message: &Value) -> Outcome<()> {
        let group = self.group.as_mut().ok_or("no group")?;
        let bytes = from_base64(&message["ciphertext"]["$bytes"])?;
        let epoch = message["epoch"].as_u64().ok_or("no epoch")?;
        let is_commit = message["messageType"] == "commit";
        // The commit that added this device, and messages of epochs before that.
        if epoch < group.epoch().as_u64() || (is_commit && epoch == group.epoch().as_u64()) {
            return Ok(());
        }
        if message["id"].as_str().is_some_and(|id| self.sent.contains(id)) {
            return Ok(());
        }
        if is_commit && self.pending == Some(from_base64(&message["digest"]["$bytes"])?) {
            self.pending = None;
            group.merge_pending_commit(&self.provider)?;
            println!("own commit, epoch {epoch}");
            return Ok(());
        }
        let whole = if is_commit { &bytes } else { envelope::unwrap(&bytes)? };
        let received = MlsMessageIn::tls_deserialize_exact(whole)?.try_into_protocol_message()?;
        match group.process_message(&self.provider, received)?.into_content() {
            ProcessedMessageContent::ApplicationMessage(text) => {
                let text = String::from_utf8(text.into_bytes())?;
                println!("read {text}");
                self.answer(&text)
            }
            ProcessedMessageContent::ProposalMessage(proposal)
            | ProcessedMessageContent::ExternalJoinProposalMessage(proposal) => {
                Ok(group.store_pending_proposal(self.provider.storage(), *proposal)?)
            }
            ProcessedMessageContent::StagedCommitMessage(commit) => {
                // Another commit has won the epoch; `renew` makes its own one again.
                if self.pending.take().is_some() {
                    group.clear_pending_commit(self.provider.storage())?;
                    println!("lost epoch {epoch}");
                }
                group.merge_staged_commit(&self.provider, *commit)?;
                println!("commit of another member, epoch {epoch}");
                Ok(())
            }
        }
    }

    fn answer(&mut self, text: &str) -> Outcome<()> {
        match text {
            "/renew" => self.renew(),
            "/leave" => {
                self.service.post(&self.account, "leaveConvo", &json!({ "convoId": self.convo }))?;
                self.has_left = true;
                Ok(())
            }
            _ => self.send(&format!("I read: {text}")),
        }
    }

    /// Encrypts and sends. If another member has committed meanwhile, processes the commit and encrypts again.
    fn send(&mut self, text: &str) -> Outcome<()> {
        for _ in 0..ATTEMPTS {
            let group = self.group.as_mut().ok_or("no group")?;
            let message = group.create_message(&self.provider, &self.signer, text.as_bytes())?.to_bytes()?;
            let padded = envelope::wrap(&message);
            let msg_id = uuid();
            let body = json!({
                "convoId": self.convo,
                "msgId": msg_id,
                "ciphertext": { "$bytes": base64(&padded) },
                "epoch": group.epoch().as_u64(),
                "paddedSize": padded.len(),
            });
            self.sent.insert(msg_id);
            if !self.has_lost_race(self.service.post(&self.account, "sendMessage", &body))? {
                return Ok(());
            }
            self.catch_up()?;
        }
        Err("other members commit too often".into())
    }

    /// Renews this device's keys by a commit. If another commit wins the epoch, makes it again in the next one.
    fn renew(&mut self) -> Outcome<()> {
        for _ in 0..ATTEMPTS {
            let group = self.group.as_mut().ok_or("no group")?;
            let leaf = LeafNodeParameters::default();
            let bundle = group.self_update(&self.provider, &self.signer, leaf)?;
            let (commit, _, group_info) = bundle.into_contents();
            let commit = commit.to_bytes()?;
            let group_info = MlsMessageOut::from(group_info.ok_or("no GroupInfo")?).to_bytes()?;
            // Noted before it is sent: the service may return it before it responds.
            self.pending = Some(Sha256::digest(&commit).to_vec());
            let body = json!({
                "convoId": self.convo,
                "commit": { "$bytes": base64(&commit) },
                "groupInfo": { "$bytes": base64(&group_info) },
                "idempotencyKey": uuid(),
            });
            let has_lost = self.has_lost_race(self.service.post(&self.account, "commit", &body))?;
            self.catch_up()?;
            if !has_lost {
                return Ok(());
            }
        }
        Err("other members commit too often".into())
    }

    fn has_lost_race(&self, outcome: Outcome<Value>) -> Outcome<bool> {
        match outcome {
            Ok(_) => Ok(false),
            Err(error) if error.downcast_ref::<Refusal>().is_some_and(|it| it.name() == "EpochMismatch") => Ok(true),
            Err(error) => Err(error),
        }
    }
}
