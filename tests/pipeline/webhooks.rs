//! A policy's webhook is called once, signed, and nowhere else than it may be.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use harness::{Shared, Workload, trial, until};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, LOCATION};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use libtest_mimic::Trial;
use schemas::action::{HealingAction, HealingActionStatus, Phase};
use schemas::envelope::Envelope;
use schemas::webhook;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{
    remedies::{ask, by_hand_policy, ended_in, writes},
    stack::{Part, Stack},
};

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(
            "a_webhook_is_called_once_and_signed",
            shared,
            a_webhook_is_called_once_and_signed,
        ),
        trial(
            "a_webhook_that_does_not_do_it_fails_the_action",
            shared,
            a_webhook_that_does_not_do_it_fails_the_action,
        ),
        trial(
            "a_webhook_is_called_once_though_the_actuator_is_killed_over_it",
            shared,
            a_webhook_is_called_once_though_the_actuator_is_killed,
        ),
        trial(
            "what_is_not_public_is_not_called_unless_it_is_opened",
            shared,
            what_is_not_public_is_not_called,
        ),
        trial(
            "a_webhook_is_called_over_tls_when_its_certificate_is_trusted",
            shared,
            a_webhook_is_called_over_tls,
        ),
    ]
}

/// What signs, and must show up nowhere.
const TOKEN: &str = "a-token-that-nobody-prints";

/// One request, as it came.
#[derive(Clone, Debug)]
struct Came {
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A real HTTP server that answers by the path: `/ok`, `/fail`, `/moved`, and never for `/hang`.
struct Receiver {
    port: u16,
    came: Arc<Mutex<Vec<Came>>>,
    accepting: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it listens").port();
        let came = Arc::<Mutex<Vec<Came>>>::default();
        let seen = Arc::clone(&came);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                let service = service_fn(move |request| answer(Arc::clone(&seen), request));
                let served = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(served);
            }
        });
        Self {
            port,
            came,
            accepting,
        }
    }

    /// What came for `path`.
    fn came(&self, path: &str) -> Vec<Came> {
        let came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        came.iter()
            .filter(|one| one.path == path)
            .cloned()
            .collect()
    }

    /// An action that calls `path` here.
    fn hook(&self, path: &str, more: &str) -> String {
        let name = path.trim_start_matches('/');
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        custom(name, &url, more)
    }
}

async fn answer(
    seen: Arc<Mutex<Vec<Came>>>,
    request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let body = body.collect().await?.to_bytes();
    let came = Came {
        path: path.clone(),
        headers: head.headers,
        body,
    };
    seen.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(came);
    let mut response = Response::new(Empty::new());
    *response.status_mut() = match path.as_str() {
        "/ok" => StatusCode::ACCEPTED,
        "/moved" => {
            let elsewhere = "/ok".parse().expect("a path is a header");
            response.headers_mut().insert(LOCATION, elsewhere);
            StatusCode::TEMPORARY_REDIRECT
        }
        "/hang" => std::future::pending().await,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Ok(response)
}

fn custom(name: &str, url: &str, more: &str) -> String {
    format!(
        "{{name: {name}, type: custom, customAction: {{timeout: 3s, webhook: {{url: '{url}'{more}}}}}}}"
    )
}

/// A namespace with a policy of `actions`, and a Deployment of the name of each.
async fn set<'a>(shared: &'a Shared, name: &str, actions: &[(&str, &str)]) -> Stack<'a> {
    let stack = Stack::new(shared, name).await;
    let texts: Vec<_> = actions.iter().map(|(_, action)| *action).collect();
    by_hand_policy(&stack, &texts, "");
    for (name, _) in actions {
        let workload = Workload::deployment(name).replicas(1);
        stack.namespace.create_workload(&workload);
    }
    for (name, _) in actions {
        stack.ready_pods(&format!("app={name}"), 1).await;
    }
    stack
}

async fn act(stack: &mut Stack<'_>, options: &[&str]) {
    let actuator = stack.spawn(Part::Actuator, options).await;
    stack.keep(Part::Actuator, actuator);
    stack.ready(Part::Actuator);
}

const OPEN: [&str; 3] = ["--webhook-allow-http", "--webhook-allow", "127.0.0.1"];

fn secrets() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let secret = folder.path().join("hooks");
    std::fs::create_dir(&secret).expect("a folder can be made");
    std::fs::write(secret.join("token"), format!("{TOKEN}\n")).expect("a file can be written");
    folder
}

/// What another implementation than ours makes of the same.
fn signed(timestamp: &str, body: &[u8]) -> String {
    let mut openssl = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", TOKEN])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl runs");
    let mut stdin = openssl.stdin.take().expect("a pipe");
    let text = [timestamp.as_bytes(), b".", body].concat();
    stdin.write_all(&text).expect("openssl reads");
    drop(stdin);
    let output = openssl.wait_with_output().expect("openssl ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let digest = text.split_whitespace().last().unwrap_or_default();
    format!("v1={digest}")
}

