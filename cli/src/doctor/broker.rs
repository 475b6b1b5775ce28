//! The broker's side: evidence is shown to its admin socket, and this prints what a grant would say of it.
//! Not here: any judgement. The token is sent once and printed never.

use std::time::Duration;

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use symbolon_daemon::{Clock as _, SystemClock};
use symbolon_evidence::{Source, SourceConfig};
use symbolon_identity::Timestamp;
use symbolon_wire::{Appraisal, ProviderAppraisal, ProviderVerdict, client_assertion_type, paths};
use tokio::time::Instant;

use super::report::{Check, Report, Verdict};
use super::{Asked, claims};
use crate::exit::{Exit, Failure};
use crate::explain::BROKER_SOCKET;
use crate::http::{Answer, Call, Place};
use crate::output::{self, Format};
use crate::token;

/// Neither clock says more than the second.
const NO_SKEW: Duration = Duration::from_secs(2);

/// What there is to show.
struct Shown {
    /// None if the connection itself is the evidence.
    token: Option<SecretString>,
    place: String,
}

/// Asks and prints.
pub(super) async fn run(asked: &Asked, format: Format) -> anyhow::Result<Exit> {
    let place = asked.place();
    let shown = asked.evidence(&place).await?;
    let mut form = Vec::new();
    if let Some(token) = &shown.token {
        form.push(("client_assertion_type", client_assertion_type::JWT_BEARER));
        form.push(("client_assertion", token.expose_secret()));
    }
    form.extend(asked.provider.as_deref().map(|name| ("trust_provider", name)));
    let (begun, before) = (Instant::now(), now());
    let answer = Call::post_form(&place, paths::EVIDENCE, &form).send().await?;
    let (took, after) = (begun.elapsed(), now());
    let appraisal = read(&answer, &place)?;
    let mut checks = vec![Check::new("evidence.source", Verdict::Ok, &shown.place)];
    if let Some(token) = &shown.token {
        checks.extend(claims::checks(&symbolon_jws::inspect::inspect(token.expose_secret()), appraisal.now));
    }
    let reached = format!("{place} answered in {} ms", took.as_millis());
    checks.push(Check::new("broker.reachable", Verdict::Ok, reached));
    checks.push(skew(before, after, appraisal.now));
    checks.extend(appraisal.providers.iter().flat_map(provider));
    checks.push(outcome(&appraisal));
    let report = Report::of(checks, appraisal.is_taken());
    output::document(format, &report, &report.table())?;
    Ok(if appraisal.is_taken() { Exit::Ok } else { Exit::Denied })
}

impl Asked {
    fn place(&self) -> Place {
        let in_folder = || self.running.state_dir().map(|folder| folder.join("admin.sock"));
        Place::Unix(self.broker_admin.clone().or_else(in_folder).unwrap_or_else(|| BROKER_SOCKET.into()))
    }

    /// The token that was named, or what a sidecar with `evidence: auto` would take here.
    async fn evidence(&self, place: &Place) -> anyhow::Result<Shown> {
        if let Some(file) = &self.evidence {
            let place = if file.as_os_str() == "-" {
                "standard input".to_owned()
            } else {
                file.display().to_string()
            };
            return Ok(Shown { token: Some(token::read(file)?), place });
        }
        let Place::Unix(socket) = place else { anyhow::bail!("the admin socket is no file") };
        let choice = Source::choose(&SourceConfig::Auto, Some(socket))?;
        let collected = choice.source.collect().await.context("collecting evidence")?;
        let token = collected.assertion().map(|assertion| SecretString::from(assertion.expose()));
        let place = match choice.source.file() {
            Some(file) => file.display().to_string(),
            None => "there is no projected token here: this process, by its connection".to_owned(),
        };
        Ok(Shown { token, place })
    }
}

fn read(answer: &Answer, place: &Place) -> anyhow::Result<Appraisal> {
    if answer.status.is_success() {
        return answer.json();
    }
    let status = answer.status.as_u16();
    let said = answer.json::<Value>().ok();
    let said = said.as_ref().and_then(|body| body.get("error")).and_then(Value::as_str);
    let message = format!("{place} answered {status}: {}", said.unwrap_or("without a reason"));
    Err(match status {
        400 | 413 | 415 => Failure::usage(message),
        403 => Failure::denied(message),
        _ => Failure::unavailable(message),
    }
    .into())
}

fn skew(before: Timestamp, after: Timestamp, theirs: Timestamp) -> Check {
    let (ahead, behind) = (before.saturating_since(theirs), theirs.saturating_since(after));
    let details = json!({ "ahead_seconds": ahead.as_secs(), "behind_seconds": behind.as_secs() });
    let check = if ahead.max(behind) <= NO_SKEW {
        Check::new("clock.skew", Verdict::Ok, "our clock and the broker's agree")
    } else {
        let found = format!(
            "our clock is {} s ahead of the broker's, {} s behind",
            ahead.as_secs(),
            behind.as_secs()
        );
        Check::new("clock.skew", Verdict::Warning, found).next("let NTP set the clock of whichever is wrong")
    };
    check.with(details)
}

fn provider(provider: &ProviderAppraisal) -> Vec<Check> {
    let name = format!("provider.{}", provider.name);
    let found = format!("{}: {}", provider.method, provider.why);
    let check = match provider.verdict {
        ProviderVerdict::Takes | ProviderVerdict::TakesWithKey => Check::new(&name, Verdict::Ok, found),
        ProviderVerdict::Refuses => Check::new(&name, Verdict::Failed, found).next(wants(provider)),
        ProviderVerdict::NotAsked => Check::new(&name, Verdict::Skipped, found),
    };
    let mut checks = vec![check.with(json!(provider))];
    if let Some(keys) = provider.keys.filter(|keys| !keys.usable || keys.failures > 0) {
        let found = format!(
            "{} keys of its issuer, {} fetches failed since the last good one",
            keys.count, keys.failures
        );
        let verdict = if keys.usable { Verdict::Warning } else { Verdict::Failed };
        let next = "look at the broker's log for `issuer`, and whether its key set or API server can be reached from there";
        checks.push(Check::new(format!("{name}.keys"), verdict, found).next(next));
    }
    checks
}

/// What a provider that refuses would take.
fn wants(provider: &ProviderAppraisal) -> String {
    let issuer = provider.issuer.as_ref().map_or_else(String::new, |issuer| format!(" of `{issuer}`"));
    let audiences = provider.audiences.join("` or `");
    if audiences.is_empty() {
        "look at its `workload` expression".to_owned()
    } else {
        format!("it takes a token{issuer} for `{audiences}` alone")
    }
}

fn outcome(appraisal: &Appraisal) -> Check {
    let workload = appraisal.workload.as_deref().unwrap_or("nobody");
    let until = appraisal.not_after.map_or_else(String::new, |end| format!(", until {end}"));
    match (appraisal.is_taken(), appraisal.reason) {
        (true, None) => Check::new("attested", Verdict::Ok, format!("`{workload}`{until}")),
        (true, Some(_)) => {
            Check::new("attested", Verdict::Ok, format!("`{workload}`{until}, for who proves its key"))
        }
        (false, reason) => {
            let detail = appraisal.detail.as_deref().unwrap_or_default();
            let code = reason.map_or("refused", symbolon_identity::ReasonCode::as_str);
            let check = Check::new("attested", Verdict::Failed, format!("{code}: {detail}"));
            check.next(reason.map_or("look at the broker's log", symbolon_identity::ReasonCode::advice))
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from_secs_saturating(SystemClock.unix_seconds())
}
