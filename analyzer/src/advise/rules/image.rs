//! Images that do not come: they do not exist, or the registry refuses.
//!
//! Pure: no IO, no clock.

use schemas::{diagnosis::FailureMode, policy::Remedy};

use super::{
    claim::Claim,
    message::{self, Pull},
    scene::Subject,
    symptoms::{IMAGE, Recent},
};
use crate::evidence::Piece;

/// The image does not exist, or its name is wrong.
pub(super) fn bad_image(of: &Subject<'_>) -> Option<Claim> {
    let mut claim = Claim::new(FailureMode::BadImage, of.owner());
    claim.fits = vec![Remedy::Notify];
    let pull = pulling(of, &mut claim)?;
    let on: Vec<&Piece> = of.lacks_image();
    match pull {
        Pull::NotFound => claim.ground(2.5, &on, "the registry does not know it"),
        Pull::Refused => claim.ground(
            -3.0,
            &on,
            "the registry refuses, and does not say that it is missing",
        ),
        Pull::RefusedOrNotFound => {
            claim.ground(-1.5, &on, "the registry does not tell whether it exists");
        }
        Pull::Unreachable => claim.ground(-2.5, &on, "the registry cannot be reached"),
        Pull::Unclear => {}
    }
    let changed = of.rollout().filter(Recent::changed_image);
    if let Some(recent) = changed {
        claim.ground(
            1.0,
            &[recent.piece],
            "a rollout named another image just before",
        );
        if of.has_way_back() {
            claim.fits = vec![Remedy::Rollback, Remedy::Notify];
        }
    }
    let told = of.told(&["Failed"], &["not found", "manifest unknown"]);
    claim.hint(0.5, &told, "events tell that it is not found");
    Some(claim)
}

/// The registry refuses: the pull secret is missing or wrong.
pub(super) fn pull_secret(of: &Subject<'_>) -> Option<Claim> {
    let mut claim = Claim::new(FailureMode::ImagePullSecret, of.owner())
        .shifted(-0.2)
        .fitting(&[Remedy::Notify]);
    let pull = pulling(of, &mut claim)?;
    let on: Vec<&Piece> = of.lacks_image();
    match pull {
        Pull::Refused => claim.ground(
            2.5,
            &on,
            "the registry refuses the credentials, or their absence",
        ),
        Pull::RefusedOrNotFound => {
            claim.ground(2.0, &on, "the registry refuses, or does not know it");
        }
        Pull::NotFound => claim.ground(-3.0, &on, "the registry does not know it"),
        Pull::Unreachable => claim.ground(-2.5, &on, "the registry cannot be reached"),
        Pull::Unclear => {}
    }
    let told = of.told(&["FailedToRetrieveImagePullSecret"], &[]);
    claim.hint(0.8, &told, "events tell that a pull secret is not there");
    let told = of.told(
        &["Failed"],
        &["unauthorized", "denied", "authentication required"],
    );
    claim.hint(0.5, &told, "events tell that access is denied");
    Some(claim)
}

/// That an image does not come, as a ground, and why, as the kubelet says of any container.
fn pulling(of: &Subject<'_>, claim: &mut Claim) -> Option<Pull> {
    let waiting = of.waits(&IMAGE);
    let on: Vec<&Piece> = of.lacks_image();
    let (_, first) = waiting.first()?;
    let container = &first.container;
    claim.ground(
        3.0,
        &on,
        format!("the image of container {container} does not come"),
    );
    let is_wrong = |reason: &str| matches!(reason, "InvalidImageName" | "ErrImageNeverPull");
    if waiting.iter().any(|(_, waiting)| is_wrong(&waiting.reason)) {
        return Some(Pull::NotFound);
    }
    let mut said = waiting
        .iter()
        .map(|(_, waiting)| message::pull(&waiting.message));
    let clear = said.find(|pull| *pull != Pull::Unclear);
    Some(clear.unwrap_or(Pull::Unclear))
}
