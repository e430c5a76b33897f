//! What earlier actions teach about an offence: how well each remedy did, in which order to
//! try those of equal priority, and whether cases like it were mended before.
//!
//! Pure: no IO, no clock.

use schemas::{
    diagnosis::{Consulted, FailureMode},
    policy::{Action, Ai, Learning, Remedy},
};

use crate::{
    advise::{
        Hypothesis,
        opinion::{Opinion, Picked},
    },
    case::Case,
    learn::{Decision, Learned, Posterior, dice},
};

/// What the offence is about.
#[derive(Clone, Debug)]
pub(super) struct Subject<'a> {
    pub(super) mode: Option<FailureMode>,
    pub(super) owner_kind: &'a str,
    /// Names the episode wholly.
    pub(super) episode: String,
}

/// Takes into an opinion how well each remedy did, and the order that follows.
pub(super) fn recollect(
    learned: &Learned,
    subject: &Subject<'_>,
    (rungs, ai): (&[&Action], &Ai),
    opinion: &mut Opinion,
) {
    if ai.learning == Learning::Off {
        return;
    }
    for rung in rungs {
        let posterior = learned.posterior(subject.mode, rung.kind, subject.owner_kind);
        opinion
            .expected
            .insert(rung.kind, in_words(subject, rung.kind, posterior));
    }
    let decision = Decision {
        mode: subject.mode,
        owner_kind: subject.owner_kind,
        dice: dice(&subject.episode),
    };
    let order = learned.order(&decision, rungs, ai).into_iter();
    let names = order.filter_map(|index| Some(rungs.get(index)?.name.clone()));
    opinion.learned = names.collect();
}

fn in_words(subject: &Subject<'_>, remedy: Remedy, posterior: Posterior) -> String {
    let Posterior {
        helped,
        did_not,
        mean,
        lower,
        upper: _,
    } = posterior;
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let cause = subject.mode.map_or("an unknown cause", FailureMode::as_str);
    let kind = subject.owner_kind;
    let remedy = remedy.as_str();
    let tried = helped + did_not;
    if tried < 0.5 {
        return format!(
            "{remedy} was not verified against {cause} on a {kind} here yet; {} are expected to recover",
            percent(mean)
        );
    }
    format!(
        "{remedy} helped in {helped:.0} of {tried:.0} verified cases of {cause} on a {kind}; {} are expected to recover, at least {} (90 % sure)",
        percent(mean),
        percent(lower)
    )
}

/// Takes into an opinion what mended cases of the same structure. Returns whether that is well
/// enough established to need no model.
pub(super) fn recall(
    learned: &Learned,
    case: &Case,
    first: Option<&Hypothesis>,
    (ai, opinion): (&Ai, &mut Opinion),
) -> bool {
    let asked = ai.advisors.is_empty() || ai.advisors.iter().any(|name| name == "recall");
    if !asked {
        return false;
    }
    let told = |outcome: &str, said: Option<String>| Consulted {
        source: "recall".to_owned(),
        outcome: outcome.to_owned(),
        said,
        ..Consulted::default()
    };
    let consulted = &mut opinion.diagnosis.consulted;
    let Some(found) = learned.recall(&case.fingerprint) else {
        consulted.push(told("NothingAlike", None));
        return false;
    };
    let said = format!(
        "{} mended {} of {} cases like it ({}), such as {}",
        found.action_name,
        found.helped,
        found.helped + found.did_not,
        found.mode,
        found.examples.join(", ")
    );
    let said: String = said.chars().take(256).collect();
    let same = first.is_some_and(|first| first.mode == found.mode);
    let outcome = if same { "Agreed" } else { "Differed" };
    consulted.push(told(outcome, Some(said.clone())));
    if first.is_none() {
        let diagnosis = &mut opinion.diagnosis;
        found.mode.title().clone_into(&mut diagnosis.cause);
        diagnosis.failure_mode = Some(found.mode.as_str().to_owned());
        diagnosis.explanation = Some(said);
        "recall".clone_into(&mut diagnosis.source);
        diagnosis.confidence = Some(found.confidence);
        diagnosis.calibrated_on = Some(found.helped + found.did_not);
    }
    if ai.mode == schemas::policy::AiMode::Choose {
        opinion.picked = Some(Picked {
            action: found.action_name.clone(),
            overrides: false,
        });
    }
    true
}
