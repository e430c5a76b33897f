//! Asks the API server at short intervals whether it is there.
//!
//! An idle watch does not notice for minutes that its server is gone.

use std::time::Duration;

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use kube::Client;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Source;
use crate::reading::Reading;

/// How often the server is asked, and how long it may take to answer.
const EVERY: Duration = Duration::from_secs(5);

/// Asks whether the API server is there.
pub struct Heartbeat {
    client: Client,
}

impl Heartbeat {
    /// A heartbeat of the server behind `client`.
    pub const fn new(client: Client) -> Self {
        Self { client }
    }
}

impl Source for Heartbeat {
    fn readings(self: Box<Self>) -> BoxStream<'static, Reading> {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        stream::unfold((self.client, ticks), |(client, mut ticks)| async {
            ticks.tick().await;
            let answer = timeout(EVERY, client.apiserver_version()).await;
            let answers = matches!(answer, Ok(Ok(_)));
            Some((Reading::Answers(answers), (client, ticks)))
        })
        .boxed()
    }
}
