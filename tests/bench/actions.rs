//! From a HealingAction to its effect, and how many an actuator carries out.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use harness::once::{Scene, Servers, Tally, Wants, tally};
use harness::{AuditLog, ControlPlane, Nats, Options};
use jiff::Timestamp;

use crate::args::{Actions, Sick};
use crate::bed::say;
use crate::load;
use crate::meter;
use crate::quantile::Sorted;
use crate::table::Table;

/// One actuator that begins at once and loses no lease on a busy machine.
const ALONE: [&str; 4] = ["--lease-seconds", "60", "--warmup-seconds", "0"];

/// How long all actions together may take.
const PATIENCE: Duration = Duration::from_mins(20);

struct Bed {
    nats: Nats,
    control_plane: ControlPlane,
}

fn bed(pods: u32) -> Bed {
    let nodes = load::nodes(pods);
    Bed {
        nats: Nats::start(),
        control_plane: ControlPlane::start(&Options {
            nodes,
            ..Options::default()
        }),
    }
}

/// Measures one action after the other, then all at once; answers with the report.
pub(crate) async fn run(actions: &Actions) -> Result<String> {
    let Actions { count } = *actions;
    let single = usize::try_from(count / 10)?.clamp(1, 100);
    let count = usize::try_from(count)?;
    let bed = bed(u32::try_from(count + single)? + 2);
    let servers = Servers::install(&bed.control_plane, bed.nats.url()).await;
    say("creating Deployments");
    // Each target has an owner of its own: pods of one owner wait for each other.
    let wants = Wants {
        roll: count + single,
        budget: 1000,
        ..Wants::default()
    };
    let scene = Scene::set(&servers, "actions", wants).await;
    let proxy = scene.proxy().await;
    let _actuator = scene.actuator(&proxy, "only", &ALONE);
    let (alone, together) = scene.wanted.split_at(single);
    say("one action after the other");
    for wanted in alone {
        scene.ask(std::slice::from_ref(wanted)).await;
        scene.ended(PATIENCE).await.map_err(anyhow::Error::msg)?;
    }
    say("all at once");
    scene.ask(together).await;
    let ended = scene.ended(PATIENCE).await.map_err(anyhow::Error::msg)?;
    let log = bed.control_plane.audit_entries();
    verdict(&tally(&scene, &ended, &[], &log))?;
    let mut table = Table::new(
        "HealingAction created → effect stored, ms, by the audit log",
        &["how they came", "actions", "p50", "p99", "max"],
    );
    let mut spans = BTreeMap::new();
    for (how, wanted) in [("one after the other", alone), ("all at once", together)] {
        let names = wanted.iter().map(|w| (w.name.as_str(), w.target.as_str()));
        let names: Vec<_> = names.collect();
        let times = times(&scene, &names, &log);
        let took: Sorted = times.iter().map(|(from, to)| span(*from, *to)).collect();
        let millis = |q| took.quantile(q).unwrap_or_default().as_millis().to_string();
        table.row([
            how.to_owned(),
            times.len().to_string(),
            millis(0.5),
            millis(0.99),
            millis(1.0),
        ]);
        spans.insert(how, times);
    }
    Ok(format!("{table}{}{}", sustained(&spans), machine()?))
}

fn sustained(spans: &BTreeMap<&str, Vec<(Timestamp, Timestamp)>>) -> String {
    let Some(times) = spans.get("all at once") else {
        return String::new();
    };
    let first = times.iter().map(|(_, effect)| *effect).min();
    let last = times.iter().map(|(_, effect)| *effect).max();
    let seconds = first
        .zip(last)
        .map_or(0.0, |(from, to)| span(from, to).as_secs_f64());
    let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
    let rate = f64::from(count) / seconds.max(f64::EPSILON);
    format!(
        "\n{count} effects within {seconds:.1} s of each other: {rate:.1} actions per second.\n"
    )
}

/// When each action was created and when its effect was stored.
fn times(scene: &Scene<'_>, names: &[(&str, &str)], log: &AuditLog) -> Vec<(Timestamp, Timestamp)> {
    let here = log.clone().in_namespace(scene.namespace()).effective();
    let created = here
        .clone()
        .of_resource("healingactions")
        .with_verb("create");
    let created: BTreeMap<_, _> = at_of(&created);
    let rolled: BTreeMap<_, _> = at_of(&here.keep(|entry| scene.is_effect(entry)));
    let both = |(name, target): &(&str, &str)| Some((*created.get(*name)?, *rolled.get(*target)?));
    names.iter().filter_map(both).collect()
}

fn at_of(log: &AuditLog) -> BTreeMap<String, Timestamp> {
    let entries = log.entries().iter();
    entries
        .map(|entry| (entry.name.clone(), entry.at))
        .collect()
}

fn span(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

fn machine() -> Result<String> {
    let machine = meter::machine()?;
    Ok(format!(
        "\nMachine: {machine}; it also carried the API server, etcd, KWOK and nats-server.\n"
    ))
}

fn verdict(tally: &Tally) -> Result<()> {
    if !tally.wrong.is_empty() {
        bail!("{}", tally.wrong.join("\n"));
    }
    Ok(())
}

/// Restarts an actuator among many sick pods; answers with the report.
pub(crate) async fn sick(sick: &Sick) -> Result<String> {
    let Sick { pods, cap } = *sick;
    let bed = bed(pods + 2);
    let servers = Servers::install(&bed.control_plane, bed.nats.url()).await;
    say(&format!("creating {pods} pods"));
    let wants = Wants {
        evict: usize::try_from(pods)?,
        budget: usize::try_from(cap)?,
        ..Wants::default()
    };
    let scene = Scene::set(&servers, "sick", wants).await;
    say("creating the actions");
    scene.ask(&scene.wanted).await;
    let begun = std::time::Instant::now();
    let (ended, kills) = scene.restarted(&ALONE, PATIENCE).await;
    let ended = ended.map_err(anyhow::Error::msg)?;
    let counted = tally(&scene, &ended, &[], &bed.control_plane.audit_entries());
    verdict(&counted)?;
    let mut table = Table::new("Restarted among sick pods", &["what", "count"]);
    let mut row = |what: &str, count: usize| table.row([what.to_owned(), count.to_string()]);
    row("sick pods, each with an action", counted.asked);
    row("actions allowed", scene.budget);
    row("kills", kills);
    row("actions begun", counted.begun);
    row("evictions stored", counted.effects + counted.repeats);
    for (phase, count) in &counted.phases {
        row(&format!("actions in {phase}"), *count);
    }
    let took = begun.elapsed().as_secs_f64();
    Ok(format!(
        "{table}\nIt took {took:.1} s until every other action waited for the budget.\n{}",
        machine()?
    ))
}
