//! The API server's audit log: who wrote what.
//!
//! The kit's policy logs every write by everyone but the control plane's own
//! heartbeats, and no reads. The server waits for the line before it answers,
//! so a write that a client saw succeed is in here.

use jiff::Timestamp;
use serde_json::Value;

/// One write that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Who asked, such as `system:serviceaccount:kubeskippy-system:actuator`.
    pub user: String,
    /// The program that asked, as it calls itself.
    pub user_agent: String,
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// The plural, such as `pods`.
    pub resource: String,
    /// Such as `eviction`, `status` or `scale`; empty for the object itself.
    pub subresource: String,
    /// Empty for objects outside of namespaces.
    pub namespace: String,
    /// Empty where the server made the name up.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: u64,
    /// Asked for as a dry run, so nothing was stored.
    pub dry_run: bool,
    /// When the request came in.
    pub at: Timestamp,
}

/// Entries in the order of the log, to be narrowed down.
#[must_use]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditLog(Vec<AuditEntry>);

impl AuditLog {
    /// Reads the log's lines; a last line that is not whole yet is left out.
    pub fn parse(log: &str) -> Self {
        let entries = log
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        Self(entries.map(entry).collect())
    }

    /// Only what `user` asked for.
    pub fn by_user(self, user: &str) -> Self {
        self.keep(|entry| entry.user == user)
    }

    /// Only what a service account asked for.
    pub fn by_service_account(self, namespace: &str, name: &str) -> Self {
        self.by_user(&format!("system:serviceaccount:{namespace}:{name}"))
    }

    /// Only one verb.
    pub fn with_verb(self, verb: &str) -> Self {
        self.keep(|entry| entry.verb == verb)
    }

    /// Only one resource, its subresources included.
    pub fn of_resource(self, resource: &str) -> Self {
        self.keep(|entry| entry.resource == resource)
    }

    /// Only what lies in one namespace.
    pub fn in_namespace(self, namespace: &str) -> Self {
        self.keep(|entry| entry.namespace == namespace)
    }

    /// Only what was asked for at `at` or later.
    pub fn since(self, at: Timestamp) -> Self {
        self.keep(|entry| entry.at >= at)
    }

    /// Only what changed something: no dry runs, no refusals.
    pub fn effective(self) -> Self {
        self.keep(|entry| !entry.dry_run && (200..300).contains(&entry.code))
    }

    /// Only what `keep` says.
    pub fn keep(mut self, keep: impl FnMut(&AuditEntry) -> bool) -> Self {
        self.0.retain(keep);
        self
    }

    /// What is left.
    pub fn entries(&self) -> &[AuditEntry] {
        &self.0
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn entry(line: &str) -> AuditEntry {
    let event: Value = serde_json::from_str(line).expect("the audit log holds JSON lines");
    let text = |pointer: &str| {
        let value = event.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    AuditEntry {
        user: text("/user/username"),
        user_agent: text("/userAgent"),
        verb: text("/verb"),
        resource: text("/objectRef/resource"),
        subresource: text("/objectRef/subresource"),
        namespace: text("/objectRef/namespace"),
        name: text("/objectRef/name"),
        code: event
            .pointer("/responseStatus/code")
            .and_then(Value::as_u64)
            .unwrap_or_default(),
        dry_run: is_dry_run(&event),
        at: text("/requestReceivedTimestamp")
            .parse()
            .expect("an audit entry has a time"),
    }
}

/// A delete says so in its body, an eviction in the options inside of its body,
/// and the other verbs in the query.
fn is_dry_run(event: &Value) -> bool {
    let bodies = [
        "/requestObject/dryRun",
        "/requestObject/deleteOptions/dryRun",
    ];
    let asks = |pointer: &&str| event.pointer(pointer).is_some_and(|value| !value.is_null());
    let uri = event["requestURI"].as_str().unwrap_or_default();
    bodies.iter().any(asks) || uri.contains("dryRun=")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(verb: &str, uri: &str, code: u16) -> String {
        format!(
            r#"{{"verb":"{verb}","requestURI":"{uri}","user":{{"username":"system:serviceaccount:s:actuator"}},"objectRef":{{"resource":"pods","subresource":"eviction","namespace":"shop","name":"web-1"}},"responseStatus":{{"code":{code}}},"requestReceivedTimestamp":"2026-11-23T09:00:00.123456Z"}}"#
        ) + "\n"
    }

    #[test]
    fn dry_runs_and_refusals_changed_nothing() {
        let log = [
            line("create", "/a", 201),
            line("create", "/a?dryRun=All", 201),
            line("create", "/a", 429),
        ]
        .concat();
        let log = AuditLog::parse(&log).by_service_account("s", "actuator");
        assert_eq!(log.entries().len(), 3);
        let effective = log.effective();
        assert_eq!(effective.entries().len(), 1);
        let [entry] = effective.entries() else {
            panic!("one entry")
        };
        assert_eq!(
            (entry.subresource.as_str(), entry.name.as_str()),
            ("eviction", "web-1")
        );
    }

    #[test]
    fn a_delete_says_in_its_body_that_it_is_a_dry_run() {
        let body = r#"{"requestObject":{"dryRun":["All"]},"verb""#;
        let log = line("delete", "/a", 200).replacen("{\"verb\"", body, 1);
        assert!(AuditLog::parse(&log).effective().is_empty());
        let body = r#"{"requestObject":{"deleteOptions":{"dryRun":["All"]}},"verb""#;
        let log = line("create", "/a", 201).replacen("{\"verb\"", body, 1);
        assert!(AuditLog::parse(&log).effective().is_empty());
    }

    #[test]
    fn a_line_that_is_still_being_written_is_left_out() {
        let whole = line("delete", "/a", 200);
        let log = AuditLog::parse(&format!("{whole}{{\"verb\":\"del"));
        assert_eq!(log.entries().len(), 1);
        assert!(log.by_user("nobody").is_empty());
    }
}
