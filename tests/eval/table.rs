//! Rows as a table that reads in a terminal and in Markdown, and the totals.
//!
//! Pure: no IO, no clock.

use std::fmt::Write as _;

use serde::Serialize;

use crate::score::Row;

/// One run of all scenarios.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Run {
    /// Who was asked: `rules`, or a model beside them.
    pub(crate) advisors: String,
    /// The answers.
    pub(crate) rows: Vec<Row>,
    /// How many were right.
    pub(crate) totals: Totals,
}

/// How many answers were right.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Totals {
    /// Labelled troubles that were measured.
    pub(crate) troubles: usize,
    /// Right causes.
    pub(crate) cause: usize,
    /// Right owners.
    pub(crate) owner: usize,
    /// Right actions.
    pub(crate) action: usize,
    /// Troubles whose target should recover, and how many did in time.
    pub(crate) recovered: (usize, usize),
    /// Actions that changed something and should not have.
    pub(crate) harmful: usize,
    /// Cases that were opened, and troubles that were labelled.
    pub(crate) cases: (usize, usize),
    /// Calls of models.
    pub(crate) model_calls: u32,
    /// Tokens of these.
    pub(crate) tokens: u64,
    /// Scenarios that could not be measured.
    pub(crate) broken: usize,
}

impl Run {
    /// A run with its totals.
    pub(crate) fn new(advisors: &str, mut rows: Vec<Row>) -> Self {
        rows.sort_by(|one, other| one.scenario.cmp(&other.scenario));
        Self {
            advisors: advisors.to_owned(),
            totals: totals(&rows),
            rows,
        }
    }
}

fn totals(rows: &[Row]) -> Totals {
    let measured = || rows.iter().filter(|row| row.broken.is_none());
    let count = |is: fn(&Row) -> bool| measured().filter(|row| is(row)).count();
    Totals {
        troubles: measured().count(),
        cause: count(|row| row.cause_ok),
        owner: count(|row| row.owner_ok),
        action: count(|row| row.action_ok),
        recovered: (
            count(|row| row.recovered == Some(true)),
            count(|row| row.recovered.is_some()),
        ),
        harmful: measured().map(|row| row.harmful.len()).sum(),
        cases: (
            measured().filter_map(|row| row.cases).sum(),
            measured().count(),
        ),
        model_calls: measured().map(|row| row.model_calls).sum(),
        tokens: measured().map(|row| row.tokens).sum(),
        broken: rows.iter().filter(|row| row.broken.is_some()).count(),
    }
}

const HEAD: [&str; 12] = [
    "scenario",
    "cause",
    "owner",
    "action",
    "outcome",
    "harm",
    "cases",
    "detect",
    "diagnose",
    "act",
    "verify",
    "calls/tokens",
];

/// The table of a run, with its totals below.
pub(crate) fn table(run: &Run) -> String {
    let mut lines: Vec<Vec<String>> = vec![HEAD.iter().map(|&cell| cell.to_owned()).collect()];
    lines.extend(run.rows.iter().map(cells));
    let mut text = format!("\n{}\n\n", run.advisors);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    for (number, line) in lines.iter().enumerate() {
        let padded = line.iter().zip(&widths);
        let padded: Vec<String> = padded
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        // writing to a string cannot fail
        let _infallible = writeln!(text, "| {} |", padded.join(" | "));
        if number == 0 {
            let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            let _infallible = writeln!(text, "| {} |", rule.join(" | "));
        }
    }
    text.push_str(&sums(&run.totals));
    let broken = run
        .rows
        .iter()
        .filter_map(|row| Some((row, row.broken.as_ref()?)));
    for (row, why) in broken {
        let _infallible = writeln!(text, "not measured: {}: {why}", row.scenario);
    }
    text
}

