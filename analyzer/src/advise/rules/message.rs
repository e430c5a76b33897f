//! What the kubelet and controllers say, read for a few fixed phrases.
//!
//! In: a message of a status. Out: which of the known phrases it has. Names,
//! which users choose, are taken out first: an image called `unauthorized`
//! proves nothing.
//!
//! Pure: no IO, no clock.

/// Why an image does not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pull {
    /// It does not exist.
    NotFound,
    /// The registry refuses.
    Refused,
    /// Either: some registries do not tell.
    RefusedOrNotFound,
    /// The registry cannot be reached, or is overloaded.
    Unreachable,
    /// Nothing known.
    Unclear,
}

const NOT_FOUND: [&str; 6] = [
    "not found",
    "manifest unknown",
    "name unknown",
    "notfound",
    "no such image",
    "couldn't parse image",
];
const REFUSED: [&str; 8] = [
    "unauthorized",
    "denied",
    "authentication required",
    "authorization failed",
    "failed to authorize",
    "no basic auth credentials",
    "forbidden",
    "insufficient_scope",
];
const EITHER: [&str; 2] = [
    "does not exist or may require",
    "does not exist or no pull access",
];
const UNREACHABLE: [&str; 11] = [
    "i/o timeout",
    "no such host",
    "connection refused",
    "connection reset",
    "deadline exceeded",
    "tls handshake",
    "toomanyrequests",
    "too many requests",
    "network is unreachable",
    "server misbehaving",
    "service unavailable",
];

/// Why an image does not come, as the kubelet says.
pub(super) fn pull(message: &str) -> Pull {
    let said = without_names(message);
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| said.contains(phrase));
    if has(&EITHER) {
        Pull::RefusedOrNotFound
    } else if has(&UNREACHABLE) {
        Pull::Unreachable
    } else if has(&REFUSED) {
        Pull::Refused
    } else if has(&NOT_FOUND) {
        Pull::NotFound
    } else {
        Pull::Unclear
    }
}

/// Whether it says that a `ConfigMap`, a Secret, or a key of one is not there.
pub(super) fn names_missing_reference(message: &str) -> bool {
    let said = without_names(message);
    let about = said.contains("configmap") || said.contains("secret");
    about && (said.contains("not found") || said.contains("couldn't find key"))
}

/// Whether it says that a quota is used up.
pub(super) fn names_quota(message: &str) -> bool {
    without_names(message).contains("exceeded quota")
}

/// The message in lower case, without quoted parts and without words that are paths or references.
fn without_names(message: &str) -> String {
    // What is quoted stands at the odd places; a quote that the cut left open hides the rest.
    let outside = message.split('"').step_by(2);
    let words = outside.flat_map(str::split_whitespace);
    let plain = |word: &&str| !word.contains('/') || word.starts_with("i/o");
    let kept: Vec<String> = words.filter(plain).map(str::to_lowercase).collect();
    kept.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubelets_phrases_are_told_apart() {
        let cases = [
            (
                "rpc error: code = NotFound desc = failed to pull and unpack image \"docker.io/shop/web:9\": failed to resolve reference \"docker.io/shop/web:9\": docker.io/shop/web:9: not found",
                Pull::NotFound,
            ),
            (
                "manifest unknown: manifest tagged by \"v9\" is not found",
                Pull::NotFound,
            ),
            (
                "failed to pull image \"registry.example/shop/web:1\": failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized",
                Pull::Refused,
            ),
            (
                "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
                Pull::RefusedOrNotFound,
            ),
            (
                "dial tcp: lookup registry.example on 10.0.0.10:53: no such host",
                Pull::Unreachable,
            ),
            (
                "Back-off pulling image \"registry.example/unauthorized/not-found:denied\"",
                Pull::Unclear,
            ),
            (
                "failed to pull registry.example/denied: not found",
                Pull::NotFound,
            ),
            ("", Pull::Unclear),
        ];
        for (message, expected) in cases {
            assert_eq!(pull(message), expected, "{message}");
        }
    }

    #[test]
    fn names_prove_nothing() {
        assert!(names_missing_reference("configmap \"web\" not found"));
        assert!(names_missing_reference(
            "couldn't find key url in Secret shop/db"
        ));
        assert!(!names_missing_reference(
            "container has runAsNonRoot and image \"secret not found\" will run as root"
        ));
        assert!(names_quota(
            "pods \"web-1\" is forbidden: exceeded quota: small, requested: pods=1"
        ));
        assert!(!names_quota("pods \"exceeded quota: x\" is forbidden"));
    }
}
