//! What the house style asks of the sources and a machine can check.
//!
//! Each test prints every place that breaks its rule, as `path:line`.
#![expect(
    clippy::expect_used,
    reason = "a source tree that cannot be read should fail loudly"
)]

mod source;
mod workspace;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use source::{Source, below};
use workspace::{Member, members, root};

/// Files that must be pure, by the end of their path or by their folder.
const PURE: [&str; 13] = [
    "analyzer/src/window.rs",
    "analyzer/src/window/",
    "analyzer/src/promql.rs",
    "analyzer/src/promql/",
    "analyzer/src/trigger.rs",
    "analyzer/src/recommend.rs",
    "actuator/src/judge.rs",
    "actuator/src/judge/",
    "actuator/src/plan.rs",
    "actuator/src/plan/",
    "actuator/src/verify.rs",
    "actuator/src/progress.rs",
    "schemas/src/",
];

/// What a pure file never says: nothing waits, nothing reads a clock, the
/// environment, a file or a socket.
const EFFECTS: [&str; 16] = [
    "async",
    "await",
    "Client",
    "Api",
    "async_nats::connect",
    "tokio::spawn",
    "reqwest",
    "Timestamp::now",
    "Zoned::now",
    "SystemTime::now",
    "Instant::now",
    "std::env",
    "env::var",
    "std::fs",
    "std::net",
    "std::process",
];

/// What those in [`PURE`] do not even name: the types of clients and runtimes.
const FOREIGN: [&str; 2] = ["async_nats", "tokio"];

fn sources() -> Vec<Source> {
    let root = root();
    let folders = members();
    let folders = folders.iter().map(|member| root.join(&member.dir));
    folders.flat_map(|dir| below(&root, &dir)).collect()
}

fn nothing_breaks(rule: &str, places: &[String]) {
    assert!(places.is_empty(), "{rule}:\n  {}", places.join("\n  "));
}

fn is_marked_pure(source: &Source) -> bool {
    let header = source
        .text
        .lines()
        .take_while(|line| line.starts_with("//!"));
    header.into_iter().any(|line| line.contains("Pure:"))
}

fn must_be_pure(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let listed = |pure: &str| {
        if pure.ends_with('/') {
            text.starts_with(pure)
        } else {
            text == pure
        }
    };
    let tests = text.ends_with("/tests.rs") || text.contains("/tests/");
    !tests && !text.contains("/bin/") && PURE.iter().any(|pure| listed(pure))
}

#[test]
fn pure_files_say_so() {
    let places: Vec<_> = sources()
        .iter()
        .filter(|source| must_be_pure(&source.path) && !is_marked_pure(source))
        .map(|source| format!("{}:1", source.path.display()))
        .collect();
    nothing_breaks("a line `//! Pure: no IO, no clock.` is missing", &places);
}

#[test]
fn pure_files_have_no_io_and_no_clock() {
    let sources = sources();
    let pure = sources.iter().filter(|source| is_marked_pure(source));
    let places: Vec<_> = pure.flat_map(impurities).collect();
    nothing_breaks("a file marked pure is not", &places);
}

fn impurities(source: &Source) -> Vec<String> {
    let foreign: &[&str] = if must_be_pure(&source.path) {
        &FOREIGN
    } else {
        &[]
    };
    let mut places = Vec::new();
    for word in EFFECTS.iter().chain(foreign) {
        let lines = source.lines_with(word).into_iter();
        places.extend(lines.map(|line| format!("{}:{line} says {word}", source.path.display())));
    }
    places
}

#[test]
fn a_clock_in_a_pure_file_is_found() {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let text = "//! Pure: no IO, no clock.\n// Timestamp::now() in prose is fine\nfn f() {\n    let now = jiff::Timestamp::now();\n    let s = \"async\";\n}\n";
    fs::write(dir.path().join("trigger.rs"), text).expect("a file can be written");
    let sources = below(dir.path(), dir.path());
    let found: Vec<_> = sources.iter().flat_map(impurities).collect();
    assert_eq!(found, ["trigger.rs:4 says Timestamp::now"]);
    assert!(sources.iter().all(is_marked_pure));
}

#[test]
fn every_file_is_reached_by_a_mod() {
    let mut places = Vec::new();
    for member in members() {
        let sources = below(&root(), &root().join(&member.dir));
        let reached = reached(&member, &sources);
        let orphans = sources
            .iter()
            .filter(|source| !reached.contains(&source.path));
        places.extend(orphans.map(|source| source.path.display().to_string()));
    }
    nothing_breaks(
        "no `mod` reaches the file, so it is never compiled",
        &places,
    );
}

fn reached(member: &Member, sources: &[Source]) -> BTreeSet<PathBuf> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<_> = member
        .roots
        .iter()
        .map(|path| (path.clone(), true))
        .collect();
    while let Some((path, is_root)) = open.pop() {
        let source = sources.iter().find(|source| source.path == path);
        if let Some(source) = source
            && reached.insert(path)
        {
            open.extend(
                source
                    .modules(is_root)
                    .into_iter()
                    .map(|path| (path, false)),
            );
        }
    }
    reached
}

