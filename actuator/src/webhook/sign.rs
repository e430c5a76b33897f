//! Signs what a webhook is sent, so that its receiver knows who asks and when.
//!
//! Pure: no IO, no clock.

use core::fmt::Write as _;

use aws_lc_rs::hmac;
use jiff::Timestamp;

/// What the signature header says of `body`, sent at `at`: `v1=`, and the HMAC-SHA256 of the seconds since 1970, a
/// dot, and the body. A receiver that turns down old instants turns down repeats of an overheard request.
pub(super) fn signature(token: &[u8], at: Timestamp, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, token);
    let mut context = hmac::Context::with_key(&key);
    context.update(at.as_second().to_string().as_bytes());
    context.update(b".");
    context.update(body);
    let mut text = "v1=".to_owned();
    for byte in context.sign().as_ref() {
        // Writing to a string cannot fail.
        let _written = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `printf '%s' '1893499200.{"a":1}' | openssl dgst -sha256 -hmac secret`.
    #[test]
    fn a_signature_is_what_openssl_makes_of_the_same() {
        let at = Timestamp::from_second(1_893_499_200).unwrap();
        let signed = signature(b"secret", at, br#"{"a":1}"#);
        assert_eq!(
            signed,
            "v1=f3d6d003db17b6acde3911bfdea89ca4bebc42c605f7620e2dfdbe9364aa45a9"
        );
        assert_ne!(signature(b"secret", at, b"{}"), signed);
        assert_ne!(signature(b"other", at, br#"{"a":1}"#), signed);
    }
}
