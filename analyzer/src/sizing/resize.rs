//! A resize that asks for recommended sizes → one that says them.
//!
//! In: the policy's `resizeAction`, the container as it is, and what the
//! containers of its owner used. Out: requests and limits in numbers, and in
//! words what they rest on; or why there are none. What the actuator is given
//! leaves nothing to work out.
//!
//! Only amounts that the container sets already are changed, since the quality
//! of service of a running pod cannot change. A limit keeps its proportion to
//! its request, as with the Vertical Pod Autoscaler.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use schemas::{
    object::Resources,
    policy::{Recommended, ResizeAction},
    quantity,
};

use super::{Basis, Container, Resource, Sizing};

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// A resize in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Sized {
    /// What the actuator is asked for.
    pub action: ResizeAction,
    /// What each amount rests on.
    pub basis: Vec<String>,
}

/// Why no size is recommended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsized {
    /// There are not enough samples.
    #[error(
        "no {resource} is recommended for container {container} of {owner} yet: {samples} of {wanted} samples"
    )]
    TooFewSamples {
        /// Of what.
        resource: &'static str,
        /// Name of the container.
        container: String,
        /// Its owner, as `Kind/name`.
        owner: String,
        /// How many there are.
        samples: u32,
        /// How many the policy asks for.
        wanted: u32,
    },
    /// The container has no amount that could be changed.
    #[error("container {container} sets neither requests nor limits, and a running pod gets none")]
    NothingSet {
        /// Name of the container.
        container: String,
    },
    /// All amounts are what they should be, or more.
    #[error("container {container} has the recommended size already, or more")]
    LargeEnough {
        /// Name of the container.
        container: String,
    },
    /// Which container is meant cannot be told.
    #[error("which container of {object} is meant cannot be told: write container in resizeAction")]
    WhichContainer {
        /// The offending object, as `Kind/name`.
        object: String,
    },
    /// A bound of the policy is no quantity.
    #[error("a bound of resizeAction is not accepted: {0}")]
    Bound(#[from] quantity::Error),
}

/// The amounts of one resource.
#[derive(Clone, Copy, Debug)]
struct Amounts {
    request: Option<f64>,
    limit: Option<f64>,
}

/// What the policy allows of one resource.
#[derive(Clone, Copy, Debug)]
struct Within {
    least: f64,
    most: f64,
    may_shrink: bool,
}

/// The resize that gives container `of`, which has these `resources` now, the recommended size.
///
/// # Errors
/// Why there is none.
pub fn sized(
    (settings, recommended): (&ResizeAction, &Recommended),
    (of, resources): (&Container, &Resources),
    sizing: &Sizing,
) -> Result<Sized, Unsized> {
    let container = of.container.to_string();
    let mut action = ResizeAction {
        container: Some(container.clone()),
        recommended: None,
        ..settings.clone()
    };
    let mut basis = Vec::new();
    let mut nothing_set = true;
    for (resource, now) in set(resources) {
        nothing_set = false;
        let found = sizing.amount(of, resource, recommended);
        let found = found.map_err(|short| Unsized::TooFewSamples {
            resource: resource.as_str(),
            container: container.clone(),
            owner: format!("{}/{}", of.kind, of.name),
            samples: short.samples,
            wanted: recommended.min_samples,
        })?;
        let next = now.resized(found.amount, within(settings, recommended, resource)?);
        let name = resource.as_str();
        let mut said = Vec::new();
        for (part, texts, before, after) in [
            ("request", &mut action.requests, now.request, next.request),
            ("limit", &mut action.limits, now.limit, next.limit),
        ] {
            if let (Some(before), Some(after)) = (before, after)
                && let Some(text) = changed(resource, before, after)
            {
                said.push(format!("{part} {text}"));
                texts.insert(name.to_owned(), text);
            }
        }
        if !said.is_empty() {
            basis.push(format!(
                "{name} of container {container}: {} covers {}",
                said.join(", "),
                words(resource, &found, recommended)
            ));
        }
    }
    match (nothing_set, basis.is_empty()) {
        (true, _) => Err(Unsized::NothingSet { container }),
        (false, true) => Err(Unsized::LargeEnough { container }),
        (false, false) => Ok(Sized { action, basis }),
    }
}

