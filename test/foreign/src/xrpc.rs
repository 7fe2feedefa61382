//! XRPC calls (docs/api/README.md).

use std::fmt;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::account::Account;
use crate::engine::Outcome;

const NAMESPACE: &str = "blue.catbird.mls";
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

pub struct Service {
    url: String,
    did: String,
    agent: ureq::Agent,
}

/// The response to a call with a status other than 200.
#[derive(Debug)]
pub struct Refusal {
    pub method: String,
    pub status: u16,
    pub body: Value,
}

impl Refusal {
    pub fn name(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.method, self.status, self.body)
    }
}

impl std::error::Error for Refusal {}

impl Service {
    pub fn new(url: &str, did: &str) -> Self {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(CALL_TIMEOUT)).build();
        Self { url: url.into(), did: did.into(), agent: config.into() }
    }

    /// `GET` with parameters. Fails with a [`Refusal`].
    pub fn get(&self, account: &Account, method: &str, parameters: &[(&str, &str)]) -> Outcome<Value> {
        let nsid = format!("{NAMESPACE}.{method}");
        let response = self
            .agent
            .get(format!("{}/xrpc/{nsid}", self.url))
            .query_pairs(parameters.iter().copied())
            .header("Authorization", format!("Bearer {}", account.token(&self.did, &nsid)?))
            .call()?;
        answer(method, response)
    }

    /// Opens the stream of events of all conversations of `account`.
    pub fn open_stream(&self, account: &Account) -> Outcome<EventStream> {
        let nsid = format!("{NAMESPACE}.streamConvoEvents");
        let response = self
            .agent
            .get(format!("{}/xrpc/{nsid}", self.url))
            .header("Authorization", format!("Bearer {}", account.token(&self.did, &nsid)?))
            .call()?;
        if response.status() != 200 {
            answer("streamConvoEvents", response)?;
            return Err("no stream".into());
        }
        Ok(EventStream(BufReader::new(response.into_body().into_reader())))
    }

    /// `POST` with a JSON body. Fails with a [`Refusal`].
    pub fn post(&self, account: &Account, method: &str, body: &Value) -> Outcome<Value> {
        let nsid = format!("{NAMESPACE}.{method}");
        let response = self
            .agent
            .post(format!("{}/xrpc/{nsid}", self.url))
            .header("Authorization", format!("Bearer {}", account.token(&self.did, &nsid)?))
            .header("Content-Type", "application/json")
            .send(body.to_string())?;
        answer(method, response)
    }
}

/// Server-sent events: each is one line `data: <JSON>`.
pub struct EventStream(BufReader<ureq::BodyReader<'static>>);

impl EventStream {
    /// Returns the next event for which `pick` returns a value.
    pub fn next<T>(&mut self, pick: impl Fn(&Value) -> Option<T>) -> Outcome<T> {
        let mut line = String::new();
        while self.0.read_line(&mut line)? > 0 {
            if let Some(json) = line.strip_prefix("data:") {
                if let Some(found) = pick(&serde_json::from_str(json.trim())?) {
                    return Ok(found);
                }
            }
            line.clear();
        }
        Err("the stream ended".into())
    }
}

fn answer(method: &str, mut response: ureq::http::Response<ureq::Body>) -> Outcome<Value> {
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string()?;
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? };
    if status == 200 { Ok(body) } else { Err(Refusal { method: method.into(), status, body }.into()) }
}

pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A field in base64 text.
pub fn from_base64(value: &Value) -> Outcome<Vec<u8>> {
    Ok(STANDARD.decode(value.as_str().ok_or("a field in base64 is missing")?)?)
}
