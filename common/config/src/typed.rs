//! From the tree to a type, by serde, with every error placed.
//! Unknown keys are collected; the first error of another kind ends the reading.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

use crate::{
    environment::Environment,
    error::{ConfigError, ConfigErrors, Problem},
    tree::{Node, Origin, join},
};

mod collections;
mod deserializer;
mod error;
mod secrets;

use deserializer::NodeReader;
use error::TypedError;

/// Reads `root` as a `T`; also gives the files that secrets were read from.
pub(crate) fn read<T: DeserializeOwned>(
    root: &Node,
    name: &str,
    folder: Option<&Path>,
    environment: &Environment,
) -> Result<(T, Vec<PathBuf>), ConfigErrors> {
    let source = Source {
        name,
        folder,
        environment,
        files: RefCell::new(Vec::new()),
        errors: RefCell::new(Vec::new()),
    };
    let value = T::deserialize(NodeReader { node: root, place: &Place::Root, source: &source });
    let mut errors = source.errors.into_inner();
    match value {
        Ok(value) => ConfigErrors::check(errors).map(|()| (value, source.files.into_inner())),
        Err(error) => {
            let error = error.placed(name, &root.origin);
            if !errors.iter().any(|found| is_the_same_mistake(found, &error)) {
                errors.push(error.clone());
            }
            ConfigErrors::check(errors)?;
            Err(error.into())
        }
    }
}

/// A missing key that was mistyped is one mistake.
fn is_the_same_mistake(unknown: &ConfigError, missing: &ConfigError) -> bool {
    match (&*unknown.problem, &*missing.problem) {
        (Problem::UnknownKey { nearest: Some(nearest), .. }, Problem::MissingKey { key }) => {
            nearest == key && unknown.path == missing.path
        }
        _ => false,
    }
}

/// What reading needs besides the node.
struct Source<'a> {
    name: &'a str,
    folder: Option<&'a Path>,
    environment: &'a Environment,
    files: RefCell<Vec<PathBuf>>,
    errors: RefCell<Vec<ConfigError>>,
}

impl Source<'_> {
    fn collect(&self, origin: &Origin, place: &Place<'_>, problem: Problem) {
        let error = ConfigError {
            origin: origin.name(self.name).to_owned(),
            position: origin.position(),
            path: place.path(),
            problem: Box::new(problem),
        };
        self.errors.borrow_mut().push(error);
    }
}

/// The path of the node being read, as a chain to the root.
enum Place<'a> {
    Root,
    Key(&'a Self, &'a str),
    Index(&'a Self, usize),
}

impl Place<'_> {
    fn path(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Key(parent, key) => join(&parent.path(), key),
            Self::Index(parent, index) => format!("{}[{index}]", parent.path()),
        }
    }
}
