//! Short stable hashes: names of actions, fingerprints of alerts, message ids.
//!
//! Pure: no IO, no clock.

use sha2::{Digest as _, Sha256};

/// The SHA-256 of `parts`, each preceded by its length so that no two lists of parts collide, as lower-case hex.
pub fn hex<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = T>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        let part = part.as_ref();
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher
        .finalize()
        .iter()
        .fold(String::new(), |mut text, byte| {
            text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
            text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
            text
        })
}

/// The first `length` hex digits of [`hex`].
pub fn short<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = T>, length: usize) -> String {
    let mut text = hex(parts);
    text.truncate(length);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_between_parts_counts() {
        assert_ne!(hex(["ab", "c"]), hex(["a", "bc"]));
        assert_eq!(hex(["ab", "c"]).len(), 64);
    }
}
