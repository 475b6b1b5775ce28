//! The names of all tests of the workspace, read from its sources as the compiler would follow them.
//! Not here: tests that a macro makes (`proptest!`), and doc tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cargo_metadata::{MetadataCommand, TargetKind};
use symbolon_e2e::process::workspace;
use syn::{Attribute, Item, ItemMod};

/// Each test that is compiled and run, by its name, with its file.
#[derive(Debug, Default)]
pub(super) struct WrittenTests {
    files: BTreeMap<String, String>,
}

/// Where a module's own modules are looked for.
struct Module<'a> {
    name: String,
    file: &'a Path,
    folder: PathBuf,
}

impl WrittenTests {
    /// Reads the libraries and the test programs of all members.
    pub(super) fn find() -> Self {
        let mut found = Self::default();
        let manifest = workspace().join("Cargo.toml");
        let options = vec!["--offline".to_owned()];
        let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().other_options(options).exec();
        for target in metadata.unwrap().packages.iter().flat_map(|package| &package.targets) {
            if target.kind.iter().any(|kind| matches!(kind, TargetKind::Lib | TargetKind::Test)) {
                let root = target.src_path.as_std_path();
                let name = target.name.replace('-', "_");
                let module = Module { name, file: root, folder: root.parent().unwrap().to_owned() };
                found.read(&module);
            }
        }
        found
    }

    /// The file of a test, from the root of the repository.
    pub(super) fn file(&self, name: &str) -> Option<&str> {
        self.files.get(name).map(String::as_str)
    }

    /// The tests of one test program or library.
    pub(super) fn of(&self, target: &str) -> impl Iterator<Item = &str> {
        let start = format!("{target}::");
        self.files.keys().map(String::as_str).filter(move |name| name.starts_with(&start))
    }

    fn read(&mut self, module: &Module<'_>) {
        let text = std::fs::read_to_string(module.file).unwrap();
        let parsed =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", module.file.display()));
        self.look(&parsed.items, module);
    }

    fn look(&mut self, items: &[Item], module: &Module<'_>) {
        for item in items {
            match item {
                Item::Fn(function) if is_run(&function.attrs) => {
                    let name = format!("{}::{}", module.name, function.sig.ident);
                    let file = module.file.strip_prefix(workspace()).unwrap().display().to_string();
                    let before = self.files.insert(name.clone(), file);
                    assert_eq!(before, None, "two tests are called `{name}`");
                }
                Item::Mod(inner) => self.enter(inner, module),
                _ => {}
            }
        }
    }

    fn enter(&mut self, inner: &ItemMod, outer: &Module<'_>) {
        assert!(!inner.attrs.iter().any(|attribute| attribute.path().is_ident("path")), "{}", inner.ident);
        let name = format!("{}::{}", outer.name, inner.ident);
        let folder = outer.folder.join(inner.ident.to_string());
        if let Some((_, items)) = &inner.content {
            self.look(items, &Module { name, file: outer.file, folder });
        } else {
            let file = folder.with_extension("rs");
            self.read(&Module { name, file: &file, folder });
        }
    }
}

/// `#[test]`, `#[tokio::test]`, and not `#[ignore]`.
fn is_run(attributes: &[Attribute]) -> bool {
    let last = |attribute: &Attribute| attribute.path().segments.last().map(|last| last.ident.to_string());
    let has = |name: &str| attributes.iter().filter_map(last).any(|last| last == name);
    has("test") && !has("ignore")
}
