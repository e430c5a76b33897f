//! What to look at when it did not end well.

use std::fmt::Write as _;

use schemas::policy::HealingPolicy;

use crate::scene::Scene;
use crate::show::Show;

/// Lines of each program's log that are shown.
const TAIL: usize = 25;

/// Which stages were not reached, what the policies say, and what the programs logged last.
pub(crate) fn post_mortem(show: &Show, scene: &Scene) -> String {
    let mut text = String::new();
    for story in &scene.stories {
        if let Some(stage) = story.first_missing() {
            let _infallible = writeln!(text, "{}: not reached: {}", story.title, stage.title());
        }
    }
    for policy in scene.policies.values() {
        text.push_str(&status(policy));
    }
    if let Some(programs) = &show.programs {
        text.push_str(&programs.tails(TAIL));
    }
    text
}

fn status(policy: &HealingPolicy) -> String {
    let name = policy.metadata.name.as_deref().unwrap_or_default();
    let status = serde_json::to_string_pretty(&policy.status);
    format!(
        "--- the status of policy {name}\n{}\n",
        status.unwrap_or_else(|error| error.to_string())
    )
}
