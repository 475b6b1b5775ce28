//! `${file:…}` and `${env:…}`: read where a secret is wanted, refused everywhere else.
//! What was read goes to the secret and to no message.

use std::{io::Read as _, os::unix::fs::MetadataExt as _, path::Path};

use super::{Source, TypedError};
use crate::{
    error::Problem,
    tree::{Node, Origin, Scalar},
};

const MAX_SECRET_BYTES: u64 = 64 * 1024;
const GROUP_OR_OTHERS_WRITE: u32 = 0o022;

/// A text that looks like a reference, in a field that is no secret.
pub(super) fn refuse_reference(text: &str) -> Result<(), TypedError> {
    if text.starts_with("${file:") || text.starts_with("${env:") {
        return Err(reference(
            "`${…}` is read in fields for secrets only; elsewhere an override `SYMBOLON__…` does it",
        ));
    }
    Ok(())
}

/// The secret that a scalar refers to; one from the environment may also be given itself.
pub(super) fn reveal(scalar: &Scalar, node: &Node, source: &Source<'_>) -> Result<String, TypedError> {
    let text = scalar.text();
    let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let secret = match inner.and_then(|inner| inner.split_once(':')) {
        Some(("file", path)) => file(path, source)?,
        Some(("env", name)) => variable(name, source)?,
        _ if matches!(node.origin, Origin::Variable(_)) => text.to_owned(),
        _ => return Err(reference("a secret is given as `${file:PATH}` or `${env:NAME}`, not in the file")),
    };
    if secret.is_empty() {
        return Err(reference("the secret is empty"));
    }
    Ok(secret)
}

fn variable(name: &str, source: &Source<'_>) -> Result<String, TypedError> {
    let value = source.environment.variable(name);
    value.map(str::to_owned).ok_or_else(|| reference(&format!("the variable `{name}` is not set")))
}

fn file(path: &str, source: &Source<'_>) -> Result<String, TypedError> {
    let path = source.folder.map_or_else(|| Path::new(path).to_owned(), |folder| folder.join(path));
    let shown = path.display();
    let unreadable = |error: std::io::Error| reference(&format!("`{shown}` cannot be read: {error}"));
    let metadata = std::fs::metadata(&path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(reference(&format!("`{shown}` is not a regular file")));
    }
    if let Some(problem) = stranger(&metadata) {
        return Err(reference(&format!("`{shown}` {problem}: others could choose the secret")));
    }
    if metadata.len() > MAX_SECRET_BYTES {
        return Err(reference(&format!("`{shown}` is larger than 64 KiB")));
    }
    // Room for all of it at once, so that no copy stays behind in a buffer that was outgrown.
    let mut text = String::with_capacity(usize::try_from(metadata.len()).unwrap_or(0).saturating_add(1));
    let opened = std::fs::File::open(&path).map_err(unreadable)?;
    opened.take(MAX_SECRET_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    // Editors and `echo` end a file with a line feed that is no part of the secret.
    let length = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).map_or(text.len(), str::len);
    text.truncate(length);
    source.files.borrow_mut().push(path);
    Ok(text)
}

/// Why somebody else than root and we ourselves could have written a file. Kubernetes mounts secrets readable by all
/// (0644): who may read it is for the operator to say.
fn stranger(metadata: &std::fs::Metadata) -> Option<&'static str> {
    let ours = rustix::process::geteuid().as_raw();
    if metadata.uid() != 0 && metadata.uid() != ours {
        Some("belongs to another user")
    } else if metadata.mode() & GROUP_OR_OTHERS_WRITE != 0 {
        Some("can be written by its group or by everybody")
    } else {
        None
    }
}

fn reference(message: &str) -> TypedError {
    TypedError::new(Problem::Reference(message.to_owned()))
}
