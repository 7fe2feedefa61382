//! People and devices join and leave at random, until a step fails or the number of steps is reached.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::account::Account;
use crate::engine::{Changes, Handshakes, Outcome};
use crate::requests;
use crate::scenario::{Scenario, removing};
use crate::steps::{begin, come_back, demand_handshakes};

const DEVICES_OF_A_PERSON_MAX: usize = 3;
/// The admin, who never leaves.
const ALICE: usize = 0;

#[derive(Clone, Copy, PartialEq)]
enum Standing {
    Outside,
    Member,
    Left,
}

struct Person {
    standing: Standing,
    /// All registered devices.
    devices: Vec<usize>,
}

pub fn play(scenario: &mut Scenario, accounts: Vec<Account>, steps: usize, seed: u64) {
    STATE.store(seed, Ordering::Relaxed);
    begin(scenario, accounts);
    demand_handshakes(scenario);
    let standing = |at| if at < 2 { Standing::Member } else { Standing::Outside };
    let mut people: Vec<_> =
        (0..scenario.devices.len()).map(|at| Person { standing: standing(at), devices: vec![at] }).collect();
    for _ in 0..steps {
        if scenario.failures > 0 {
            return;
        }
        scenario.step("something at random", |it| {
            let done = change(it, &mut people)?;
            let agreed = it.agree().map_err(|error| format!("{done}; {error}"))?;
            Ok(format!("{done}; {agreed}"))
        });
    }
}

static STATE: AtomicU64 = AtomicU64::new(0);

/// Returns a number below `end`; the same seed gives the same numbers (SplitMix64).
fn below(end: usize) -> usize {
    let mut z = STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) % end as u64) as usize
}

fn any<T: Copy>(of: &[T]) -> Option<T> {
    (!of.is_empty()).then(|| of[below(of.len())])
}

fn change(it: &mut Scenario, people: &mut [Person]) -> Outcome<String> {
    let with =
        |standing| -> Vec<usize> { (1..people.len()).filter(|person| people[*person].standing == standing).collect() };
    let (outside, members, left) = (with(Standing::Outside), with(Standing::Member), with(Standing::Left));
    let actor = any(&it.readers).ok_or("no reader is left")?;
    let other = any(&it.readers).ok_or("no reader is left")?;
    match below(10) {
        0 => update(it, actor),
        1 if other != actor => {
            it.devices[other].propose(|engine| engine.propose_update())?;
            it.commit(actor, &Changes::default())?;
            Ok(format!("device {actor} commits an update of {other}"))
        }
        2 | 3 => match any(&outside) {
            Some(person) => add(it, actor, person, people),
            None => it.talk(),
        },
        4 => match any(&members) {
            Some(person) => {
                let (did, gone) = (it.did(person), &people[person].devices);
                it.readers.retain(|at| !gone.contains(at));
                it.agree()?;
                let leaves = it.devices[ALICE].leaves_of(&did)?;
                it.remove(ALICE, person, &removing(leaves))?;
                people[person].standing = Standing::Outside;
                Ok(format!("Alice removes person {person}"))
            }
            None => it.talk(),
        },
        5 => match any(&members) {
            Some(person) => leave(it, person, people),
            None => it.talk(),
        },
        6 => match any(&left) {
            Some(person) => {
                come_back(it, person)?;
                people[person].standing = Standing::Member;
                Ok(format!("person {person} comes back by external commit"))
            }
            None => it.talk(),
        },
        7 => {
            let convo = it.convo.clone();
            it.devices[actor].forget_group()?;
            it.devices[actor].join_externally(&convo, None)?;
            Ok(format!("device {actor} replaces its leaf by an external commit"))
        }
        8 => match any(&members) {
            Some(person) if people[person].devices.len() < DEVICES_OF_A_PERSON_MAX => {
                new_device(it, actor, person, people)
            }
            _ => it.talk(),
        },
        _ => remove_own_device(it, actor, people),
    }
}

