//! The requirements of the RFCs as `tests/conformance/` lists them, one file an RFC.
//! Not here: the tests.

use serde::Deserialize;
use symbolon_e2e::process::workspace;

/// An RFC that we follow.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rfc {
    pub(super) number: u32,
    pub(super) title: String,
    #[serde(rename = "requirement")]
    pub(super) requirements: Vec<Requirement>,
}

/// Something that it asks of a server or a resource like ours.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Requirement {
    /// Without the sign; a numbered item of a section follows in parentheses.
    pub(super) section: String,
    pub(super) level: Level,
    /// In our own words, in one line.
    pub(super) says: String,
    /// The tests that show it: `target::module::test`.
    #[serde(default)]
    pub(super) tests: Vec<String>,
    /// Why no test shows it.
    pub(super) absent: Option<String>,
    /// What we do where the RFC leaves a choice, or where we do otherwise.
    pub(super) note: Option<String>,
}

/// How strongly (RFC 2119).
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Level {
    Must,
    Should,
    May,
}

impl Rfc {
    /// All of them, by number.
    pub(super) fn all() -> Vec<Self> {
        let folder = workspace().join("tests/conformance");
        let mut all: Vec<Self> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|file| {
                let text = std::fs::read_to_string(&file).unwrap();
                let rfc: Self =
                    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
                assert_eq!(file.file_stem().unwrap().to_str(), Some(format!("rfc{}", rfc.number).as_str()));
                rfc
            })
            .collect();
        all.sort_by_key(|rfc| rfc.number);
        all
    }
}

impl Level {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
        }
    }
}
