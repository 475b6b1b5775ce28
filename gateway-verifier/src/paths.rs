//! Paths with one reading, and the patterns that match them: what is judged is byte for byte what is forwarded.
//! Not here: which route a path belongs to (`routes.rs`); the query, which no decision reads.

use std::borrow::Cow;
use std::cmp::Ordering;

use percent_encoding::percent_decode_str;

/// A path that two parsers cannot read in two ways; it borrows the bytes that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CanonicalPath<'a> {
    raw: &'a str,
    escaped: bool,
}

/// Which spelling of a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not start with a slash (RFC 9112 §3.2.1: origin-form only).
    #[error("the path does not start with a slash")]
    NotOriginForm,
    /// A byte that RFC 3986 §3.3 does not allow in a path, or a `;`, which servers read differently.
    #[error("the path has a byte that is not allowed there")]
    Byte,
    /// A `%` without two hexadecimal digits.
    #[error("the path has a malformed escape")]
    Escape,
    /// An escape that hides a delimiter, a control character, a dot, an unreserved character or another escape.
    #[error("the path escapes a character that must not be escaped")]
    Hidden,
    /// An empty segment inside, `.`, `..`, or a segment that ends in a dot or a space.
    #[error("the path has an empty or dotted segment")]
    Segment,
    /// Escapes that are not UTF-8.
    #[error("the escapes of the path are not UTF-8")]
    Encoding,
}

impl<'a> CanonicalPath<'a> {
    /// Accepts the path as it arrived, or says which rule it breaks.
    ///
    /// # Errors
    /// [`PathError`] if the path could be read in two ways.
    pub fn parse(raw: &'a str) -> Result<Self, PathError> {
        let inner = raw.strip_prefix('/').ok_or(PathError::NotOriginForm)?;
        let escaped = check_bytes(raw.as_bytes())?;
        if escaped && percent_decode_str(raw).decode_utf8().is_err() {
            return Err(PathError::Encoding);
        }
        let mut segments = inner.split('/').peekable();
        while let Some(segment) = segments.next() {
            // Only the last segment may be empty: `/` and `/orders/`.
            if segment.is_empty() && segments.peek().is_none() {
                break;
            }
            if segment.is_empty() || segment.ends_with('.') || segment.ends_with("%20") {
                return Err(PathError::Segment);
            }
        }
        Ok(Self { raw, escaped })
    }

    /// The bytes that arrived and are forwarded.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.raw
    }

    /// The path as conditions and policies compare it, with one spelling: without escapes and without the slash at the
    /// end. What could be taken for a separator is never escaped, so the segments stay what they are.
    #[must_use]
    pub fn judged(&self) -> Cow<'a, str> {
        let raw = self.raw.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(self.raw);
        if self.escaped { percent_decode_str(raw).decode_utf8_lossy() } else { Cow::Borrowed(raw) }
    }

    /// The segments without the slash at the end, if there is one: servers read `/a` and `/a/` alike.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &'a str> {
        let inner = self.raw.strip_prefix('/').unwrap_or(self.raw);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        let whole = (!inner.is_empty()).then_some(inner);
        whole.into_iter().flat_map(|inner| inner.split('/'))
    }
}

/// Checks each byte; tells whether there are escapes.
fn check_bytes(bytes: &[u8]) -> Result<bool, PathError> {
    let mut escaped = false;
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        match byte {
            b'%' => {
                escaped = true;
                let value = hex_pair(rest.next(), rest.next()).ok_or(PathError::Escape)?;
                check_escape(value, rest.as_slice())?;
            }
            // RFC 3986 §3.3 pchar without `;`, whose parameters some servers strip (Tomcat, Spring).
            b'/' | b':' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' => {}
            _ if is_unreserved(byte) => {}
            _ => return Err(PathError::Byte),
        }
    }
    Ok(escaped)
}

fn check_escape(value: u8, after: &[u8]) -> Result<(), PathError> {
    let hidden = match value {
        b'/' | b'\\' | b';' | b'#' | b'?' => true,
        // `%252e` is `%2e` for a server that decodes twice.
        b'%' => hex_pair(after.first(), after.get(1)).is_some(),
        _ => value < 0x20 || value == 0x7F || is_unreserved(value),
    };
    if hidden { Err(PathError::Hidden) } else { Ok(()) }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn hex_pair(high: Option<&u8>, low: Option<&u8>) -> Option<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let value = digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?;
    u8::try_from(value).ok()
}

