//! The journal holds every transition once, and whatever is done to it shows.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_nats::jetstream::{
    self,
    consumer::{DeliverPolicy, pull::OrderedConfig},
    stream::Stream as Handle,
};
use futures::StreamExt as _;
use harness::{Nats, Program, Shared, Workload, trial, until};
use libtest_mimic::Trial;
use schemas::{
    action::Phase,
    alert::AlertKind,
    envelope::Envelope,
    journal::{Anchor, verify},
    subject::{Stream, Subjects},
};

use crate::{
    remedies::{ask, ended_in, wait_for},
    stack::{Part, SYSTEM, Stack},
};

const SOON: Duration = Duration::from_mins(1);

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(
            "whatever_is_done_to_the_journal_is_found",
            shared,
            whatever_is_done_to_the_journal_is_found,
        ),
        trial(
            "what_a_killed_actuator_left_out_of_the_journal_is_told_once",
            shared,
            what_a_killed_actuator_left_out_of_the_journal_is_told_once,
        ),
        trial(
            "two_writers_never_fork_the_journal",
            shared,
            two_writers_never_fork_the_journal,
        ),
    ]
}

/// A message of the journal: its subject and its bytes.
type Line = (String, Vec<u8>);

/// The journal of a stack, as somebody with every right on NATS sees it.
pub(crate) struct Journal {
    url: String,
    js: jetstream::Context,
    name: String,
}

impl Journal {
    pub(crate) async fn of(stack: &Stack<'_>, url: String) -> Self {
        let client = async_nats::connect(&url).await.expect("NATS answers");
        Self {
            url,
            js: jetstream::new(client),
            name: Subjects::new(&stack.cluster).stream_name(Stream::Journal),
        }
    }

    async fn stream(&self) -> Handle {
        let stream = self.js.get_stream(&self.name).await;
        stream.expect("the journal is there")
    }

    pub(crate) async fn lines(&self) -> Vec<Line> {
        let stream = self.stream().await;
        let count = stream.cached_info().state.messages;
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::All,
            ..OrderedConfig::default()
        };
        let consumer = stream.create_consumer(config).await.expect("a consumer");
        let messages = consumer.messages().await.expect("messages");
        messages
            .take(usize::try_from(count).expect("a small stream"))
            .map(|message| {
                let message = message.expect("a message");
                (message.subject.to_string(), message.payload.to_vec())
            })
            .collect()
            .await
    }

    /// Puts `lines` in the place of the whole journal. Deleting single messages is denied by
    /// the stream itself, so a tamperer has to replace it.
    async fn rewrite(&self, lines: &[Line]) {
        let config = self.stream().await.cached_info().config.clone();
        let deleted = self.js.delete_stream(&self.name).await;
        deleted.expect("the stream is deleted");
        let created = self.js.create_stream(config).await;
        created.expect("the stream is created");
        for (subject, line) in lines {
            let sent = self.js.publish(subject.clone(), line.clone().into()).await;
            sent.expect("sent").await.expect("stored");
        }
    }

    /// The exit code and the words of `kubeskippy journal verify`.
    fn verify(&self, shared: &Shared, stack: &Stack<'_>) -> (i32, String) {
        let config = shared.control_plane().kubeconfig();
        let arguments = [
            "journal",
            "verify",
            "--nats-url",
            &self.url,
            "--cluster",
            &stack.cluster,
            "--kubeconfig",
            config.to_str().expect("a path is text"),
            "--system-namespace",
            SYSTEM,
            "--instance",
            stack.namespace.name(),
        ];
        let mut program = Program::spawn("kubeskippy", &arguments, &[]);
        let code = tokio::task::block_in_place(|| program.wait_exit(SOON));
        (code.expect("it ends"), program.logs())
    }
}

const ACTIONS: &str = "
  - {name: more, type: scale, scaleAction: {direction: up, replicas: 1, maxReplicas: 5}}
  - {name: restart, type: restart, requiresApproval: true}";
const MORE: &str =
    "{name: more, type: scale, scaleAction: {direction: up, replicas: 1, maxReplicas: 5}}";
const RESTART: &str = "{name: restart, type: restart, requiresApproval: true}";