fn update(it: &mut Scenario, actor: usize) -> Outcome<String> {
    if below(2) == 0 || it.handshakes == Handshakes::Plaintext {
        it.commit(actor, &Changes::default())?;
        return Ok(format!("device {actor} updates"));
    }
    let convo = it.convo.clone();
    it.devices[actor].commit(&Changes::default(), |commit| {
        let (method, mut body) = requests::commit(&convo, commit);
        body.as_object_mut().map(|fields| fields.remove("groupInfo"));
        (method, body)
    })?;
    it.store_group_info(actor, true)?;
    Ok(format!("device {actor} updates, and stores the GroupInfo afterwards"))
}

/// Adds a person with all their devices.
fn add(it: &mut Scenario, actor: usize, person: usize, people: &mut [Person]) -> Outcome<String> {
    let (convo, did, devices) = (it.convo.clone(), it.did(person), people[person].devices.clone());
    for device in &devices {
        it.devices[*device].forget_group()?;
        it.devices[*device].publish(1)?;
    }
    it.devices[actor].catch_up()?;
    let packages = it.devices[actor].take_packages(&did)?;
    let changes = Changes { add: packages.iter().map(|each| each.bytes.clone()).collect(), ..Changes::default() };
    let hashes: Vec<_> = packages.iter().map(|each| each.hash.as_str()).collect();
    it.devices[actor].commit(&changes, |commit| requests::add_members(&convo, &did, &hashes, commit))?;
    for device in &devices {
        it.devices[*device].join(&convo)?;
        it.readers.push(*device);
    }
    people[person].standing = Standing::Member;
    Ok(format!("device {actor} adds person {person} with {} devices", devices.len()))
}

fn leave(it: &mut Scenario, person: usize, people: &mut [Person]) -> Outcome<String> {
    let (did, gone) = (it.did(person), people[person].devices.clone());
    it.devices[person].post("leaveConvo", &json!({ "convoId": it.convo }))?;
    it.readers.retain(|at| !gone.contains(at));
    it.agree()?;
    let actor = any(&it.readers).ok_or("no reader is left")?;
    let leaves = it.devices[actor].leaves_of(&did)?;
    it.remove(actor, person, &removing(leaves))?;
    people[person].standing = Standing::Left;
    // A person rejoins with one device.
    people[person].devices.truncate(1);
    for device in &gone[1..] {
        it.devices[person].post("deleteDevice", &json!({ "deviceId": it.devices[*device].device_id }))?;
    }
    Ok(format!("person {person} leaves, and device {actor} removes the leaves"))
}

fn new_device(it: &mut Scenario, actor: usize, person: usize, people: &mut [Person]) -> Outcome<String> {
    let (convo, did) = (it.convo.clone(), it.did(person));
    let (device, _) = it.enter_again(person)?;
    people[person].devices.push(device);
    if below(2) == 0 {
        it.devices[device].join_externally(&convo, None)?;
    } else {
        it.devices[actor].catch_up()?;
        let packages = it.devices[actor].take_packages(&did)?;
        let add = packages.iter().map(|each| each.bytes.clone()).collect();
        it.commit(actor, &Changes { add, ..Changes::default() })?;
        it.devices[device].join(&convo)?;
    }
    it.readers.push(device);
    Ok(format!("person {person} has device {device}, too"))
}

/// One device of a person permanently removes another device of the same person.
fn remove_own_device(it: &mut Scenario, actor: usize, people: &mut [Person]) -> Outcome<String> {
    let Some(person) = people.iter_mut().find(|person| person.devices.contains(&actor)) else {
        return Err("a device without a person".into());
    };
    // The first device has the account's key in this program.
    let Some(gone) = person.devices[1..].iter().copied().find(|device| *device != actor) else {
        return it.talk();
    };
    it.agree()?;
    let key = it.devices[gone].engine.signature_key();
    let leaves = it.devices[actor].engine.leaves()?;
    let leaf = leaves.iter().find(|leaf| leaf.signature_key == key).ok_or("the device has no leaf")?;
    it.commit(actor, &removing(vec![leaf.index]))?;
    it.readers.retain(|at| *at != gone);
    person.devices.retain(|device| *device != gone);
    let device_id = it.devices[gone].device_id.clone();
    it.devices[actor].post("deleteDevice", &json!({ "deviceId": device_id }))?;
    Ok(format!("device {actor} removes device {gone} of the same person"))
}
