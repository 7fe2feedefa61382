//! The padding envelope of `sendMessage` (docs/rust.md).

use crate::engine::Outcome;

const LENGTH_SIZE_BYTES: usize = 4;
const LARGE_STEP_BYTES: usize = 8192;

/// Pads a message: its length as 4 bytes big-endian, the message, and zeros up to the next permitted size.
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

/// Returns the MLS message in an envelope.
pub fn unwrap(padded: &[u8]) -> Outcome<&[u8]> {
    let (length, rest) = padded.split_first_chunk::<LENGTH_SIZE_BYTES>().ok_or("the envelope is too short")?;
    Ok(rest.get(..u32::from_be_bytes(*length) as usize).ok_or("the envelope names more bytes than it has")?)
}

/// Version and wire format, 2 bytes each.
const MLS_MESSAGE_HEADER_SIZE_BYTES: usize = 4;

/// Returns the structure inside an MLSMessage.
pub fn bare(message: &[u8]) -> &[u8] {
    message.get(MLS_MESSAGE_HEADER_SIZE_BYTES..).unwrap_or_default()
}
