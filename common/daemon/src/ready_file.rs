//! The file that tells a parent process where we listen, once we do.
//! Not a PID file and not a lock: it is written once and belongs to whoever reads it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Why a ready file was not written.
#[derive(Debug, thiserror::Error)]
pub enum ReadyFileError {
    /// The value is not a JSON object.
    #[error("the ready file must hold one JSON object")]
    NotAnObject,
    /// The value cannot be written as JSON.
    #[error("cannot write the ready file `{}` as JSON", path.display())]
    Json {
        /// Where it should have gone.
        path: PathBuf,
        /// What serde said.
        #[source]
        source: serde_json::Error,
    },
    /// The file cannot be written.
    #[error("cannot write the ready file `{}`", path.display())]
    Io {
        /// Where it should have gone.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// Writes `object` as one line of JSON to `path`, so that a reader sees either nothing or all of it.
///
/// # Errors
/// When `object` does not serialise to a JSON object, or the folder of `path` cannot be written.
pub fn write(path: &Path, object: &impl Serialize) -> Result<(), ReadyFileError> {
    let json = |source| ReadyFileError::Json { path: path.to_owned(), source };
    let value = serde_json::to_value(object).map_err(json)?;
    if !value.is_object() {
        return Err(ReadyFileError::NotAnObject);
    }
    let mut line = serde_json::to_vec(&value).map_err(json)?;
    line.push(b'\n');
    replace(path, &line).map_err(|source| ReadyFileError::Io { path: path.to_owned(), source })
}

/// Writes beside the target and renames over it.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = File::create(&beside).and_then(|mut file| file.write_all(content));
    let renamed = written.and_then(|()| fs::rename(&beside, path));
    if renamed.is_err() {
        // Best effort: the first error is the one worth telling.
        let _ = fs::remove_file(&beside);
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_file_holds_one_object_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ready.json");
        write(&path, &serde_json::json!({"public": "127.0.0.1:8700"})).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"public\":\"127.0.0.1:8700\"}\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_an_object_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ready.json");
        assert!(matches!(write(&path, &"ready"), Err(ReadyFileError::NotAnObject)));
        assert!(!path.exists());
    }

    #[test]
    fn a_missing_folder_is_an_error_with_its_path() {
        let error = write(Path::new("/nonexistent/ready.json"), &serde_json::json!({})).unwrap_err();
        assert_eq!(error.to_string(), "cannot write the ready file `/nonexistent/ready.json`");
    }
}