/// One segment of a pattern. The order of the variants is the order of precision, most precise first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    /// Exactly this text, compared after decoding.
    Literal(String),
    /// `*`: any one segment.
    Any,
    /// `**`, only at the end: nothing or any number of segments.
    Rest,
}

/// A path pattern of the configuration: literal segments, `*` for one segment, `/**` at the end for any rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
    segments: Vec<Segment>,
}

/// Why a path pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It could itself be read in two ways.
    #[error("`{text}` is not a path pattern: {source}")]
    Path {
        /// The pattern.
        text: String,
        /// The rule it breaks.
        source: PathError,
    },
    /// Wildcards are whole segments and `**` is the last one.
    #[error("`{text}` is not a path pattern: `*` stands for a whole segment, `**` only for the last one")]
    Wildcard {
        /// The pattern.
        text: String,
    },
    /// A pattern matches with and without a slash at the end and is written without.
    #[error("`{text}` is not a path pattern: write it without the slash or the escape")]
    Spelling {
        /// The pattern.
        text: String,
    },
}

impl PathPattern {
    /// Parses a pattern such as `/orders/**` or `/users/*/profile`.
    ///
    /// # Errors
    /// [`PatternError`] if it is not a plain path with whole-segment wildcards.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let path = CanonicalPath::parse(text)
            .map_err(|source| PatternError::Path { text: text.to_owned(), source })?;
        if path.escaped || (text.len() > 1 && text.ends_with('/')) {
            return Err(PatternError::Spelling { text: text.to_owned() });
        }
        let mut segments = Vec::new();
        let mut parts = path.segments().peekable();
        while let Some(part) = parts.next() {
            segments.push(match part {
                "**" if parts.peek().is_none() => Segment::Rest,
                "*" => Segment::Any,
                _ if part.contains('*') => return Err(PatternError::Wildcard { text: text.to_owned() }),
                _ => Segment::Literal(part.to_owned()),
            });
        }
        Ok(Self { text: text.to_owned(), segments })
    }

    /// The pattern as it is written in the configuration.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The literal segments before the first wildcard, as a path: `/orders` for `/orders/**`, empty for `/**`.
    #[must_use]
    pub fn literal_prefix(&self) -> String {
        let literals = self.segments.iter().map_while(|segment| match segment {
            Segment::Literal(text) => Some(text.as_str()),
            Segment::Any | Segment::Rest => None,
        });
        literals.fold(String::new(), |path, segment| path + "/" + segment)
    }

    /// Whether the path matches; escapes in the path are compared decoded, so that no spelling escapes a rule.
    #[must_use]
    pub fn matches(&self, path: &CanonicalPath<'_>) -> bool {
        let mut given = path.segments();
        for wanted in &self.segments {
            match (wanted, given.next()) {
                (Segment::Rest, _) => return true,
                (Segment::Any, Some(_)) => {}
                (Segment::Literal(text), Some(segment)) if same_segment(text, segment, path.escaped) => {}
                _ => return false,
            }
        }
        given.next().is_none()
    }

    /// Most precise first: at the first difference the end goes before a literal, that before `*`, that before `**`.
    #[must_use]
    pub fn cmp_precision(&self, other: &Self) -> Ordering {
        self.segments.cmp(&other.segments)
    }
}

