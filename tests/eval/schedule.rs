//! Which scenarios run together.
//!
//! Those that must be alone run at the end, one by one. Those whose policy is in
//! the system namespace, where a program acts on every policy, run one at a
//! time beside others. All others run as many at a time as is allowed.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;

use crate::bed::{Bed, SYSTEM};
use crate::progress::Voice;
use crate::run::{Left, Trial};
use crate::scenario::Scenario;
use crate::score::{self, Row};

/// One run of all scenarios.
pub(crate) struct Round<'a> {
    /// The servers.
    pub(crate) bed: &'a Arc<Bed>,
    /// The scenarios.
    pub(crate) scenarios: &'a [Arc<Scenario>],
    /// The analyzer's file of models.
    pub(crate) models: Option<PathBuf>,
    /// How many run at a time.
    pub(crate) parallel: usize,
    /// Whether what the scenarios made stays up.
    pub(crate) keep: bool,
}

impl Round<'_> {
    /// Runs every scenario; answers with the rows, and with what is still up.
    pub(crate) async fn run(&self, voice: &Voice) -> (Vec<Row>, Vec<Left>) {
        let (mut rows, mut left) = (Vec::new(), Vec::new());
        let (alone, mut together): (Vec<_>, Vec<_>) =
            self.scenarios.iter().partition(|scenario| scenario.alone);
        // the longest first, so that none of them is waited for at the end
        together.sort_by_key(|scenario| std::cmp::Reverse(span(scenario)));
        let places = Arc::new(Semaphore::new(self.parallel));
        let system = Arc::new(Mutex::new(()));
        let mut running = JoinSet::new();
        for scenario in together {
            let (places, system) = (Arc::clone(&places), Arc::clone(&system));
            let trial = self.trial(scenario, voice);
            let in_system = in_system(scenario);
            running.spawn(async move {
                let _one = if in_system {
                    Some(system.lock().await)
                } else {
                    None
                };
                let _place = places.acquire().await;
                trial.await
            });
        }
        while let Some(done) = running.join_next().await {
            gather(done, (&mut rows, &mut left), voice);
        }
        for scenario in alone {
            let done = tokio::spawn(self.trial(scenario, voice)).await;
            gather(done, (&mut rows, &mut left), voice);
        }
        (rows, left)
    }

    /// One scenario; nothing of it is made before this is awaited.
    fn trial(
        &self,
        scenario: &Arc<Scenario>,
        voice: &Voice,
    ) -> impl Future<Output = (Vec<Row>, Option<Left>)> + Send + 'static {
        let (bed, scenario, models) = (
            Arc::clone(self.bed),
            Arc::clone(scenario),
            self.models.clone(),
        );
        let (voice, keep) = (voice.about(&scenario.name), self.keep);
        async move {
            let name = scenario.name.clone();
            let run = async move { Trial::new(&bed, &scenario, models, voice).run(keep).await };
            // a panic of the harness ends this scenario and no other
            match tokio::spawn(run).await {
                Ok(done) => done,
                Err(lost) => {
                    let row = score::broken(&name, lost.to_string());
                    (vec![row], None)
                }
            }
        }
    }
}

type Done = Result<(Vec<Row>, Option<Left>), tokio::task::JoinError>;

fn gather(done: Done, (rows, left): (&mut Vec<Row>, &mut Vec<Left>), voice: &Voice) {
    match done {
        Ok((more, up)) => {
            rows.extend(more);
            left.extend(up);
        }
        Err(error) => voice.say(&format!("a scenario was lost: {error}")),
    }
}

/// How long a scenario may take.
fn span(scenario: &Scenario) -> i64 {
    let steps = scenario.inject.iter().filter_map(|step| step.value.after);
    steps
        .map(schemas::duration::Duration::as_millis)
        .sum::<i64>()
        + scenario.timeout.as_millis()
}

/// Whether it has objects in the system namespace.
fn in_system(scenario: &Scenario) -> bool {
    let objects = scenario.given.iter().chain(scenario.applied());
    let mut namespaces =
        objects.filter_map(|object| object.pointer("/metadata/namespace")?.as_str());
    namespaces.any(|namespace| namespace == SYSTEM)
}