fn sums(totals: &Totals) -> String {
    let Totals {
        troubles,
        cause,
        owner,
        action,
        recovered: (well, of),
        harmful,
        cases: (cases, labelled),
        model_calls,
        tokens,
        broken,
    } = totals;
    let share = |right: usize| format!("{right} of {troubles} ({})", percent(right, *troubles));
    format!(
        "\nright causes {}, owners {}, actions {}; {well} of {of} recovered; {harmful} harmful actions; \
         {cases} cases for {labelled} troubles; {model_calls} model calls, {tokens} tokens; {broken} not measured\n",
        share(*cause),
        share(*owner),
        share(*action),
    )
}

/// `a` of `b` in percent, rounded down: 89.9 % is not 90 %.
fn percent(part: usize, whole: usize) -> String {
    match (part * 100).checked_div(whole) {
        Some(percent) => format!("{percent} %"),
        None => "–".to_owned(),
    }
}

fn cells(row: &Row) -> Vec<String> {
    if row.broken.is_some() {
        let mut cells = vec![row.scenario.clone(), "not measured".to_owned()];
        cells.resize(HEAD.len(), String::new());
        return cells;
    }
    let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "nothing".to_owned());
    let calls = match row.model_calls {
        0 => "0".to_owned(),
        calls => format!("{calls}/{}", row.tokens),
    };
    let outcome = match (&row.outcome, row.recovered) {
        (Some(outcome), Some(false)) => format!("✗ {outcome}"),
        (Some(outcome), _) => outcome.clone(),
        (None, Some(_)) => "✗".to_owned(),
        (None, None) => String::new(),
    };
    vec![
        row.scenario.clone(),
        answer(row.cause_ok, &said(&row.said_cause), &row.cause),
        answer(row.owner_ok, &said(&row.said_owner), &row.owner),
        answer(row.action_ok, &said(&row.said_action), &row.action),
        outcome,
        row.harmful.len().to_string(),
        row.cases.map(|cases| cases.to_string()).unwrap_or_default(),
        seconds(row.detected),
        seconds(row.diagnosed),
        seconds(row.acted),
        seconds(row.verified),
        calls,
    ]
}

/// What was said, and what would have been right where it was not.
fn answer(is_right: bool, said: &str, right: &[String]) -> String {
    if is_right {
        format!("✓ {said}")
    } else {
        format!("✗ {said}, not {}", right.join(" or "))
    }
}

fn seconds(span: Option<f64>) -> String {
    span.map(|span| format!("{span:.0}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(scenario: &str, right: bool) -> Row {
        Row {
            scenario: scenario.to_owned(),
            cause: vec!["memory-leak".to_owned()],
            said_cause: Some("memory-leak".to_owned()).filter(|_| right),
            cause_ok: right,
            action_ok: true,
            recovered: Some(right),
            cases: Some(1),
            ..Row::default()
        }
    }

    #[test]
    fn totals_count_what_was_measured() {
        let broken = Row {
            broken: Some("no pods".to_owned()),
            ..row("c", false)
        };
        let run = Run::new("rules", vec![row("b", false), row("a", true), broken]);
        assert_eq!(run.rows[0].scenario, "a");
        assert_eq!(
            (run.totals.troubles, run.totals.cause, run.totals.action),
            (2, 1, 2)
        );
        assert_eq!((run.totals.recovered, run.totals.broken), ((1, 2), 1));
    }

    #[test]
    fn a_wrong_answer_shows_the_right_one() {
        let text = table(&Run::new("rules", vec![row("a", false), row("b", true)]));
        assert!(text.contains("✗ nothing, not memory-leak"), "{text}");
        assert!(text.contains("✓ memory-leak"), "{text}");
        assert!(text.contains("right causes 1 of 2 (50 %)"), "{text}");
        let widths: Vec<usize> = text
            .lines()
            .filter(|line| line.starts_with('|'))
            .map(|line| line.chars().count())
            .collect();
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
    }

    #[test]
    fn a_share_is_rounded_down() {
        assert_eq!(percent(899, 1000), "89 %");
        assert_eq!(percent(0, 0), "–");
    }
}
