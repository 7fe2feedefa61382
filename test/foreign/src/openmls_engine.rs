//! OpenMLS 0.7 with its RustCrypto provider.

use openmls::messages::group_info::VerifiableGroupInfo;
use openmls::prelude::tls_codec::Deserialize;
use openmls::prelude::*;
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;

use crate::engine::{Changes, Commit, Engine, Handshakes, Leaf, Outcome, Received};

struct OpenMls {
    provider: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
    credential: CredentialWithKey,
    suite: Ciphersuite,
    handshakes: Handshakes,
    group: Option<MlsGroup>,
}

/// Creates a device of `did` with a new signature key.
pub fn new(did: &str, suite: u16, handshakes: Handshakes) -> Outcome<Box<dyn Engine>> {
    let suite = Ciphersuite::try_from(suite)?;
    let signer = SignatureKeyPair::new(suite.signature_algorithm())?;
    // The credential is the bare DID, also if a person has several devices.
    let credential = CredentialWithKey {
        credential: BasicCredential::new(did.into()).into(),
        signature_key: signer.to_public_vec().into(),
    };
    Ok(Box::new(OpenMls { provider: OpenMlsRustCrypto::default(), signer, credential, suite, handshakes, group: None }))
}

fn wire_format(handshakes: Handshakes) -> WireFormatPolicy {
    match handshakes {
        Handshakes::Plaintext => PURE_PLAINTEXT_WIRE_FORMAT_POLICY,
        Handshakes::Encrypted => PURE_CIPHERTEXT_WIRE_FORMAT_POLICY,
    }
}

/// `use_ratchet_tree_extension` puts the tree into every Welcome and GroupInfo, and makes each commit return a GroupInfo.
fn join_config(handshakes: Handshakes) -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder().wire_format_policy(wire_format(handshakes)).use_ratchet_tree_extension(true).build()
}

impl OpenMls {
    fn group(&self) -> Outcome<&MlsGroup> {
        Ok(self.group.as_ref().ok_or("the device is in no group")?)
    }

    fn package(&self, key_package: &[u8]) -> Outcome<KeyPackage> {
        match MlsMessageIn::tls_deserialize_exact(key_package)?.extract() {
            MlsMessageBodyIn::KeyPackage(package) => {
                Ok(package.validate(self.provider.crypto(), ProtocolVersion::Mls10)?)
            }
            _ => Err("no KeyPackage".into()),
        }
    }
}

fn read_group_info(group_info: &[u8]) -> Outcome<VerifiableGroupInfo> {
    match MlsMessageIn::tls_deserialize_exact(group_info)?.extract() {
        MlsMessageBodyIn::GroupInfo(group_info) => Ok(group_info),
        _ => Err("no GroupInfo".into()),
    }
}

fn messages(bundle: CommitMessageBundle) -> Outcome<Commit> {
    let (message, welcome, group_info) = bundle.into_messages();
    Ok(Commit {
        message: message.to_bytes()?,
        welcome: welcome.map(|welcome| welcome.to_bytes()).transpose()?,
        group_info: group_info.ok_or("no GroupInfo: set use_ratchet_tree_extension")?.to_bytes()?,
    })
}

impl Engine for OpenMls {
    fn signature_key(&self) -> Vec<u8> {
        self.signer.to_public_vec()
    }

    fn new_key_package(&mut self) -> Outcome<Vec<u8>> {
        let bundle = KeyPackage::builder().build(self.suite, &self.provider, &self.signer, self.credential.clone())?;
        Ok(MlsMessageOut::from(bundle.key_package().clone()).to_bytes()?)
    }

    fn key_of_package(&self, key_package: &[u8]) -> Outcome<Vec<u8>> {
        Ok(self.package(key_package)?.leaf_node().signature_key().as_slice().to_vec())
    }

    fn create(&mut self, group_id: &[u8]) -> Outcome<()> {
        let group = MlsGroup::builder()
            .with_group_id(GroupId::from_slice(group_id))
            .ciphersuite(self.suite)
            .with_wire_format_policy(wire_format(self.handshakes))
            .use_ratchet_tree_extension(true)
            .build(&self.provider, &self.signer, self.credential.clone())?;
        self.group = Some(group);
        Ok(())
    }

    fn join(&mut self, welcome: &[u8]) -> Outcome<()> {
        let MlsMessageBodyIn::Welcome(welcome) = MlsMessageIn::tls_deserialize_exact(welcome)?.extract() else {
            return Err("no Welcome".into());
        };
        let staged = StagedWelcome::new_from_welcome(&self.provider, &join_config(self.handshakes), welcome, None)?;
        self.group = Some(staged.into_group(&self.provider)?);
        Ok(())
    }

