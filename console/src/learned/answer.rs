//! What was learned, in tables or as JSON.
//!
//! Pure: no IO, no clock.

use analyzer::learn::{Experience, Learned, Recalled, Reliability, recall};
use jiff::Timestamp;
use serde::Serialize;

use crate::print;

/// All that was learned.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    /// Verified outcomes that it rests on.
    outcomes: usize,
    /// Lines of the journal that were not believed, because they were altered.
    refused: u64,
    remedies: Vec<Row>,
    advisors: Vec<Advisor>,
    recalled: Vec<Known>,
}

/// How well one remedy did against one cause on owners of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_mode: Option<&'static str>,
    remedy: &'static str,
    owner_kind: String,
    /// Cases; a part of one where it helped some pods of a case and not others.
    helped: f64,
    did_not: f64,
    mean: f64,
    lower: f64,
    upper: f64,
}

/// What the confidence of one advisor is worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Advisor {
    source: String,
    cases: u32,
    stated: f64,
    right: f64,
    method: &'static str,
    brier_stated: f64,
    brier_calibrated: f64,
}

/// What mended cases of one structure.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Known {
    fingerprint: String,
    failure_mode: &'static str,
    remedy: &'static str,
    action: String,
    owner_kind: String,
    helped: u32,
    did_not: u32,
    confidence: f64,
    last: Timestamp,
    examples: Vec<String>,
}

impl Answer {
    pub(super) fn of(learned: &Learned, refused: u64) -> Self {
        let recalls = learned.recalls();
        Self {
            outcomes: learned.len(),
            refused,
            remedies: learned.experiences().into_iter().map(row).collect(),
            advisors: learned.reliabilities().into_iter().map(advisor).collect(),
            recalled: recalls.map(known).collect(),
        }
    }

    /// It in tables.
    pub(super) fn text(&self) -> String {
        let mut lines = Vec::new();
        if self.refused > 0 {
            lines.push(format!(
                "{} lines of the journal were altered and taught nothing: kubeskippy journal verify\n",
                self.refused
            ));
        }
        if self.remedies.is_empty() && self.advisors.is_empty() {
            lines.push(
                "Nothing was learned yet: no action on a trigger was verified, and nobody gave feedback."
                    .to_owned(),
            );
            return lines.join("\n");
        }
        lines.push(format!(
            "What helps, as verified: {} outcomes, counted by case",
            self.outcomes
        ));
        lines.extend(self.remedy_table());
        lines.push("\nWhat a stated confidence is worth".to_owned());
        lines.extend(self.advisor_table());
        lines.push("\nCases that are recalled".to_owned());
        if self.recalled.is_empty() {
            lines.push(format!(
                "None: it takes {} cases of one structure that the same action mended.",
                recall::CASES
            ));
        } else {
            lines.extend(self.recall_table());
        }
        lines.join("\n")
    }

    fn remedy_table(&self) -> Vec<String> {
        let head = [
            "CAUSE", "REMEDY", "ON", "HELPED", "DID NOT", "EXPECTED", "LIKELY",
        ];
        let row = |row: &Row| {
            vec![
                row.failure_mode.unwrap_or("-").to_owned(),
                row.remedy.to_owned(),
                row.owner_kind.clone(),
                count(row.helped),
                count(row.did_not),
                percent(row.mean),
                format!("{} to {}", percent(row.lower), percent(row.upper)),
            ]
        };
        let rows: Vec<_> = self.remedies.iter().map(row).collect();
        print::table(&head, &rows)
    }

    fn advisor_table(&self) -> Vec<String> {
        if self.advisors.is_empty() {
            return vec!["Nothing: no diagnosis with a stated confidence was verified.".to_owned()];
        }
        let head = [
            "ADVISOR",
            "CASES",
            "STATED",
            "RIGHT",
            "CALIBRATED BY",
            "ERROR",
            "CALIBRATED",
        ];
        let row = |advisor: &Advisor| {
            vec![
                advisor.source.clone(),
                advisor.cases.to_string(),
                percent(advisor.stated),
                percent(advisor.right),
                advisor.method.to_owned(),
                format!("{:.3}", advisor.brier_stated),
                format!("{:.3}", advisor.brier_calibrated),
            ]
        };
        let rows: Vec<_> = self.advisors.iter().map(row).collect();
        print::table(&head, &rows)
    }

    fn recall_table(&self) -> Vec<String> {
        let head = [
            "FINGERPRINT",
            "CAUSE",
            "ACTION",
            "ON",
            "HELPED",
            "EXPECTED",
            "LAST",
        ];
        let row = |known: &Known| {
            let all = known.helped.saturating_add(known.did_not);
            vec![
                known.fingerprint.clone(),
                known.failure_mode.to_owned(),
                known.action.clone(),
                known.owner_kind.clone(),
                format!("{} of {all}", known.helped),
                percent(known.confidence),
                known.last.to_string(),
            ]
        };
        let rows: Vec<_> = self.recalled.iter().map(row).collect();
        print::table(&head, &rows)
    }
}

fn row(experience: Experience) -> Row {
    let posterior = experience.posterior;
    Row {
        failure_mode: experience.mode.map(schemas::diagnosis::FailureMode::as_str),
        remedy: experience.remedy.as_str(),
        owner_kind: experience.owner_kind,
        helped: posterior.helped,
        did_not: posterior.did_not,
        mean: posterior.mean,
        lower: posterior.lower,
        upper: posterior.upper,
    }
}

fn advisor(reliability: Reliability) -> Advisor {
    Advisor {
        cases: reliability.on,
        stated: reliability.stated,
        right: reliability.right,
        method: reliability.method.as_str(),
        brier_stated: reliability.brier_stated,
        brier_calibrated: reliability.brier_calibrated,
        source: reliability.source,
    }
}

fn known((fingerprint, recalled): (&str, &Recalled)) -> Known {
    Known {
        fingerprint: fingerprint.to_owned(),
        failure_mode: recalled.mode.as_str(),
        remedy: recalled.remedy.as_str(),
        action: recalled.action_name.clone(),
        owner_kind: recalled.owner_kind.clone(),
        helped: recalled.helped,
        did_not: recalled.did_not,
        confidence: recalled.confidence,
        last: recalled.last,
        examples: recalled.examples.clone(),
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Cases, with a decimal only where a case counts in part.
fn count(cases: f64) -> String {
    let text = format!("{cases:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}
