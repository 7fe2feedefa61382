//! mls-rs with its RustCrypto provider.

use std::time::Duration;

use mls_rs::client_builder::{MlsConfig, PaddingMode};
use mls_rs::crypto::SignatureSecretKey;
use mls_rs::extension::built_in::{RatchetTreeExt, RequiredCapabilitiesExt};
use mls_rs::group::{ReceivedMessage, Roster};
use mls_rs::identity::basic::{BasicCredential, BasicIdentityProvider};
use mls_rs::identity::{CredentialType, SigningIdentity};
use mls_rs::mls_rules::{CommitOptions, DefaultMlsRules, EncryptionOptions};
use mls_rs::time::MlsTime;
use mls_rs::{
    CipherSuite, CipherSuiteProvider, Client, CryptoProvider, ExtensionList, Group, IdentityProvider, MlsMessage,
};
use mls_rs_core::identity::MemberValidationContext;
use mls_rs_crypto_rustcrypto::RustCryptoProvider;

use crate::engine::{Changes, Commit, Engine, Handshakes, Leaf, Outcome, Received};

const KEY_PACKAGE_LIFETIME: Duration = Duration::from_secs(84 * 24 * 3600);
const CLOCK_MARGIN: Duration = Duration::from_secs(3600);

/// The start of a lifetime, in the past: OpenMLS refuses a lifetime that starts in the present second, and so do clients with a slow clock.
fn lifetime_start() -> Option<MlsTime> {
    Some(MlsTime::now() - CLOCK_MARGIN)
}

/// Identifies members by signature key. `BasicIdentityProvider` identifies them by credential, and therefore
/// refuses the second device of a person.
#[derive(Clone)]
struct DeviceIdentityProvider(BasicIdentityProvider);

impl IdentityProvider for DeviceIdentityProvider {
    type Error = <BasicIdentityProvider as IdentityProvider>::Error;

    fn validate_member(
        &self,
        member: &SigningIdentity,
        timestamp: Option<MlsTime>,
        context: MemberValidationContext<'_>,
    ) -> Result<(), Self::Error> {
        self.0.validate_member(member, timestamp, context)
    }

    fn validate_external_sender(
        &self,
        sender: &SigningIdentity,
        timestamp: Option<MlsTime>,
        extensions: Option<&ExtensionList>,
    ) -> Result<(), Self::Error> {
        self.0.validate_external_sender(sender, timestamp, extensions)
    }

    fn identity(&self, member: &SigningIdentity, _: &ExtensionList) -> Result<Vec<u8>, Self::Error> {
        Ok(member.signature_key.to_vec())
    }

    /// An external commit may remove leaves of the same DID only.
    fn valid_successor(
        &self,
        predecessor: &SigningIdentity,
        successor: &SigningIdentity,
        extensions: &ExtensionList,
    ) -> Result<bool, Self::Error> {
        self.0.valid_successor(predecessor, successor, extensions)
    }

    fn supported_types(&self) -> Vec<CredentialType> {
        self.0.supported_types()
    }
}

struct MlsRs<C: MlsConfig> {
    client: Client<C>,
    signature_key: Vec<u8>,
    group: Option<Group<C>>,
}

/// Creates a device of `did` with a new signature key.
pub fn new(did: &str, suite: u16, handshakes: Handshakes) -> Outcome<Box<dyn Engine>> {
    let suite = CipherSuite::from(suite);
    let crypto = RustCryptoProvider::default();
    let (secret_key, public_key): (SignatureSecretKey, _) =
        crypto.cipher_suite_provider(suite).ok_or("unknown suite")?.signature_key_generate()?;
    let signature_key = public_key.to_vec();
    // The credential is the bare DID, also if a person has several devices.
    let credential = BasicCredential::new(did.into()).into_credential();
    // `allow_external_commit` makes each commit return a GroupInfo with `external_pub`.
    let commits = CommitOptions::new().with_path_required(true).with_allow_external_commit(true);
    let encryption = EncryptionOptions::new(handshakes == Handshakes::Encrypted, PaddingMode::None);
    let client = Client::builder()
        .crypto_provider(crypto)
        .identity_provider(DeviceIdentityProvider(BasicIdentityProvider))
        .mls_rules(DefaultMlsRules::new().with_commit_options(commits).with_encryption_options(encryption))
        .key_package_lifetime(KEY_PACKAGE_LIFETIME)
        .signing_identity(SigningIdentity::new(credential, public_key), secret_key, suite)
        .build();
    Ok(Box::new(MlsRs { client, signature_key, group: None }))
}

impl<C: MlsConfig> MlsRs<C> {
    fn group(&self) -> Outcome<&Group<C>> {
        Ok(self.group.as_ref().ok_or("the device is in no group")?)
    }

    fn group_mut(&mut self) -> Outcome<&mut Group<C>> {
        Ok(self.group.as_mut().ok_or("the device is in no group")?)
    }
}

fn leaves_of(roster: &Roster<'_>) -> Outcome<Vec<Leaf>> {
    let leaf = |member: mls_rs::group::Member| {
        let credential = member.signing_identity.credential.as_basic().ok_or("no basic credential")?;
        let did = String::from_utf8(credential.identifier.clone())?;
        Ok(Leaf { index: member.index, did, signature_key: member.signing_identity.signature_key.to_vec() })
    };
    roster.members().into_iter().map(leaf).collect()
}

