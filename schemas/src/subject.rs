//! Every subject and stream name on the bus.
//!
//! In: the cluster's name and what a message is about. Out: the subject it
//! travels on. Names are built here and nowhere else, so that a publisher and
//! its subscribers cannot disagree about one.
//!
//! One NATS account can carry a whole fleet, so the cluster is in every
//! subject and in every stream's name. Kubernetes names may hold dots, which
//! would split a token: [`encode`] makes one token of any text.
//!
//! Pure: no IO, no clock.

use std::fmt::{self, Write as _};

/// A subject on which one kind of message is published.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(String);

impl Subject {
    /// The subject as the bus spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The streams of one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Arrow record batches, one per shard and scrape.
    Samples,
    /// The present state of Kubernetes objects, one message per change.
    Objects,
    /// Kubernetes Events as they happened.
    Events,
    /// What the analyzer last saw of the targets of open actions.
    Observations,
    /// What people and other systems are told.
    Alerts,
    /// The audit trail.
    Journal,
    /// What models replied, the last reply to each question.
    Advice,
}

impl Stream {
    /// Every stream, in the order in which they are created.
    pub const ALL: [Self; 7] = [
        Self::Samples,
        Self::Objects,
        Self::Events,
        Self::Observations,
        Self::Alerts,
        Self::Journal,
        Self::Advice,
    ];

    /// The token that stands for the stream in subjects and stream names.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Objects => "objects",
            Self::Events => "events",
            Self::Observations => "observations",
            Self::Alerts => "alerts",
            Self::Journal => "journal",
            Self::Advice => "advice",
        }
    }
}

/// The names of one cluster on the bus.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subjects {
    cluster: String,
}

impl Subjects {
    /// The names for `cluster`, which may be any text.
    pub fn new(cluster: &str) -> Self {
        Self {
            cluster: encode(cluster),
        }
    }

    /// The JetStream name of `stream`.
    pub fn stream_name(&self, stream: Stream) -> String {
        format!("kubeskippy-{}-{}", self.cluster, stream.token())
    }

    /// The filter that matches every subject of `stream`.
    pub fn all(&self, stream: Stream) -> Subject {
        Subject(format!("kubeskippy.{}.{}.>", self.cluster, stream.token()))
    }

    /// Where the samples of `shard` travel.
    pub fn samples(&self, shard: u32) -> Subject {
        self.of(Stream::Samples, &[&shard.to_string()])
    }

    /// Where the state of one object travels.
    pub fn object(&self, kind: &str, namespace: &str, name: &str) -> Subject {
        self.of(Stream::Objects, &[&kind.to_lowercase(), namespace, name])
    }

    /// Where the Kubernetes Events of `namespace` travel.
    pub fn event(&self, namespace: &str) -> Subject {
        self.of(Stream::Events, &[namespace])
    }

    /// Where the analyzer reports on the target of one open action.
    pub fn observation(&self, namespace: &str, action: &str) -> Subject {
        self.of(Stream::Observations, &[namespace, action])
    }

    /// Where alerts of one policy travel.
    pub fn alert(&self, severity: &str, namespace: &str, policy: &str) -> Subject {
        self.of(Stream::Alerts, &[severity, namespace, policy])
    }

    /// Where the audit trail of one namespace's actions travels.
    pub fn journal(&self, namespace: &str, action: &str) -> Subject {
        self.of(Stream::Journal, &[namespace, action])
    }

    /// Where an advisor's reply to one question travels.
    pub fn advice(&self, advisor: &str, question: &str) -> Subject {
        self.of(Stream::Advice, &[advisor, question])
    }

    /// The bucket of the questions that models were asked. Names of buckets hold letters, digits, `-`
    /// and `_` alone, so that any other byte of the cluster's name is `_` and two hex digits.
    pub fn asked_bucket(&self) -> String {
        let cluster = self.cluster.replace('_', "%5F").replace('%', "_");
        format!("kubeskippy-{cluster}-asked")
    }

    fn of(&self, stream: Stream, tokens: &[&str]) -> Subject {
        let mut subject = format!("kubeskippy.{}.{}", self.cluster, stream.token());
        for token in tokens {
            subject.push('.');
            subject.push_str(&encode(token));
        }
        Subject(subject)
    }
}

/// Writes any text as one subject token: letters, digits, `-` and `_` stand for
/// themselves, every other byte becomes `%` and two hex digits, and the empty
/// text (the namespace of a cluster-wide object) becomes a lone `%`.
pub fn encode(text: &str) -> String {
    if text.is_empty() {
        return "%".to_owned();
    }
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut token, byte| {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
                token.push(char::from(byte));
            } else {
                // Writing to a string cannot fail.
                let _infallible = write!(token, "%{byte:02X}");
            }
            token
        })
}

/// Reads a token that [`encode`] wrote; `None` when it did not.
pub fn decode(token: &str) -> Option<String> {
    if token == "%" {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |b: u8| char::from(b).to_digit(16);
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_dot_in_a_name_does_not_split_a_token() {
        let subject = Subjects::new("prod.eu").object("Pod", "shop", "web.v1-x2");
        assert_eq!(
            subject.as_str(),
            "kubeskippy.prod%2Eeu.objects.pod.shop.web%2Ev1-x2"
        );
    }

    #[test]
    fn an_object_of_the_whole_cluster_keeps_its_place() {
        let subject = Subjects::new("c").object("Node", "", "n1");
        assert_eq!(subject.as_str(), "kubeskippy.c.objects.node.%.n1");
    }

    proptest! {
        #[test]
        fn buckets_of_different_clusters_differ_and_are_well_named(one in ".{1,12}", other in ".{1,12}") {
            let bucket = |cluster: &str| Subjects::new(cluster).asked_bucket();
            prop_assert_eq!(bucket(&one) == bucket(&other), one == other);
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            prop_assert!(bucket(&one).chars().all(fits));
        }

        #[test]
        fn any_text_is_one_token_and_reads_back(text in ".*") {
            let token = encode(&text);
            prop_assert!(!token.is_empty() && !token.contains(['.', '*', '>', ' ']));
            prop_assert_eq!(decode(&token), Some(text));
        }
    }
}
