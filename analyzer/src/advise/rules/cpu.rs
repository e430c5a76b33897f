//! CPU: held back by its limit.
//!
//! Pure: no IO, no clock.

use schemas::{diagnosis::FailureMode, policy::Remedy};

use super::{
    claim::Claim,
    scene::{Subject, pieces},
    series,
};

/// The container would use more CPU than its limit lets it.
pub(super) fn throttling(of: &Subject<'_>) -> Option<Claim> {
    let held = of.at_cpu_limit();
    let share = |series| series::of_limit(series).unwrap_or_default();
    let worst = held.iter().max_by(|a, b| share(a.1).total_cmp(&share(b.1)));
    let &(piece, series) = worst?;
    let mut claim = Claim::new(FailureMode::CpuThrottling, of.owner())
        .fitting(&[Remedy::Resize, Remedy::Scale]);
    let on = [piece];
    let percent = share(series) * 100.0;
    if percent >= 95.0 {
        claim.ground(
            3.5,
            &on,
            format!("CPU stands at {percent:.0} % of its limit"),
        );
    } else {
        claim.ground(
            2.5,
            &on,
            format!("CPU is near its limit, at {percent:.0} %"),
        );
    }
    let limit = series::reference(series);
    if series.shape.min >= 0.8 * limit || series.shape.max - series.shape.level <= 0.05 * limit {
        claim.ground(1.0, &on, "it stays there, as what is held back does");
    }
    if series::falls_back(series) {
        claim.ground(-2.0, &on, "it is falling back");
    }
    if !of.is_not_ready().is_empty() || !of.flaps().is_empty() {
        let mut on = of.is_not_ready();
        on.extend(pieces(&of.flaps()));
        claim.ground(0.5, &on, "it does not answer its probes in time");
    }
    let mut limited = of.autoscalers();
    limited.retain(|(_, autoscaler)| autoscaler.limited);
    if !limited.is_empty() {
        let text = "its autoscaler wants more replicas and may not";
        claim.ground(-1.5, &pieces(&limited), text);
    }
    let crashes = of.crashes();
    if !crashes.is_empty() {
        claim.ground(-2.5, &crashes, "it crashes: starting takes CPU");
    }
    let climbs = of.out_of_memory();
    if !climbs.is_empty() {
        let text = "it was killed for want of memory: freeing takes CPU";
        claim.ground(-2.0, &pieces(&climbs), text);
    }
    Some(claim)
}
