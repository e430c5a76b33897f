//! What the collector's readiness waits for.

use runtime::{
    health::{Gate, Health},
    lease::Lease,
};

/// The collector's gates.
#[derive(Clone, Debug)]
pub(crate) struct Gates {
    watches: Gate,
    bus: Gate,
    samples: Gate,
    usage: Option<Gate>,
}

impl Gates {
    /// Adds the gates to `health`; the one for usage only when usage is wanted.
    pub(crate) fn new(health: &Health, wants_usage: bool) -> Self {
        Self {
            watches: health.gate("collector watches"),
            bus: health.gate("collector bus"),
            samples: health.gate("collector samples"),
            usage: wants_usage.then(|| health.gate("collector usage")),
        }
    }

    /// Whether every watch has listed and works.
    pub(crate) fn watches(&self, state: Result<(), String>) {
        show(&self.watches, state);
    }

    /// Whether NATS is connected.
    pub(crate) fn bus(&self, is_connected: bool) {
        show(&self.bus, ok_or(is_connected, "NATS is not connected"));
    }

    /// Whether a scrape was published lately, or another replica does that.
    pub(crate) fn samples(&self, is_published: bool, lease: &Lease) {
        let stands_by = lease.is_known() && !lease.holds();
        let why = "no scrape was published within three intervals";
        show(&self.samples, ok_or(is_published || stands_by, why));
    }

    /// Whether usage is known.
    pub(crate) fn usage(&self, error: Option<&str>) {
        if let Some(gate) = &self.usage {
            show(gate, error.map_or(Ok(()), |why| Err(why.to_owned())));
        }
    }
}

fn ok_or(is_ok: bool, why: &str) -> Result<(), String> {
    if is_ok { Ok(()) } else { Err(why.to_owned()) }
}

fn show(gate: &Gate, state: Result<(), String>) {
    match state {
        Ok(()) => gate.pass(),
        Err(why) => gate.fail(&why),
    }
}