/// Asks for a dry run of `hook` on the Deployment `ok`.
fn try_out(stack: &Stack<'_>, name: &str, hook: &str) {
    stack.namespace.apply(&format!(
        "
apiVersion: kubeskippy.io/v1alpha1
kind: HealingAction
metadata: {{name: {name}}}
spec:
  policyName: by-hand
  targetResource: {{kind: Deployment, name: ok}}
  dryRun: true
  action: {hook}
"
    ));
}

/// Headers and body are what docs/remedies.md says of them.
fn is_as_documented(came: &Came, action: &HealingAction) {
    let header = |name: &str| {
        let value = came.headers.get(name).expect("the header is there");
        value.to_str().expect("it is text").to_owned()
    };
    let uid = action.metadata.uid.clone().unwrap_or_default();
    assert_eq!(header(webhook::IDEMPOTENCY_KEY), uid);
    let timestamp = header(webhook::TIMESTAMP);
    assert_eq!(header(webhook::SIGNATURE), signed(&timestamp, &came.body));
    let event: Envelope<webhook::Request> =
        serde_json::from_slice(&came.body).expect("the body is a CloudEvent");
    assert_eq!((event.id, event.kind.as_str()), (uid, webhook::EVENT_TYPE));
    assert_eq!(event.time.as_second().to_string(), timestamp);
    assert_eq!(event.data.target.name, "ok");
    let digest = action.status.as_ref().and_then(|s| s.digest.clone());
    assert_eq!(Some(event.data.plan_digest), digest);
}

async fn a_webhook_is_called_once_and_signed(shared: &Shared) {
    let receiver = Receiver::start().await;
    let hook = receiver.hook("/ok", ", secretName: hooks");
    let unsigned = receiver.hook("/ok", ", secretName: missing");
    let unsigned = unsigned.replace("name: ok", "name: unsigned");
    let actions = [("ok", hook.as_str()), ("unsigned", unsigned.as_str())];
    let mut stack = set(shared, "webhook", &actions).await;
    let secrets = secrets();
    let folder = secrets.path().to_str().expect("a path is text");
    act(
        &mut stack,
        &[&OPEN[..], &["--webhook-secrets", folder]].concat(),
    )
    .await;

    try_out(&stack, "tried", &hook);
    let tried = ended_in(&stack, "tried", Phase::Cancelled).await;
    assert_eq!(tried.reason.as_deref(), Some("DryRun"), "{tried:?}");
    assert!(receiver.came("/ok").is_empty(), "a dry run calls nothing");
    ask(&stack, "unsigned", &unsigned, ("Deployment", "unsigned"));
    let failed = ended_in(&stack, "unsigned", Phase::Failed).await;
    let message = failed.message.unwrap_or_default();
    assert!(
        message.contains("Secret missing is not mounted"),
        "{message}"
    );
    assert!(receiver.came("/ok").is_empty(), "nothing goes unsigned");

    ask(&stack, "done", &hook, ("Deployment", "ok"));
    let status = ended_in(&stack, "done", Phase::Succeeded).await;

    let came = receiver.came("/ok");
    let [came] = came.as_slice() else {
        panic!("called {} times", came.len());
    };
    let actions = stack.actions().await;
    let action = actions
        .iter()
        .find(|action| action.metadata.name.as_deref() == Some("done"))
        .expect("the action is there");
    is_as_documented(came, action);
    // The claim comes before the call, and both are on record.
    let step = &status.plan[0];
    assert!(
        step.began_at.is_some() && step.began_at <= step.done_at,
        "{step:?}"
    );
    let told = format!("{action:?}{}", stack.part(Part::Actuator).program.logs());
    assert!(!told.contains(TOKEN), "the token is told");
    assert!(writes(shared, &stack).is_empty());
}

async fn a_webhook_that_does_not_do_it_fails_the_action(shared: &Shared) {
    let receiver = Receiver::start().await;
    let hooks = ["/fail", "/moved", "/hang"].map(|path| receiver.hook(path, ""));
    let [fail, moved, hang] = hooks.each_ref().map(String::as_str);
    let actions = [("fail", fail), ("moved", moved), ("hang", hang)];
    let mut stack = set(shared, "webhook-fails", &actions).await;
    act(&mut stack, &OPEN).await;

    for (name, hook) in actions {
        ask(&stack, name, hook, ("Deployment", name));
    }
    let says = |status: &HealingActionStatus, reason: &str, text: &str| {
        let message = status.message.clone().unwrap_or_default();
        assert_eq!(status.reason.as_deref(), Some(reason), "{message}");
        assert!(message.contains(text), "{text:?} is not in {message}");
    };
    let failed = ended_in(&stack, "fail", Phase::Failed).await;
    says(&failed, "ExecutionFailed", "answered 500");
    let failed = ended_in(&stack, "moved", Phase::Failed).await;
    says(&failed, "ExecutionFailed", "answered 307");
    let failed = ended_in(&stack, "hang", Phase::Failed).await;
    says(&failed, "AnswerLost", "not known");

    for path in ["/fail", "/moved", "/hang"] {
        let came = receiver.came(path).len();
        assert_eq!(came, 1, "{path} was called {came} times");
    }
    assert!(receiver.came("/ok").is_empty(), "a redirect was followed");
}

