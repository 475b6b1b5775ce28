//! Checks of the broker: whether it answers, whether it is the one that was meant, and whether our clocks agree.
//! Not here: asking it for anything but its public metadata.

use http::HeaderMap;
use http::header::DATE;
use serde_json::json;
use symbolon_daemon::Clock;
use symbolon_http::client::{ClientError, ClientSetupError, Fetched};
use symbolon_identity::IssuerUrl;
use symbolon_program::chain;
use symbolon_token_endpoint::Place;
use symbolon_wire::{ServerMetadata, paths, well_known_inserted};
use tokio::time::Instant;
use url::Url;

use super::PATIENCE;
use super::report::Check;
use super::upstreams::tls_advice;
use crate::config::BrokerConfig;

const REACHABLE: &str = "broker.reachable";
const ISSUER: &str = "broker.issuer";
const SKEW: &str = "clock.skew";
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// Proofs from further ahead are refused (RFC 9449 §11.1), and those from further behind.
const AHEAD_MOST: i64 = 5;
const BEHIND_MOST: i64 = 55;
/// Neither clock says more than the second, and HTTP servers keep their `Date` for one.
const NO_SKEW: i64 = 2;

/// What was seen of the broker.
pub(super) struct Looked {
    checks: Vec<Check>,
    reached: bool,
    issuer: Option<IssuerUrl>,
}

enum Unasked {
    Setup(ClientSetupError),
    Url(url::ParseError),
    Client(ClientError),
}

/// Fetches the broker's metadata.
pub(super) async fn look(config: &BrokerConfig, clock: &dyn Clock) -> Looked {
    let (begun, before) = (Instant::now(), clock.unix_seconds());
    let answer = fetch(config).await;
    let (took, after) = (begun.elapsed().as_millis(), clock.unix_seconds());
    let place = config.socket.as_ref().map_or_else(
        || config.url.to_string(),
        |socket| format!("{} over `{}`", config.url, socket.display()),
    );
    match answer {
        Err(unasked) => Looked::unreached(unreachable(&place, config, &unasked)),
        Ok(fetched) => {
            let took = json!({ "answered_ms": u64::try_from(took).unwrap_or(u64::MAX) });
            let reached =
                Check::ok(REACHABLE, format!("{place} answered in {} ms", took["answered_ms"])).with(took);
            let (issuer_check, issuer) = issuer(config, &fetched);
            let skew = skew_check(&fetched, before, after);
            Looked { checks: vec![reached, issuer_check, skew], reached: true, issuer }
        }
    }
}

async fn fetch(config: &BrokerConfig) -> Result<Fetched, Unasked> {
    let place = Place {
        issuer: config.url.clone(),
        socket: config.socket.clone(),
        ca_file: config.ca_file.clone(),
        timeout: PATIENCE,
    };
    let client = place.client(PATIENCE, MAX_ANSWER_BYTES).map_err(Unasked::Setup)?;
    let mut url = Url::parse(config.url.as_str()).map_err(Unasked::Url)?;
    let path = well_known_inserted(paths::AUTHORIZATION_SERVER_METADATA, url.path());
    url.set_path(&path);
    client.get(&url, HeaderMap::new()).await.map_err(Unasked::Client)
}

fn unreachable(place: &str, config: &BrokerConfig, unasked: &Unasked) -> Check {
    let (why, next) = match unasked {
        Unasked::Setup(error) => {
            (chain(error), "mend `broker.ca_file`: PEM certificates of the broker's authority")
        }
        Unasked::Url(error) => (chain(error), "mend `broker.url`"),
        Unasked::Client(error) => (
            chain(error),
            match error.tls_fault() {
                Some(fault) => tls_advice(fault, "broker.ca_file"),
                None if error.is_our_fault() => "mend `broker.url`: https, and no link-local address",
                None if config.socket.is_some() => {
                    "start the broker on this machine, or mend `broker.socket`; the socket has to be open to our user"
                }
                None => {
                    "look at DNS, the network policy and the broker's Service, and whether the broker is ready"
                }
            },
        ),
    };
    Check::failed(REACHABLE, format!("{place}: {why}"), next)
}

