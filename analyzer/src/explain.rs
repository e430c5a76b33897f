//! What was seen, in words and numbers: readings, messages, and the plain policy's diagnosis.
//!
//! Everything here is read off the stream: a value, a threshold, instants,
//! limits. Text that somebody wrote into the cluster is not quoted.
//!
//! Pure: no IO, no clock.

use jiff::SignedDuration;
use schemas::{
    action::TriggerReading,
    diagnosis::{Diagnosis, Evidence},
    duration::Duration,
    object::ObjectState,
    target::Target,
};

use crate::{
    accepted::{Source, Watched},
    forecast::Basis,
    measure::Measured,
    recommend::Offence,
};

/// The most pieces of evidence that a diagnosis may hold.
const MOST_EVIDENCE: usize = 32;

/// A value against its threshold, as people read it: `86.2 > 85`, or `forecast 97.3 > 95 in 10m (R² 0.98)`.
pub fn compared(watched: &Watched, measured: Option<&Measured>) -> String {
    let Some(Measured { value, basis, .. }) = measured else {
        return "no data".to_owned();
    };
    let value = *value;
    match &watched.source {
        Source::Condition { kind, status } => {
            let is = if value >= 1.0 { "is" } else { "is not" };
            format!("{kind} {is} {}", status.as_str())
        }
        Source::Trend { stretch, .. } => {
            let compared = numbers(watched, value);
            match *basis {
                Basis::Forecast { confidence } => {
                    let horizon = span(stretch.horizon);
                    format!("forecast {compared} in {horizon} (R² {confidence:.2})")
                }
                Basis::Already => format!("{compared} already"),
                Basis::NoTrend { confidence } => {
                    format!("{compared}, and no trend (R² {confidence:.2})")
                }
                Basis::TooYoung { covered } => {
                    let (covered, lookback) = (span(covered), span(stretch.lookback));
                    format!("{compared}, and no trend yet ({covered} of {lookback})")
                }
                Basis::Measured => compared,
            }
        }
        Source::Metric { .. } | Source::Events { .. } => numbers(watched, value),
    }
}

fn numbers(watched: &Watched, value: f64) -> String {
    let holds = watched.operator.breaches(value, watched.threshold);
    let not = if holds { "" } else { "not " };
    let (mut shown, threshold) = (number(value), number(watched.threshold));
    let differs = (value - watched.threshold).abs() > 0.0;
    if shown == threshold && differs {
        shown = format!("{value:.4}");
    }
    format!("{shown} {not}{} {threshold}", watched.operator)
}

/// A number with as many decimals as its size deserves.
pub(crate) fn number(value: f64) -> String {
    let text = match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    };
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Which object a value is about: `web-x2/app`.
pub fn speaker(offender: &ObjectState, measured: Option<&Measured>) -> String {
    let name = &offender.target.name;
    let pod = measured.and_then(|measured| measured.pod.as_ref());
    let container = measured.and_then(|measured| measured.container.as_ref());
    let of = pod.map_or_else(|| name.clone(), |pod| format!("{name} ({pod})"));
    container.map_or_else(|| of.clone(), |container| format!("{of}/{container}"))
}

/// The reading that a HealingAction carries.
pub fn reading(offence: &Offence<'_>, target: &Target) -> TriggerReading {
    let Offence {
        policy: _,
        watched,
        offender,
        episode,
        measured,
        opinion: _,
    } = offence;
    let offender = &offender.target;
    let other = (offender.uid != target.uid).then_some(offender);
    TriggerReading {
        name: watched.name.clone(),
        severity: watched.severity,
        reading: compared(watched, Some(measured)),
        value: Some(measured.value),
        threshold: Some(watched.threshold),
        operator: Some(watched.operator),
        offender_kind: other.map(|offender| offender.kind.clone()),
        offender_name: other.map(|offender| offender.name.clone()),
        offender_uid: other.map(|offender| offender.uid.clone()),
        since: episode.since,
        fired_at: episode.fired_at.unwrap_or(episode.seen_at),
    }
}

