//! Comparing `htu` with a request's target (RFC 9449 §4.3, step 9).
//! Not here: which targets a request may have been meant for.

use std::fmt::Write;

use url::Url;

/// Whether both URIs are the same after the syntax-based and scheme-based normalisation of RFC 3986 §6.2.2 and
/// §6.2.3, without query and fragment.
pub(crate) fn same_target(claimed: &str, expected: &str) -> bool {
    match (normalised(claimed), normalised(expected)) {
        (Some(claimed), Some(expected)) => claimed == expected,
        _ => false,
    }
}

fn normalised(text: &str) -> Option<String> {
    // A URL parser made for browsers drops tabs and turns `\` into `/`; a proof has no need of such texts.
    if text.len() > 8_192 || !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let plain =
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    if !plain {
        return None;
    }
    let port = url.port_or_known_default()?;
    Some(format!("{}://{}:{port}{}", url.scheme(), url.host_str()?, normalised_escapes(url.path())?))
}

/// Percent-escapes in upper case, and none where the character needs none (RFC 3986 §6.2.2.1, §6.2.2.2).
fn normalised_escapes(path: &str) -> Option<String> {
    let mut parts = path.split('%');
    let mut normal = String::with_capacity(path.len());
    normal.push_str(parts.next()?);
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let byte = u8::from_str_radix(digits, 16).ok()?;
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            normal.push(char::from(byte));
        } else {
            write!(normal, "%{byte:02X}").ok()?;
        }
        normal.push_str(rest);
    }
    Some(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equivalent_spellings_are_one_target() {
        for (claimed, expected) in [
            ("https://api.example.com/orders", "https://api.example.com/orders"),
            ("HTTPS://API.Example.com/orders", "https://api.example.com/orders"),
            ("https://api.example.com:443/orders", "https://api.example.com/orders"),
            ("https://api.example.com", "https://api.example.com/"),
            ("https://api.example.com/orders?x=1#y", "https://api.example.com/orders?z"),
            ("https://api.example.com/a/../orders", "https://api.example.com/orders"),
            ("https://api.example.com/%7euser/%2Fa", "https://api.example.com/~user/%2fa"),
            ("http://127.0.0.1:8720/", "http://127.0.0.1:8720"),
            ("http://[::1]:8720/", "http://[0:0:0:0:0:0:0:1]:8720/"),
        ] {
            assert!(same_target(claimed, expected), "{claimed} {expected}");
        }
    }

    #[test]
    fn other_targets_are_others() {
        let expected = "https://api.example.com/orders";
        for claimed in [
            "http://api.example.com/orders",
            "https://api.example.com:8443/orders",
            "https://api.example.com.evil.example/orders",
            "https://evil.example/https://api.example.com/orders",
            "https://user@api.example.com/orders",
            "https://user:pass@api.example.com/orders",
            "https://api.example.com/Orders",
            "https://api.example.com/orders/",
            "https://api.example.com//orders",
            "https://api.example.com/%2forders",
            "https://api.example.com\\orders",
            "https://api.example.com/ord\ters",
            "https://api.example.com/orders%",
            "https://api.example.com/orders%zz",
            "/orders",
            "",
            "file:///orders",
            "javascript:alert(1)",
        ] {
            assert!(!same_target(claimed, expected), "{claimed}");
        }
        assert!(!same_target("rubbish", "rubbish"));
    }
}
