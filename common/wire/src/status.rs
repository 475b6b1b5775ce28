//! The revocation feed on the wire: what is asked, and the members of a signed page.
//! Not here: the signature around a page, and what a revocation means.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The scope of a token that opens the feed.
pub const SCOPE: &str = "status:read";

/// At most so many revocations stand on one page.
pub const MOST_ENTRIES: usize = 60;

/// What is asked of the feed: `?after=SEQ&wait=SECONDS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Query {
    /// The place after which to begin; zero is the beginning.
    pub after: u64,
    /// How long the answer may be held back until there is news.
    pub wait: u64,
}

impl Query {
    /// Parses a query; `None` if it holds anything else.
    #[must_use]
    pub fn parse(query: &str) -> Option<Self> {
        let (mut after, mut wait) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=')?;
            let slot = match name {
                "after" => &mut after,
                "wait" => &mut wait,
                _ => return None,
            };
            if slot.replace(value.parse::<u64>().ok()?).is_some() {
                return None;
            }
        }
        Some(Self { after: after.unwrap_or(0), wait: wait.unwrap_or(0) })
    }

    /// The query as it is sent.
    #[must_use]
    pub fn to_text(self) -> String {
        format!("after={}&wait={}", self.after, self.wait)
    }
}

/// The members of a page beside those that every token has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<R> {
    /// The place up to which this page tells everything.
    pub seq: u64,
    /// Whether there is more after it.
    #[serde(default)]
    pub more: bool,
    /// What was revoked, in its order.
    pub revocations: Vec<R>,
}

/// The members of a page.
///
/// A revocation that has no JSON form is left out; ours all have one.
#[must_use]
pub fn page<R: Serialize>(seq: u64, more: bool, revocations: &[R]) -> Map<String, Value> {
    let entries = revocations.iter().filter_map(|entry| serde_json::to_value(entry).ok()).collect();
    let members = [
        ("seq".to_owned(), Value::from(seq)),
        ("more".to_owned(), Value::from(more)),
        ("revocations".to_owned(), Value::Array(entries)),
    ];
    members.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_comes_back_and_anything_else_is_refused() {
        let query = Query { after: 7, wait: 20 };
        assert_eq!(Query::parse(&query.to_text()), Some(query));
        assert_eq!(Query::parse(""), Some(Query::default()));
        for bad in
            ["after", "after=-1", "after=1&after=2", "before=1", "wait=x", "after=99999999999999999999"]
        {
            assert_eq!(Query::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_page_comes_back() {
        let members = page(3, true, &["a", "b"]);
        let page: Page<String> = serde_json::from_value(Value::Object(members)).unwrap();
        assert_eq!(page, Page { seq: 3, more: true, revocations: vec!["a".to_owned(), "b".to_owned()] });
    }
}