    fn join_externally(&mut self, group_info: &[u8]) -> Outcome<Commit> {
        // OpenMLS adds a Remove of the leaf that has this device's signature key.
        let (group, bundle) = MlsGroup::external_commit_builder()
            .with_config(join_config(self.handshakes))
            .build_group(&self.provider, read_group_info(group_info)?, self.credential.clone())?
            .load_psks(self.provider.storage())?
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)?
            .finalize(&self.provider)?;
        self.group = Some(group);
        messages(bundle)
    }

    fn propose_joining(&mut self, group_info: &[u8], key_package: &[u8]) -> Outcome<Option<(Vec<u8>, u64)>> {
        let group_info = read_group_info(group_info)?;
        let proposal = JoinProposal::new::<<OpenMlsRustCrypto as OpenMlsProvider>::StorageProvider>(
            self.package(key_package)?,
            group_info.group_id().clone(),
            group_info.epoch(),
            &self.signer,
        )?;
        Ok(Some((proposal.to_bytes()?, group_info.epoch().as_u64())))
    }

    fn forget_group(&mut self) -> Outcome<()> {
        if let Some(mut group) = self.group.take() {
            group.delete(self.provider.storage())?;
        }
        Ok(())
    }

    fn commit(&mut self, changes: &Changes) -> Outcome<Commit> {
        let added = changes.add.iter().map(|each| self.package(each)).collect::<Outcome<Vec<_>>>()?;
        let group = self.group.as_mut().ok_or("the device is in no group")?;
        let mut builder = group
            .commit_builder()
            .force_self_update(true)
            .propose_adds(added)
            .propose_removals(changes.remove.iter().map(|index| LeafNodeIndex::new(*index)));
        if changes.group_context {
            let required = RequiredCapabilitiesExtension::new(&[], &[], &[CredentialType::Basic]);
            builder =
                builder.propose_group_context_extensions(Extensions::single(Extension::RequiredCapabilities(required)));
        }
        let bundle = builder
            .load_psks(self.provider.storage())?
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)?
            .stage_commit(&self.provider)?;
        messages(bundle)
    }

    fn accept(&mut self) -> Outcome<()> {
        let group = self.group.as_mut().ok_or("the device is in no group")?;
        Ok(group.merge_pending_commit(&self.provider)?)
    }

    fn discard(&mut self) -> Outcome<()> {
        let group = self.group.as_mut().ok_or("the device is in no group")?;
        Ok(group.clear_pending_commit(self.provider.storage())?)
    }

    fn propose_update(&mut self) -> Outcome<Vec<u8>> {
        let group = self.group.as_mut().ok_or("the device is in no group")?;
        let (message, _) = group.propose_self_update(&self.provider, &self.signer, LeafNodeParameters::default())?;
        Ok(message.to_bytes()?)
    }

    fn propose_add(&mut self, key_package: &[u8]) -> Outcome<Vec<u8>> {
        let package = self.package(key_package)?;
        let group = self.group.as_mut().ok_or("the device is in no group")?;
        let (message, _) = group.propose_add_member(&self.provider, &self.signer, &package)?;
        Ok(message.to_bytes()?)
    }

    fn propose_remove(&mut self, leaf_index: u32) -> Outcome<Vec<u8>> {
        let group = self.group.as_mut().ok_or("the device is in no group")?;
        let index = LeafNodeIndex::new(leaf_index);
        let (message, _) = group.propose_remove_member(&self.provider, &self.signer, index)?;
        Ok(message.to_bytes()?)
    }

    fn encrypt(&mut self, text: &str) -> Outcome<Vec<u8>> {
        let group = self.group.as_mut().ok_or("the device is in no group")?;
        Ok(group.create_message(&self.provider, &self.signer, text.as_bytes())?.to_bytes()?)
    }

    fn receive(&mut self, message: &[u8]) -> Outcome<Received> {
        let group = self.group.as_mut().ok_or("the device is in no group")?;
        let message = MlsMessageIn::tls_deserialize_exact(message)?.try_into_protocol_message()?;
        match group.process_message(&self.provider, message)?.into_content() {
            ProcessedMessageContent::ApplicationMessage(text) => {
                Ok(Received::Text(String::from_utf8(text.into_bytes())?))
            }
            ProcessedMessageContent::ProposalMessage(proposal)
            | ProcessedMessageContent::ExternalJoinProposalMessage(proposal) => {
                group.store_pending_proposal(self.provider.storage(), *proposal)?;
                Ok(Received::Proposal)
            }
            ProcessedMessageContent::StagedCommitMessage(commit) => {
                group.merge_staged_commit(&self.provider, *commit)?;
                Ok(Received::Commit)
            }
        }
    }

    fn epoch(&self) -> Outcome<u64> {
        Ok(self.group()?.epoch().as_u64())
    }

    fn epoch_authenticator(&self) -> Outcome<Vec<u8>> {
        Ok(self.group()?.epoch_authenticator().as_slice().to_vec())
    }

    fn group_info(&self, with_tree: bool) -> Outcome<Vec<u8>> {
        Ok(self.group()?.export_group_info(self.provider.crypto(), &self.signer, with_tree)?.to_bytes()?)
    }

    fn leaves(&self) -> Outcome<Vec<Leaf>> {
        let leaf = |member: Member| {
            let did = String::from_utf8(member.credential.serialized_content().to_vec())?;
            Ok(Leaf { index: member.index.u32(), did, signature_key: member.signature_key })
        };
        self.group()?.members().map(leaf).collect()
    }
}
