//! Numbers, spans and quoted texts as people read them.
//!
//! Pure: no IO, no clock.

use jiff::SignedDuration;
use schemas::duration::Duration;

use crate::{
    evidence::{Metric, template},
    explain,
};

const KIB: f64 = 1024.0;
const MIB: f64 = KIB * 1024.0;
const GIB: f64 = MIB * 1024.0;

/// A value of a metric with its unit: `412 MiB`, `0.25 cores`, `7`.
pub(super) fn value(metric: Metric, value: f64) -> String {
    match metric {
        Metric::MemoryBytes => bytes(value),
        Metric::CpuCores => format!("{} cores", explain::number(value)),
        Metric::Restarts | Metric::Ready => explain::number(value),
    }
}

/// Bytes in the unit that suits their size.
pub(super) fn bytes(value: f64) -> String {
    let (size, unit) = match value.abs() {
        size if size >= GIB => (GIB, "GiB"),
        size if size >= MIB => (MIB, "MiB"),
        size if size >= KIB => (KIB, "KiB"),
        _ => (1.0, "bytes"),
    };
    format!("{} {unit}", explain::number(value / size))
}

/// A share as percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A span of time: `4m30s`.
pub(super) fn span(span: SignedDuration) -> String {
    let seconds = u32::try_from(span.as_secs().max(0)).unwrap_or(u32::MAX);
    Duration::from_secs(seconds).to_string()
}

/// A text without what is not shown and without the quotes that stand around it here.
pub(super) fn quoted(text: &str) -> String {
    let plain = template::plain(text);
    plain.replace(['“', '”'], "\"")
}
