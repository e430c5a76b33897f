//! What every KubeSkippy process shares: telemetry, health, shutdown, the bus, the lease.

use std::{error::Error, fmt::Write as _};

pub mod bus;
pub mod clock;
pub mod config;
pub mod health;
pub mod kube;
pub mod lease;
pub mod shutdown;
pub mod telemetry;

/// An error with all its causes on one line, for logs: `outer: inner: innermost`.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Some libraries repeat the cause in the text of the effect.
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            // Writing to a string cannot fail.
            let _infallible = write!(text, ": {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Installs the process-wide TLS provider. Call it first in every `main`: two
/// of our clients would otherwise disagree about which one to use.
pub fn install_tls() {
    // An error only means that a provider is there already.
    let _already_there = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to connect")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn every_cause_is_on_the_line() {
        let error = Outer(std::io::Error::other("refused"));
        assert_eq!(chain(&error), "failed to connect: refused");
        let repeated = std::io::Error::other(std::io::Error::other("refused"));
        assert_eq!(chain(&repeated), "refused");
    }
}