fn apply_policy(stack: &Stack<'_>) {
    stack.namespace.apply(&format!(
        "
apiVersion: kubeskippy.io/v1alpha1
kind: HealingPolicy
metadata: {{name: by-hand}}
spec:
  selector: {{resources: [{{kind: Deployment}}]}}
  triggers:
  - {{name: never, type: event, eventTrigger: {{reason: NeverSeen, type: Warning}}}}
  actions:{ACTIONS}
  safetyRules: {{maxActionsPerHour: 20, maxConcurrent: 5}}
"
    ));
}

async fn acting(stack: &mut Stack<'_>) {
    apply_policy(stack);
    let web = Workload::deployment("web");
    stack.namespace.create_workload(&web);
    stack.ready_pods("app=web", 1).await;
    stack.start_part(Part::Actuator).await;
    stack.ready(Part::Actuator);
}

/// Ends the actuator as Kubernetes does, which anchors what it wrote.
fn terminate(stack: &mut Stack<'_>) {
    let program = &mut stack.part(Part::Actuator).program;
    tokio::task::block_in_place(|| program.terminate(Duration::from_secs(20)));
}

async fn whatever_is_done_to_the_journal_is_found(shared: &Shared) {
    let mut stack = Stack::new(shared, "tampering").await;
    acting(&mut stack).await;
    ask(&stack, "first", MORE, ("Deployment", "web"));
    ended_in(&stack, "first", Phase::Succeeded).await;
    ask(&stack, "gone", MORE, ("Deployment", "nothing"));
    wait_for(&stack, "gone", |status| status.phase.is_final()).await;
    terminate(&mut stack);
    let journal = Journal::of(&stack, shared.nats().url()).await;
    let lines = journal.lines().await;
    assert!(lines.len() >= 4, "{} lines", lines.len());
    let (code, said) = journal.verify(shared, &stack);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains(&format!("anchored up to {}", lines.len())),
        "{said}"
    );

    let mut flipped = lines.clone();
    flipped[1].1[60] ^= 1;
    let mut missing = lines.clone();
    missing.remove(2);
    let mut inserted = lines.clone();
    inserted.insert(3, lines[0].clone());
    let mut cut = lines.clone();
    cut.pop();
    let beheaded = lines[1..].to_vec();
    let cases = [
        (flipped, "line 2 (it says 2): altered"),
        (missing, "line 3 (it says 4): line 3 is missing"),
        (inserted, "line 4 (it says 1): inserted"),
        (beheaded, "line 1 (it says 2): line 1 is missing"),
        (cut.clone(), "is missing"),
    ];
    for (tampered, words) in cases {
        journal.rewrite(&tampered).await;
        let (code, said) = journal.verify(shared, &stack);
        assert_eq!(code, 1, "{words}: {said}");
        assert!(said.contains(words), "{words}: {said}");
    }

    // The chain goes on behind what was cut off, so that more lines do not hide it.
    stack.start_part(Part::Actuator).await;
    stack.ready(Part::Actuator);
    ask(&stack, "later", MORE, ("Deployment", "nothing"));
    wait_for(&stack, "later", |status| status.phase.is_final()).await;
    terminate(&mut stack);
    assert!(journal.lines().await.len() > cut.len());
    let (code, said) = journal.verify(shared, &stack);
    assert_eq!(code, 1, "{said}");
    let gone = lines.len();
    assert!(said.contains(&format!("line {gone} is missing")), "{said}");

    journal.rewrite(&lines).await;
    let (code, said) = journal.verify(shared, &stack);
    assert_eq!(code, 1, "the later line is gone: {said}");
}

/// Phase and reason of each line, by action, in order.
fn stories(lines: &[Line]) -> BTreeMap<String, Vec<String>> {
    let mut stories: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, line) in lines {
        let event: Envelope<serde_json::Value> =
            serde_json::from_slice(line).expect("a line is a CloudEvent");
        let text = |key: &str| event.data[key].as_str().unwrap_or_default().to_owned();
        let story = stories.entry(text("action")).or_default();
        story.push(format!("{} {}", text("phase"), text("reason")));
    }
    stories
}

