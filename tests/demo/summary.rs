//! The table at the end, and the checks below it.
//!
//! Pure: no IO, no clock.

use std::fmt::Write as _;
use std::time::Duration;

use crate::scene::Scene;
use crate::story::{Stage, Story};

/// One thing that must hold besides the healing.
pub(crate) struct Check {
    /// What must hold.
    pub(crate) text: String,
    /// Why it does not, when it does not.
    pub(crate) problem: Option<String>,
}

impl Check {
    /// A check whose problem is the list of what broke it; an empty list is none.
    pub(crate) fn nothing(text: &str, broke_it: &[String]) -> Self {
        Self {
            text: text.to_owned(),
            problem: (!broke_it.is_empty()).then(|| broke_it.join(", ")),
        }
    }
}

/// What must hold of the pods and the actions.
pub(crate) fn checks(scene: &Scene) -> Vec<Check> {
    let untouched = Check::nothing(
        "the siblings are the same pods as at the start",
        &scene.lost_siblings(),
    );
    let miscounted: Vec<_> = scene
        .stories
        .iter()
        .filter(|story| story.actions.len() != 1)
        .map(|story| format!("{}: {}", story.title, story.actions.len()))
        .collect();
    vec![
        untouched,
        Check::nothing("there was exactly one action per story", &miscounted),
    ]
}

/// Stages by story, with the seconds since the trouble began and, in brackets, since the start.
pub(crate) fn table(scene: &Scene, checks: &[Check], whole: Duration) -> String {
    let mut text = format!("\n{:<28}", "");
    for story in &scene.stories {
        write_to(&mut text, format_args!("{:<26}", story.title));
    }
    for stage in Stage::ALL {
        let row = scene.stories.iter().map(|story| cell(story, stage));
        push_row(&mut text, stage.title(), row);
    }
    let or_dash = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let before = scene.stories.iter().map(|story| or_dash(&story.before));
    push_row(&mut text, "value before", before);
    let after = scene.stories.iter().map(|story| or_dash(&story.after));
    push_row(&mut text, "value after", after);
    text.push_str("\n\n");
    for check in checks {
        let mark = if check.problem.is_none() {
            "ok  "
        } else {
            "FAIL"
        };
        let problem = check
            .problem
            .as_ref()
            .map(|it| format!(": {it}"))
            .unwrap_or_default();
        write_to(&mut text, format_args!("{mark} {}{problem}\n", check.text));
    }
    let healed = scene.is_told() && checks.iter().all(|check| check.problem.is_none());
    let verdict = if healed {
        "Both were healed and verified"
    } else {
        "It did not end well"
    };
    write_to(
        &mut text,
        format_args!("{verdict}, {:.0} s after the start.", whole.as_secs_f64()),
    );
    text
}

fn push_row(text: &mut String, title: &str, cells: impl Iterator<Item = String>) {
    write_to(text, format_args!("\n{title:<28}"));
    for cell in cells {
        write_to(text, format_args!("{cell:<26}"));
    }
    text.truncate(text.trim_end().len());
}

fn cell(story: &Story, stage: Stage) -> String {
    let Some(at) = story.marks.get(&stage) else {
        return "-".to_owned();
    };
    let since = story
        .marks
        .get(&Stage::Trouble)
        .filter(|_| stage != Stage::Trouble);
    match since {
        Some(since) => format!(
            "{:+.1} s  ({:.1} s)",
            at.as_secs_f64() - since.as_secs_f64(),
            at.as_secs_f64()
        ),
        None => format!("        ({:.1} s)", at.as_secs_f64()),
    }
}

fn write_to(text: &mut String, what: std::fmt::Arguments<'_>) {
    // writing to a string cannot fail
    let _infallible = text.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::stories;
    use crate::story::Victim;

    #[test]
    fn a_stage_is_told_from_the_trouble_on() {
        let mut scene = Scene::new(stories());
        let story = &mut scene.stories[0];
        story.victim = Some(Victim {
            name: "leaky-1".into(),
            uid: "u".into(),
        });
        story.reach(Stage::Trouble, Duration::from_mins(1));
        story.reach(Stage::Fired, Duration::from_secs(95));
        let text = table(&scene, &checks(&scene), Duration::from_secs(100));
        assert!(text.contains("+35.0 s  (95.0 s)"), "{text}");
        assert!(
            text.contains(
                "FAIL there was exactly one action per story: memory leak: 0, crash loop: 0"
            ),
            "{text}"
        );
        assert!(
            text.contains("It did not end well, 100 s after the start."),
            "{text}"
        );
    }
}
