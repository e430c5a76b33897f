//! The show: servers, programs, trouble, and what becomes of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::fact::Fact;
use crate::programs::{CLUSTER, Programs};
use crate::scenario::{NAMESPACE, first_pod, stories};
use crate::scene::Scene;
use crate::screen::Screen;
use crate::servers::Servers;
use crate::sources;
use crate::summary::{self, Check};

/// How long the second story waits for the first, so that they can be told apart.
const APART: Duration = Duration::from_secs(6);

/// A show that is on.
pub(crate) struct Show {
    pub(crate) programs: Option<Programs>,
    pub(crate) servers: Servers,
    facts: UnboundedSender<Fact>,
    scene: watch::Receiver<Scene>,
    audience: JoinHandle<anyhow::Result<Screen>>,
    start: Instant,
    sources: JoinSet<()>,
}

impl Show {
    /// Opens the show on servers that run. `start` is when everything began.
    pub(crate) fn open(servers: Servers, screen: Screen, start: Instant) -> Self {
        let (facts, seen) = mpsc::unbounded_channel();
        let scene = Scene::new(stories());
        let (stage, view) = watch::channel(scene);
        let sources = sources::follow(&servers.cluster.client, NAMESPACE, &facts);
        Self {
            programs: None,
            servers,
            facts,
            scene: view,
            audience: tokio::spawn(attend(seen, stage, screen, start)),
            start,
            sources,
        }
    }

    fn say(&self, text: impl Into<String>) {
        // the audience is there until the end
        drop(self.facts.send(Fact::Said(text.into())));
    }

    /// Runs the programs and the two stories until both are told.
    pub(crate) async fn run(&mut self) -> anyhow::Result<()> {
        let Self { servers, .. } = self;
        let ground = servers.ground.clone();
        ground.prepare(&servers.cluster).await?;
        let url = servers.nats.url();
        let client = servers.nats.client().await;
        sources::subscribe(&client, CLUSTER, &mut self.sources, self.facts.clone()).await?;
        self.say(format!(
            "namespace {NAMESPACE}: policies and workloads applied"
        ));
        let programs = Programs::start(&self.servers.cluster, &url, NAMESPACE).await?;
        let programs = self.programs.insert(programs);
        for program in programs.all() {
            let text = format!("{} runs as {}", program.name, program.user);
            drop(self.facts.send(Fact::Said(text)));
        }
        programs.ready().await?;
        self.say("all three programs are ready");
        self.until("pods that are ready and measured", |scene| {
            ground.is_prepared(scene)
        })
        .await?;
        let said = ground.begin_leak(&self.servers.cluster).await?;
        self.say(said);
        let leaky = tokio::time::timeout(Duration::from_secs(30), self.leaky());
        let victim = leaky.await.context("the leaking pod did not appear")??;
        drop(self.facts.send(Fact::Begun {
            app: "leaky",
            victim,
        }));
        tokio::time::sleep(APART).await;
        let victim = ground.begin_crash(&self.servers.cluster).await?;
        self.say(format!(
            "the state of {} is corrupted: it crashes",
            victim.name
        ));
        drop(self.facts.send(Fact::Begun {
            app: "crashy",
            victim,
        }));
        self.until("the end of both stories", Scene::is_told).await
    }

    async fn leaky(&self) -> anyhow::Result<crate::story::Victim> {
        loop {
            if let Ok(pod) = first_pod(&self.servers.cluster, "leaky").await {
                return Ok(pod);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits for a state of the scene, or for the failure that rules it out.
    async fn until(&self, what: &str, wanted: impl Fn(&Scene) -> bool) -> anyhow::Result<()> {
        let mut scene = self.scene.clone();
        let found = scene
            .wait_for(|scene| wanted(scene) || scene.failure().is_some())
            .await
            .with_context(|| format!("the show ended while waiting for {what}"))?;
        match found.failure() {
            Some(failure) => bail!("{failure}"),
            None => Ok(()),
        }
    }

    /// The checks of the end.
    pub(crate) fn checks(&self) -> Vec<Check> {
        let scene = self.scene.borrow().clone();
        let mut checks = summary::checks(&scene);
        let users = self.programs.iter().flat_map(Programs::all);
        let strangers: Vec<_> = users
            .filter(|it| !it.user.ends_with(&format!(":kubeskippy-{}", it.name)))
            .map(|it| format!("{} as {}", it.name, it.user))
            .collect();
        checks.push(Check::nothing(
            "each program ran as its own service account",
            &strangers,
        ));
        if let Some(log) = self.servers.audit() {
            let evictions = log
                .in_namespace(NAMESPACE)
                .effective()
                .keep(|entry| entry.subresource == "eviction");
            let names: Vec<_> = scene
                .stories
                .iter()
                .filter_map(|story| story.victim.as_ref())
                .map(|victim| victim.name.clone())
                .collect();
            let wrong: Vec<_> = evictions
                .entries()
                .iter()
                .filter(|it| {
                    !it.user.ends_with(":kubeskippy-actuator") || !names.contains(&it.name)
                })
                .map(|it| format!("{} evicted {}", it.user, it.name))
                .collect();
            checks.push(Check::nothing(
                "the audit log has no eviction but the actuator's, of the two pods",
                &wrong,
            ));
        }
        let killed: Vec<_> = scene.killed.into_iter().collect();
        checks.push(Check::nothing(
            "no container was killed for want of memory",
            &killed,
        ));
        checks
    }

    /// Ends the timeline and returns the screen, with what was seen.
    pub(crate) async fn end(&mut self) -> anyhow::Result<(Screen, Scene)> {
        let scene = self.scene.borrow().clone();
        drop(self.facts.send(Fact::End));
        let screen = (&mut self.audience)
            .await
            .map_err(|error| anyhow!(error))??;
        Ok((screen, scene))
    }

    /// How long it has been going on.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

/// Takes in every fact and shows what is new, until the show ends.
async fn attend(
    mut facts: UnboundedReceiver<Fact>,
    stage: watch::Sender<Scene>,
    mut screen: Screen,
    start: Instant,
) -> anyhow::Result<Screen> {
    let stage = Arc::new(stage);
    while let Some(fact) = facts.recv().await {
        if matches!(fact, Fact::End) {
            break;
        }
        let tick = matches!(fact, Fact::Tick);
        let at = start.elapsed();
        let mut lines = Vec::new();
        stage.send_modify(|scene| lines = scene.see(fact, at));
        screen.lines(&lines, at)?;
        if tick || !lines.is_empty() {
            screen.block(&stage.borrow())?;
        }
    }
    screen.clear()?;
    Ok(screen)
}
