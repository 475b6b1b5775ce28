//! Upstreams from a folder: one file each, as a mounted `ConfigMap` has them, beside those of the configuration.
//! The environment overrides nothing in them: its names are those of the configuration.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use symbolon_config::{ConfigErrors, Environment, Loaded, load};
use symbolon_identity::UpstreamName;

use crate::config::{Config, UpstreamConfig};

/// An upstream, and where it was written.
pub(super) struct Written {
    pub(super) config: UpstreamConfig,
    /// The key of the configuration to complain about.
    pub(super) at: String,
}

/// All upstreams: those of the configuration and those of the folder.
pub(super) fn all_upstreams(
    loaded: &Loaded<Config>,
    files: &mut Vec<PathBuf>,
) -> Result<BTreeMap<UpstreamName, Written>, ConfigErrors> {
    let own = loaded.value.upstreams.iter();
    let mut found: BTreeMap<UpstreamName, Written> = own
        .map(|(name, config)| {
            let at = format!("upstreams.{}", name.as_str());
            (name.clone(), Written { config: config.clone(), at })
        })
        .collect();
    let Some(folder) = &loaded.value.upstreams_folder else { return Ok(found) };
    files.push(folder.clone());
    let complain = |message: String| loaded.contradiction("upstreams_folder", message);
    let entries = names(folder).map_err(|error| complain(format!("`{}`: {error}", folder.display())))?;
    for file in entries {
        let stem = file.strip_suffix(".yaml").unwrap_or(&file);
        let name = UpstreamName::parse(stem).map_err(|error| complain(format!("`{file}`: {error}")))?;
        let config = load::<UpstreamConfig>(&folder.join(&file), &Environment::empty())?.value;
        let written = Written { config, at: "upstreams_folder".to_owned() };
        if found.insert(name, written).is_some() {
            return Err(complain(format!("the upstream `{stem}` is defined twice")).into());
        }
    }
    Ok(found)
}

/// The files of the folder. What starts with a dot is the kubelet's.
fn names(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
