//! Policy files as texts with positions.
//! Not here: what the texts mean.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::{PolicyErrors, Position, Problem};

/// The largest policy file.
const MAX_FILE_BYTES: usize = 1 << 20;
/// The largest size of all policy files of a folder together.
const MAX_BYTES: usize = 8 << 20;
/// The most policy files in one folder.
const MAX_FILES: usize = 1000;

/// One policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFile {
    /// Its name, as errors and explanations show it.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl PolicyFile {
    /// A file from its name and text.
    #[must_use]
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned() }
    }

    /// The position of a byte offset; offsets beyond the end are the end.
    pub(crate) fn position(&self, offset: usize) -> Position {
        Places::of(self).position(offset)
    }
}

/// Where the lines of a file begin, to find many positions in it.
pub(crate) struct Places<'a> {
    text: &'a str,
    newlines: Vec<usize>,
}

impl<'a> Places<'a> {
    pub(crate) fn of(file: &'a PolicyFile) -> Self {
        Self { text: &file.text, newlines: file.text.match_indices('\n').map(|(at, _)| at).collect() }
    }

    /// The position of a byte offset; offsets beyond the end are the end.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let lines = self.newlines.partition_point(|newline| *newline < before.len());
        let line_start =
            lines.checked_sub(1).and_then(|last| self.newlines.get(last)).map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).map_or(0, |text| text.chars().count()) + 1;
        Position { line: lines + 1, column }
    }
}

/// Reads the `*.cedar` files of a folder in the order of their names, as a shell lists them: other files, hidden ones
/// (an editor's locks and copies) and sub-folders are not looked at.
///
/// Symbolic links are followed, because a Kubernetes `ConfigMap` volume is made of them.
pub(crate) fn read_folder(folder: &Path) -> Result<Vec<PolicyFile>, PolicyErrors> {
    let shown = folder.display().to_string();
    let unreadable = |error: &std::io::Error| Problem::Unreadable(error.kind()).at(&shown, None);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| unreadable(&error))? {
        let path = entry.map_err(|error| unreadable(&error))?.path();
        if is_policy_file(&path) {
            paths.push(path);
        }
        if paths.len() > MAX_FILES {
            return Err(Problem::TooMany { what: "policy files", limit: MAX_FILES }.at(&shown, None).into());
        }
    }
    paths.sort();
    let (mut files, mut errors, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
    for path in paths {
        match read_file(&path) {
            Ok(text) => {
                bytes += text.len();
                files.push(PolicyFile { name: path.display().to_string(), text });
            }
            Err(problem) => errors.push(problem.at(&path.display().to_string(), None)),
        }
        if bytes > MAX_BYTES {
            errors.push(Problem::TooLargeTogether { limit: MAX_BYTES }.at(&shown, None));
            break;
        }
    }
    if errors.is_empty() { Ok(files) } else { Err(PolicyErrors::sorted(errors)) }
}

fn is_policy_file(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension == "cedar")
}

fn read_file(path: &PathBuf) -> Result<String, Problem> {
    let limit = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX);
    let unreadable = |error: std::io::Error| Problem::Unreadable(error.kind());
    // A pipe or a device would block the reload or never end.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(Problem::Unreadable(std::io::ErrorKind::InvalidInput));
    }
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(unreadable)?.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(Problem::TooLarge { limit: MAX_FILE_BYTES });
    }
    String::from_utf8(bytes).map_err(|_| Problem::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let file = PolicyFile::new("a.cedar", "äb\nc\n");
        let at = |offset| (file.position(offset).line, file.position(offset).column);
        assert_eq!([at(0), at(2), at(4), at(5), at(99)], [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]);
    }

    #[test]
    fn only_cedar_files_are_read_and_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.cedar", "a.cedar", "tests.json", ".hidden", ".a.cedar", ".#b.cedar"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let texts: Vec<_> = read_folder(folder.path()).unwrap().into_iter().map(|file| file.text).collect();
        assert_eq!(texts, ["a.cedar", "b.cedar"]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_and_not_an_empty_set() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read_folder(&folder.path().join("nowhere")).is_err());
    }

    #[test]
    fn files_that_are_no_text_or_too_large_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("binary.cedar"), [0xFF, 0xFE]).unwrap();
        fs::write(folder.path().join("large.cedar"), vec![b' '; MAX_FILE_BYTES + 1]).unwrap();
        fs::create_dir(folder.path().join("folder.cedar")).unwrap();
        std::os::unix::fs::symlink("loop.cedar", folder.path().join("loop.cedar")).unwrap();
        let errors = read_folder(folder.path()).unwrap_err();
        let problems: Vec<_> = errors.iter().map(|error| error.problem.clone()).collect();
        assert!(problems.contains(&Problem::NotText), "{problems:?}");
        assert!(problems.contains(&Problem::TooLarge { limit: MAX_FILE_BYTES }), "{problems:?}");
        let unreadable = |problem: &&Problem| matches!(problem, Problem::Unreadable(_));
        assert_eq!(problems.iter().filter(unreadable).count(), 2, "the folder and the loop: {problems:?}");
        assert_eq!(problems.len(), 4);
    }

    #[test]
    fn a_folder_that_is_too_large_as_a_whole_is_refused_before_it_is_read_to_the_end() {
        let folder = tempfile::tempdir().unwrap();
        for number in 10..20 {
            fs::write(folder.path().join(format!("{number}.cedar")), vec![b' '; MAX_FILE_BYTES]).unwrap();
        }
        // Would be an error of its own, if it were read.
        fs::write(folder.path().join("20.cedar"), [0xFF]).unwrap();
        let errors = read_folder(folder.path()).unwrap_err();
        let problems: Vec<_> = errors.iter().map(|error| error.problem.clone()).collect();
        assert_eq!(problems, [Problem::TooLargeTogether { limit: MAX_BYTES }]);
    }
}