/// What is set of each resource: a request, a limit, or both.
fn set(resources: &Resources) -> impl Iterator<Item = (Resource, Amounts)> {
    let cpu = Amounts {
        request: resources.cpu_request_cores,
        limit: resources.cpu_limit_cores,
    };
    let memory = Amounts {
        request: resources.memory_request_bytes,
        limit: resources.memory_limit_bytes,
    };
    let all = [(Resource::Cpu, cpu), (Resource::Memory, memory)];
    all.into_iter()
        .filter(|(_, now)| now.request.is_some() || now.limit.is_some())
}

impl Amounts {
    /// These amounts with `amount` as the request, the limit in proportion.
    fn resized(self, amount: f64, within: Within) -> Self {
        // The maximum wins: it is the policy's last word.
        let amount = amount.max(within.least).min(within.most);
        let keep = |now: f64, next: f64| {
            if within.may_shrink {
                next
            } else {
                next.max(now)
            }
        };
        match (self.request, self.limit) {
            (Some(request), Some(limit)) => {
                let next = keep(request, amount);
                let proportion = if request > 0.0 { limit / request } else { 1.0 };
                let most = within.most.max(next);
                let scaled = (next * proportion.max(1.0)).min(most);
                Self {
                    request: Some(next),
                    limit: Some(keep(limit, scaled)),
                }
            }
            (request, limit) => Self {
                request: request.map(|request| keep(request, amount)),
                limit: limit.map(|limit| keep(limit, amount)),
            },
        }
    }
}

fn within(
    settings: &ResizeAction,
    recommended: &Recommended,
    resource: Resource,
) -> Result<Within, quantity::Error> {
    let read = |bounds: &BTreeMap<String, String>| {
        let text = bounds.get(resource.as_str());
        text.map(|text| quantity::parse(text)).transpose()
    };
    Ok(Within {
        least: read(&recommended.minimum)?.unwrap_or(0.0),
        most: read(&settings.maximum)?.unwrap_or(f64::INFINITY),
        may_shrink: recommended.allow_decrease,
    })
}

/// The amount as pods spell it, where it is another than now: a whole number of
/// thousandths of a core or of mebibytes, rounded up.
fn changed(resource: Resource, before: f64, after: f64) -> Option<String> {
    let (unit, suffix) = match resource {
        Resource::Cpu => (1e-3, "m"),
        Resource::Memory => (MEBIBYTE, "Mi"),
    };
    // Less than a millionth of the unit is the rounding of doubles.
    let units = (after / unit - 1e-6).ceil().max(1.0);
    let text = format!("{units:.0}{suffix}");
    let differs = (units * unit - before).abs() > unit * 1e-3;
    (differs && (after - before).abs() > unit * 1e-3).then_some(text)
}

/// `a peak of 0.42 and a 90th percentile of 0.31 cores, plus 15 %, of 240 samples since …`.
fn words(resource: Resource, basis: &Basis, recommended: &Recommended) -> String {
    let (unit, name) = match resource {
        Resource::Cpu => (1.0, "cores"),
        Resource::Memory => (MEBIBYTE, "MiB"),
    };
    let Basis {
        amount: _,
        peak,
        percentile,
        samples,
        since,
    } = basis;
    let of = match resource {
        Resource::Cpu => "",
        Resource::Memory => " of hourly peaks",
    };
    format!(
        "a peak of {:.3} and a 90th percentile{of} of {:.3} {name}, plus {} %, seen in {samples} samples since {since}",
        peak / unit,
        percentile / unit,
        recommended.margin_percent
    )
}
