//! What a pod cannot start without: references to `ConfigMaps`, Secrets and claims, by name alone.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeSet;

use schemas::object::Reference;
use serde::Deserialize;

use super::container::Container;

/// References of one pod that are told; the others are left out.
const MOST: usize = 64;

/// A reference as specs write it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Named {
    name: String,
    optional: Option<bool>,
}

/// A Secret that is a volume: only there the name has another name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SecretVolume {
    secret_name: String,
    optional: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClaimVolume {
    claim_name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Present {}

/// What an environment is taken from as a whole.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct EnvironmentFrom {
    config_map_ref: Option<Named>,
    secret_ref: Option<Named>,
}

/// Where one variable's value is taken from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ValueFrom {
    config_map_key_ref: Option<Named>,
    secret_key_ref: Option<Named>,
}

/// The wanted parts of a volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Volume {
    name: String,
    config_map: Option<Named>,
    secret: Option<SecretVolume>,
    persistent_volume_claim: Option<ClaimVolume>,
    ephemeral: Option<Present>,
    projected: Option<Projected>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Projected {
    sources: Vec<Source>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Source {
    config_map: Option<Named>,
    secret: Option<Named>,
}

/// A Secret for pulling images.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PullSecret {
    name: String,
}

/// Everything that a pod refers to, each once, in order.
pub(crate) fn gather<'a>(
    containers: impl Iterator<Item = &'a Container>,
    volumes: Vec<Reference>,
    pull_secrets: &[PullSecret],
) -> Vec<Reference> {
    let mut found: BTreeSet<Reference> = volumes.into_iter().collect();
    for container in containers {
        let variables = container.env.iter();
        let each = variables.filter_map(|variable| variable.from.as_ref());
        for ValueFrom {
            config_map_key_ref,
            secret_key_ref,
        } in each
        {
            found.extend(both(
                config_map_key_ref.as_ref(),
                secret_key_ref.as_ref(),
                "env",
            ));
        }
        for EnvironmentFrom {
            config_map_ref,
            secret_ref,
        } in &container.env_from
        {
            found.extend(both(config_map_ref.as_ref(), secret_ref.as_ref(), "env"));
        }
    }
    let pulls = pull_secrets.iter();
    found.extend(pulls.map(|secret| reference("Secret", &secret.name, "imagePull", None)));
    found.retain(|reference| !reference.name.is_empty());
    found.into_iter().take(MOST).collect()
}

/// What the volumes of the pod of this name refer to.
pub(crate) fn of_volumes(volumes: &[Volume], pod: &str) -> Vec<Reference> {
    const CLAIM: &str = "PersistentVolumeClaim";
    let mut found = Vec::new();
    for volume in volumes {
        found.extend(both(volume.config_map.as_ref(), None, "volume"));
        if let Some(secret) = &volume.secret {
            let SecretVolume {
                secret_name,
                optional,
            } = secret;
            found.push(reference("Secret", secret_name, "volume", *optional));
        }
        if let Some(ClaimVolume { claim_name }) = &volume.persistent_volume_claim {
            found.push(reference(CLAIM, claim_name, "volume", None));
        }
        if let Some(Present {}) = &volume.ephemeral {
            // So the ephemeral volume controller names the claim that it makes.
            let claim = format!("{pod}-{}", volume.name);
            found.push(reference(CLAIM, &claim, "volume", None));
        }
        let sources = volume.projected.iter().flat_map(|all| &all.sources);
        for Source { config_map, secret } in sources {
            found.extend(both(config_map.as_ref(), secret.as_ref(), "volume"));
        }
    }
    found
}

fn both(
    config_map: Option<&Named>,
    secret: Option<&Named>,
    via: &'static str,
) -> impl Iterator<Item = Reference> {
    let of = move |kind, named: &Named| reference(kind, &named.name, via, named.optional);
    let config_map = config_map.map(|named| of("ConfigMap", named));
    let secret = secret.map(|named| of("Secret", named));
    config_map.into_iter().chain(secret)
}

fn reference(kind: &str, name: &str, via: &str, optional: Option<bool>) -> Reference {
    Reference {
        kind: kind.to_owned(),
        name: name.to_owned(),
        via: via.to_owned(),
        optional: optional.unwrap_or(false),
    }
}