async fn a_webhook_is_called_once_though_the_actuator_is_killed(shared: &Shared) {
    let receiver = Receiver::start().await;
    let hang = receiver
        .hook("/hang", "")
        .replace("timeout: 3s", "timeout: 30s");
    let mut stack = set(shared, "webhook-kill", &[("hang", &hang)]).await;
    act(&mut stack, &OPEN).await;
    ask(&stack, "hang", &hang, ("Deployment", "hang"));
    until("the call", Duration::from_mins(1), async || {
        let came = receiver.came("/hang").len();
        (came > 0).then_some(()).ok_or_else(|| stack.tails())
    })
    .await;

    stack.part(Part::Actuator).program.kill_hard();
    act(&mut stack, &OPEN).await;

    let status = ended_in(&stack, "hang", Phase::Failed).await;
    assert_eq!(status.reason.as_deref(), Some("AnswerLost"), "{status:?}");
    assert_eq!(receiver.came("/hang").len(), 1);
}

async fn what_is_not_public_is_not_called(shared: &Shared) {
    let receiver = Receiver::start().await;
    let address = receiver
        .hook("/ok", "")
        .replace("name: ok", "name: address");
    let by_name = receiver.hook("/ok", "").replace("127.0.0.1", "localhost");
    let metadata = custom("metadata", "http://169.254.169.254/latest/meta-data/", "");
    let actions = [
        ("address", address.as_str()),
        ("ok", by_name.as_str()),
        ("metadata", metadata.as_str()),
    ];
    let mut stack = set(shared, "webhook-shut", &actions).await;
    act(&mut stack, &["--webhook-allow-http"]).await;

    for (name, hook) in actions {
        ask(&stack, name, hook, ("Deployment", name));
    }
    for name in ["address", "metadata"] {
        let refused = ended_in(&stack, name, Phase::Denied).await;
        let reason = refused.reason.as_deref();
        assert_eq!(reason, Some("WebhookNotAllowed"), "{refused:?}");
    }
    // What a name stands for shows only when it is about to be called.
    let refused = ended_in(&stack, "ok", Phase::Failed).await;
    let message = refused.message.unwrap_or_default();
    assert!(message.contains("which is not public"), "{message}");
    assert!(receiver.came("/ok").is_empty());
}

/// The API server itself is a receiver with a certificate; it does not know what it is asked, and says so.
async fn a_webhook_is_called_over_tls(shared: &Shared) {
    let kubeconfig = shared.control_plane().kubeconfig();
    let text = std::fs::read_to_string(kubeconfig).expect("a kubeconfig can be read");
    let after = |word: &str| {
        let rest = text.split_once(word).expect("the kubeconfig says it").1;
        let end = rest.split(['"', '}', ',', '\n']).next();
        end.unwrap_or_default().trim().to_owned()
    };
    let server = after("server: \"");
    let authority = after("certificate-authority: ");
    let hook = |name: &str| custom(name, &format!("{server}/apis/none"), "");
    let (trusted, strange) = (hook("trusted"), hook("strange"));
    let actions = [("trusted", trusted.as_str()), ("strange", strange.as_str())];
    let mut stack = set(shared, "webhook-tls", &actions).await;
    let opened = ["--webhook-allow", "127.0.0.0/8"];

    act(&mut stack, &opened).await;
    ask(&stack, "strange", &strange, ("Deployment", "strange"));
    let failed = ended_in(&stack, "strange", Phase::Failed).await;
    let message = failed.message.unwrap_or_default();
    assert!(message.contains("invalid peer certificate"), "{message}");

    stack.part(Part::Actuator).program.kill_hard();
    act(
        &mut stack,
        &[&opened[..], &["--webhook-ca", &authority]].concat(),
    )
    .await;
    ask(&stack, "trusted", &trusted, ("Deployment", "trusted"));
    let failed = ended_in(&stack, "trusted", Phase::Failed).await;
    let message = failed.message.unwrap_or_default();
    assert!(message.contains("answered 40"), "{message}");
}
