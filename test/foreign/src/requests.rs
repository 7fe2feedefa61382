//! The method for each kind of commit (docs/rust.md has the table).

use serde_json::{Value, json};

use crate::account::uuid;
use crate::engine::Commit;
use crate::xrpc::base64;

/// A method and its body.
pub type Request = (&'static str, Value);

/// The request for a commit that does not change the list of members; its Welcome is for further devices of members.
pub fn commit(convo: &str, commit: &Commit) -> Request {
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

/// The request for a commit that adds a person, with the key package hashes from `getKeyPackages`.
pub fn add_members(convo: &str, did: &str, hashes: &[&str], commit: &Commit) -> Request {
    let hashes: Vec<_> = hashes.iter().map(|hash| json!({ "did": did, "hash": hash })).collect();
    let body = json!({
        "convoId": convo,
        "didList": [did],
        "commit": base64(&commit.message),
        "welcomeMessage": base64(commit.welcome.as_deref().unwrap_or_default()),
        "keyPackageHashes": hashes,
        "groupInfo": base64(&commit.group_info),
        "idempotencyKey": uuid(),
    });
    ("addMembers", body)
}

/// The request for a commit that removes every leaf of a person, also after the person has left.
pub fn remove_member(convo: &str, did: &str, commit: &Commit) -> Request {
    let body = json!({
        "convoId": convo,
        "targetDid": did,
        "commit": base64(&commit.message),
        "groupInfo": base64(&commit.group_info),
        "idempotencyKey": uuid(),
    });
    ("removeMember", body)
}

/// The request that an admin may send instead of `removeMember`.
pub fn leave_convo(convo: &str, did: &str, commit: &Commit) -> Request {
    let body = json!({
        "convoId": convo,
        "targetDid": did,
        "commit": base64(&commit.message),
        "groupInfo": base64(&commit.group_info),
    });
    ("leaveConvo", body)
}
