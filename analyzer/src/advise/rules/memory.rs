//! Memory: a limit that is too small, a leak, or nothing but a garbage collector.
//!
//! The three look alike in one reading, and differ in time: a limit that is too
//! small kills soon after each start; a leak climbs for long; a collector gives
//! back what it took.
//!
//! Pure: no IO, no clock.

use schemas::{diagnosis::FailureMode, policy::Remedy};

use super::{
    claim::Claim,
    scene::{Subject, pieces},
    series,
};
use crate::evidence::{Measurement, Metric, Piece};

/// Killed for want of memory again and again, soon after each start.
pub(super) fn out_of_memory(of: &Subject<'_>) -> Option<Claim> {
    let killed = of.out_of_memory();
    let (_, worst) = killed.iter().max_by_key(|(_, end)| end.restarts)?;
    let unlimited = of.is_without_limit(|limits| limits.memory_limit_bytes);
    let remedy = if unlimited {
        Remedy::Notify
    } else {
        Remedy::Resize
    };
    let mut claim = Claim::new(FailureMode::OutOfMemory, of.owner()).fitting(&[remedy]);
    let on = pieces(&killed);
    let container = &worst.container;
    claim.ground(
        3.5,
        &on,
        format!("container {container} was killed for want of memory"),
    );
    match worst.restarts {
        0 | 1 => {}
        2 => claim.ground(0.5, &on, "it was restarted twice"),
        many => claim.ground(1.0, &on, format!("it was restarted {many} times")),
    }
    for (piece, series) in of.measured(Metric::MemoryBytes) {
        if series::of_limit(series).is_some_and(|share| share >= 0.9) && !unlimited {
            claim.ground(0.5, &[piece], "memory stands at the limit");
        }
        if is_long_climb(series) {
            let text = "memory climbed for long before: it is not the limit alone";
            claim.ground(-3.0, &[piece], text);
        }
    }
    if unlimited {
        let on = pieces(&of.containers());
        claim.ground(-1.0, &on, "the container has no memory limit");
    }
    let rollout = of.rollout().filter(|recent| {
        let differs = recent.changed_image() || recent.changed_resources();
        recent.rollout.previous.is_some() && differs
    });
    if let Some(recent) = rollout {
        let text = "a rollout changed the image or the limits just before";
        claim.ground(-2.0, &[recent.piece], text);
    }
    gave_up(of, &mut claim);
    Some(claim)
}

/// A Job that was given up is told as that: another size does not start it again.
fn gave_up(of: &Subject<'_>, claim: &mut Claim) {
    let failed = of.condition("Failed", "True");
    if of.owner().kind == "Job" && !failed.is_empty() {
        claim.ground(-2.0, &pieces(&failed), "the Job was given up");
    }
}

fn is_long_climb(series: &Measurement) -> bool {
    let Some(climb) = series::climb(series) else {
        return false;
    };
    let gain = climb.gain / series::reference(series).max(1.0);
    climb.share >= 0.4 && climb.linearity >= 0.7 && gain >= 0.2
}

/// Memory that grows without end.
pub(super) fn leak(of: &Subject<'_>) -> Option<Claim> {
    let measured = of.measured(Metric::MemoryBytes);
    let grows = |series: &Measurement| {
        series::lows_rise(series) || series::climb(series).is_some_and(|climb| climb.gain > 0.0)
    };
    let worst = measured.into_iter().filter(|(_, series)| grows(series));
    let (piece, series) = worst.max_by(|a, b| gain(a.1).total_cmp(&gain(b.1)))?;
    let mut claim = Claim::new(FailureMode::MemoryLeak, of.owner()).fitting(&[Remedy::Restart]);
    steadiness(&mut claim, piece, series);
    if series::of_limit(series).is_some_and(|share| share >= 0.7) {
        claim.ground(0.5, &[piece], "it comes near the limit");
    }
    if series::has_levelled_off(series) {
        claim.ground(-3.0, &[piece], "growth has come to its end");
    }
    if series::sinks(series) {
        claim.ground(-4.0, &[piece], "it gives back what it had taken");
    }
    let step = series
        .shape
        .change
        .filter(|change| change.confidence >= 0.8);
    let range = series.shape.max - series.shape.min;
    if step.is_some_and(|step| step.by >= 0.7 * range) && series.shape.linearity < 0.7 {
        claim.ground(-2.0, &[piece], "it rose once, in a step");
    }
    let killed = of.out_of_memory();
    if let Some((_, end)) = killed.iter().max_by_key(|(_, end)| end.restarts) {
        let on = pieces(&killed);
        if is_long_climb(series) {
            claim.ground(
                0.5,
                &on,
                "at the end of a climb it was killed for want of memory",
            );
        } else if end.restarts >= 3 {
            claim.ground(-2.0, &on, "it is killed soon after each start");
        }
    }
    Some(claim)
}

