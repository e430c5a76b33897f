//! Which objects a policy selects.
//!
//! In: the selector of a policy. Out: a test for one object, or the reason why
//! the selector makes no sense.
//!
//! Pure: no IO, no clock.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use schemas::{object::ObjectState, policy::Selector, target::Target};

/// Objects of some kinds, in some namespaces, with some labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    namespaces: BTreeSet<String>,
    labels: Vec<Requirement>,
    kinds: Vec<Kind>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    api_version: Option<String>,
    name: String,
    exclude: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, BTreeSet<String>),
    NotIn(String, BTreeSet<String>),
    Exists(String),
    DoesNotExist(String),
}

/// Why a selector is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A policy outside the system namespace names other namespaces.
    #[error(
        "selector.namespaces names {namespace:?}, but only a policy in the namespace {system:?} may act outside its own: move the policy there, or leave selector.namespaces out"
    )]
    ForeignNamespace {
        /// The namespace it names.
        namespace: String,
        /// Where such a policy has to live.
        system: String,
    },
    /// A policy outside the system namespace selects nodes.
    #[error(
        "selector.resources names the kind Node, which belongs to no namespace: move the policy to the namespace {system:?}"
    )]
    ClusterScoped {
        /// Where such a policy has to live.
        system: String,
    },
    /// A label requirement has an operator that Kubernetes does not know.
    #[error("labelSelector has the operator {operator:?}: write In, NotIn, Exists or DoesNotExist")]
    Operator {
        /// What is written.
        operator: String,
    },
}

impl Error {
    /// A short, bounded label for metrics and conditions.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::ForeignNamespace { .. } => "ForeignNamespace",
            Self::ClusterScoped { .. } => "ClusterScoped",
            Self::Operator { .. } => "InvalidSelector",
        }
    }
}

impl Scope {
    /// The scope of a policy that lives in `namespace`, where `system` is the
    /// one namespace whose policies may act in others.
    ///
    /// # Errors
    /// When the policy reaches beyond what it may, or its labels make no sense.
    pub fn new(selector: &Selector, namespace: &str, system: &str) -> Result<Self, Error> {
        let Selector {
            namespaces,
            label_selector,
            resources,
        } = selector;
        let foreign = namespaces.iter().find(|name| *name != namespace);
        if let Some(name) = foreign.filter(|_| namespace != system) {
            return Err(Error::ForeignNamespace {
                namespace: name.clone(),
                system: system.to_owned(),
            });
        }
        let mut kinds: Vec<Kind> = resources
            .iter()
            .map(|filter| Kind {
                api_version: filter.api_version.clone().filter(|text| !text.is_empty()),
                name: filter.kind.clone(),
                exclude: filter.exclude_names.iter().cloned().collect(),
            })
            .collect();
        if kinds.is_empty() {
            kinds.push(Kind {
                api_version: None,
                name: "Pod".to_owned(),
                exclude: BTreeSet::new(),
            });
        }
        if namespace != system && kinds.iter().any(|kind| kind.name == "Node") {
            return Err(Error::ClusterScoped {
                system: system.to_owned(),
            });
        }
        let mut namespaces: BTreeSet<String> = namespaces.iter().cloned().collect();
        if namespaces.is_empty() {
            namespaces.insert(namespace.to_owned());
        }
        Ok(Self {
            namespaces,
            labels: requirements(label_selector.as_ref())?,
            kinds,
        })
    }

