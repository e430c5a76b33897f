//! A series as one line of bars.
//!
//! Pure: no IO, no clock.

/// Bars, the lowest first.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Values as bars between the smallest and the largest of them; a gap is a blank, and a
/// series that does not change is a line in the middle.
pub(crate) fn spark(values: &[Option<f64>]) -> String {
    let known = || values.iter().flatten().copied().filter(|v| v.is_finite());
    let low = known().fold(f64::INFINITY, f64::min);
    let high = known().fold(f64::NEG_INFINITY, f64::max);
    let bar = |value: &Option<f64>| match value {
        Some(value) if value.is_finite() => bar(*value, low, high),
        Some(_) | None => ' ',
    };
    values.iter().map(bar).collect()
}

fn bar(value: f64, low: f64, high: f64) -> char {
    let span = high - low;
    if span <= 0.0 || !span.is_finite() {
        return '▄';
    }
    let share = (value - low) / span;
    // Eight steps; the largest value belongs to the eighth.
    let step = (1_u8..8).filter(|step| share >= f64::from(*step) / 8.0);
    BARS.get(step.count()).copied().unwrap_or('█')
}

/// A number with its unit, as short as it can be: `412 Mi`, `0.25 cores`, `86.3 %`.
pub(crate) fn number(value: f64, unit: &str) -> String {
    match unit {
        "bytes" => bytes(value),
        "percent" => format!("{} %", short(value)),
        "boolean" if value >= 0.5 => "yes".to_owned(),
        "boolean" => "no".to_owned(),
        "count" | "" => short(value),
        unit => format!("{} {unit}", short(value)),
    }
}

fn bytes(value: f64) -> String {
    const UNITS: [(&str, f64); 4] = [
        ("Ti", 1_099_511_627_776.0),
        ("Gi", 1_073_741_824.0),
        ("Mi", 1_048_576.0),
        ("Ki", 1024.0),
    ];
    let unit = UNITS.iter().find(|(_, size)| value.abs() >= *size);
    unit.map_or_else(
        || format!("{} B", short(value)),
        |(unit, size)| format!("{} {unit}", short(value / size)),
    )
}

fn short(value: f64) -> String {
    let text = if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else if value.abs() >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    };
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_reach_from_the_smallest_to_the_largest() {
        let values: Vec<_> = (0..8).map(|value| Some(f64::from(value))).collect();
        assert_eq!(spark(&values), "▁▂▃▄▅▆▇█");
    }

    #[test]
    fn a_gap_is_blank_and_what_does_not_change_is_a_line() {
        assert_eq!(spark(&[Some(3.0), None, Some(3.0)]), "▄ ▄");
        assert_eq!(spark(&[Some(f64::NAN), Some(1.0), Some(2.0)]), " ▁█");
        assert_eq!(spark(&[]), "");
    }

    #[test]
    fn numbers_carry_their_unit() {
        let shown = [
            (412.0 * 1_048_576.0, "bytes"),
            (512.0, "bytes"),
            (86.27, "percent"),
            (0.25, "cores"),
            (3.0, "count"),
            (0.0, "boolean"),
        ]
        .map(|(value, unit)| number(value, unit));
        assert_eq!(
            shown,
            ["412 Mi", "512 B", "86.3 %", "0.25 cores", "3", "no"]
        );
    }
}
