//! An action that asks for recommended sizes → the same one in numbers.
//!
//! Pure: no IO, no clock.

use schemas::{
    object::ContainerState,
    policy::{Action, ResizeAction},
};

use super::{Held, Offence};
use crate::{
    inventory::{self, Inventory},
    sizing::{
        Container, Sizing,
        resize::{self, Unsized},
    },
};

/// The action with nothing left to work out, and what its numbers rest on.
pub(super) fn in_numbers(
    offence: &Offence<'_>,
    chosen: &Action,
    inventory: &Inventory,
    sizing: &Sizing,
) -> Result<(Action, Vec<String>), Held> {
    let mut action = chosen.clone();
    let Some(settings) = chosen.resize_action.as_ref() else {
        return Ok((action, Vec::new()));
    };
    let Some(recommended) = &settings.recommended else {
        return Ok((action, Vec::new()));
    };
    let (container, state) = container_of(offence, settings, inventory)?;
    let sized = resize::sized(
        (settings, recommended),
        (&container, &state.resources),
        sizing,
    )?;
    action.resize_action = Some(sized.action);
    Ok((action, sized.basis))
}

/// The container that is to be resized: the one that the action names, the one
/// that speaks, or the only one.
fn container_of<'a>(
    offence: &Offence<'a>,
    settings: &ResizeAction,
    inventory: &'a Inventory,
) -> Result<(Container, &'a ContainerState), Unsized> {
    let offender = offence.offender;
    let speaks = offence.measured.pod.as_ref();
    let namespace = &offender.target.namespace;
    let pod = match &offender.pod {
        Some(_) => Some(offender),
        None => speaks
            .and_then(|name| inventory.find("Pod", namespace, name))
            .or_else(|| {
                let mut pods = inventory.pods_of(&offender.target.uid);
                pods.find(|pod| inventory::is_alive(pod))
            }),
    };
    let containers = pod.and_then(|pod| pod.pod.as_ref());
    let containers = containers.map_or(&[][..], |pod| &pod.containers);
    let wanted = settings
        .container
        .as_ref()
        .or(offence.measured.container.as_ref());
    let found = match (wanted, containers) {
        (Some(wanted), containers) => containers.iter().find(|one| one.name == *wanted),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let Some((pod, state)) = pod.zip(found) else {
        let target = &offender.target;
        return Err(Unsized::WhichContainer {
            object: format!("{}/{}", target.kind, target.name),
        });
    };
    // A static pod is owned by its node, whose other pods are nothing like it.
    let owner = pod.owners.last().filter(|owner| owner.kind != "Node");
    let (kind, name) = owner.map_or(("Pod", &pod.target.name), |owner| {
        (owner.kind.as_str(), &owner.name)
    });
    let container = Container {
        namespace: namespace.as_str().into(),
        kind: kind.into(),
        name: name.as_str().into(),
        container: state.name.as_str().into(),
    };
    Ok((container, state))
}
