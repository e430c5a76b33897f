//! `--faults`: what the cluster shows of each failure when nobody heals it, for whoever writes a scenario.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use runtime::shutdown::Shutdown;
use tokio::task::JoinSet;

use crate::bed::{Bed, SYSTEM};
use crate::inject::Injector;
use crate::progress::Voice;
use crate::scenario::Scenario;

/// Makes all failures at once, waits, and prints what there is of each.
pub(crate) async fn show(
    scenarios: &[Arc<Scenario>],
    seconds: u16,
    keep: bool,
    shutdown: &Shutdown,
) -> Result<u8> {
    let voice = Voice::new(Instant::now(), "eval");
    let bed = Bed::start().await?;
    let mut running = JoinSet::new();
    for scenario in scenarios {
        let (bed, scenario) = (Arc::clone(&bed), Arc::clone(scenario));
        let voice = voice.about(&scenario.name);
        running.spawn(async move { one(&bed, &scenario, seconds, &voice).await });
    }
    let mut failed = false;
    while let Some(done) = running.join_next().await {
        match done {
            Ok(Ok(text)) => writeln!(std::io::stdout(), "{text}")?,
            Ok(Err(error)) => {
                failed = true;
                voice.say(&format!("{error:#}"));
            }
            Err(lost) => {
                failed = true;
                voice.say(&lost.to_string());
            }
        }
    }
    if keep {
        voice.say(&bed.look_around());
        shutdown.wait().await;
    }
    Ok(u8::from(failed))
}

async fn one(bed: &Bed, scenario: &Scenario, seconds: u16, voice: &Voice) -> Result<String> {
    let namespace = tokio::task::block_in_place(|| bed.plane.test_namespace("team"));
    let mut injector = Injector::new(bed.admin(), namespace.name());
    injector.prepare(scenario).await?;
    let calm = Duration::from_secs(15);
    tokio::time::sleep(calm).await;
    let steps = async {
        for step in &scenario.inject {
            injector.step(&step.value).await?;
            voice.say(&format!(
                "the step of line {} is made",
                step.referenced.line()
            ));
        }
        Ok::<(), anyhow::Error>(())
    };
    let wait = Duration::from_secs(seconds.into());
    // a step may wait for a recovery that nobody brings about
    if let Ok(done) = tokio::time::timeout(wait, steps).await {
        done?;
        tokio::time::sleep(wait).await;
    }
    let admin = bed.admin();
    let mut text = format!("\n=== {}\n", scenario.name);
    let kinds = "pods,deployments,statefulsets,jobs,hpa,pdb,pvc,resourcequotas";
    let looks: [&[&str]; 4] = [
        &["get", kinds, "-o", "wide"],
        &[
            "get",
            "deployments",
            "-o",
            "jsonpath={range .items[*]}{.metadata.name}{\" \"}{range .status.conditions[*]}{.type}={.status}({.reason}) {end}{\"\\n\"}{end}",
        ],
        &["get", "events", "--sort-by=.lastTimestamp"],
        &["top", "pods"],
    ];
    for look in looks {
        let within = ["-n", namespace.name()];
        let shown = admin.run(&[look, &within].concat()).await;
        text.push_str(&shown.unwrap_or_else(|error| format!("{error:#}\n")));
        text.push('\n');
    }
    if !scenario.nodes.is_empty() {
        text.push_str(&admin.run(&["get", "nodes"]).await?);
        for node in &scenario.nodes {
            let node = format!("node/{}-{}", namespace.name(), node.name);
            admin.run(&["delete", &node]).await?;
        }
    }
    // a policy of the system namespace, if there is one, is the scenario's namesake of the namespace
    let policy = format!("healingpolicy/{}", namespace.name());
    admin
        .run(&["delete", "--ignore-not-found", &policy, "-n", SYSTEM])
        .await?;
    Ok(text)
}
