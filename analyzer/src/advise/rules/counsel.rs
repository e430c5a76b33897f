//! From a cause to one of the policy's actions, or to none.
//!
//! In: a hypothesis, the owner of the object that fired, and the actions of
//! the policy in the order of its ladder. Out: which of them answers the cause
//! there. It chooses among what the policy allows and makes nothing up; where
//! the cause is not likely enough it says so, and the ladder decides.
//!
//! Pure: no IO, no clock.

use schemas::{diagnosis::FailureMode, policy::Remedy, target::Target};

use super::{claim::ENOUGH, scene::is_same};
use crate::advise::{Choice, Hypothesis};

/// What the rules advise on one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counsel {
    /// This action of the policy, by name.
    Choose(String),
    /// Do nothing there, and why.
    LeaveAlone(String),
    /// The cause is known, and no action of the policy mends it; why.
    NoneFits(String),
    /// The rules do not know enough, and why: the ladder decides.
    NoOpinion(String),
}

/// Which of the policy's actions answers a cause on one owner.
///
/// `choices` is in the order of the policy's ladder; of several actions with
/// the same remedy the first is taken. The cause's remedies are tried in their
/// own order, the best first.
pub fn advice_for(hypothesis: &Hypothesis, member: &Target, choices: &[Choice]) -> Counsel {
    let Hypothesis { mode, about, .. } = hypothesis;
    let title = mode.title();
    if hypothesis.score.is_nan() || hypothesis.score < ENOUGH {
        let score = hypothesis.score;
        return Counsel::NoOpinion(format!(
            "{title}: not likely enough ({score:.2} < {ENOUGH})"
        ));
    }
    if hypothesis.leave_alone {
        return Counsel::LeaveAlone(title.to_owned());
    }
    let elsewhere = !is_same(about, member);
    if *mode == FailureMode::DependencyFailure {
        return if elsewhere {
            Counsel::LeaveAlone(format!("{title}: {about}"))
        } else {
            Counsel::NoOpinion("others failed because of it; why it failed is not known".to_owned())
        };
    }
    let shared = matches!(about.kind.as_str(), "Node" | "Service");
    let neighbour = *mode == FailureMode::NoisyNeighbour;
    if elsewhere && !shared && !neighbour {
        return Counsel::NoOpinion(format!("the cause lies with {about}"));
    }
    // What would be done to the neighbour does not help when it is done to its victim.
    let suits = |remedy: &&Remedy| !(elsewhere && neighbour) || **remedy == Remedy::Notify;
    let fits: Vec<Remedy> = hypothesis.fits.iter().filter(suits).copied().collect();
    let chosen = fits.iter().find_map(|remedy| {
        let mut choices = choices.iter();
        choices.find(|choice| choice.remedy == *remedy)
    });
    if let Some(choice) = chosen {
        return Counsel::Choose(choice.action.clone());
    }
    let mends: Vec<&str> = fits
        .iter()
        .filter(|remedy| **remedy != Remedy::Notify)
        .map(|remedy| remedy.as_str())
        .collect();
    Counsel::NoneFits(if mends.is_empty() {
        format!("{title}: a person must mend it")
    } else {
        format!(
            "{title}: it takes {}, which the policy does not have",
            mends.join(" or ")
        )
    })
}
