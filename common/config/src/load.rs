//! From a file to a typed value: read, parse, override, type.
//! What the value means is the program's business.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{
    environment::Environment,
    error::{ConfigError, ConfigErrors, Position, Problem},
    tree::{self, Origin},
    typed,
};

/// The most that a configuration file may hold.
pub const MAX_CONFIG_BYTES: usize = 1024 * 1024;

/// A configuration that was read, with what is needed to report on it and to reload it.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The configuration.
    pub value: T,
    /// The text as it was read, for a fingerprint; it holds references to secrets, not secrets.
    pub source: String,
    /// The files that went into it: the file itself and every `${file:…}`; what a [`Watch`](crate::Watch) wants.
    pub files: Vec<PathBuf>,
    name: String,
    origins: BTreeMap<String, Origin>,
}

impl<T> Loaded<T> {
    /// The position of the value at a path such as `routes[2].upstream`, or of its nearest parent.
    #[must_use]
    pub fn locate(&self, path: &str) -> Option<Position> {
        self.nearest(path).and_then(Origin::position)
    }

    /// An error about the value at `path`, with its position: for what only the program can check.
    #[must_use]
    pub fn contradiction(&self, path: &str, message: impl Into<String>) -> ConfigError {
        let origin = self.nearest(path);
        ConfigError {
            origin: origin.map_or(self.name.as_str(), |origin| origin.name(&self.name)).to_owned(),
            position: origin.and_then(Origin::position),
            path: path.to_owned(),
            problem: Box::new(Problem::Contradiction(message.into())),
        }
    }

    /// Where the value at `path` was given, or the nearest value above it.
    fn nearest(&self, path: &str) -> Option<&Origin> {
        let mut path = path;
        loop {
            if let Some(origin) = self.origins.get(path) {
                return Some(origin);
            }
            path = path.rfind(['.', '[']).map_or("", |end| path.split_at(end).0);
            if path.is_empty() {
                return self.origins.get("");
            }
        }
    }
}

/// Reads the file at `path`, applies the overrides of `environment` and types the result.
///
/// # Errors
/// All that can be found wrong in one go: unreadable or oversized file, YAML errors, unknown or
/// missing keys, type errors, unresolved references, overrides that fit nothing.
pub fn load<T: DeserializeOwned + JsonSchema>(
    path: &Path,
    environment: &Environment,
) -> Result<Loaded<T>, ConfigErrors> {
    let name = path.display().to_string();
    let source = read(path).map_err(|problem| whole_file(&name, problem))?;
    let mut loaded = parse_in(&source, &name, path.parent(), environment)?;
    loaded.files.insert(0, path.to_owned());
    Ok(loaded)
}

/// As [`load`], from a text; relative `${file:…}` are resolved against the working directory.
///
/// # Errors
/// As [`load`].
pub fn parse_str<T: DeserializeOwned + JsonSchema>(
    source: &str,
    name: &str,
    environment: &Environment,
) -> Result<Loaded<T>, ConfigErrors> {
    parse_in(source, name, None, environment)
}

fn parse_in<T: DeserializeOwned>(
    source: &str,
    name: &str,
    folder: Option<&Path>,
    environment: &Environment,
) -> Result<Loaded<T>, ConfigErrors> {
    if source.len() > MAX_CONFIG_BYTES {
        return Err(whole_file(name, Problem::TooLarge).into());
    }
    let mut root = tree::parse(source, name)?;
    tree::apply_overrides(&mut root, environment)?;
    let (value, files) = typed::read(&root, name, folder, environment)?;
    let mut origins = Vec::new();
    root.origins("", &mut origins);
    let origins = origins.into_iter().collect();
    Ok(Loaded { value, source: source.to_owned(), files, name: name.to_owned(), origins })
}

fn read(path: &Path) -> Result<String, Problem> {
    let unreadable = |error: std::io::Error| Problem::Unreadable(error.to_string());
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(Problem::Unreadable("not a regular file".to_owned()));
    }
    let limit = u64::try_from(MAX_CONFIG_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() > MAX_CONFIG_BYTES { Err(Problem::TooLarge) } else { Ok(text) }
}

fn whole_file(name: &str, problem: Problem) -> ConfigError {
    ConfigError { origin: name.to_owned(), position: None, path: String::new(), problem: Box::new(problem) }
}
