//! Kubernetes quantities ("250m", "1Gi", "1e3") as numbers.
//!
//! In: the text of a quantity. Out: its value in base units (cores, bytes).
//! Never rounds to a unit and never guesses one.
//!
//! Pure: no IO, no clock.

/// Why a text is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a Kubernetes quantity (write \"250m\", \"1.5\", \"512Mi\")")]
pub struct Error(String);

/// Parses a quantity into its value in base units: cores for CPU, bytes for memory.
///
/// The grammar is that of `k8s.io/apimachinery/pkg/api/resource`: a signed
/// decimal number followed by a binary suffix (`Ki` … `Ei`), a decimal suffix
/// (`n u m k M G T P E`) or a decimal exponent.
///
/// # Errors
/// When the text does not follow the grammar or its value is not finite.
pub fn parse(text: &str) -> Result<f64, Error> {
    let error = || Error(text.to_owned());
    let digits = text
        .bytes()
        .position(|b| !(b.is_ascii_digit() || matches!(b, b'.' | b'+' | b'-')))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(digits).ok_or_else(error)?;
    let number: f64 = match number.as_bytes() {
        [] => return Err(error()),
        _ => number.parse().map_err(|_| error())?,
    };
    let scale = scale(suffix).ok_or_else(error)?;
    let value = number * scale;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(error())
    }
}

/// The factor that a quantity's suffix stands for.
fn scale(suffix: &str) -> Option<f64> {
    Some(match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            10f64.powi(exponent.parse().ok()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn suffixes_scale_as_kubernetes_defines_them() {
        for (text, value) in [
            ("250m", 0.25),
            ("1", 1.0),
            ("1.5", 1.5),
            ("512Mi", 536_870_912.0),
            ("1Gi", 1_073_741_824.0),
            ("106596088", 106_596_088.0),
            ("100n", 1e-7),
            ("2k", 2000.0),
            ("1e3", 1000.0),
            ("1E3", 1000.0),
            ("1E", 1e18),
            ("-1", -1.0),
        ] {
            let parsed = parse(text).unwrap();
            assert!(
                (parsed - value).abs() <= value.abs() * 1e-12,
                "{text}: {parsed}"
            );
        }
    }

    #[test]
    fn what_is_not_a_quantity_is_refused() {
        for text in [
            "", "Mi", "1mi", "1 Gi", "NaN", "inf", "1e999", "0x10", "1Gi1",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _result = parse(&text);
        }

        #[test]
        fn whole_bytes_read_back_exactly(bytes in 0u32..) {
            prop_assert_eq!(parse(&bytes.to_string()).unwrap().to_bits(), f64::from(bytes).to_bits());
        }
    }
}
