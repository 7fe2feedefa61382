//! A person with a key that signs service tokens, as a PDS does (docs/tokens.md).

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k256::ecdsa::signature::Signer;
use k256::ecdsa::{Signature, SigningKey};
use k256::elliptic_curve::rand_core::{OsRng, RngCore};
use serde_json::json;

use crate::engine::Outcome;

const TOKEN_LIFETIME_SECONDS: u64 = 60;

pub struct Account {
    pub did: String,
    key: SigningKey,
}

impl Account {
    /// `key` is the secp256k1 signing key in base64url.
    pub fn new(did: &str, key: &str) -> Outcome<Self> {
        Ok(Self { did: did.into(), key: SigningKey::from_slice(&URL_SAFE_NO_PAD.decode(key)?)? })
    }

    /// Mints a service token for one call of `method` (an NSID), signed with ES256K and valid for a minute.
    pub fn token(&self, service_did: &str, method: &str) -> Outcome<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let header = json!({ "typ": "JWT", "alg": "ES256K" });
        let claims = json!({
            "iss": self.did,
            "aud": service_did,
            "lxm": method,
            "iat": now,
            "exp": now + TOKEN_LIFETIME_SECONDS,
            "jti": hex(&random_bytes::<16>()),
        });
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let signature: Signature = self.key.sign(signed.as_bytes());
        Ok(format!("{signed}.{}", encode(&signature.to_bytes())))
    }
}

pub fn random_bytes<const SIZE: usize>() -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns a random UUID (version 4).
pub fn uuid() -> String {
    let mut bytes = random_bytes::<16>();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}
