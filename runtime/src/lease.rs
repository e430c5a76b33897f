//! One of several replicas holds a Kubernetes Lease and acts; the others wait.
//!
//! A lease does not fence: a holder that was stopped may wake up believing in
//! it. [`Lease::holds`] therefore looks at the local monotonic clock at every
//! call and ends before the others may take over; and every effect carries
//! preconditions of its own. What must not be promised twice is noted on the
//! lease object itself, at the version that was read with its holder: whoever
//! lost the lease cannot note anything more, and the next holder reads it.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease as LeaseObject, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::{sync::watch, time::Instant};

use crate::{chain, clock, shutdown::Shutdown};

mod decide;

use decide::{Observed, Step, decide};

/// Which lease, and for how long.
#[derive(Clone, Debug, Args)]
pub struct LeaseArgs {
    /// Namespace of the leases: KubeSkippy's own.
    #[arg(
        long,
        env = "KUBESKIPPY_NAMESPACE",
        default_value = "kubeskippy-system"
    )]
    pub lease_namespace: String,

    /// Seconds after which another replica may take over from a holder that is gone.
    #[arg(long, env = "KUBESKIPPY_LEASE_SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u16).range(3..=600))]
    pub lease_seconds: u16,

    /// Name of this installation, when several share a cluster; part of the leases' names.
    #[arg(long, env = "KUBESKIPPY_INSTANCE")]
    pub instance: Option<String>,

    /// Who this replica is. Left out: the host's name and the process id.
    #[arg(long, env = "KUBESKIPPY_IDENTITY")]
    pub identity: Option<String>,
}

/// A replica's hold on the lease, or its wait for it.
#[derive(Clone, Debug)]
pub struct Lease {
    held_until: watch::Receiver<Option<Instant>>,
    known: watch::Receiver<bool>,
    api: Api<LeaseObject>,
    name: String,
    identity: String,
}

/// The annotation that holds the notes.
const NOTES: &str = "kubeskippy.io/notes";

/// What is noted on a lease that this replica holds.
#[derive(Debug)]
pub struct Notes {
    lease: LeaseObject,
}

impl Notes {
    /// The text; empty before the first.
    pub fn text(&self) -> &str {
        let notes = self.lease.metadata.annotations.as_ref();
        notes
            .and_then(|notes| notes.get(NOTES))
            .map_or("", |text| text)
    }
}

impl Lease {
    /// Starts to compete for the lease `name` until shutdown, when it is given back.
    pub fn start(client: Client, name: &str, args: &LeaseArgs, shutdown: Shutdown) -> Self {
        let (held, held_until) = watch::channel(None);
        let (know, known) = watch::channel(false);
        let LeaseArgs {
            lease_namespace,
            lease_seconds,
            instance,
            identity,
        } = args;
        let competitor = Competitor {
            api: Api::namespaced(client, lease_namespace),
            name: match instance {
                Some(instance) => format!("{name}-{instance}"),
                None => name.to_owned(),
            },
            identity: identity.clone().unwrap_or_else(default_identity),
            duration: Duration::from_secs(u64::from(*lease_seconds)),
            held,
            know,
        };
        let lease = Self {
            held_until,
            known,
            api: competitor.api.clone(),
            name: competitor.name.clone(),
            identity: competitor.identity.clone(),
        };
        tokio::spawn(competitor.run(shutdown));
        lease
    }

    /// Reads what is noted on the lease; `None` when another replica holds it.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn notes(&self) -> Result<Option<Notes>, kube::Error> {
        let lease = self.api.get(&self.name).await?;
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_ref());
        let is_ours = self.holds() && holder == Some(&self.identity);
        Ok(is_ours.then_some(Notes { lease }))
    }

    /// Notes `text` in the place of what was read; false when the lease has been written since,
    /// by its renewal or by another holder, so that it has to be read again.
    ///
    /// # Errors
    /// When the API server does not answer; the text may have been noted then.
    pub async fn note(&self, notes: Notes, text: &str) -> Result<bool, kube::Error> {
        let Notes { mut lease } = notes;
        let marks = lease.metadata.annotations.get_or_insert_default();
        marks.insert(NOTES.to_owned(), text.to_owned());
        let how = PostParams::default();
        conflict_is_loss(self.api.replace(&self.name, &how, &lease).await)
    }

    /// The UID of the lease object, the same for every replica; `None` before the first has made it.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn uid(&self) -> Result<Option<String>, kube::Error> {
        let lease = self.api.get_opt(&self.name).await?;
        Ok(lease.and_then(|lease| lease.metadata.uid))
    }

    /// Whether this replica may act now.
    pub fn holds(&self) -> bool {
        self.held_until
            .borrow()
            .is_some_and(|until| Instant::now() < until)
    }

    /// Whether it is known who holds the lease: this replica or another.
    pub fn is_known(&self) -> bool {
        *self.known.borrow()
    }

    /// Waits until the hold may have changed; a renewal counts.
    pub async fn changed(&mut self) {
        if self.held_until.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the lease was given back after shutdown, so that a successor need not wait for its end.
    pub async fn given_back(&mut self) {
        while self.held_until.changed().await.is_ok() {}
    }
}

