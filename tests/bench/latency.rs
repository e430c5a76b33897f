//! From the sample that shows a breach to the HealingAction that answers it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use schemas::action::HealingAction;
use serde_json::json;
use tokio::time::Instant;

use crate::answer::{self, Answer, Instants};
use crate::args::Latency;
use crate::bed::{Bed, say};
use crate::report::{breakdown, conditions, scrapes};
use crate::task::Task;
use crate::{exposition, load, traffic};

/// What a change of usage may take to be answered, beyond two scrapes: the
/// metrics API has it after up to two of its own rounds of ten seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// HealingActions by name, each with the instant at which the watch showed it first.
type Seen = BTreeMap<String, (Timestamp, HealingAction)>;

/// A watch of HealingActions, until this is dropped.
struct Watch {
    seen: Arc<Mutex<Seen>>,
    _task: Task,
}

impl Watch {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }
}

/// Measures, and answers with the report.
pub(crate) async fn run(latency: &Latency) -> Result<String> {
    let Latency { scene, .. } = latency;
    let bed = Bed::start(scene).await?;
    let bus = bed.bus().await;
    let followed = bus.follow().await?;
    let watched = watch(bed.api()).await;
    let offenders = choose(&bed.api(), latency).await?;
    let (stored, before, histograms) = (bus.state().await?, bed.look()?, bed.histograms()?);

    let begun = offend(&bed.api(), &offenders).await?;
    let unanswered = answers(&watched, &offenders, u64::from(scene.interval)).await;

    let (now, state) = (bed.look()?, bus.state().await?);
    let added = exposition::since(bed.histograms()?, &histograms);
    let instants = Instants {
        scrapes: followed.scrapes(),
        begun,
        received: bed.proposed(),
    };
    let found: Vec<_> = watched
        .seen()
        .values()
        .filter_map(|(at, action)| answer::of(action, *at, &instants))
        .collect();
    let elapsed = now.since(&before).as_secs_f64();
    let report = [
        answer::table(scene.pods, offenders.len(), &found).to_string(),
        breakdown(&added),
        now.table(&before, "The programs meanwhile").to_string(),
        traffic::table(&stored, &state, elapsed).to_string(),
        scrapes(&instants.scrapes),
        conditions(&bed, scene, &before, &now)?,
    ]
    .concat();
    verdict(report, &found, &unanswered, &bed)
}

/// The report, or what is wrong with it.
fn verdict(report: String, found: &[Answer], unanswered: &[String], bed: &Bed) -> Result<String> {
    if !unanswered.is_empty() {
        bail!(
            "{} offenders got no HealingAction, such as {}:{}\n{report}",
            unanswered.len(),
            unanswered.first().map_or("", String::as_str),
            bed.tails()
        );
    }
    if found.is_empty() {
        bail!("no HealingAction names a scrape that was stored\n{report}");
    }
    Ok(report)
}

/// Notes each HealingAction when a watch first shows it.
async fn watch(api: Api<HealingAction>) -> Watch {
    let seen = Arc::<Mutex<Seen>>::default();
    let noted = Arc::clone(&seen);
    let (listening, heard) = tokio::sync::oneshot::channel();
    let task = Task::spawn(async move {
        let mut listening = Some(listening);
        let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
        while let Some(event) = events.next().await {
            let at = runtime::clock::now();
            match event {
                Ok(watcher::Event::Apply(action) | watcher::Event::InitApply(action)) => {
                    let name = action.metadata.name.clone().unwrap_or_default();
                    lock(&noted).entry(name).or_insert((at, action));
                }
                Ok(watcher::Event::InitDone) => {
                    listening.take().map(|listening| listening.send(()));
                }
                Ok(watcher::Event::Init | watcher::Event::Delete(_)) => {}
                Err(error) => say(&format!("the watch: {}", runtime::chain(&error))),
            }
        }
    });
    // An error says that the watch ended, which the missing actions will tell.
    drop(heard.await);
    Watch { seen, _task: task }
}

/// A pod that will offend, and how long after the beginning.
struct Offender {
    pod: String,
    after: Duration,
}

async fn choose(api: &Api<Pod>, latency: &Latency) -> Result<Vec<Offender>> {
    let params = ListParams::default().labels(&format!("{}={}", load::LABEL.0, load::LABEL.1));
    let pods = api.list(&params).await.context("failed to list the pods")?;
    let mut names: Vec<_> = pods
        .into_iter()
        .filter_map(|pod| pod.metadata.name)
        .collect();
    names.sort();
    let mut random = fastrand::Rng::with_seed(latency.seed);
    random.shuffle(&mut names);
    names.truncate(usize::try_from(latency.offenders).unwrap_or(usize::MAX));
    let spread = f64::from(latency.spread);
    let mut offenders: Vec<_> = names
        .into_iter()
        .map(|pod| Offender {
            pod,
            after: Duration::from_secs_f64(random.f64() * spread),
        })
        .collect();
    offenders.sort_by_key(|offender| offender.after);
    Ok(offenders)
}

/// Makes each offend at its time; answers with when each was told to.
async fn offend(api: &Api<Pod>, offenders: &[Offender]) -> Result<BTreeMap<String, Timestamp>> {
    let last = offenders.last().map_or(0, |last| last.after.as_secs());
    say(&format!("{} pods offend within {last} s", offenders.len()));
    let change = json!({"metadata": {"annotations": {load::USAGE: load::OFFENDING}}});
    let start = Instant::now();
    let mut begun = BTreeMap::new();
    for Offender { pod, after } in offenders {
        tokio::time::sleep_until(start + *after).await;
        begun.insert(pod.clone(), runtime::clock::now());
        api.patch(pod, &PatchParams::default(), &Patch::Merge(&change))
            .await
            .with_context(|| format!("failed to annotate {pod}"))?;
    }
    Ok(begun)
}

/// Waits until every offender has its action; answers with those that have none.
async fn answers(watched: &Watch, offenders: &[Offender], interval: u64) -> Vec<String> {
    say("waiting for the last HealingActions");
    let deadline = Instant::now() + PATIENCE + Duration::from_secs(2 * interval);
    loop {
        let answered: Vec<String> = watched
            .seen()
            .values()
            .filter_map(|(_, action)| answer::offender(action))
            .collect();
        let missing: Vec<_> = offenders
            .iter()
            .map(|offender| offender.pod.clone())
            .filter(|pod| !answered.contains(pod))
            .collect();
        if missing.is_empty() || Instant::now() >= deadline {
            return missing;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
