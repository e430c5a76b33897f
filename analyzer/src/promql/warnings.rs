//! Warning events per minute and target.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use polars::prelude::*;
use schemas::{policy::EventType, target::Target};

use super::{
    plan::{RECORDED_WINDOW, Selector},
    select::{Eval, Filter, Row, label_columns, stacked},
};
use crate::window::{EMPTY, Reading, SAMPLED_AT, VALUE, Wanted};

/// The window of the short names that look at one, in minutes.
#[expect(clippy::cast_precision_loss, reason = "600,000 is a float")]
const MINUTES: f64 = RECORDED_WINDOW as f64 / 60_000.0;

impl Eval<'_> {
    /// Warning events per minute: of every pod that lives, zero included, and
    /// of every other target that has any.
    pub(super) fn error_rate(&mut self, selector: &Selector) -> PolarsResult<DataFrame> {
        let until = self.at.saturating_sub(selector.offset);
        let window = self.window;
        let counts = window.event_counts(&Wanted {
            reason: None,
            kind: Some(EventType::Warning),
            after: until.saturating_sub(RECORDED_WINDOW),
            until,
        });
        let pods = self.pods_rates(selector, &counts)?;
        let others = self.others_rates(selector, &counts, until)?;
        stacked(vec![pods, others])
    }

    fn pods_rates(
        &self,
        selector: &Selector,
        counts: &BTreeMap<&Target, u64>,
    ) -> PolarsResult<DataFrame> {
        let mut by_uid: BTreeMap<&str, u64> = BTreeMap::new();
        for (target, count) in counts {
            *by_uid.entry(&target.uid).or_default() += count;
        }
        let mut pods = self.instant(&Selector {
            readings: vec![(Reading::PodReady, EMPTY)],
            ..selector.clone()
        })?;
        let uids = pods.column("pod_uid")?.u32()?.clone();
        let rate = |uid: u32| {
            let uid = self.texts.get(uid as usize).map_or("", AsRef::as_ref);
            by_uid.get(uid).map_or(0.0, |count| per_minute(*count))
        };
        let rates: Vec<f64> = uids.into_no_null_iter().map(rate).collect();
        pods.with_column(Column::new(VALUE.into(), rates))?;
        Ok(pods)
    }

    /// What is not a pod of the window: other kinds, and pods too young to have been scraped.
    fn others_rates(
        &mut self,
        selector: &Selector,
        counts: &BTreeMap<&Target, u64>,
        until: i64,
    ) -> PolarsResult<DataFrame> {
        let mut rows = Vec::new();
        let mut rates = Vec::new();
        for (target, count) in counts {
            let is_known = self.window.catalog().number(&target.uid).is_some();
            if target.kind == "Pod" && (is_known || self.window.gone_since(&target.uid).is_some()) {
                continue;
            }
            let row = self.row_of(target);
            if Filter::new(&selector.matchers, &self.texts).passes(&row) {
                rows.push(row);
                rates.push(per_minute(*count));
            }
        }
        let mut others = label_columns(&rows)?;
        let times = vec![until; rates.len()];
        others.with_column(Column::new(VALUE.into(), rates))?;
        others.with_column(Column::new(SAMPLED_AT.into(), times))?;
        Ok(others)
    }

    fn row_of(&mut self, target: &Target) -> Row {
        let (pod, kind, name) = if target.kind == "Pod" {
            (target.name.as_str(), "", "")
        } else {
            ("", target.kind.as_str(), target.name.as_str())
        };
        let namespace = target.namespace.as_str();
        let texts = [namespace, pod, &target.uid, "", "", kind, name, "", ""];
        texts.map(|text| self.number(text))
    }
}

#[expect(clippy::cast_precision_loss, reason = "no window holds 2^53 events")]
fn per_minute(count: u64) -> f64 {
    count as f64 / MINUTES
}
