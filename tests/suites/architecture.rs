//! The shape of the workspace: who may depend on whom, and how large things may grow.
//! Not here: behaviour.

mod arrows;
mod fences;
mod files;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use symbolon_e2e::process::workspace;

/// The resolved workspace, without asking the network.
fn metadata() -> Metadata {
    let manifest = workspace().join("Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).other_options(vec!["--offline".to_owned()]).exec().unwrap()
}

/// The members, by their names without `symbolon-`.
fn members(metadata: &Metadata) -> Vec<(&str, &Package)> {
    let members = metadata.workspace_packages().into_iter();
    members.map(|package| (package.name.as_str().strip_prefix("symbolon-").unwrap(), package)).collect()
}

/// What a member's own code depends on.
fn normal_dependencies(package: &Package) -> impl Iterator<Item = &str> {
    let dependencies = package.dependencies.iter();
    dependencies
        .filter(|dependency| dependency.kind != DependencyKind::Development)
        .map(|dependency| dependency.name.as_str())
}
