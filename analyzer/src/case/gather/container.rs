//! Limits, requests and probes of the container that matters most.
//!
//! Pure: no IO, no clock.

use super::{
    Draft,
    tick::Tick,
    view::{View, main_container},
};
use crate::evidence::{Container, Fact};

/// The container that matters most, of the first pod.
pub(super) fn of<'a>(view: &View<'a>, _: &Tick<'a>) -> Vec<Draft> {
    let first = view.pods.first().copied();
    let draft = first.and_then(|pod| {
        let container = main_container(view, pod)?;
        let fact = Container {
            name: container.name.clone(),
            image: container.image.clone(),
            resources: container.resources,
            probes: container.probes,
        };
        let since = pod.created_at.unwrap_or(pod.observed_at);
        let draft = Draft::new(82, &pod.target, since, Fact::Container(fact));
        Some(draft.later(view.place, 0))
    });
    draft.into_iter().collect()
}