fn gain(series: &Measurement) -> f64 {
    let gain = series::climb(series).map_or(0.0, |climb| climb.gain);
    gain / series::reference(series).max(1.0)
}

/// Whether it grows all the time, by much, and gives nothing back.
fn steadiness(claim: &mut Claim, piece: &Piece, series: &Measurement) {
    let on = [piece];
    let rises = series::lows_rise(series);
    let climb = series::climb(series).filter(|climb| climb.share >= 0.4);
    match climb {
        Some(climb) if climb.linearity >= 0.8 => {
            claim.ground(3.0, &on, "memory climbs steadily");
        }
        Some(climb) if climb.linearity >= 0.6 => {
            claim.ground(1.5, &on, "memory climbs, unsteadily");
        }
        Some(_) | None if rises => {
            claim.ground(
                2.5,
                &on,
                "each time memory is freed, less comes back than before",
            );
        }
        Some(_) | None => claim.ground(-1.0, &on, "there is no steady climb"),
    }
    let gain = gain(series);
    if gain >= 0.15 {
        claim.ground(
            1.0,
            &on,
            format!("it gained {:.0} % of what it may have", gain * 100.0),
        );
    } else if gain < 0.03 && !rises {
        claim.ground(-2.0, &on, "it gained next to nothing");
    }
    if series.shape.drops >= 2 && !rises {
        claim.ground(-3.0, &on, "it falls again and again, without a restart");
    } else if series.shape.drops == 0 {
        claim.ground(1.0, &on, "nothing of it is given back");
    }
    let seasonal = series
        .shape
        .season
        .is_some_and(|(_, strength)| strength >= 0.5);
    if seasonal && !rises {
        claim.ground(-1.5, &on, "it repeats itself");
    }
}

/// Memory that rises and falls as garbage is collected: nothing is wrong.
pub(super) fn garbage_collection(of: &Subject<'_>) -> Option<Claim> {
    let measured = of.measured(Metric::MemoryBytes);
    let saws = measured
        .into_iter()
        .filter(|(_, series)| series.shape.drops >= 2);
    let (piece, series) = saws.max_by_key(|(_, series)| series.shape.drops)?;
    let mut claim = Claim::new(FailureMode::GarbageCollection, of.owner());
    claim.leave_alone = true;
    let on = [piece];
    let drops = series.shape.drops;
    claim.ground(
        3.0,
        &on,
        format!("memory fell {drops} times by itself, without a restart"),
    );
    if drops >= 4 {
        claim.ground(0.5, &on, "it does so again and again");
    }
    if series
        .shape
        .season
        .is_some_and(|(_, strength)| strength >= 0.5)
    {
        claim.ground(1.0, &on, "it repeats itself");
    }
    if series::lows_rise(series) {
        claim.ground(-3.5, &on, "but less comes back each time");
    } else {
        claim.ground(1.0, &on, "all that was taken comes back");
    }
    if series::of_limit(series).is_some() && series.shape.max >= 0.98 * series::reference(series) {
        claim.ground(-1.0, &on, "it touches the limit");
    }
    let killed = pieces(&of.out_of_memory());
    if !killed.is_empty() {
        claim.ground(-4.0, &killed, "it was killed for want of memory");
    }
    let (crashes, unready) = (of.crashes(), of.is_not_ready());
    if !crashes.is_empty() {
        claim.ground(-3.0, &crashes, "containers crash");
    }
    if !unready.is_empty() {
        claim.ground(-2.0, &unready, "it is not ready");
    }
    Some(claim)
}
