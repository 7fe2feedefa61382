//! The steps that the devices run.

use std::rc::Rc;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::account::{Account, hex, random_bytes, uuid};
use crate::engine::{Changes, Handshakes, Outcome};
use crate::envelope;
use crate::requests;
use crate::scenario::{Scenario, adding, expect_refusal, removing};
use crate::xrpc::base64;

pub const PEOPLE: usize = 5;

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;
const DAN: usize = 3;
const ERIN: usize = 4;
const BOBS_TABLET: usize = 5;

pub fn play(scenario: &mut Scenario, people: Vec<Account>) {
    begin(scenario, people);
    commit_without_changes(scenario);
    grow(scenario);
    refuse(scenario);
    shrink(scenario);
    join_externally(scenario);
    scenario.step("all devices still send and read messages", |it| it.talk());
}

pub fn begin(scenario: &mut Scenario, people: Vec<Account>) {
    scenario.step("five people register a device and publish key packages", |it| {
        for account in people {
            let at = it.enter(Rc::new(account))?;
            it.devices[at].register("telephone")?;
            it.devices[at].publish(3)?;
        }
        Ok("registerDevice, publishKeyPackages")
    });
    scenario.step("Alice creates a group with Bob", |it| {
        let group_id = random_bytes::<16>();
        it.convo = hex(&group_id);
        let (convo, bob) = (it.convo.clone(), it.did(BOB));
        it.devices[ALICE].create(&group_id, &convo, &bob)?;
        Ok("createConvo")
    });
    scenario.step("Bob joins by Welcome", |it| {
        let listed = it.devices[BOB].get("getConvos", &[])?;
        if listed["conversations"][0]["groupId"] != it.convo.as_str() {
            return Err(format!("not listed: {listed}").into());
        }
        let convo = it.convo.clone();
        it.devices[BOB].join(&convo)?;
        it.readers = vec![ALICE, BOB];
        it.agree()
    });
    scenario.step("both write and read", |it| it.talk());
}

fn commit_without_changes(scenario: &mut Scenario) {
    scenario.step("Alice updates herself by a commit", |it| {
        it.commit(ALICE, &Changes::default())?;
        it.agree()
    });
    scenario.step("Bob updates himself, and stores the GroupInfo afterwards", |it| {
        let convo = it.convo.clone();
        it.devices[BOB].commit(&Changes::default(), |commit| {
            ("commit", json!({ "convoId": convo, "commit": { "$bytes": base64(&commit.message) } }))
        })?;
        it.store_group_info(BOB, true)?;
        it.agree()
    });
    scenario.step("Bob proposes an update, and Alice commits it", |it| {
        it.devices[BOB].propose(|engine| engine.propose_update())?;
        it.commit(ALICE, &Changes::default())?;
        it.agree()
    });
    scenario.step("Alice changes the group context", |it| {
        it.commit(ALICE, &Changes { group_context: true, ..Changes::default() })?;
        it.agree()
    });
    scenario.step("Bob's stream shows his own commit, known by its digest", |it| {
        let convo = it.convo.clone();
        let mut stream = it.devices[BOB].open_stream()?;
        let mut digest = String::new();
        it.devices[BOB].commit(&Changes::default(), |commit| {
            digest = base64(&Sha256::digest(&commit.message));
            requests::commit(&convo, commit)
        })?;
        let epoch = stream.next(|event| {
            let message = &event["message"];
            (message["digest"]["$bytes"].as_str()?.trim_end_matches('=') == digest.trim_end_matches('='))
                .then(|| message["epoch"].as_u64())
        })?;
        if epoch != Some(it.devices[BOB].engine.epoch()?) {
            return Err(format!("its epoch is {epoch:?}").into());
        }
        it.agree()
    });
    scenario.step("two commit at once; the second catches up and commits again", |it| {
        it.agree()?;
        let late = it.devices[BOB].engine.commit(&Changes::default())?;
        it.commit(ALICE, &Changes::default())?;
        let request = requests::commit(&it.convo, &late);
        expect_refusal(it.devices[BOB].submit(&late, request), "EpochMismatch")?;
        it.commit(BOB, &Changes::default())?;
        it.agree()
    });
}

