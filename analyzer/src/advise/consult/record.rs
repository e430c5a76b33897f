//! What was asked and replied, as every analyzer sees it: a bucket on the bus.
//!
//! In: the digest of a question. Out: the right to ask it, which one analyzer gets once, or the
//! reply that is there. A claim is made before a question is sent and holds the reply afterwards, so
//! that neither a restart nor a second analyzer asks again. Entries expire with the replies.

use jiff::Timestamp;
use runtime::bus::{Bucket, Bus};
use schemas::{advice::Advice, digest};
use serde::{Deserialize, Serialize};

/// The entry of one question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Entry {
    /// When it was claimed.
    pub(super) claimed_at: Timestamp,
    /// What came of it; absent while it is asked.
    pub(super) advice: Option<Advice>,
}

/// A question that this analyzer alone may ask.
#[derive(Debug)]
pub(super) struct Claim {
    key: String,
    claimed_at: Timestamp,
    revision: u64,
}

/// The bucket of one cluster.
#[derive(Clone, Debug)]
pub(super) struct Record {
    bus: Bus,
}

impl Record {
    pub(super) const fn new(bus: Bus) -> Self {
        Self { bus }
    }

    async fn bucket(&self) -> Result<Bucket, runtime::bus::Error> {
        self.bus.asked().await
    }

    /// What is known of a question, without a claim to it.
    ///
    /// # Errors
    /// When the bus does not answer.
    pub(super) async fn known(
        &self,
        advisor: &str,
        question: &str,
    ) -> Result<Option<(Entry, Claim)>, runtime::bus::Error> {
        let key = key(advisor, question);
        let Some((value, revision)) = self.bucket().await?.get(&key).await? else {
            return Ok(None);
        };
        let Ok(entry) = serde_json::from_slice::<Entry>(&value) else {
            tracing::warn!(
                key,
                "an entry of the questions asked cannot be read; it stays until it expires"
            );
            let entry = Entry {
                claimed_at: Timestamp::MAX,
                advice: None,
            };
            let claimed_at = entry.claimed_at;
            return Ok(Some((
                entry,
                Claim {
                    key,
                    claimed_at,
                    revision,
                },
            )));
        };
        let claimed_at = entry.claimed_at;
        Ok(Some((
            entry,
            Claim {
                key,
                claimed_at,
                revision,
            },
        )))
    }

    /// Claims a question at `at`, which one caller alone can; none: another one has it.
    ///
    /// # Errors
    /// When the bus does not answer; then nothing may be asked.
    pub(super) async fn claim(
        &self,
        advisor: &str,
        question: &str,
        at: Timestamp,
    ) -> Result<Option<Claim>, runtime::bus::Error> {
        let key = key(advisor, question);
        let entry = Entry {
            claimed_at: at,
            advice: None,
        };
        let revision = self.bucket().await?.create(&key, encode(&entry)).await?;
        Ok(revision.map(|revision| Claim {
            key,
            claimed_at: at,
            revision,
        }))
    }

    /// Keeps what came of a question that was claimed.
    ///
    /// # Errors
    /// When the bus does not answer, or another analyzer has written meanwhile.
    pub(super) async fn keep(
        &self,
        claim: Claim,
        advice: &Advice,
    ) -> Result<(), runtime::bus::Error> {
        let Claim {
            key,
            claimed_at,
            revision,
        } = claim;
        let entry = Entry {
            claimed_at,
            advice: Some(advice.clone()),
        };
        self.bucket()
            .await?
            .update(&key, encode(&entry), revision)
            .await
    }

    /// Gives a claim back: the question was not answered, and may be asked again.
    ///
    /// # Errors
    /// When the bus does not answer; then it is asked again only when the claim expires.
    pub(super) async fn release(&self, claim: Claim) -> Result<(), runtime::bus::Error> {
        self.bucket()
            .await?
            .remove(&claim.key, claim.revision)
            .await
    }

    /// Publishes a reply for every analyzer. The same reply again changes nothing.
    ///
    /// # Errors
    /// When no ack came in time; whoever asks again finds it in the bucket.
    pub(super) async fn publish(&self, advice: &Advice) -> Result<(), runtime::bus::Error> {
        let subject = self.bus.subjects.advice(&advice.advisor, &advice.question);
        let payload = serde_json::to_vec(advice).map_err(|source| runtime::bus::Error::Encode {
            subject: subject.to_string(),
            source,
        })?;
        let asked = advice.asked_at.to_string();
        let parts = [advice.advisor.as_str(), &advice.question, &asked];
        let id = format!("advice-{}", digest::short(parts, 32));
        let headers = async_nats::HeaderMap::new();
        self.bus
            .publish(&subject, headers, payload.into(), Some(&id))
            .await?;
        Ok(())
    }
}

fn key(advisor: &str, question: &str) -> String {
    // Any text makes a key of the bucket.
    format!("{advisor}.{}", digest::short([advisor, question], 40))
}

fn encode(entry: &Entry) -> bytes::Bytes {
    // An entry of plain fields always has a JSON text.
    serde_json::to_vec(entry).unwrap_or_default().into()
}
