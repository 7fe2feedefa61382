//! Runs clients built on OpenMLS and on mls-rs in a conversation on a running Nightjar.
//!
//! Reads one JSON object from standard input: `url` and `serviceDid` of the server, `accounts` (a list of `did` and
//! `key`, the secp256k1 signing key in base64url), and `runs` (a list of `engines`, `handshakes` and `suite`; with
//! `churn`, that many steps at random, the same ones with the same `seed`). Prints one line for each step, and ends with status 1 if one failed.

mod account;
mod churn;
mod device;
mod engine;
mod envelope;
mod mls_rs_engine;
mod openmls_engine;
mod requests;
mod scenario;
mod steps;
mod xrpc;

use std::process::ExitCode;
use std::rc::Rc;

use account::Account;
use engine::{Engine, Handshakes, Outcome};
use scenario::{Maker, Scenario};
use serde_json::Value;
use xrpc::Service;

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failures) => {
            println!("{failures} steps failed");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("FAILED before the first step: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the number of failed steps.
fn run() -> Outcome<usize> {
    let input: Value = serde_json::from_reader(std::io::stdin())?;
    let service = Rc::new(Service::new(text(&input, "url")?, text(&input, "serviceDid")?));
    let mut accounts =
        list(&input, "accounts")?.iter().map(|each| Account::new(text(each, "did")?, text(each, "key")?));
    let mut failures = 0;
    for each in list(&input, "runs")? {
        let engines = text(each, "engines")?;
        let form = text(each, "handshakes")?;
        let handshakes = match form {
            "plaintext" => Handshakes::Plaintext,
            "encrypted" => Handshakes::Encrypted,
            other => return Err(format!("unknown handshake form {other}").into()),
        };
        let suite = each["suite"].as_u64().ok_or("suite is no number")? as u16;
        let people = accounts.by_ref().take(steps::PEOPLE).collect::<Outcome<Vec<_>>>()?;
        let label = format!("{engines} {form} suite {suite}");
        let make = maker(engines, handshakes, suite)?;
        let mut scenario = Scenario::new(label, handshakes, suite, Rc::clone(&service), make);
        match each["churn"].as_u64() {
            Some(steps) => churn::play(&mut scenario, people, steps as usize, each["seed"].as_u64().unwrap_or(0)),
            None => steps::play(&mut scenario, people),
        }
        failures += scenario.failures;
    }
    Ok(failures)
}

/// Makes the MLS engine of each device: all of one library, or of both libraries alternately.
fn maker(engines: &str, handshakes: Handshakes, suite: u16) -> Outcome<Maker> {
    let openmls_at: fn(usize) -> bool = match engines {
        "openmls" => |_| true,
        "mls-rs" => |_| false,
        "openmls-first" => |at| at % 2 == 0,
        "mls-rs-first" => |at| at % 2 == 1,
        other => return Err(format!("unknown engines {other}").into()),
    };
    Ok(Box::new(move |at: usize, did: &str| -> Outcome<Box<dyn Engine>> {
        if openmls_at(at) {
            openmls_engine::new(did, suite, handshakes)
        } else {
            mls_rs_engine::new(did, suite, handshakes)
        }
    }))
}

fn text<'a>(value: &'a Value, field: &str) -> Outcome<&'a str> {
    value[field].as_str().ok_or_else(|| format!("{field} is no text").into())
}

fn list<'a>(value: &'a Value, field: &str) -> Outcome<&'a Vec<Value>> {
    value[field].as_array().ok_or_else(|| format!("{field} is no list").into())
}