pub fn demand_handshakes(scenario: &mut Scenario) {
    scenario.step("Alice demands the form of handshakes that all use", |it| {
        let form = if it.handshakes == Handshakes::Plaintext { "plaintext" } else { "encrypted" };
        it.devices[ALICE].post("updatePolicy", &json!({ "convoId": it.convo, "handshakes": form }))?;
        Ok(form)
    });
}

fn grow(scenario: &mut Scenario) {
    demand_handshakes(scenario);
    scenario.step("Bob proposes to add Carol, Alice commits it; she joins by Welcome", |it| {
        let carol = it.did(CAROL);
        it.agree()?;
        let packages = it.devices[BOB].take_packages(&carol)?;
        it.devices[BOB].propose(|engine| engine.propose_add(&packages[0].bytes))?;
        it.agree()?;
        it.add(ALICE, CAROL, &Changes::default(), &packages[0].hash)?;
        it.agree()
    });
    scenario.step("Alice adds Dan, and sends the Welcome bare; he joins by it", |it| {
        let (convo, dan) = (it.convo.clone(), it.did(DAN));
        let packages = it.devices[ALICE].take_packages(&dan)?;
        it.devices[ALICE].commit(&adding(&packages[0].bytes), |commit| {
            let (method, mut body) = requests::add_members(&convo, &dan, &[&packages[0].hash], commit);
            body["welcomeMessage"] = base64(envelope::bare(commit.welcome.as_deref().unwrap_or_default())).into();
            body["groupInfo"] = base64(envelope::bare(&commit.group_info)).into();
            (method, body)
        })?;
        it.devices[DAN].join(&convo)?;
        it.readers.push(DAN);
        it.agree()
    });
    scenario.step("Bob registers a tablet, Carol adds it, and it joins by Welcome", |it| {
        let (convo, bob) = (it.convo.clone(), it.did(BOB));
        let (at, key_package) = it.enter_again(BOB)?;
        let is_proposed = it.devices[at].propose_joining(&convo, &key_package)?;
        let packages = it.devices[CAROL].take_packages(&bob)?;
        let changes = if is_proposed { Changes::default() } else { adding(&packages[0].bytes) };
        it.commit(CAROL, &changes)?;
        it.devices[at].join(&convo)?;
        it.readers.push(at);
        let way = if is_proposed { "as the tablet proposed" } else { "by value" };
        it.agree().map(|agreed| format!("{way}; {agreed}"))
    });
    scenario.step("all devices send and read messages", |it| it.talk());
}

fn refuse(scenario: &mut Scenario) {
    scenario.step("Bob, no admin, cannot remove Alice", |it| {
        if it.handshakes == Handshakes::Encrypted {
            return Ok("encrypted: the service cannot see it, the members check");
        }
        it.agree()?;
        let (convo, alice, bob) = (it.convo.clone(), it.did(ALICE), it.did(BOB));
        let changes = removing(it.devices[BOB].leaves_of(&alice)?);
        let bobs = &mut it.devices[BOB];
        expect_refusal(bobs.commit(&changes, |commit| requests::commit(&convo, commit)), "InvalidCommit")?;
        let as_adding = |commit: &_| requests::add_members(&convo, &bob, &[], commit);
        let refused = bobs.commit(&changes, |commit| {
            let (method, mut body) = as_adding(commit);
            body.as_object_mut().map(|fields| fields.remove("welcomeMessage"));
            (method, body)
        });
        expect_refusal(refused, "InvalidCommit")?;
        let refused = bobs.commit(&changes, |commit| requests::remove_member(&convo, &alice, commit));
        expect_refusal(refused, "NotAdmin")?;
        Ok("commit, addMembers: InvalidCommit; removeMember: NotAdmin")
    });
    scenario.step("Bob cannot replace the GroupInfo by one without the tree", |it| {
        expect_refusal(it.store_group_info(BOB, false), "InvalidGroupInfo")?;
        it.store_group_info(BOB, true)?;
        it.agree()
    });
}

