//! Which Services an environment names.
//!
//! In: environment variables. Out: names that could be Services, from hosts and
//! URLs in the values. A value is looked at while it is parsed and then dropped;
//! what it named is told only where a Service of that name exists, so that no
//! word of a password gets out for looking like a host. A value that is taken
//! from a Secret or `ConfigMap` is never seen at all.
//!
//! How names resolve follows the DNS of Kubernetes: `name`, `name.namespace`,
//! `name.namespace.svc` and whatever follows, each with the name of a pod of a
//! `StatefulSet` before it (<https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/>).
//!
//! Pure: no IO, no clock.

use std::collections::BTreeSet;

use schemas::object::ServiceName;
use serde::Deserialize;

use super::{container::Container, needs::ValueFrom};

/// Longest value that is looked at, in bytes.
const LONGEST: usize = 4096;
/// Hosts that are kept of one value.
const HOSTS: usize = 16;
/// Names that are kept of one pod.
const MOST: usize = 32;
/// Longest host name, in bytes (RFC 1035).
const LONGEST_HOST: usize = 253;

/// Last words of the names of variables whose values are hosts, even without port or scheme.
const TELLS_A_HOST: [&str; 24] = [
    "addr",
    "address",
    "addresses",
    "addrs",
    "backend",
    "backends",
    "broker",
    "brokers",
    "dsn",
    "endpoint",
    "endpoints",
    "host",
    "hostname",
    "hosts",
    "server",
    "servers",
    "service",
    "svc",
    "upstream",
    "upstreams",
    "uri",
    "uris",
    "url",
    "urls",
];

/// An environment variable, without its value.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Raw")]
pub(crate) struct Variable {
    /// Where its value is taken from.
    pub from: Option<ValueFrom>,
    hosts: Vec<Host>,
}

/// A variable as specs write it; gone as soon as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    value_from: Option<ValueFrom>,
}

/// What a host name says of a Service: its name, and its namespace where it is not the pod's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Host {
    name: String,
    namespace: Option<String>,
}

impl From<Raw> for Variable {
    fn from(raw: Raw) -> Self {
        let value = raw.value.as_deref();
        Self {
            hosts: value.map_or_else(Vec::new, |value| hosts(&raw.name, value)),
            from: raw.value_from,
        }
    }
}

/// Every Service that the environments of a pod in `namespace` may name, each once, in order.
pub(crate) fn gather<'a>(
    containers: impl Iterator<Item = &'a Container>,
    namespace: &str,
) -> Vec<ServiceName> {
    let variables = containers.flat_map(|container| &container.env);
    let named = variables.flat_map(|variable| &variable.hosts);
    let found: BTreeSet<ServiceName> = named
        .map(|host| ServiceName {
            namespace: host.namespace.as_deref().unwrap_or(namespace).to_owned(),
            name: host.name.clone(),
        })
        .collect();
    found.into_iter().take(MOST).collect()
}

/// What the value of the variable `name` says of Services.
pub(crate) fn hosts(name: &str, value: &str) -> Vec<Host> {
    if value.len() > LONGEST {
        return Vec::new();
    }
    let parts = value.split(|c: char| c.is_whitespace() || ",;|\"'()[]{}<>".contains(c));
    let found: BTreeSet<Host> = parts
        .filter_map(|part| host_in(part, tells_a_host(name)))
        .flat_map(|host| services(&host))
        .collect();
    found.into_iter().take(HOSTS).collect()
}

/// Whether a variable, or a key within a value, is called as those with a host are.
fn tells_a_host(name: &str) -> bool {
    let last = name.rsplit(|c: char| !c.is_ascii_alphanumeric()).next();
    let last = last.unwrap_or_default().to_ascii_lowercase();
    TELLS_A_HOST.contains(&last.as_str())
}

/// The host in one part of a value: after a scheme or before a port, or alone where `is_host` says that it is one.
fn host_in(part: &str, is_host: bool) -> Option<String> {
    let (rest, has_scheme) = match part.split_once("://") {
        Some((_, rest)) => (rest, true),
        None => (part, false),
    };
    // A key within the value, as in `host=db port=5432`.
    let (rest, is_host) = match rest.split_once('=') {
        Some((key, value)) if !has_scheme => (value, tells_a_host(key)),
        _ => (rest, is_host),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let address = authority.rsplit('@').next().unwrap_or_default();
    let mut split = address.split(':');
    let host = split.next().unwrap_or_default();
    let has_port = match split.next() {
        None => false,
        Some(digits) => {
            let number: u16 = digits.parse().ok().filter(|_| is_number(digits))?;
            number > 0
        }
    };
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_told = has_scheme || has_port || is_host || is_of_cluster(&host);
    (is_told && is_name(&host)).then_some(host)
}

fn is_of_cluster(host: &str) -> bool {
    host.split('.').skip(2).any(|label| label == "svc")
}

/// Whether a text is a host name, and no address.
fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        let all = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        let is_short = !label.is_empty() && label.len() <= 63;
        is_short && label.bytes().all(all) && !label.starts_with('-') && !label.ends_with('-')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    host.len() <= LONGEST_HOST && host.split('.').all(is_label) && !is_number(last)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}

/// The Services that a host name may mean.
fn services(host: &str) -> Vec<Host> {
    let labels: Vec<&str> = host.split('.').collect();
    let of = |name: &str, namespace: Option<&str>| Host {
        name: name.to_owned(),
        namespace: namespace.map(str::to_owned),
    };
    let svc = labels.iter().skip(2).position(|label| *label == "svc");
    if let Some([.., name, namespace]) = svc.and_then(|at| labels.get(..at + 2)) {
        return vec![of(name, Some(namespace))];
    }
    match labels.as_slice() {
        [name] => vec![of(name, None)],
        [pod, name] if is_of_set(pod) => vec![of(pod, Some(name)), of(name, None)],
        [name, namespace] => vec![of(name, Some(namespace))],
        [pod, name, namespace] if is_of_set(pod) => vec![of(name, Some(namespace))],
        _ => Vec::new(),
    }
}

/// Whether a label is called as the pods of a `StatefulSet` are: `kafka-0`.
fn is_of_set(label: &str) -> bool {
    let parts = label.rsplit_once('-');
    parts.is_some_and(|(_, ordinal)| is_number(ordinal))
}

#[cfg(test)]
mod tests;