    /// The kinds that are selected.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.iter().map(|kind| kind.name.as_str())
    }

    /// Whether the scope selects the object.
    pub fn selects(&self, state: &ObjectState) -> bool {
        let target = &state.target;
        let in_namespace =
            target.namespace.is_empty() || self.namespaces.contains(&target.namespace);
        let of_kind = self.kinds.iter().any(|kind| {
            kind.name == target.kind
                && !kind.exclude.contains(&target.name)
                && kind
                    .api_version
                    .as_ref()
                    .is_none_or(|version| *version == target.api_version)
        });
        in_namespace && of_kind && self.labels.iter().all(|one| one.holds(&state.labels))
    }

    /// What keeps the scope from selecting the object, in words; nothing when it is selected.
    pub fn misses(&self, state: &ObjectState) -> Vec<String> {
        let Target {
            api_version,
            kind,
            namespace,
            name,
            uid: _,
        } = &state.target;
        let mut misses = Vec::new();
        if !namespace.is_empty() && !self.namespaces.contains(namespace) {
            let known = list(self.namespaces.iter());
            misses.push(format!("it watches the namespace {known}, not {namespace}"));
        }
        let of_kind: Vec<_> = self.kinds.iter().filter(|one| one.name == *kind).collect();
        let of_version = of_kind.iter().filter(|one| {
            let version = one.api_version.as_ref();
            version.is_none_or(|version| version == api_version)
        });
        let of_version: Vec<_> = of_version.collect();
        if of_kind.is_empty() {
            let known = list(self.kinds());
            misses.push(format!("it watches the kind {known}, not {kind}"));
        } else if of_version.is_empty() {
            misses.push(format!(
                "it watches another version than {api_version} of {kind}"
            ));
        } else if of_version.iter().all(|one| one.exclude.contains(name)) {
            misses.push(format!("excludeNames leaves {name} out"));
        }
        let labels = self.labels.iter().filter(|one| !one.holds(&state.labels));
        misses.extend(labels.map(|one| one.asked_of(&state.labels)));
        misses
    }
}

impl Requirement {
    /// As Kubernetes has it: `NotIn` holds for an object without the label.
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.contains_key(key),
            Self::DoesNotExist(key) => !labels.contains_key(key),
        }
    }

    /// What it asks of labels that do not meet it.
    fn asked_of(&self, labels: &BTreeMap<String, String>) -> String {
        let (key, asked) = match self {
            Self::In(key, values) => (key, format!("must be {}", list(values.iter()))),
            Self::NotIn(key, values) => (key, format!("must not be {}", list(values.iter()))),
            Self::Exists(key) => (key, "must be there".to_owned()),
            Self::DoesNotExist(key) => (key, "must not be there".to_owned()),
        };
        let found = labels.get(key);
        let is = found.map_or_else(|| "is missing".to_owned(), |value| format!("is {value:?}"));
        format!("the label {key} {asked}, and {is}")
    }
}

/// Some words in a row: `a, b or c`.
fn list<S: AsRef<str>>(words: impl Iterator<Item = S>) -> String {
    let words: Vec<_> = words.map(|word| word.as_ref().to_owned()).collect();
    match words.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
    }
}

fn requirements(selector: Option<&LabelSelector>) -> Result<Vec<Requirement>, Error> {
    let Some(selector) = selector else {
        return Ok(Vec::new());
    };
    let equalities = selector.match_labels.iter().flatten().map(|(key, value)| {
        Ok(Requirement::In(
            key.clone(),
            BTreeSet::from([value.clone()]),
        ))
    });
    let expressions = selector.match_expressions.iter().flatten().map(expression);
    equalities.chain(expressions).collect()
}