/// Whether what answered calls itself as the configuration does (RFC 8414 §3.3).
fn issuer(config: &BrokerConfig, fetched: &Fetched) -> (Check, Option<IssuerUrl>) {
    let next = "set `broker.url` to the broker's `issuer`, character by character";
    if !fetched.status.is_success() {
        let found = format!("the metadata was answered with {}: that is no broker", fetched.status.as_u16());
        return (Check::failed(ISSUER, found, next), None);
    }
    let metadata: Result<ServerMetadata, _> = serde_json::from_slice(&fetched.body);
    let Ok(metadata) = metadata else {
        return (Check::failed(ISSUER, "the answer is no metadata of an authorization server", next), None);
    };
    let issuer = metadata.issuer;
    let check = if issuer == config.url {
        Check::ok(ISSUER, format!("it is `{issuer}`, as configured"))
    } else {
        Check::failed(ISSUER, format!("it calls itself `{issuer}`, not `{}`", config.url), next)
    };
    (check, Some(issuer))
}

fn skew_check(fetched: &Fetched, before: u64, after: u64) -> Check {
    let date =
        fetched.headers.get(DATE).and_then(|value| httpdate::parse_http_date(value.to_str().ok()?).ok());
    let date = date.and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok());
    let Some(date) = date else { return Check::skipped(SKEW, "the answer has no usable `Date`") };
    of_skew(skew(before, after, date.as_secs()))
}

/// How many seconds our clock is ahead of the broker's at least; negative if it is behind.
fn skew(before: u64, after: u64, date: u64) -> i64 {
    let ahead = before.saturating_sub(date);
    let behind = date.saturating_sub(after);
    let seconds = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
    if ahead > 0 { seconds(ahead) } else { -seconds(behind) }
}

fn of_skew(skew: i64) -> Check {
    let next = "let NTP set the clock of whichever is wrong";
    let found = match skew {
        ahead if ahead > 0 => format!("our clock is about {ahead} s ahead of the broker's"),
        behind if behind < 0 => format!("our clock is about {} s behind the broker's", -behind),
        _ => "our clock and the broker's agree".to_owned(),
    };
    let check = if (-NO_SKEW..=NO_SKEW).contains(&skew) {
        Check::ok(SKEW, found)
    } else if (-BEHIND_MOST..=AHEAD_MOST).contains(&skew) {
        Check::warning(SKEW, found, next)
    } else {
        Check::failed(SKEW, format!("{found}: it refuses our proofs"), next)
    };
    check.with(json!({ "skew_seconds": skew }))
}

impl Looked {
    fn unreached(check: Check) -> Self {
        let away = |check| Check::skipped(check, "the broker was not reached");
        Self { checks: vec![check, away(ISSUER), away(SKEW)], reached: false, issuer: None }
    }

    pub(super) const fn is_reached(&self) -> bool {
        self.reached
    }

    /// What it calls itself, or what the configuration calls it.
    pub(super) fn issuer<'a>(&'a self, config: &'a BrokerConfig) -> &'a IssuerUrl {
        self.issuer.as_ref().unwrap_or(&config.url)
    }

    pub(super) fn into_checks(self) -> Vec<Check> {
        self.checks
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::*;

    #[test]
    fn clocks_that_agree_to_the_second_agree() {
        for (before, after, date, expected) in [
            (100, 100, 100, 0),
            (100, 103, 101, 0),
            (100, 100, 98, 2),
            (100, 101, 111, -10),
            (190, 190, 100, 90),
        ] {
            assert_eq!(skew(before, after, date), expected, "{before} {after} {date}");
        }
    }

    #[test]
    fn a_clock_that_makes_proofs_refused_fails_and_one_on_the_way_there_warns() {
        for (skew, verdict) in [
            (0, Verdict::Ok),
            (2, Verdict::Ok),
            (-2, Verdict::Ok),
            (4, Verdict::Warning),
            (-40, Verdict::Warning),
            (6, Verdict::Failed),
            (-56, Verdict::Failed),
            (i64::MIN + 1, Verdict::Failed),
        ] {
            assert_eq!(of_skew(skew).verdict, verdict, "{skew}");
        }
    }

    #[test]
    fn the_date_of_the_answer_is_what_is_compared() {
        let mut headers = HeaderMap::new();
        let fetched = |headers: &HeaderMap| Fetched {
            status: http::StatusCode::OK,
            headers: headers.clone(),
            body: Vec::new().into(),
        };
        assert_eq!(skew_check(&fetched(&headers), 0, 0).verdict, Verdict::Skipped);
        headers.insert(DATE, "Wed, 25 Nov 2026 15:00:00 GMT".parse().unwrap());
        assert_eq!(skew_check(&fetched(&headers), 1_795_618_800, 1_795_618_800).verdict, Verdict::Ok);
        assert_eq!(skew_check(&fetched(&headers), 1_795_618_900, 1_795_618_900).verdict, Verdict::Failed);
    }
}
