//! Services that send to nobody.
//!
//! Pure: no IO, no clock.

use schemas::{diagnosis::FailureMode, policy::Remedy};

use super::{
    claim::Claim,
    scene::{Subject, pieces},
};
use crate::evidence::Fact;

/// A Service has no endpoint, because it selects nothing.
pub(super) fn without_endpoints(of: &Subject<'_>) -> Option<Claim> {
    let empty = of.read(|fact| {
        if let Fact::Service {
            ready,
            not_ready,
            selected,
            selects,
        } = fact
        {
            let empty = *selects && *selected == 0 && *ready == 0 && *not_ready == 0;
            empty.then_some(())
        } else {
            None
        }
    });
    let (piece, ()) = empty.first()?;
    let about = if piece.about.kind == "Service" {
        &piece.about
    } else {
        of.owner()
    };
    let mut claim =
        Claim::new(FailureMode::ServiceWithoutEndpoints, about).fitting(&[Remedy::Notify]);
    claim.ground(5.0, &[piece], "the Service selects no pod at all");
    let mut none = of.replicas();
    none.retain(|(_, replicas)| replicas.current == 0);
    let refused = of.is_refused();
    if !refused.is_empty() {
        claim.ground(
            -4.0,
            &refused,
            "the pods that it would select cannot be created",
        );
    } else if !none.is_empty() {
        claim.ground(
            -1.0,
            &pieces(&none),
            "there are no pods that it could select",
        );
    }
    Some(claim)
}