fn expression(requirement: &LabelSelectorRequirement) -> Result<Requirement, Error> {
    let LabelSelectorRequirement {
        key,
        operator,
        values,
    } = requirement;
    let values = || values.iter().flatten().cloned().collect();
    match operator.as_str() {
        "In" => Ok(Requirement::In(key.clone(), values())),
        "NotIn" => Ok(Requirement::NotIn(key.clone(), values())),
        "Exists" => Ok(Requirement::Exists(key.clone())),
        "DoesNotExist" => Ok(Requirement::DoesNotExist(key.clone())),
        _ => Err(Error::Operator {
            operator: operator.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pod;
    use proptest::prelude::*;
    use schemas::policy::ResourceFilter;

    fn selector(expressions: &[(&str, &str, &[&str])]) -> Selector {
        let expressions =
            expressions
                .iter()
                .map(|(key, operator, values)| LabelSelectorRequirement {
                    key: (*key).to_owned(),
                    operator: (*operator).to_owned(),
                    values: Some(values.iter().map(|&value| value.to_owned()).collect()),
                });
        Selector {
            label_selector: Some(LabelSelector {
                match_expressions: Some(expressions.collect()),
                match_labels: None,
            }),
            ..Selector::default()
        }
    }

    #[test]
    fn expressions_mean_what_kubernetes_means_by_them() {
        let pod = pod("web").labelled("app", "web").state();
        let selects = |expression: (&str, &str, &[&str])| {
            let scope = Scope::new(&selector(&[expression]), "shop", "system").unwrap();
            scope.selects(&pod)
        };
        assert!(selects(("app", "In", &["web", "db"])));
        assert!(!selects(("app", "In", &["db"])));
        assert!(selects(("app", "NotIn", &["db"])));
        assert!(!selects(("app", "NotIn", &["web"])));
        assert!(selects(("tier", "NotIn", &["db"])));
        assert!(selects(("app", "Exists", &[])));
        assert!(!selects(("tier", "Exists", &[])));
        assert!(selects(("tier", "DoesNotExist", &[])));
        let odd = Scope::new(&selector(&[("app", "Gt", &["1"])]), "shop", "system");
        assert_eq!(odd.unwrap_err().reason(), "InvalidSelector");
    }

    #[test]
    fn only_a_policy_of_the_system_namespace_reaches_beyond_its_own() {
        let selector = Selector {
            namespaces: vec!["shop".to_owned(), "bank".to_owned()],
            ..Selector::default()
        };
        let refused = Scope::new(&selector, "shop", "system").unwrap_err();
        assert_eq!(refused.reason(), "ForeignNamespace");
        assert!(refused.to_string().contains("\"bank\""));
        let scope = Scope::new(&selector, "system", "system").unwrap();
        assert!(scope.selects(&pod("web").state()));
        let own = Scope::new(&Selector::default(), "bank", "system").unwrap();
        assert!(!own.selects(&pod("web").state()));
    }

    #[test]
    fn a_kind_can_leave_names_out() {
        let selector = Selector {
            resources: vec![ResourceFilter {
                api_version: Some("v1".to_owned()),
                kind: "Pod".to_owned(),
                exclude_names: vec!["web-2".to_owned()],
            }],
            ..Selector::default()
        };
        let scope = Scope::new(&selector, "shop", "system").unwrap();
        assert!(scope.selects(&pod("web-1").state()));
        assert!(!scope.selects(&pod("web-2").state()));
    }

    #[test]
    fn what_keeps_an_object_out_is_told() {
        let selector = Selector {
            resources: vec![ResourceFilter {
                api_version: None,
                kind: "Deployment".to_owned(),
                exclude_names: Vec::new(),
            }],
            ..selector(&[("app", "In", &["db", "web"]), ("old", "DoesNotExist", &[])])
        };
        let scope = Scope::new(&selector, "bank", "system").unwrap();
        let misses = scope.misses(&pod("web").labelled("old", "1").state());
        assert_eq!(
            misses,
            [
                "it watches the namespace bank, not shop",
                "it watches the kind Deployment, not Pod",
                "the label app must be db or web, and is missing",
                "the label old must not be there, and is \"1\"",
            ]
        );
    }

    proptest! {
        #[test]
        fn there_is_something_in_the_way_exactly_when_an_object_is_not_selected(
            label in proptest::option::of("[ab]"),
            (namespace, kind) in ("shop|bank", "Pod|Deployment"),
            version in proptest::option::of("v1|v2"),
            exclude in proptest::collection::vec("web|db", 0..2),
            operator in "In|NotIn|Exists|DoesNotExist",
        ) {
            let selector = Selector {
                resources: vec![ResourceFilter { api_version: version, kind, exclude_names: exclude }],
                ..selector(&[("x", &operator, &["a"])])
            };
            let scope = Scope::new(&selector, &namespace, "system").unwrap();
            let mut state = pod("web").state();
            state.labels.extend(label.map(|value| ("x".to_owned(), value)));
            prop_assert_eq!(scope.selects(&state), scope.misses(&state).is_empty());
        }
    }

    #[test]
    fn nodes_are_for_policies_of_the_system_namespace() {
        let selector = Selector {
            resources: vec![ResourceFilter {
                api_version: None,
                kind: "Node".to_owned(),
                exclude_names: Vec::new(),
            }],
            ..Selector::default()
        };
        let refused = Scope::new(&selector, "shop", "system").unwrap_err();
        assert_eq!(refused.reason(), "ClusterScoped");
        assert!(Scope::new(&selector, "system", "system").is_ok());
    }
}
