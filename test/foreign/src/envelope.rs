//! The padding envelope of `sendMessage` (docs/rust.md).

use crate::engine::Outcome;

const LENGTH_SIZE_BYTES: usize = 4;
const LARGE_STEP_BYTES: usize = 8192;

/// The length of `message` as 4 bytes, big-endian; the message; zeros up to the next permitted size.
pub fn wrap(message: &[u8]) -> Vec<u8> {
    let size = LENGTH_SIZE_BYTES + message.len();
    let padded_size = if size <= LARGE_STEP_BYTES {
        size.next_power_of_two().max(512)
    } else {
        size.next_multiple_of(LARGE_STEP_BYTES)
    };
    let mut padded = (message.len() as u32).to_be_bytes().to_vec();
    padded.extend_from_slice(message);
    padded.resize(padded_size, 0);
    padded
}

/// The MLS message in an envelope.
pub fn unwrap(padded: &[u8]) -> Outcome<&[u8]> {
    let (length, rest) = padded.split_first_chunk::<LENGTH_SIZE_BYTES>().ok_or("the envelope is too short")?;
    Ok(rest.get(..u32::from_be_bytes(*length) as usize).ok_or("the envelope names more bytes than it has")?)
}

/// MLS 1.0, wire format mls_key_package.
const KEY_PACKAGE_HEADER: [u8; 4] = [0, 1, 0, 5];

/// The service gives a KeyPackage as it stands in a group's tree; both libraries read it inside an MLSMessage.
pub fn as_key_package_message(key_package: Vec<u8>) -> Vec<u8> {
    if key_package.starts_with(&KEY_PACKAGE_HEADER) {
        key_package
    } else {
        [&KEY_PACKAGE_HEADER[..], &key_package].concat()
    }
}

/// What is inside an MLSMessage: it begins with the version and the wire format, 2 bytes each.
pub fn bare(message: &[u8]) -> &[u8] {
    message.get(KEY_PACKAGE_HEADER.len()..).unwrap_or_default()
}