async fn what_a_killed_actuator_left_out_of_the_journal_is_told_once(shared: &Shared) {
    let mut nats = Nats::start();
    let mut stack = Stack::on_bus(shared, "untold", nats.url()).await;
    acting(&mut stack).await;
    ask(&stack, "told", MORE, ("Deployment", "nothing"));
    wait_for(&stack, "told", |status| status.phase.is_final()).await;
    let journal = Journal::of(&stack, nats.url()).await;
    until("a first line", SOON, async || {
        let lines = journal.lines().await.len();
        if lines > 0 {
            Ok(())
        } else {
            Err("none".to_owned())
        }
    })
    .await;
    // Without a bus, the status is written and nothing can be told: the moment in which a crash hurts.
    nats.kill();
    ask(&stack, "ended", MORE, ("Deployment", "nothing"));
    ask(&stack, "waits", RESTART, ("Deployment", "web"));
    let ended = wait_for(&stack, "ended", |status| status.phase.is_final()).await;
    let waits = wait_for(&stack, "waits", |status| {
        status.phase == Phase::AwaitingApproval
    })
    .await;
    stack.part(Part::Actuator).program.kill_hard();
    nats.restart();

    for round in 0..2 {
        stack.start_part(Part::Actuator).await;
        stack.ready(Part::Actuator);
        until("lines about both actions", SOON, async || {
            let stories = stories(&journal.lines().await);
            let says = |name: &str, status: &schemas::action::HealingActionStatus| {
                let last = stories.get(name).and_then(|story| story.last());
                let reason = status.reason.as_deref().unwrap_or_default();
                last == Some(&format!("{} {reason}", status.phase))
            };
            if says("ended", &ended) && says("waits", &waits) {
                Ok(())
            } else {
                Err(format!("round {round}: {stories:?}; {}", stack.tails()))
            }
        })
        .await;
        terminate(&mut stack);
    }
    told_once(&stack, &journal.lines().await).await;
    let (code, said) = journal.verify(shared, &stack);
    assert_eq!(code, 0, "{said}");
}

/// Neither a line nor an alert came twice, and both alerts came.
async fn told_once(stack: &Stack<'_>, lines: &[Line]) {
    for (action, story) in stories(lines) {
        let mut once = story.clone();
        once.dedup();
        assert_eq!(once, story, "{action} was told twice");
    }
    let alerts = stack.alerts().await;
    let told = |action: &str, kind: AlertKind| {
        let told = alerts
            .iter()
            .filter(|a| a.action == action && a.kind == kind);
        told.count()
    };
    assert_eq!(told("waits", AlertKind::ActionAwaitingApproval), 1);
    let ends = [AlertKind::ActionCancelled, AlertKind::ActionDenied];
    let ends: usize = ends.into_iter().map(|kind| told("ended", kind)).sum();
    assert_eq!(ends, 1, "{alerts:?}");
}

async fn two_writers_never_fork_the_journal(shared: &Shared) {
    let mut one = Stack::new(shared, "writes").await;
    let mut two = Stack::new(shared, "writestoo").await;
    // Two installations that wrongly share one name on the bus.
    two.cluster = one.cluster.clone();
    acting(&mut one).await;
    acting(&mut two).await;
    for number in 0..10 {
        for stack in [&one, &two] {
            let name = format!("a{number}");
            ask(stack, &name, MORE, ("Deployment", "nothing"));
        }
    }
    for stack in [&one, &two] {
        for number in 0..10 {
            let name = format!("a{number}");
            wait_for(stack, &name, |status| status.phase.is_final()).await;
        }
    }
    terminate(&mut one);
    terminate(&mut two);
    let journal = Journal::of(&one, shared.nats().url()).await;
    let lines = journal.lines().await;
    assert!(lines.len() >= 20, "{} lines", lines.len());
    // Each writer remembers the end it left, so each change of hands was a conflict that it had to find.
    let changes = lines.windows(2).filter(|pair| {
        let namespace = |line: &Line| line.0.split('.').nth(3).map(str::to_owned);
        matches!(pair, [before, after] if namespace(before) != namespace(after))
    });
    let changes = changes.count();
    assert!(changes >= 3, "they hardly met: {changes}");
    let bytes = lines.iter().map(|(_, line)| line.as_slice());
    let report = verify(bytes, Anchor::default());
    assert!(report.is_intact(), "{:?}", report.breaks);
    for stack in [&one, &two] {
        let (code, said) = journal.verify(shared, stack);
        assert_eq!(code, 0, "{said}");
    }
}
