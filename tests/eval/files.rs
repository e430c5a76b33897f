//! The files that a run is made of: scenarios, and models to ask.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::scenario::Scenario;

/// Reads the scenarios of these files and folders, or of the project; `only` leaves those of these names.
pub(crate) fn read(paths: &[PathBuf], only: &[String]) -> Result<Vec<Arc<Scenario>>> {
    let project = [harness::tests_dir().join("scenarios")];
    let paths = if paths.is_empty() { &project } else { paths };
    let mut files = BTreeSet::new();
    for path in paths {
        files.extend(files_at(path)?);
    }
    let (mut scenarios, mut faults) = (Vec::new(), Vec::new());
    for file in &files {
        match scenario(file) {
            Ok(scenario) => scenarios.push(Arc::new(scenario)),
            Err(error) => faults.push(format!("{error:#}")),
        }
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    let known: BTreeSet<_> = scenarios
        .iter()
        .map(|scenario| scenario.name.clone())
        .collect();
    if known.len() < scenarios.len() {
        bail!("two scenarios have the same name: rename one file");
    }
    if let Some(unknown) = only.iter().find(|name| !known.contains(*name)) {
        let names: Vec<_> = known.into_iter().collect();
        bail!(
            "no scenario is called {unknown}; there are {}",
            names.join(", ")
        );
    }
    scenarios.retain(|scenario| only.is_empty() || only.contains(&scenario.name));
    if scenarios.is_empty() {
        bail!("there is no scenario: name a file or a folder with *.yaml");
    }
    Ok(scenarios)
}

fn files_at(path: &Path) -> Result<Vec<PathBuf>> {
    let what = || format!("failed to read {}", path.display());
    if !path.is_dir() {
        std::fs::metadata(path).with_context(what)?;
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).with_context(what)? {
        let file = entry.with_context(what)?.path();
        if file
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml")
        {
            files.push(file);
        }
    }
    Ok(files)
}

fn scenario(file: &Path) -> Result<Scenario> {
    let text = std::fs::read_to_string(file);
    let text = text.with_context(|| format!("failed to read {}", file.display()))?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    Scenario::read(&text, &name).with_context(|| file.display().to_string())
}

/// A file with one model of the user's, and those that it escalates to.
pub(crate) struct Model {
    /// Its configured name.
    pub(crate) name: String,
    /// The file, which goes when this is dropped.
    pub(crate) file: NamedTempFile,
}

/// Makes a file for each model of the analyzer's file, which is a list of models.
pub(crate) fn models(file: Option<&Path>) -> Result<Vec<Model>> {
    let Some(path) = file else {
        return Ok(Vec::new());
    };
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("failed to read {}", path.display()))?;
    let all: Vec<Value> = serde_saphyr::from_str(&text)
        .with_context(|| format!("{} is no list of models", path.display()))?;
    let mut models = Vec::new();
    for entry in &all {
        let name = field(entry, "name");
        let name = name.with_context(|| format!("a model of {} has no name", path.display()))?;
        let mut file = NamedTempFile::new().context("failed to make a temporary file")?;
        let text = Value::Array(chain(&all, entry)).to_string();
        file.write_all(text.as_bytes())
            .context("failed to write a file of models")?;
        models.push(Model {
            name: name.to_owned(),
            file,
        });
    }
    Ok(models)
}

/// A model and those that it escalates to, each once.
fn chain(all: &[Value], first: &Value) -> Vec<Value> {
    let mut chain = vec![first.clone()];
    while let Some(next) = chain.last().and_then(|last| field(last, "escalateTo")) {
        let found = all.iter().find(|entry| field(entry, "name") == Some(next));
        match found {
            Some(found) if !chain.contains(found) => chain.push(found.clone()),
            _ => break,
        }
    }
    chain
}

fn field<'a>(entry: &'a Value, name: &str) -> Option<&'a str> {
    entry.get(name)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_model_comes_with_those_it_escalates_to() {
        let (small, large) = (
            json!({"name": "s", "escalateTo": "l"}),
            json!({"name": "l"}),
        );
        let all = [small.clone(), large.clone()];
        assert_eq!(chain(&all, &small), [small, large.clone()]);
        assert_eq!(chain(&all, &large), [large]);
        let round = [
            json!({"name": "a", "escalateTo": "b"}),
            json!({"name": "b", "escalateTo": "a"}),
        ];
        assert_eq!(chain(&round, &round[0]), round);
    }

    #[test]
    fn an_unknown_name_is_told_with_those_that_are_known() {
        let said = read(&[], &["no-such".to_owned()]).unwrap_err().to_string();
        assert!(
            said.contains("no-such") && said.contains("slow-leak"),
            "{said}"
        );
    }
}
