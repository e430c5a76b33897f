//! A model's proposal beside what the rules say.
//!
//! The rules' diagnosis stands where they have one; a model's words are shown beside it.
//! Where the rules have none, the model's proposal is the diagnosis, under its own name. A
//! proposal picks an action only in a policy that lets it, and against the rules only with a
//! confidence that verified outcomes of this cluster bear out: what the model claims gates nothing.
//!
//! Pure: no IO, no clock.

use schemas::{
    diagnosis::{Alternative, Diagnosis},
    policy::{Ai, AiMode},
};

use super::{Hypothesis, Proposal, opinion::Picked};

/// A proposal that passed review, and what it is worth.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// Who makes it, such as `model/small`.
    pub source: &'a str,
    /// What it says.
    pub proposal: &'a Proposal,
    /// Its confidence as verified outcomes bear it out, and how many there were.
    pub calibrated: Option<(f64, u32)>,
    /// Whether it rests only on text that an attacker could have written.
    pub tainted: bool,
}

/// The diagnosis with the claim in it.
pub fn combine(
    mut diagnosis: Diagnosis,
    first: Option<&Hypothesis>,
    claim: &Claim<'_>,
) -> Diagnosis {
    let Claim {
        source,
        proposal,
        calibrated,
        tainted,
    } = claim;
    let Some(first) = first else {
        diagnosis.cause = cut(&proposal.cause, 256);
        diagnosis.failure_mode = proposal.mode.map(|mode| mode.as_str().to_owned());
        diagnosis.explanation = Some(cut(&proposal.explanation, 2048)).filter(|it| !it.is_empty());
        diagnosis.owner = Some(format!("{}/{}", proposal.about.kind, proposal.about.name));
        (*source).clone_into(&mut diagnosis.source);
        diagnosis.confidence = calibrated.map(|(confidence, _)| confidence);
        diagnosis.calibrated_on = calibrated.map(|(_, on)| on);
        diagnosis.stated_confidence = Some(proposal.stated_confidence);
        diagnosis.tainted = *tainted;
        return diagnosis;
    };
    if proposal.mode != Some(first.mode) && diagnosis.alternatives.len() < 8 {
        let worth = calibrated.map_or_else(
            || "nothing verified says how often it is right".to_owned(),
            |(confidence, on)| {
                format!(
                    "like claims of it were right in {:.0} % of {on} verified cases",
                    confidence * 100.0
                )
            },
        );
        diagnosis.alternatives.push(Alternative {
            cause: cut(&proposal.cause, 256),
            failure_mode: proposal.mode.map(|mode| mode.as_str().to_owned()),
            why_not: format!("{source} says so against the rules; {worth}"),
        });
    }
    diagnosis
}

/// The action that a proposal picks, where the policy lets it.
pub fn picked(ai: &Ai, claim: &Claim<'_>) -> Option<Picked> {
    if ai.mode != AiMode::Choose {
        return None;
    }
    let borne_out = ai.min_confidence.is_some_and(|least| {
        let calibrated = claim.calibrated;
        calibrated.is_some_and(|(confidence, _)| confidence >= least)
    });
    // A policy that asks for a confidence gets it, also where the rules are silent.
    if ai.min_confidence.is_some() && !borne_out {
        return None;
    }
    Some(Picked {
        action: claim.proposal.action.clone()?,
        overrides: borne_out,
    })
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::target;
    use schemas::diagnosis::FailureMode;

    fn proposal(mode: FailureMode) -> Proposal {
        Proposal {
            mode: Some(mode),
            cause: "the limit is too small".to_owned(),
            explanation: "It was killed at its limit.".to_owned(),
            about: target("Deployment", "web"),
            action: Some("grow".to_owned()),
            evidence: Vec::new(),
            stated_confidence: 0.99,
        }
    }

    fn claim(proposal: &Proposal, calibrated: Option<(f64, u32)>) -> Claim<'_> {
        Claim {
            source: "model/small",
            proposal,
            calibrated,
            tainted: false,
        }
    }

    fn leak() -> Hypothesis {
        Hypothesis {
            rule: "memory-leak",
            mode: FailureMode::MemoryLeak,
            about: target("Deployment", "web"),
            score: 0.9,
            support: Vec::new(),
            against: Vec::new(),
            fits: Vec::new(),
            leave_alone: false,
        }
    }

    fn ai(json: &str) -> Ai {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_model_speaks_for_itself_only_where_the_rules_are_silent() {
        let proposal = proposal(FailureMode::OutOfMemory);
        let alone = combine(
            Diagnosis::default(),
            None,
            &claim(&proposal, Some((0.6, 12))),
        );
        assert_eq!(alone.source, "model/small");
        assert_eq!(
            (alone.confidence, alone.calibrated_on),
            (Some(0.6), Some(12))
        );
        assert_eq!(alone.stated_confidence, Some(0.99));
        let rules = Diagnosis {
            source: "rule/memory-leak".to_owned(),
            ..Diagnosis::default()
        };
        let beside = combine(rules, Some(&leak()), &claim(&proposal, None));
        assert_eq!(beside.source, "rule/memory-leak");
        assert_eq!(beside.alternatives.len(), 1);
    }

    #[test]
    fn what_a_model_claims_of_itself_gates_nothing() {
        let proposal = proposal(FailureMode::OutOfMemory);
        let asks = ai(r#"{"mode": "choose", "minConfidence": 0.7}"#);
        assert_eq!(picked(&asks, &claim(&proposal, None)), None);
        assert_eq!(picked(&asks, &claim(&proposal, Some((0.69, 40)))), None);
        let overrides = picked(&asks, &claim(&proposal, Some((0.7, 40)))).unwrap();
        assert!(overrides.overrides);
        let open = ai(r#"{"mode": "choose"}"#);
        let picked_alone = picked(&open, &claim(&proposal, Some((0.99, 40)))).unwrap();
        assert!(!picked_alone.overrides);
        assert_eq!(
            picked(
                &ai(r#"{"mode": "advise"}"#),
                &claim(&proposal, Some((0.9, 40)))
            ),
            None
        );
    }
}