fn shrink(scenario: &mut Scenario) {
    scenario.step("Carol proposes to remove Dan, and Alice commits it", |it| {
        it.agree()?;
        let dan = it.did(DAN);
        let leaf = it.devices[CAROL].leaves_of(&dan)?[0];
        it.devices[CAROL].propose(|engine| engine.propose_remove(leaf))?;
        it.remove(ALICE, DAN, &Changes::default())?;
        expect_refusal(it.devices[DAN].catch_up(), "NotMember")?;
        it.agree()
    });
    scenario.step("Bob removes his tablet", |it| {
        it.agree()?;
        let key = it.devices[BOBS_TABLET].engine.signature_key();
        let leaves = it.devices[BOB].engine.leaves()?;
        let leaf = leaves.into_iter().find(|leaf| leaf.signature_key == key).ok_or("the tablet has no leaf")?;
        it.commit(BOB, &removing(vec![leaf.index]))?;
        it.readers.retain(|at| *at != BOBS_TABLET);
        it.agree()
    });
    scenario.step("Carol proposes her own removal and leaves; Bob commits it", |it| {
        let carol = it.did(CAROL);
        let leaf = it.devices[CAROL].leaves_of(&carol)?[0];
        it.devices[CAROL].propose(|engine| engine.propose_remove(leaf))?;
        it.devices[CAROL].post("leaveConvo", &json!({ "convoId": it.convo }))?;
        let listed = it.devices[BOB].get("getConvos", &[])?;
        if listed["conversations"][0]["needsRemovalCommit"][0] != carol {
            return Err(format!("her removal is not requested: {listed}").into());
        }
        it.remove(BOB, CAROL, &Changes::default())?;
        it.agree()
    });
}

fn join_externally(scenario: &mut Scenario) {
    scenario.step("Carol comes back by external commit", |it| come_back(it, CAROL));
    scenario.step("Erin joins by external commit with an invite", |it| {
        let psk_hash = hex(&Sha256::digest(random_bytes::<32>()));
        let convo = it.convo.clone();
        let body = json!({ "convoId": convo, "pskHash": psk_hash, "maxUses": 1, "idempotencyKey": uuid() });
        it.devices[ALICE].post("createInvite", &body)?;
        it.devices[ERIN].join_externally(&convo, Some(&psk_hash))?;
        it.readers.push(ERIN);
        it.agree()
    });
    scenario.step("Bob loses the state, and comes back by an external commit that removes his old leaf", |it| {
        let (convo, bob) = (it.convo.clone(), it.did(BOB));
        it.devices[BOB].forget_group()?;
        it.devices[BOB].join_externally(&convo, None)?;
        if it.devices[BOB].leaves_of(&bob)?.len() != 1 {
            return Err("the old leaf is still there".into());
        }
        it.agree()
    });
    scenario.step("Bob's laptop joins by external commit", |it| {
        let convo = it.convo.clone();
        let (at, _) = it.enter_again(BOB)?;
        it.devices[at].join_externally(&convo, None)?;
        it.readers.push(at);
        it.agree()
    });
    scenario.step("Erin leaves, and Carol removes her leaf", |it| {
        let erin = it.did(ERIN);
        it.devices[ERIN].post("leaveConvo", &json!({ "convoId": it.convo }))?;
        it.readers.retain(|at| *at != ERIN);
        it.agree()?;
        let leaves = it.devices[CAROL].leaves_of(&erin)?;
        it.remove(CAROL, ERIN, &removing(leaves))?;
        it.agree()
    });
    scenario.step("Alice takes Bob and his devices out", |it| {
        let (convo, bob) = (it.convo.clone(), it.did(BOB));
        let changes = removing(it.devices[ALICE].leaves_of(&bob)?);
        it.devices[ALICE].commit(&changes, |commit| requests::leave_convo(&convo, &bob, commit))?;
        it.readers.retain(|at| *at == ALICE || *at == CAROL);
        expect_refusal(it.devices[BOB].catch_up(), "NotMember")?;
        it.agree()
    });
}

/// A person who has left requests to rejoin, and rejoins.
pub fn come_back(scenario: &mut Scenario, at: usize) -> Outcome<String> {
    let convo = scenario.convo.clone();
    let device = &mut scenario.devices[at];
    device.forget_group()?;
    let key_package = base64(&device.engine.new_key_package()?);
    let body = json!({ "convoId": convo, "keyPackage": key_package, "deviceId": device.device_id });
    device.post("rejoin", &body)?;
    device.join_externally(&convo, None)?;
    scenario.readers.push(at);
    scenario.agree()
}
