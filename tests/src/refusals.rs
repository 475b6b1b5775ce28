//! Every refusal that a suite produces is explained before its program ends, or the test fails.
//! Not here: what each test expects of a refusal, and how people read an explanation (`policies::explained`).

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::http::{Answer, Place};

/// How long an explanation may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// The most decisions of a program that are looked at beside those that were seen on the wire.
const RECENT: usize = 200;
/// The latest refusals at one place that are asked about: a program remembers 1024 that are on no record.
const LATEST: usize = 500;
/// If this names a file, each refusal adds a line to it: the test, who refused, and the reason code.
const LOG: &str = "SYMBOLON_REFUSALS";

static SEEN: LazyLock<Mutex<HashMap<Place, VecDeque<String>>>> = LazyLock::new(Mutex::default);

/// Remembers an answer if it is a refusal.
pub(crate) fn note(place: &Place, answer: &Answer) {
    if answer.status < 400 {
        return;
    }
    let id = answer.text("decision_id");
    let reason = reason(answer).unwrap_or_default();
    log(&id, &reason);
    // An answer that the store did not take in time was not given; the store may take it later, whatever it was.
    if reason == "store_unavailable" {
        return;
    }
    if !id.is_empty() {
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.entry(place.clone()).or_default();
        if seen.len() >= LATEST {
            seen.pop_front();
        }
        seen.push_back(id);
    }
}

/// The reason code: a member of its own at a gateway, before the colon at the broker.
fn reason(answer: &Answer) -> Option<String> {
    let (code, described) = (answer.text("code"), answer.text("error_description"));
    let code = if code.is_empty() { described.split(':').next()?.to_owned() } else { code };
    (!code.is_empty() && !code.contains(' ')).then_some(code)
}

fn log(id: &str, reason: &str) {
    let Some(path) = std::env::var_os(LOG) else { return };
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    let line = format!("{reason}\t{}\t{test}\n", id.split('-').next().unwrap_or_default());
    if let Ok(mut file) = OpenOptions::new().append(true).create(true).open(path) {
        let _ = file.write_all(line.as_bytes());
    }
}

fn forget(places: &[Place]) {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    for place in places {
        seen.remove(place);
    }
}

/// Asks a program about everything that it refused at these places; returns how many refusals it explained.
///
/// # Errors
/// What was not explained, a line each.
pub fn explained(places: &[Place], admin: &Path) -> Result<usize, String> {
    let mut ids = BTreeSet::new();
    for place in places {
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        ids.extend(seen.remove(place).unwrap_or_default());
    }
    ids.extend(recent(admin));
    let mut unexplained = String::new();
    for id in &ids {
        if let Err(problem) = ask(admin, &format!("/v1/decisions/{id}")).and_then(|document| check(&document))
        {
            let _ = writeln!(unexplained, "{id} is not explained: {problem}");
        }
    }
    if unexplained.is_empty() { Ok(ids.len()) } else { Err(unexplained) }
}

/// What a program did not allow, whoever asked: clients that are not ours, too.
fn recent(admin: &Path) -> Vec<String> {
    let listed = ask(admin, &format!("/v1/decisions?limit={RECENT}")).unwrap_or_default();
    let of = |decision: &Value| {
        let refused = decision["outcome"] != "allowed";
        refused.then(|| decision["id"].as_str().map(str::to_owned)).flatten()
    };
    listed.as_array().into_iter().flatten().filter_map(of).collect()
}

/// Whether a document says where a request ended and, if policies denied it, by which condition.
///
/// # Errors
/// What is missing.
pub fn check(document: &Value) -> Result<(), String> {
    let missing = |what: &str| Err(format!("{what}: {document}"));
    let stages = document["stages"].as_array().cloned().unwrap_or_default();
    let stopped: Vec<&Value> = stages.iter().filter(|stage| stage["outcome"] == "stopped").collect();
    let [stage] = stopped[..] else { return missing("not exactly one stage stopped it") };
    if stage["stage"].as_str().is_none_or(str::is_empty) || stage["detail"].as_str().is_none_or(str::is_empty)
    {
        return missing("the stage does not say why");
    }
    if document["reason"].as_str().is_none_or(str::is_empty) {
        return missing("there is no reason code");
    }
    let changed = [
        &document["facts"]["policies_changed_since"],
        &document["facts"]["policy"]["policies_changed_since"],
    ];
    if document["outcome"] != "denied" || changed.iter().any(|since| **since == true) {
        return Ok(());
    }
    let of = |member: &str| document[member].as_array().cloned().unwrap_or_default();
    let conditions =
        |policy: &Value, member: &str| policy[member].as_array().is_some_and(|some| !some.is_empty());
    let forbidden = of("forbids").iter().any(|it| it["policy"].is_string());
    let missed = of("near_misses").iter().any(|it| it["policy"].is_string() && conditions(it, "failed"));
    let nothing_near = of("near_misses").is_empty()
        && of("policies").is_empty()
        && stage["detail"].as_str().is_some_and(|detail| detail.contains("no policy permits"));
    if forbidden || missed || nothing_near { Ok(()) } else { missing("no condition is named") }
}

/// A question to an admin socket, by hand: this runs where nothing can be awaited.
fn ask(admin: &Path, path: &str) -> Result<Value, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", admin.display());
    let mut stream = UnixStream::connect(admin).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(failed)?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no answer")?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(format!("{} {body}", head.lines().next().unwrap_or_default()));
    }
    serde_json::from_str(body).map_err(|error| format!("{error}: {body}"))
}

/// Who answers for what a program refused.
#[derive(Debug)]
pub struct Witness {
    places: Vec<Place>,
    admin: PathBuf,
}

impl Witness {
    /// The program with this admin socket, which answers others at these places.
    #[must_use]
    pub fn new(admin: PathBuf, places: impl Into<Vec<Place>>) -> Self {
        Self { places: places.into(), admin }
    }

    /// Asks the program about everything that it refused since it was asked last.
    ///
    /// # Errors
    /// What was not explained, a line each.
    pub fn testify(&self) -> Result<usize, String> {
        explained(&self.places, &self.admin)
    }

    /// Forgets what the program refused: it begins anew, and what it had in memory is gone.
    pub(crate) fn forget(&self) {
        forget(&self.places);
    }
}
