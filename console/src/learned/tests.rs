use schemas::{
    envelope::Envelope,
    journal::seal,
    outcome::{Help, Lesson, Opinions, Outcome},
    policy::Remedy,
};
use serde_json::json;

use super::*;
use crate::testing::NOW;

fn outcome(case: u32, remedy: Remedy, result: Help) -> Outcome {
    Outcome {
        action_uid: format!("{case}-{}", remedy.as_str()),
        namespace: "shop".to_owned(),
        action: format!("memory-{case}"),
        policy: "memory".to_owned(),
        at: NOW,
        mode: Some("memory-leak".to_owned()),
        remedy,
        owner_kind: "Deployment".to_owned(),
        owner: "Deployment/web".to_owned(),
        case: Some(case.to_string()),
        source: "rule/memory-leak".to_owned(),
        stated_confidence: Some(0.8),
        claims: Vec::new(),
        fingerprint: Some("f00d".to_owned()),
        action_name: remedy.as_str().to_owned(),
        result,
        reversible: remedy.is_reversible(),
    }
}

/// The line of the journal that teaches `lesson`.
fn line(lesson: &Lesson) -> Vec<u8> {
    let data = json!({"lesson": lesson});
    let event = Envelope::new(
        "id".to_owned(),
        "/test".to_owned(),
        "io.kubeskippy.action.succeeded.v1".to_owned(),
        NOW,
        data,
    );
    seal(&event, None).unwrap().0
}

fn heard(outcomes: Vec<Outcome>) -> Heard {
    let mut heard = Heard::default();
    for outcome in outcomes {
        heard.hear(&line(&Lesson {
            outcome: Some(outcome),
            opinions: None,
        }));
    }
    heard
}

/// The cells of the row that begins with `first`.
fn cells(text: &str, first: &[&str]) -> Vec<String> {
    let rows = text
        .lines()
        .map(|row| row.split_whitespace().collect::<Vec<_>>());
    let mut found = rows.filter(|row| row.starts_with(first));
    let row = found.next().unwrap_or_else(|| panic!("{first:?}: {text}"));
    row.into_iter().map(str::to_owned).collect()
}

#[test]
fn the_tables_show_what_helped_whose_word_counts_and_what_is_recalled() {
    let mut outcomes: Vec<_> = (0..3)
        .map(|case| outcome(case, Remedy::Restart, Help::Helped))
        .collect();
    outcomes.push(outcome(9, Remedy::Scale, Help::DidNotHelp));
    let text = heard(outcomes).answer(NOW).text();
    let restart = cells(&text, &["memory-leak", "restart"]);
    assert_eq!(restart[2..5], ["Deployment", "3", "0"]);
    let scale = cells(&text, &["memory-leak", "scale"]);
    assert_eq!(scale[2..5], ["Deployment", "0", "1"]);
    // that scaling did not help says nothing of the diagnosis: no remedy for a leak
    let rule = cells(&text, &["rule/memory-leak"]);
    assert_eq!(rule[1..6], ["3", "80", "%", "100", "%"]);
    let recalled = cells(&text, &["f00d"]);
    assert_eq!(recalled[1..4], ["memory-leak", "restart", "Deployment"]);
    assert!(text.contains("3 of 3"), "{text}");
}

#[test]
fn json_has_the_posterior_with_its_range() {
    let answer = heard(vec![outcome(1, Remedy::Restart, Help::Helped)]).answer(NOW);
    let value = serde_json::to_value(&answer).unwrap();
    let row = &value["remedies"][0];
    assert_eq!(row["helped"], 1.0);
    assert_eq!(row["mean"], 0.75);
    let bounds = ["lower", "mean", "upper"].map(|field| row[field].as_f64().unwrap());
    assert!(bounds.is_sorted(), "{bounds:?}");
    assert_eq!(value["advisors"][0]["cases"], 1);
}

#[test]
fn an_altered_line_teaches_nothing_and_is_told() {
    let lesson = Lesson {
        outcome: Some(outcome(1, Remedy::Restart, Help::DidNotHelp)),
        opinions: None,
    };
    let text = String::from_utf8(line(&lesson)).unwrap();
    let forged = text.replace("DidNotHelp", "Helped");
    assert_ne!(forged, text);
    let mut heard = Heard::default();
    heard.hear(forged.as_bytes());
    let text = heard.answer(NOW).text();
    assert!(
        text.contains("1 lines of the journal were altered"),
        "{text}"
    );
    assert!(text.contains("Nothing was learned yet"), "{text}");
}

#[test]
fn feedback_alone_tells_of_the_advisor() {
    let mut heard = Heard::default();
    heard.hear(&line(&Lesson {
        outcome: None,
        opinions: Some(Opinions {
            action_uid: "a".to_owned(),
            at: NOW,
            generation: 2,
            mode: Some("memory-leak".to_owned()),
            case: None,
            remedy: Remedy::Restart,
            source: "model/small".to_owned(),
            stated_confidence: Some(0.9),
            claims: Vec::new(),
            useful: 0,
            wrong: 1,
            causes: [("bad-rollout".to_owned(), 1)].into(),
        }),
    }));
    let text = heard.answer(NOW).text();
    let model = cells(&text, &["model/small"]);
    assert_eq!(model[1..6], ["1", "90", "%", "0", "%"]);
}

#[test]
fn what_is_half_a_year_old_is_forgotten() {
    let heard = heard(vec![outcome(1, Remedy::Restart, Help::Helped)]);
    let later = NOW + learn::SPAN + jiff::SignedDuration::from_secs(1);
    assert!(heard.answer(later).text().contains("Nothing was learned"));
}
