//! What each reading changes.

use jiff::Timestamp;
use schemas::object::ObjectState;

use super::Collector;
use crate::{
    reading::{Key, Reading},
    telemetry::Because,
};

impl Collector {
    /// Takes one reading.
    pub(super) fn take(&mut self, reading: Reading, now: Timestamp) {
        match reading {
            Reading::Listing(scope) => self.inventory.listing(scope),
            Reading::Seen(scope, seen) => {
                let changed = self.inventory.seen(&scope, *seen);
                self.changed(changed);
            }
            Reading::Gone(scope, key, uid) => {
                let changed = self.inventory.gone(&scope, &key, &uid);
                self.changed(changed);
            }
            Reading::Listed(scope) => {
                let changed = self.inventory.listed(&scope);
                self.changed(changed);
            }
            Reading::Event(event) => {
                if let Some(event) = self.counts.tell(*event) {
                    let dropped = self.outbox.event(event);
                    self.count_drops("EventsFull", dropped);
                }
            }
            Reading::Works(watch) => self.works(&watch),
            Reading::Broken(watch, why) => self.broken(&watch, &why, now),
            Reading::Answers(answers) => self.staleness.answers(answers),
            Reading::Usage(usage) => {
                self.usage = *usage;
                if self.usage_error.take().is_some() {
                    tracing::info!("usage is known");
                }
            }
            Reading::UsageFailed(why) => self.usage_failed(why),
        }
    }

    /// Tells the end of objects that ended while no collector ran.
    pub(super) fn end_left_behind(&mut self, states: Vec<ObjectState>) {
        let told = states.len();
        for state in states {
            let ended = self.inventory.left_behind(&self.parts.scopes, state);
            self.changed(ended);
        }
        tracing::info!(
            objects = told,
            "compared with what an earlier collector told"
        );
    }

    fn changed(&mut self, keys: impl IntoIterator<Item = Key>) {
        for key in keys {
            self.outbox.changed(key);
        }
    }

    fn works(&mut self, watch: &str) {
        self.events_missing.retain(|missing| missing != watch);
        if self.staleness.works(watch) {
            tracing::info!(watch, "watch works again");
        }
    }

    fn broken(&mut self, watch: &str, why: &str, now: Timestamp) {
        self.parts.telemetry.watch_failures.inc();
        if self.staleness.broke(watch, why, now) {
            tracing::warn!(watch, error = why, "watch failed");
        } else {
            tracing::debug!(watch, error = why, "watch failed again");
        }
    }

    /// Usage stays as it was and grows too old by itself.
    fn usage_failed(&mut self, why: String) {
        self.parts.telemetry.usage_failures.inc();
        if self.usage_error.as_ref() != Some(&why) {
            tracing::warn!(error = why, "usage is not known");
        }
        self.usage_error = Some(why);
    }

    pub(super) fn count_drops(&self, reason: &'static str, count: usize) {
        if count > 0 {
            let drops = &self.parts.telemetry.drops;
            drops
                .get_or_create(&Because { reason })
                .inc_by(count as u64);
        }
    }
}