#[test]
fn an_orphan_is_found() {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    fs::create_dir(dir.path().join("a")).expect("a folder can be made");
    let files = [
        (
            "lib.rs",
            "pub mod a;\n// mod orphan;\n#[cfg(test)]\nmod tests;\n",
        ),
        ("a.rs", "pub(crate) mod b;\n"),
        ("a/b.rs", ""),
        ("tests.rs", ""),
        ("orphan.rs", ""),
    ];
    for (name, text) in files {
        fs::write(dir.path().join(name), text).expect("a file can be written");
    }
    let sources = below(dir.path(), dir.path());
    let member = Member {
        name: "m".to_owned(),
        dir: PathBuf::new(),
        roots: vec!["lib.rs".into()],
        dependencies: Vec::new(),
    };
    let reached = reached(&member, &sources);
    let missed = sources
        .iter()
        .filter(|source| !reached.contains(&source.path));
    let missed: Vec<_> = missed.map(|source| source.path.clone()).collect();
    assert_eq!(missed, [PathBuf::from("orphan.rs")]);
}

#[test]
fn every_member_inherits_the_lints() {
    let lacking = members().into_iter().filter(|member| {
        let manifest = root().join(&member.dir).join("Cargo.toml");
        let text = fs::read_to_string(manifest).expect("a manifest can be read");
        !text.contains("[lints]\nworkspace = true")
    });
    let places: Vec<_> = lacking.map(|member| member.name).collect();
    nothing_breaks("`[lints] workspace = true` is missing", &places);
}

#[test]
fn subjects_are_spelled_in_one_file() {
    let mut places = Vec::new();
    for source in sources() {
        if source.path == Path::new("schemas/src/subject.rs") || source.path.starts_with("tests") {
            continue;
        }
        let literals = source.strings.iter();
        let subjects = literals.filter(|(_, text)| {
            let text = text.trim_start_matches(['b', 'r', '#']);
            text.starts_with("\"kubeskippy.") && !text.starts_with("\"kubeskippy.io")
        });
        places.extend(
            subjects.map(|(line, text)| format!("{}:{line} {text}", source.path.display())),
        );
    }
    nothing_breaks("only schemas/src/subject.rs spells subjects", &places);
}

/// Which members each may depend on; `tests` may depend on all.
const IMPORTS: [(&str, &[&str]); 6] = [
    ("schemas", &[]),
    ("runtime", &["schemas"]),
    ("collector", &["schemas", "runtime"]),
    ("analyzer", &["schemas", "runtime"]),
    ("actuator", &["schemas", "runtime"]),
    // `kubeskippy run` is all three programs in one process
    (
        "console",
        &["schemas", "runtime", "collector", "analyzer", "actuator"],
    ),
];

#[test]
fn members_import_only_what_they_may() {
    let mut places = Vec::new();
    for member in members() {
        let short = member.name.trim_start_matches("kubeskippy-").to_owned();
        let allowed = IMPORTS.iter().find(|(name, _)| *name == short);
        let Some((_, allowed)) = allowed else {
            assert_eq!(short, "tests", "say in IMPORTS what {short} may depend on");
            continue;
        };
        let ours = member.dependencies.iter().filter_map(|dependency| {
            let name = dependency.name.strip_prefix("kubeskippy-")?;
            (!allowed.contains(&name)).then(|| format!("{short} → {name}"))
        });
        places.extend(ours);
    }
    nothing_breaks("a member imports what it may not", &places);
}

/// Crates that only some members may use.
const CONFINED: [(&str, &[&str]); 6] = [
    // time is jiff, as in kube; polars and arrow bring chrono for themselves
    ("chrono", &[]),
    ("polars", &["analyzer"]),
    ("ollama-rs", &["analyzer"]),
    ("async-openai", &["analyzer"]),
    (
        "tokio",
        &[
            "runtime",
            "collector",
            "analyzer",
            "actuator",
            "console",
            "tests",
        ],
    ),
    (
        "async-nats",
        &[
            "runtime",
            "collector",
            "analyzer",
            "actuator",
            "console",
            "tests",
        ],
    ),
];

#[test]
fn crates_stay_where_they_belong() {
    let mut places = Vec::new();
    for member in members() {
        let short = member.name.trim_start_matches("kubeskippy-");
        for dependency in &member.dependencies {
            let rule = CONFINED.iter().find(|(name, _)| *name == dependency.name);
            if rule.is_some_and(|(_, allowed)| !allowed.contains(&short)) {
                places.push(format!("{short} → {}", dependency.name));
            }
            let speaks = ["client", "runtime"].map(str::to_owned);
            let clients = dependency.features.iter().any(|name| speaks.contains(name));
            if short == "schemas" && dependency.name == "kube" && clients {
                places.push("schemas → kube's client".to_owned());
            }
        }
    }
    nothing_breaks("a crate is used where it does not belong", &places);
}
