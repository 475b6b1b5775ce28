//! The rejections of the last minutes, so that an operator can ask for any id that a caller shows.
//! Not the audit trail: this is memory, bounded, and gone with the process.

mod document;
mod explained;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use symbolon_identity::{DecisionId, Timestamp};

use crate::rejection::Rejection;
use crate::routes::Route;

/// How many rejections of each kind of sender are kept.
pub const KEPT: usize = 1_024;

/// When and where a decision was taken.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// Its id.
    pub id: DecisionId,
    /// When.
    pub time: Timestamp,
    /// The route, if one was found.
    pub route: Option<Arc<Route>>,
    /// The peer's address; none for a Unix socket.
    pub source: Option<IpAddr>,
}

/// One rejection.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// When and where.
    pub at: Circumstances,
    /// Why.
    pub rejection: Rejection,
    /// The method and path, shortened; the query is not kept.
    pub request: String,
}

/// Among whom a rejection is remembered: neither can push the other out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Company {
    /// Strangers, and callers that are rejected for one thing again and again.
    Crowd,
    /// Callers that proved who they are.
    Callers,
}

/// The last rejections.
#[derive(Debug, Default)]
pub struct Recent {
    crowd: Mutex<VecDeque<Rejected>>,
    callers: Mutex<VecDeque<Rejected>>,
}

impl Recent {
    /// Keeps a rejection, in place of the oldest one if need be.
    pub fn keep(&self, rejected: Rejected, among: Company) {
        let kept = match among {
            Company::Callers => &self.callers,
            Company::Crowd => &self.crowd,
        };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(rejected);
    }

    /// The last rejections, newest first by the second.
    #[must_use]
    pub fn last(&self, limit: usize) -> Vec<Rejected> {
        let mut all = Vec::new();
        for kept in [&self.callers, &self.crowd] {
            all.extend(kept.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().take(limit).cloned());
        }
        all.sort_by_key(|rejected| std::cmp::Reverse(rejected.at.time));
        all.truncate(limit);
        all
    }

    /// The rejection with this id, if it is still known.
    #[must_use]
    pub fn find(&self, id: &DecisionId) -> Option<Rejected> {
        let search = |kept: &Mutex<VecDeque<Rejected>>| {
            let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.iter().rev().find(|rejected| rejected.at.id == *id).cloned()
        };
        search(&self.callers).or_else(|| search(&self.crowd))
    }
}

/// Method and path for people: shortened, and safe to show.
#[must_use]
pub fn shown(method: &http::Method, path: &str) -> String {
    let method = method.as_str();
    format!("{} {}", method.get(..method.len().min(32)).unwrap_or_default(), crate::shown::shown(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_identity::{Origin, ReasonCode};

    fn rejected(number: u64) -> Rejected {
        let mut random = [0; 10];
        random[2..].copy_from_slice(&number.to_be_bytes());
        let time = Timestamp::from_secs(1_800_000_000).unwrap();
        let id = DecisionId::new(Origin::Gateway, time, random);
        Rejected {
            at: Circumstances { id, time, route: None, source: None },
            rejection: Rejection::new(ReasonCode::WrongAudience).compared("https://a", "https://b"),
            request: "GET /orders".to_owned(),
        }
    }

    #[test]
    fn the_last_ones_are_found_and_the_oldest_go() {
        let recent = Recent::default();
        let kept = u64::try_from(KEPT).unwrap();
        for number in 0..=kept {
            recent.keep(rejected(number), Company::Crowd);
        }
        assert!(recent.find(&rejected(0).at.id).is_none());
        assert!(recent.find(&rejected(1).at.id).is_some());
        assert!(recent.find(&rejected(kept).at.id).is_some());
        assert_eq!((recent.last(KEPT + 1).len(), recent.last(7).len()), (KEPT, 7));
    }

    #[test]
    fn the_document_shows_expected_and_actual() {
        let document = rejected(7).document(&[]);
        assert_eq!(document.reason, Some(ReasonCode::WrongAudience));
        assert_eq!(document.near_misses[0].failed[0].expected.as_deref(), Some("https://a"));
        assert_eq!(document.near_misses[0].failed[0].actual.as_deref(), Some("https://b"));
        assert_eq!(document.facts["request"], "GET /orders");
    }

    #[test]
    fn a_long_path_is_shortened_between_characters() {
        let path = format!("/{}", "ä".repeat(400));
        let text = shown(&http::Method::GET, &path);
        assert!(text.len() < 300 && text.ends_with('…'), "{text}");
        assert_eq!(shown(&http::Method::GET, "/a"), "GET /a");
        assert_eq!(shown(&http::Method::GET, "/a\u{202e}"), "GET /a\\u{202e}");
    }
}
