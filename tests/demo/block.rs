//! What the live block shows of a scene.
//!
//! Pure: no IO, no clock.

use schemas::action::Phase;

use crate::fact::PodView;
use crate::scene::{HIGH, Scene, number, verdicts};

/// Cells of a memory bar.
const CELLS: usize = 30;

/// The block's lines; none before there is anything to show.
pub(crate) fn lines(scene: &Scene, colours: bool) -> Vec<String> {
    if scene.pods.is_empty() {
        return Vec::new();
    }
    let paint = |colour: &str, text: &str| {
        if colours {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    };
    let mut lines = vec![paint("2", &"─".repeat(78))];
    let mut pods: Vec<_> = scene.pods.values().collect();
    pods.sort_by_key(|pod| (&pod.app, &pod.name));
    lines.extend(pods.into_iter().map(|pod| self::pod(pod, &paint)));
    for trigger in scene.triggers.values() {
        let colour = if trigger.state == "FIRED" { "31" } else { "33" };
        let value = trigger.value.map(number).unwrap_or_default();
        lines.push(format!(
            "{} {} on {}  {value}  since {}",
            paint(colour, &format!("{:<11}", trigger.state)),
            trigger.trigger,
            trigger.name,
            trigger.since.strftime("%H:%M:%S"),
        ));
    }
    for (name, action) in &scene.actions {
        let Some(status) = &action.status else {
            continue;
        };
        let colour = if status.phase == Phase::Succeeded {
            "32"
        } else {
            "36"
        };
        lines.push(format!(
            "{} {name}  {}",
            paint(colour, &format!("{:<11}", status.phase.as_str())),
            status.message.as_deref().unwrap_or_default(),
        ));
        if !status.phase.is_final() && !status.verdicts.is_empty() {
            lines.push(paint("2", &format!("            {}", verdicts(status))));
        }
    }
    lines
}

fn pod(pod: &PodView, paint: &dyn Fn(&str, &str) -> String) -> String {
    let state = if pod.ready && !pod.terminating {
        paint("32", "●")
    } else {
        paint("31", "●")
    };
    let Some(percent) = pod.percent() else {
        return format!("{state} {:<26} {}", pod.name, pod.state());
    };
    let colour = if percent > HIGH { "31" } else { "32" };
    let usage = pod.usage.unwrap_or_default() / f64::from(1 << 20);
    let limit = pod.limit.unwrap_or_default() / f64::from(1 << 20);
    format!(
        "{state} {:<26} {} {percent:5.1} %  {usage:.0} of {limit:.0} Mi  {}",
        pod.name,
        paint(colour, &bar(percent)),
        pod.state(),
    )
}

/// A bar of blocks, full at a hundred per cent.
fn bar(percent: f64) -> String {
    let full = (1..=CELLS)
        .filter(|cell| percent * 30.0 / 100.0 >= f64::from(u32::try_from(*cell).unwrap_or(0)) - 0.5)
        .count();
    format!("{}{}", "█".repeat(full), "░".repeat(CELLS - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        for (percent, full) in [(0.0, 0), (19.0, 6), (50.0, 15), (100.0, 30), (130.0, 30)] {
            assert_eq!(bar(percent).matches('█').count(), full, "{percent}");
            assert_eq!(bar(percent).chars().count(), CELLS);
        }
    }
}
