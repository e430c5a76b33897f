//! A bucket of the bus: keys that one writer claims, and values that change by revision.

use std::time::Duration;

use async_nats::jetstream::{self, kv, stream::StorageType};
use bytes::Bytes;

use super::{Bus, Error};

/// How long an entry is kept: as long as the replies on the advice stream.
const KEPT: Duration = Duration::from_hours(24 * 7);

/// A bucket of key and value.
#[derive(Clone, Debug)]
pub struct Bucket(kv::Store);

impl Bus {
    /// The questions that models were asked, by digest. It is made when it is missing.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn asked(&self) -> Result<Bucket, Error> {
        let bucket = self.subjects.asked_bucket();
        match self.js.get_key_value(&bucket).await {
            Ok(store) => return Ok(Bucket(store)),
            Err(error) if error.kind() == jetstream::context::KeyValueErrorKind::GetBucket => {}
            Err(error) => return Err(wrap(&bucket)(error)),
        }
        let config = kv::Config {
            bucket: bucket.clone(),
            description: "KubeSkippy: questions that models were asked".to_owned(),
            history: 1,
            max_age: KEPT,
            max_bytes: i64::from(self.args.stream_megabytes) * 1024 * 1024,
            storage: StorageType::File,
            num_replicas: usize::from(self.args.stream_replicas),
            ..kv::Config::default()
        };
        let store = self.js.create_key_value(config).await;
        store.map(Bucket).map_err(wrap(&bucket))
    }
}

impl Bucket {
    /// The value of a key and its revision.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn get(&self, key: &str) -> Result<Option<(Bytes, u64)>, Error> {
        let entry = self.0.entry(key).await.map_err(wrap(key))?;
        let present = entry.filter(|entry| entry.operation == kv::Operation::Put);
        Ok(present.map(|entry| (entry.value, entry.revision)))
    }

    /// Creates a key and returns its revision; none when it is there already.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn create(&self, key: &str, value: Bytes) -> Result<Option<u64>, Error> {
        match self.0.create(key, value).await {
            Ok(revision) => Ok(Some(revision)),
            Err(error) if error.kind() == kv::CreateErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(wrap(key)(error)),
        }
    }

    /// Changes a key that nobody has changed since `revision`.
    ///
    /// # Errors
    /// When somebody has, or the server does not answer.
    pub async fn update(&self, key: &str, value: Bytes, revision: u64) -> Result<(), Error> {
        let updated = self.0.update(key, value, revision).await;
        updated.map(drop).map_err(wrap(key))
    }

    /// Removes a key that nobody has changed since `revision`.
    ///
    /// # Errors
    /// When somebody has, or the server does not answer.
    pub async fn remove(&self, key: &str, revision: u64) -> Result<(), Error> {
        let removed = self.0.delete_expect_revision(key, Some(revision)).await;
        removed.map_err(wrap(key))
    }
}

fn wrap<E: std::error::Error + Send + Sync + 'static>(key: &str) -> impl Fn(E) -> Error {
    let key = key.to_owned();
    move |source| Error::Bucket {
        key: key.clone(),
        source: Box::new(source),
    }
}
