//! What a request asks of the API server, read from its method, path and body.
//!
//! Pure: no IO, no clock.

use serde_json::Value;

/// One request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// `get`, `list`, `watch`, `create`, `update`, `patch` or `delete`.
    pub verb: &'static str,
    /// The plural, such as `pods`.
    pub resource: String,
    /// Such as `eviction`, `status` or `scale`; empty for the object itself.
    pub subresource: String,
    /// Empty for objects outside of namespaces.
    pub namespace: String,
    /// Empty for lists and creations.
    pub name: String,
    /// Whether nothing is to be stored.
    pub dry_run: bool,
    /// `status.phase` of what is written, where there is one.
    pub phase: String,
}

/// Kinds of requests that are troubled alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// One object, or a list.
    Read,
    /// A watch.
    Watch,
    /// A lease.
    Lease,
    /// A status.
    Status,
    /// A dry run of an effect.
    Trial,
    /// What the program is for.
    Effect,
    /// Anything else, such as Events.
    Other,
}

impl Class {
    /// What stores something that counts.
    pub const WRITES: [Self; 3] = [Self::Status, Self::Trial, Self::Effect];

    /// All that there is.
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Watch,
        Self::Lease,
        Self::Status,
        Self::Trial,
        Self::Effect,
        Self::Other,
    ];
}

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// A pod is evicted.
    Evict,
    /// Fields are changed.
    Patch,
    /// The number of replicas is set.
    Scale,
    /// An object is deleted.
    Delete,
}

/// A write that a test can point at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Write {
    /// A status with this phase.
    Status(String),
    /// The dry run of an effect.
    Trial(Effect),
    /// An effect.
    Effect(Effect),
}

/// Whether the API server has seen the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Not yet.
    Before,
    /// It has answered, and the answer is on its way.
    After,
}

/// An instant in the life of a write.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// Before or after the API server saw it.
    pub side: Side,
    /// Which write.
    pub write: Write,
}

impl Label {
    /// Just before a write.
    pub fn before(write: Write) -> Self {
        let side = Side::Before;
        Self { side, write }
    }

    /// Just after a write.
    pub fn after(write: Write) -> Self {
        let side = Side::After;
        Self { side, write }
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = match self.side {
            Side::Before => "before",
            Side::After => "after",
        };
        match &self.write {
            Write::Status(phase) => write!(f, "{side} status {phase}"),
            Write::Trial(effect) => write!(f, "{side} dry run of {effect:?}"),
            Write::Effect(effect) => write!(f, "{side} {effect:?}"),
        }
    }
}

impl Asked {
    /// Reads a request.
    pub fn read(method: &str, path: &str, query: &str, body: &[u8]) -> Self {
        let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let rest = match segments.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
            _ => &[],
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            _ => ("", rest),
        };
        let part = |index: usize| rest.get(index).copied().unwrap_or_default().to_owned();
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let name = part(1);
        let verb = match method {
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" => "delete",
            _ if query.contains("watch=") => "watch",
            _ if name.is_empty() => "list",
            _ => "get",
        };
        let options = ["/dryRun", "/deleteOptions/dryRun"];
        let asks = |pointer: &&str| body.pointer(pointer).is_some_and(|value| !value.is_null());
        let phase = body.pointer("/status/phase").and_then(Value::as_str);
        Self {
            verb,
            resource: part(0),
            subresource: part(2),
            namespace: namespace.to_owned(),
            name,
            dry_run: query.contains("dryRun=") || options.iter().any(asks),
            phase: phase.unwrap_or_default().to_owned(),
        }
    }

    /// Whether it reads one object or a list.
    pub fn is_read(&self) -> bool {
        matches!(self.verb, "get" | "list")
    }

    /// Whether it lists objects of all namespaces.
    pub fn is_over_all(&self) -> bool {
        self.verb == "list" && self.namespace.is_empty()
    }

    /// Which write it is, if it is one that can be pointed at.
    pub fn write(&self) -> Option<Write> {
        if matches!(self.resource.as_str(), "events" | "leases") {
            return None;
        }
        let effect = match (self.verb, self.subresource.as_str()) {
            ("update" | "patch", "status") => return Some(Write::Status(self.phase.clone())),
            ("create", "eviction") => Effect::Evict,
            ("patch", "") => Effect::Patch,
            ("update" | "patch", "scale") => Effect::Scale,
            ("delete", "") => Effect::Delete,
            _ => return None,
        };
        Some(if self.dry_run {
            Write::Trial(effect)
        } else {
            Write::Effect(effect)
        })
    }

    /// Among which requests it counts.
    pub fn class(&self) -> Class {
        match self.write() {
            Some(Write::Status(_)) => Class::Status,
            Some(Write::Trial(_)) => Class::Trial,
            Some(Write::Effect(_)) => Class::Effect,
            None if self.resource == "leases" => Class::Lease,
            None if self.verb == "watch" => Class::Watch,
            None if self.is_read() => Class::Read,
            None => Class::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PODS: &str = "/api/v1/namespaces/shop/pods";

    fn asked(method: &str, uri: &str, body: &str) -> Asked {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        Asked::read(method, path, query, body.as_bytes())
    }

    #[test]
    fn an_eviction_and_its_dry_run_are_told_apart() {
        let path = format!("{PODS}/web-1/eviction");
        let real = asked("POST", &path, r#"{"deleteOptions":{}}"#);
        assert_eq!(real.write(), Some(Write::Effect(Effect::Evict)));
        assert_eq!(
            (real.name.as_str(), real.namespace.as_str()),
            ("web-1", "shop")
        );
        let trial = asked("POST", &format!("{path}?dryRun=All"), "{}");
        assert_eq!(trial.write(), Some(Write::Trial(Effect::Evict)));
        let trial = asked("POST", &path, r#"{"deleteOptions":{"dryRun":["All"]}}"#);
        assert_eq!(trial.class(), Class::Trial);
        let trial = asked("DELETE", &format!("{PODS}/web-1"), r#"{"dryRun":["All"]}"#);
        assert_eq!(trial.write(), Some(Write::Trial(Effect::Delete)));
    }

    #[test]
    fn a_status_is_known_by_its_phase() {
        let path = "/apis/kubeskippy.io/v1alpha1/namespaces/shop/healingactions/x/status";
        let status = asked("PUT", path, r#"{"status":{"phase":"InProgress"}}"#);
        assert_eq!(status.write(), Some(Write::Status("InProgress".to_owned())));
        let label = Label::after(Write::Status("InProgress".to_owned()));
        assert_eq!(label.to_string(), "after status InProgress");
    }

    #[test]
    fn what_is_no_write_that_counts_has_a_class_all_the_same() {
        let lease = "/apis/coordination.k8s.io/v1/namespaces/s/leases/x";
        let events = "/apis/events.k8s.io/v1/namespaces/s/events/x";
        assert_eq!(asked("PUT", lease, "{}").class(), Class::Lease);
        assert_eq!(asked("PATCH", events, "{}").class(), Class::Other);
        assert_eq!(asked("GET", PODS, "").class(), Class::Read);
        assert_eq!(
            asked("GET", &format!("{PODS}?watch=true"), "").class(),
            Class::Watch
        );
        let namespace = asked("GET", "/api/v1/namespaces/shop", "");
        assert_eq!((namespace.verb, namespace.name.as_str()), ("get", "shop"));
    }
}