fn default_identity() -> String {
    let host = std::env::var("HOSTNAME")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .unwrap_or_default();
    format!("{}-{}", host.trim(), std::process::id())
}

/// How often a renewal is tried that others' writes come in the way of.
const TRIES: usize = 5;

/// The task behind a [`Lease`].
struct Competitor {
    api: Api<LeaseObject>,
    name: String,
    identity: String,
    duration: Duration,
    held: watch::Sender<Option<Instant>>,
    know: watch::Sender<bool>,
}

impl Competitor {
    async fn run(self, shutdown: Shutdown) {
        let mut observed = Observed::default();
        let pause = self.duration / 4;
        loop {
            let attempt = Instant::now();
            match tokio::time::timeout(self.duration / 2, self.pass(&mut observed, attempt)).await {
                Ok(Ok(holds)) => self.announce(holds.then(|| attempt + self.duration * 2 / 3)),
                Ok(Err(error)) => {
                    tracing::warn!(
                        lease = self.name,
                        error = chain(&error),
                        "lease not renewed"
                    );
                    self.announce_expiry();
                }
                Err(_) => {
                    tracing::warn!(lease = self.name, error = "timed out", "lease not renewed");
                    self.announce_expiry();
                }
            }
            tokio::select! {
                () = shutdown.wait() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.give_back().await;
    }

    /// Tells waiters when a failed renewal let the hold run out.
    fn announce_expiry(&self) {
        let expired = self
            .held
            .borrow()
            .is_some_and(|until| until <= Instant::now());
        if expired {
            self.announce(None);
        }
    }

    fn announce(&self, until: Option<Instant>) {
        let held = self.held.borrow().is_some();
        if held != until.is_some() {
            let state = if until.is_some() {
                "holding"
            } else {
                "standing by"
            };
            tracing::info!(lease = self.name, identity = self.identity, state, "lease");
        }
        self.know.send_replace(true);
        self.held.send_replace(until);
    }

    /// Reads the lease and takes or renews it if that is due. Whether it is held afterwards.
    async fn pass(&self, observed: &mut Observed, at: Instant) -> Result<bool, kube::Error> {
        // A note by this very replica moves the version too, so a conflict is looked at again.
        for _ in 0..TRIES {
            if self.compete(observed, at).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn compete(&self, observed: &mut Observed, at: Instant) -> Result<bool, kube::Error> {
        let Some(lease) = self.api.get_opt(&self.name).await? else {
            let fresh = self.object(None, clock::now(), &self.identity);
            let created = self.api.create(&PostParams::default(), &fresh).await;
            return conflict_is_loss(created);
        };
        observed.see(&lease, at);
        match decide(&lease, observed, &self.identity, at) {
            Step::Take => {
                let taken = self.object(Some(&lease), clock::now(), &self.identity);
                let how = PostParams::default();
                conflict_is_loss(self.api.replace(&self.name, &how, &taken).await)
            }
            Step::Wait => Ok(false),
        }
    }

    /// The lease as `holder` would write it over `previous`.
    fn object(&self, previous: Option<&LeaseObject>, now: Timestamp, holder: &str) -> LeaseObject {
        let spec = previous.and_then(|lease| lease.spec.as_ref());
        let same = spec.is_some_and(|spec| spec.holder_identity.as_deref() == Some(holder));
        let transitions = spec.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        let acquired = spec
            .filter(|_| same)
            .and_then(|spec| spec.acquire_time.clone())
            .unwrap_or(MicroTime(now));
        LeaseObject {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                resource_version: previous
                    .and_then(|lease| lease.metadata.resource_version.clone()),
                annotations: previous.and_then(|lease| lease.metadata.annotations.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: i32::try_from(self.duration.as_secs()).ok(),
                acquire_time: Some(acquired),
                renew_time: Some(MicroTime(now)),
                lease_transitions: Some(if same {
                    transitions
                } else {
                    transitions.saturating_add(1)
                }),
                ..LeaseSpec::default()
            }),
        }
    }

    /// Lets the next replica take over at once.
    async fn give_back(&self) {
        let held = self.held.borrow().is_some();
        self.announce(None);
        if !held {
            return;
        }
        let release = async {
            let lease = self.api.get(&self.name).await?;
            let mine = lease
                .spec
                .as_ref()
                .is_some_and(|spec| spec.holder_identity.as_deref() == Some(&self.identity));
            if mine {
                let free = self.object(Some(&lease), clock::now(), "");
                self.api
                    .replace(&self.name, &PostParams::default(), &free)
                    .await?;
            }
            Ok::<_, kube::Error>(())
        };
        match tokio::time::timeout(Duration::from_secs(2), release).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "lease not given back"),
            Err(_) => tracing::warn!(error = "timed out", "lease not given back"),
        }
    }
}

/// A conflict means that another replica was quicker.
fn conflict_is_loss(answer: Result<LeaseObject, kube::Error>) -> Result<bool, kube::Error> {
    match answer {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}
