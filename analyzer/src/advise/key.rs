//! API keys: where they come from, and how they are kept out of every log.
//!
//! In: the path of a file, such as of a mounted Secret. Out: the key, read anew for each call, so
//! that a key that was rotated counts at once and a key that was withdrawn is gone.

use std::{fmt, path::Path};

use super::refusal::Refusal;

/// Longest key that is taken for one: a larger file is something else.
const LONGEST_BYTES: usize = 8192;

/// A key that cannot be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Reads the key in a file, without the white space around it.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no single word of ASCII.
    pub async fn read(path: &Path) -> Result<Self, Refusal> {
        let bytes = tokio::fs::read(path).await.map_err(|error| {
            tracing::warn!(path = %path.display(), %error, "key not read");
            Refusal::NoKey
        })?;
        Self::parse(&bytes).ok_or_else(|| {
            tracing::warn!(path = %path.display(), "the file holds no key: one word of ASCII is expected");
            Refusal::NoKey
        })
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.trim();
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        let fits = (1..=LONGEST_BYTES).contains(&text.len());
        (printable && fits).then(|| Self(text.to_owned()))
    }

    /// The key itself, for the one header that carries it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(not shown)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[tokio::test]
    async fn a_rotated_key_counts_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        assert_eq!(ApiKey::read(&path).await, Err(Refusal::NoKey));
        std::fs::write(&path, "sk-old\n").unwrap();
        assert_eq!(ApiKey::read(&path).await.unwrap().expose(), "sk-old");
        std::fs::write(&path, "sk-new\n").unwrap();
        assert_eq!(ApiKey::read(&path).await.unwrap().expose(), "sk-new");
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(ApiKey::read(&path).await, Err(Refusal::NoKey));
    }

    proptest! {
        #[test]
        fn a_key_is_never_shown(key in "[!-~]{9,60}") {
            let key = ApiKey::parse(key.as_bytes()).unwrap();
            let (plain, pretty) = (format!("{key:?}"), format!("{key:#?}"));
            prop_assert!(!plain.contains(key.expose()) && !pretty.contains(key.expose()));
        }

        #[test]
        fn what_would_break_a_header_is_no_key(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(key) = ApiKey::parse(&bytes) {
                prop_assert!(http::HeaderValue::from_str(key.expose()).is_ok());
            }
        }
    }
}
