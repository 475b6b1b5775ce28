//! What a proxy has to know of gRPC: which messages are of it, and how long a call may take.
//! Not the protocol: nothing in a body is read.

use std::time::Duration;

use http::HeaderMap;
use http::header::{self, HeaderName, HeaderValue};

const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Whether a request or an answer is of gRPC: `application/grpc`, alone or with a format behind it. Not gRPC-Web, which
/// carries its trailers in the body.
#[must_use]
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = kind.and_then(|kind| kind.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// How long the caller of a gRPC call waits for it, if it says so: at most eight digits and a unit.
#[must_use]
pub fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let mut values = headers.get_all(&TIMEOUT).iter();
    let said = values.next().filter(|_| values.next().is_none() && is_grpc(headers))?.to_str().ok()?;
    let (digits, unit) = said.split_at_checked(said.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count.saturating_mul(3_600)),
        "M" => Duration::from_secs(count.saturating_mul(60)),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(values: &[&str]) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc+proto"));
        for value in values {
            headers.append(TIMEOUT, value.parse().unwrap());
        }
        timeout(&headers)
    }

    #[test]
    fn a_time_limit_is_read_in_its_one_form() {
        for (value, millis) in [("2H", 7_200_000), ("1M", 60_000), ("99S", 99_000), ("5m", 5), ("5000u", 5)] {
            assert_eq!(said(&[value]), Some(Duration::from_millis(millis)), "{value}");
        }
        for bad in ["", "S", "1", "1s", "-1S", "+1S", "1.5S", "123456789S", " 1S", "1 S"] {
            assert_eq!(said(&[bad]), None, "{bad}");
        }
        assert_eq!(said(&["1S", "2S"]), None);
        assert_eq!(timeout(&HeaderMap::new()), None);
    }
}