fn same_segment(wanted: &str, given: &str, escaped: bool) -> bool {
    if escaped { percent_decode_str(given).eq(wanted.bytes()) } else { wanted == given }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_pass_unchanged() {
        for good in [
            "/",
            "/orders",
            "/orders/",
            "/orders/7/items",
            "/a-b_c.d~e/f",
            "/users/a@b.example",
            "/users/a%40b",
            "/caf%C3%A9",
            "/caf%c3%a9",
            "/a%20b",
            "/a:b,c=d+e!$&'()*",
            "/100%25",
            "/.well-known/x",
            "/...a",
        ] {
            assert_eq!(CanonicalPath::parse(good).map(|path| path.as_str()), Ok(good), "{good}");
        }
    }

    #[test]
    fn what_servers_read_alike_is_judged_alike() {
        let judged = |raw| CanonicalPath::parse(raw).unwrap().judged().into_owned();
        for (one, other) in
            [("/a/!b", "/a/%21b"), ("/caf%C3%A9", "/caf%c3%a9"), ("/a", "/a/"), ("/a/:b/", "/a/%3ab")]
        {
            assert_eq!(judged(one), judged(other));
        }
        assert_eq!((judged("/"), judged("/a%20b/c")), ("/".to_owned(), "/a b/c".to_owned()));
    }

    const SECOND_SPELLINGS: &[&str] = &[
        "",
        "*",
        "orders",
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a%5Cb",
        "/a\\b",
        "/a%00",
        "//",
        "//admin",
        "/a//b",
        "/a//",
        "/.",
        "/..",
        "/./a",
        "/a/./b",
        "/a/.",
        "/a/..",
        "/public/../admin",
        "/%2e/a",
        "/%2e%2e/admin",
        "/.%2e/admin",
        "/%2E%2e%2fadmin",
        "/admin;x",
        "/admin;/x",
        "/%3badmin",
        "/%252e%252e/",
        "/%252fadmin",
        "/%c0%ae",
        "/%c0%af",
        "/%ff",
        "/%61dmin",
        "/%41dmin",
        "/admin%7e",
        "/admin.",
        "/admin%20",
        "/admin./x",
        "/...",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a%2g",
        "/a%u0041",
        "/%23/public",
        "/%3fx",
        "/a%0d%0ab",
        "/a%09",
        "/a%7f",
        "/a b",
        "/a\"b",
        "/a<b>",
        "/a|b",
        "/a^b",
        "/a`b",
        "/a{b}",
        "/[a]",
        "/caf\u{e9}",
        "/a\u{0}",
        "/a#b",
        "/a?b",
    ];

    #[test]
    fn every_second_spelling_is_refused() {
        for bad in SECOND_SPELLINGS {
            assert!(CanonicalPath::parse(bad).is_err(), "{bad:?}");
        }
    }

    fn matches(pattern: &str, path: &str) -> bool {
        PathPattern::parse(pattern).unwrap().matches(&CanonicalPath::parse(path).unwrap())
    }

    #[test]
    fn patterns_match_whole_segments() {
        for (pattern, path) in [
            ("/", "/"),
            ("/**", "/"),
            ("/**", "/a/b"),
            ("/orders/**", "/orders"),
            ("/orders/**", "/orders/"),
            ("/orders/**", "/orders/7/items"),
            ("/orders/*", "/orders/7"),
            ("/orders/*/items", "/orders/7/items/"),
            ("/admin", "/admin/"),
            ("/a@b", "/a%40b"),
            ("/a,b", "/a%2cb"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("/", "/a"),
            ("/orders/**", "/ordersx"),
            ("/orders/**", "/Orders"),
            ("/orders/*", "/orders"),
            ("/orders/*", "/orders/7/items"),
            ("/admin", "/admin/x"),
            ("/admin", "/"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn patterns_with_a_second_reading_are_refused() {
        for bad in
            ["", "orders", "/**/x", "/a*", "/a/***", "/a/", "/a//b", "/a/../b", "/a;b", "/a%40b", "/a b"]
        {
            assert!(PathPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn precision_puts_the_narrow_pattern_first() {
        let mut patterns: Vec<_> = ["/**", "/*", "/a/**", "/a/*", "/a/b", "/a", "/*/b", "/", "/a/b/**"]
            .iter()
            .map(|text| PathPattern::parse(text).unwrap())
            .collect();
        patterns.sort_by(PathPattern::cmp_precision);
        let order: Vec<_> = patterns.iter().map(PathPattern::as_str).collect();
        assert_eq!(order, ["/", "/a", "/a/b", "/a/b/**", "/a/*", "/a/**", "/*", "/*/b", "/**"]);
    }

    #[test]
    fn the_literal_prefix_names_the_resource() {
        let prefix = |text| PathPattern::parse(text).unwrap().literal_prefix();
        assert_eq!(prefix("/orders/**"), "/orders");
        assert_eq!(prefix("/orders/*/items"), "/orders");
        assert_eq!(prefix("/**"), "");
    }

    proptest::proptest! {
        #[test]
        fn an_accepted_path_decodes_to_the_same_segments(raw in "/[ -~]{0,40}") {
            if let Ok(path) = CanonicalPath::parse(&raw) {
                let decoded = percent_decode_str(&raw).decode_utf8().unwrap();
                proptest::prop_assert_eq!(decoded.split('/').count(), raw.split('/').count());
                proptest::prop_assert!(!decoded.split('/').any(|part| part == "." || part == ".."));
                proptest::prop_assert_eq!(path.as_str(), raw.as_str());
            }
        }
    }
}
