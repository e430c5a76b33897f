//! Asks models: one task for each, at most one call for each question.
//!
//! In: questions, as the analysis asks them at every tick while it waits. Out: replies on the
//! advice stream, from which every analyzer hears them. A question that does not fit its queue is
//! dropped and counted; it comes again. A model that is down, slow or hostile holds up its own
//! queue and nothing else: the plain policy waits as long as it says and goes on.
//!
//! Nothing is asked without the lease, nor twice: see [`record`]. What calls took is heard from
//! the stream, so that a new leader knows what was spent.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use jiff::Timestamp;
use runtime::{bus::Bus, lease::Lease, shutdown::Shutdown};
use schemas::{advice::Advice, policy::AdvisorState};
use tokio::sync::mpsc;

use self::{ask::Desk, record::Record, seat::Seat};
use super::{
    Question,
    budget::{Call, Limits},
    models::Models,
};
use crate::{analysis::Asked, policies::Policies, telemetry::ModelTelemetry};

mod ask;
mod record;
mod seat;

/// Questions that may wait for one model.
const QUEUE: usize = 32;
/// How long a call that is under way may take when shutdown is requested.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What asking takes beside the models.
#[derive(Debug)]
pub(crate) struct Parts {
    /// Where replies are kept and published.
    pub(crate) bus: Bus,
    /// Who asks.
    pub(crate) lease: Lease,
    /// The policies, for what they allow.
    pub(crate) policies: Policies,
    /// The instruments.
    pub(crate) telemetry: ModelTelemetry,
}

/// The models that can be asked, and their queues.
#[derive(Clone, Debug)]
pub(crate) struct Consultants {
    desk: Arc<Desk>,
    queues: BTreeMap<String, mpsc::Sender<Question>>,
    open: Arc<Mutex<BTreeSet<Key>>>,
}

/// A question that waits or is asked: model, case, policy.
type Key = (String, String, String);

impl Consultants {
    /// Sets every model up; the future asks until shutdown.
    ///
    /// # Errors
    /// When a client cannot be set up.
    pub(crate) fn new(
        models: &Models,
        parts: Parts,
        shutdown: Shutdown,
    ) -> Result<(Self, impl Future<Output = ()> + use<>), reqwest::Error> {
        let Parts {
            bus,
            lease,
            policies,
            telemetry,
        } = parts;
        let seats: Result<Vec<Seat>, _> = models.iter().cloned().map(Seat::new).collect();
        let desk = Arc::new(Desk {
            seats: seats?,
            ledger: Mutex::default(),
            record: Record::new(bus),
            policies,
            lease,
            telemetry,
        });
        let mut consultants = Self {
            desk,
            queues: BTreeMap::new(),
            open: Arc::default(),
        };
        let mut waiting = Vec::new();
        for model in models.iter() {
            let (queue, questions) = mpsc::channel(QUEUE);
            consultants.queues.insert(model.name.clone(), queue);
            waiting.push((model.name.clone(), questions));
        }
        let asking = consultants.clone();
        let run = async move {
            let tasks = waiting.into_iter();
            join_all(tasks.map(|(name, questions)| asking.serve(name, questions, &shutdown))).await;
        };
        Ok((consultants, run))
    }

    /// Puts a question into its model's queue, unless it is there already.
    pub(crate) fn offer(&self, asked: Asked) {
        let Asked { advisor, question } = asked;
        let Some(queue) = self.queues.get(&advisor) else {
            return;
        };
        let key = key(&advisor, &question);
        if !self.open().insert(key.clone()) {
            return;
        }
        if queue.try_send(question).is_err() {
            self.open().remove(&key);
            self.desk.telemetry.count_unasked(&advisor, "QueueFull");
        }
    }

    /// Takes in a reply, of this analyzer or of another one, for what it took.
    pub(crate) fn hear(&self, advice: &Advice) {
        self.desk.books().hear(advice);
    }

    /// Whether each model can be asked.
    pub(crate) fn states(&self, at: Timestamp) -> Vec<AdvisorState> {
        let seats = self.desk.seats.iter();
        let states = seats.map(|seat| {
            let next = Call {
                advisor: seat.config.name.clone(),
                question: String::new(),
                case: String::new(),
                policy_uid: String::new(),
                at,
                tokens: 1,
                cost: 0.0,
            };
            let over = self
                .desk
                .books()
                .check(&next, &seat.config.budget, &Limits::default());
            seat.state(over.err(), at)
        });
        states.collect()
    }

    /// Answers the questions to one model, one after the other.
    async fn serve(
        &self,
        name: String,
        mut questions: mpsc::Receiver<Question>,
        shutdown: &Shutdown,
    ) {
        let Some(seat) = self.desk.seat(&name) else {
            return;
        };
        loop {
            let question = tokio::select! {
                () = shutdown.wait() => return,
                question = questions.recv() => match question {
                    Some(question) => question,
                    None => return,
                },
            };
            tokio::select! {
                () = self.desk.answer(seat, &question) => {}
                () = async { shutdown.wait().await; tokio::time::sleep(LAST_WORDS).await } => return,
            }
            self.open().remove(&key(&name, &question));
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeSet<Key>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(advisor: &str, question: &Question) -> Key {
    (
        advisor.to_owned(),
        question.case.id.clone(),
        question.policy_uid.clone(),
    )
}
