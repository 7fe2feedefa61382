//! The functions of an MLS library that a device uses.

use std::error::Error;

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// The framing of proposals and commits: PublicMessage or PrivateMessage.
#[derive(Clone, Copy, PartialEq)]
pub enum Handshakes {
    Plaintext,
    Encrypted,
}

/// The proposals that a commit has by value; it has every received proposal by reference.
#[derive(Clone, Default)]
pub struct Changes {
    /// Key packages.
    pub add: Vec<Vec<u8>>,
    /// Leaf indices.
    pub remove: Vec<u32>,
    /// Sets `required_capabilities` in the group context.
    pub group_context: bool,
}

/// A commit that the server has not accepted yet. All messages are whole MLSMessages.
pub struct Commit {
    pub message: Vec<u8>,
    pub welcome: Option<Vec<u8>>,
    /// The GroupInfo of the epoch after the commit, with `ratchet_tree` and `external_pub`.
    pub group_info: Vec<u8>,
}

pub enum Received {
    Text(String),
    Proposal,
    Commit,
}

pub struct Leaf {
    pub index: u32,
    pub did: String,
    pub signature_key: Vec<u8>,
}

/// One device's MLS state: its signature key, its key packages, and at most one group.
pub trait Engine {
    fn signature_key(&self) -> Vec<u8>;
    fn new_key_package(&mut self) -> Outcome<Vec<u8>>;
    /// Returns the signature key in a key package of another device.
    fn key_of_package(&self, key_package: &[u8]) -> Outcome<Vec<u8>>;

    fn create(&mut self, group_id: &[u8]) -> Outcome<()>;
    fn join(&mut self, welcome: &[u8]) -> Outcome<()>;
    /// Joins by external commit and removes this device's old leaf, if there is one.
    fn join_externally(&mut self, group_info: &[u8]) -> Outcome<Commit>;
    /// An Add proposal from outside the group, with this key package of this device and the epoch that it is of; nothing
    /// where the library only takes a key package that it makes at that moment, and that can't be published before.
    fn propose_joining(&mut self, group_info: &[u8], key_package: &[u8]) -> Outcome<Option<(Vec<u8>, u64)>>;
    fn forget_group(&mut self) -> Outcome<()>;

    /// Makes a commit, which stays pending until `accept` or `discard`.
    fn commit(&mut self, changes: &Changes) -> Outcome<Commit>;
    fn accept(&mut self) -> Outcome<()>;
    fn discard(&mut self) -> Outcome<()>;

    fn propose_update(&mut self) -> Outcome<Vec<u8>>;
    fn propose_add(&mut self, key_package: &[u8]) -> Outcome<Vec<u8>>;
    fn propose_remove(&mut self, leaf_index: u32) -> Outcome<Vec<u8>>;
    fn encrypt(&mut self, text: &str) -> Outcome<Vec<u8>>;
    fn receive(&mut self, message: &[u8]) -> Outcome<Received>;

    fn epoch(&self) -> Outcome<u64>;
    /// Returns a value that all members of one epoch share.
    fn epoch_authenticator(&self) -> Outcome<Vec<u8>>;
    /// Exports the GroupInfo of this epoch with `external_pub`, with or without the tree.
    fn group_info(&self, with_tree: bool) -> Outcome<Vec<u8>>;
    fn leaves(&self) -> Outcome<Vec<Leaf>>;
}