impl<C: MlsConfig + 'static> Engine for MlsRs<C> {
    fn signature_key(&self) -> Vec<u8> {
        self.signature_key.clone()
    }

    fn new_key_package(&mut self) -> Outcome<Vec<u8>> {
        let message =
            self.client.generate_key_package_message(Default::default(), Default::default(), lifetime_start())?;
        Ok(message.to_bytes()?)
    }

    fn key_of_package(&self, key_package: &[u8]) -> Outcome<Vec<u8>> {
        let package = MlsMessage::from_bytes(key_package)?.into_key_package().ok_or("no KeyPackage")?;
        Ok(package.signing_identity().signature_key.to_vec())
    }

    fn create(&mut self, group_id: &[u8]) -> Outcome<()> {
        let group = self.client.create_group_with_id(
            group_id.into(),
            Default::default(),
            Default::default(),
            lifetime_start(),
        )?;
        self.group = Some(group);
        Ok(())
    }

    fn join(&mut self, welcome: &[u8]) -> Outcome<()> {
        self.group = Some(self.client.join_group(None, &MlsMessage::from_bytes(welcome)?, None)?.0);
        Ok(())
    }

    fn join_externally(&mut self, group_info: &[u8]) -> Outcome<Commit> {
        let group_info = MlsMessage::from_bytes(group_info)?;
        let extensions = group_info.as_group_info().ok_or("no GroupInfo")?.extensions();
        let tree = extensions.get_as::<RatchetTreeExt>()?.ok_or("no ratchet_tree")?.tree_data;
        let mut builder = self.client.external_commit_builder()?;
        let old_leaf = leaves_of(&tree.roster())?.into_iter().find(|leaf| leaf.signature_key == self.signature_key);
        if let Some(leaf) = old_leaf {
            builder = builder.with_removal(leaf.index);
        }
        let (group, message) = builder.build(group_info)?;
        let group_info = group.group_info_message_allowing_ext_commit(true)?.to_bytes()?;
        self.group = Some(group);
        Ok(Commit { message: message.to_bytes()?, welcome: None, group_info })
    }

    fn propose_joining(&mut self, _: &[u8], _: &[u8]) -> Outcome<Option<(Vec<u8>, u64)>> {
        Ok(None)
    }

    fn forget_group(&mut self) -> Outcome<()> {
        self.group = None;
        Ok(())
    }

    fn commit(&mut self, changes: &Changes) -> Outcome<Commit> {
        let mut builder = self.group_mut()?.commit_builder();
        for key_package in &changes.add {
            builder = builder.add_member(MlsMessage::from_bytes(key_package)?)?;
        }
        for index in &changes.remove {
            builder = builder.remove_member(*index)?;
        }
        if changes.group_context {
            let mut extensions = ExtensionList::new();
            let credentials = vec![CredentialType::BASIC];
            extensions.set_from(RequiredCapabilitiesExt { credentials, ..Default::default() })?;
            builder = builder.set_group_context_ext(extensions)?;
        }
        let output = builder.build()?;
        Ok(Commit {
            message: output.commit_message.to_bytes()?,
            welcome: output.welcome_messages.first().map(|welcome| welcome.to_bytes()).transpose()?,
            group_info: output
                .external_commit_group_info
                .ok_or("no GroupInfo: set allow_external_commit")?
                .to_bytes()?,
        })
    }

    fn accept(&mut self) -> Outcome<()> {
        self.group_mut()?.apply_pending_commit()?;
        Ok(())
    }

    fn discard(&mut self) -> Outcome<()> {
        self.group_mut()?.clear_pending_commit();
        Ok(())
    }

    fn propose_update(&mut self) -> Outcome<Vec<u8>> {
        Ok(self.group_mut()?.propose_update(Vec::new())?.to_bytes()?)
    }

    fn propose_add(&mut self, key_package: &[u8]) -> Outcome<Vec<u8>> {
        Ok(self.group_mut()?.propose_add(MlsMessage::from_bytes(key_package)?, Vec::new())?.to_bytes()?)
    }

    fn propose_remove(&mut self, leaf_index: u32) -> Outcome<Vec<u8>> {
        Ok(self.group_mut()?.propose_remove(leaf_index, Vec::new())?.to_bytes()?)
    }

    fn encrypt(&mut self, text: &str) -> Outcome<Vec<u8>> {
        Ok(self.group_mut()?.encrypt_application_message(text.as_bytes(), Vec::new())?.to_bytes()?)
    }

    fn receive(&mut self, message: &[u8]) -> Outcome<Received> {
        match self.group_mut()?.process_incoming_message(MlsMessage::from_bytes(message)?)? {
            ReceivedMessage::ApplicationMessage(text) => Ok(Received::Text(String::from_utf8(text.data().to_vec())?)),
            ReceivedMessage::Proposal(_) => Ok(Received::Proposal),
            ReceivedMessage::Commit(_) => Ok(Received::Commit),
            _ => Err("neither a message, a proposal nor a commit".into()),
        }
    }

    fn epoch(&self) -> Outcome<u64> {
        Ok(self.group()?.current_epoch())
    }

    fn epoch_authenticator(&self) -> Outcome<Vec<u8>> {
        Ok(self.group()?.epoch_authenticator()?.as_bytes().to_vec())
    }

    fn group_info(&self, with_tree: bool) -> Outcome<Vec<u8>> {
        Ok(self.group()?.group_info_message_allowing_ext_commit(with_tree)?.to_bytes()?)
    }

    fn leaves(&self) -> Outcome<Vec<Leaf>> {
        leaves_of(&self.group()?.roster())
    }
}