/// What the plain policy knows of the cause: its own trigger, with the numbers.
pub fn diagnosis(offence: &Offence<'_>) -> Diagnosis {
    let Offence {
        policy: _,
        watched,
        offender,
        episode,
        measured,
        opinion: _,
    } = offence;
    let provenance = match watched.source {
        Source::Metric { .. } | Source::Trend { .. } => "metric",
        Source::Events { .. } | Source::Condition { .. } => "control-plane",
    };
    let subject = watched.subject();
    let compared = compared(watched, Some(measured));
    let value = match watched.source {
        Source::Metric { .. } | Source::Trend { .. } | Source::Events { .. } => {
            let speaker = speaker(offender, Some(measured));
            format!(
                "{subject} of {speaker}: {compared}, sampled at {}",
                measured.sampled_at
            )
        }
        Source::Condition { .. } => {
            format!("{}: {compared}", speaker(offender, Some(measured)))
        }
    };
    let fired_at = episode.fired_at.unwrap_or(episode.seen_at);
    let held = fired_at.duration_since(episode.since);
    let since = format!(
        "true since {}, fired at {fired_at} after {} (asked for: {})",
        episode.since,
        span(held),
        span(watched.hold)
    );
    let mut statements = vec![(provenance, value), ("metric", since)];
    statements.extend(container_facts(offender, measured).map(|fact| ("control-plane", fact)));
    let evidence = (1..)
        .zip(statements)
        .map(|(number, (provenance, statement))| Evidence {
            id: format!("E{number}"),
            provenance: provenance.to_owned(),
            statement: cut(statement, 512),
            ..Evidence::default()
        });
    Diagnosis {
        cause: cut(
            format!("trigger {}: {subject}, {compared}", watched.name),
            256,
        ),
        source: "policy".to_owned(),
        evidence: evidence.collect(),
        ..Diagnosis::default()
    }
}

/// The diagnosis, with what the numbers of a recommended size rest on as further evidence.
pub fn sized(mut diagnosis: Diagnosis, basis: Vec<String>) -> Diagnosis {
    let room = MOST_EVIDENCE.saturating_sub(basis.len());
    diagnosis.evidence.truncate(room);
    for statement in basis {
        diagnosis.evidence.push(Evidence {
            id: format!("S{}", diagnosis.evidence.len() + 1),
            provenance: "metric".to_owned(),
            statement: cut(statement, 512),
            ..Evidence::default()
        });
    }
    diagnosis
}

/// Limits, restarts and the last end of the container that speaks.
fn container_facts(offender: &ObjectState, measured: &Measured) -> Option<String> {
    let pod = offender.pod.as_ref()?;
    let name = measured.container.as_ref()?;
    let container = pod.containers.iter().find(|one| one.name == *name)?;
    let limit = |value: Option<f64>, unit: &str| {
        value.map_or_else(|| "none".to_owned(), |value| format!("{value} {unit}"))
    };
    let mut fact = format!(
        "container {name}: memory limit {}, cpu limit {}, restarts {}",
        limit(container.resources.memory_limit_bytes, "bytes"),
        limit(container.resources.cpu_limit_cores, "cores"),
        container.restarts
    );
    if let Some(last) = &container.last_termination {
        let (reason, code) = (&last.reason, last.exit_code);
        fact = format!("{fact}, last ended with {reason} (exit code {code})");
    }
    Some(fact)
}

fn span(span: SignedDuration) -> String {
    let seconds = u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
    Duration::from_secs(seconds).to_string()
}

/// A text of at most `most` characters.
pub(crate) fn cut(text: String, most: usize) -> String {
    if text.chars().count() <= most {
        return text;
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        let shown = [86.2, 85.0, 0.5, 12.0, 1_234_567.8, 99.96, -3.25].map(number);
        assert_eq!(
            shown,
            ["86.2", "85", "0.5", "12", "1234568", "100", "-3.25"]
        );
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("äöü".to_owned(), 2), "ä…");
        assert_eq!(cut("äöü".to_owned(), 3), "äöü");
    }
}
