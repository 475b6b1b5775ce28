//! A compact token shown to people, without its signature, so that it can be pasted into a ticket.
//! Not here: verification; what is shown is what the token says, and nothing says that it is true.

use std::fmt::{self, Write as _};

use serde_json::Value;

use crate::visible::visible_lines;
use crate::{MAX_TOKEN_BYTES, base64url, sha256, strict_json};

/// What a compact token says, with its secrets left out.
///
/// `Display` is meant for a terminal: control and direction-changing characters are escaped.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Inspection {
    /// `JWS`, `JWE`, or `unknown` if the parts fit neither.
    pub format: &'static str,
    /// The protected header, if it is JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<Value>,
    /// The payload of a JWS, if it is JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<Value>,
    /// The first 16 hexadecimal digits of the token's SHA-256, by which logs and records name it.
    pub sha256_prefix: String,
    /// What a verifier of ours would refuse already by the form.
    pub findings: Vec<String>,
}

/// Reads a token of any kind as far as it can be read. Nothing is verified.
#[must_use]
pub fn inspect(token: &str) -> Inspection {
    let mut findings = Vec::new();
    let sha256_prefix = hash_prefix(token);
    if token.len() > MAX_TOKEN_BYTES {
        findings.push(format!("longer than {MAX_TOKEN_BYTES} bytes"));
        return Inspection { format: "unknown", header: None, claims: None, sha256_prefix, findings };
    }
    let parts: Vec<&str> = token.split('.').collect();
    let (format, payload) = match parts.as_slice() {
        [_, payload, signature] => {
            if base64url::decode(signature).is_err() {
                findings.push("the signature is not canonical base64url".to_owned());
            }
            if signature.is_empty() {
                findings.push("there is no signature".to_owned());
            }
            ("JWS", Some(*payload))
        }
        [_, _, _, _, _] => ("JWE", None),
        _ => ("unknown", None),
    };
    let header = parts.first().and_then(|text| object("header", text, &mut findings));
    let claims = payload.and_then(|text| object("payload", text, &mut findings));
    Inspection { format, header, claims, sha256_prefix, findings }
}

fn hash_prefix(token: &str) -> String {
    sha256(token.as_bytes()).iter().take(8).fold(String::new(), |mut hex, byte| {
        // INVARIANT: writing to a `String` does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Strict first; if that fails, the last reading of a lax parser, with a finding.
fn object(part: &str, text: &str, findings: &mut Vec<String>) -> Option<Value> {
    let Ok(bytes) = base64url::decode(text) else {
        findings.push(format!("the {part} is not canonical base64url"));
        return None;
    };
    match strict_json::from_slice(&bytes) {
        Ok(value) => Some(value),
        Err(error) => {
            findings.push(format!("the {part}: {error}"));
            serde_json::from_slice(&bytes).ok()
        }
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, not verified, sha256 {}…", self.format, self.sha256_prefix)?;
        for (title, value) in [("header", &self.header), ("claims", &self.claims)] {
            if let Some(value) = value {
                writeln!(f, "{title}: {}", visible_lines(&format!("{value:#}")))?;
            }
        }
        for finding in &self.findings {
            writeln!(f, "would be refused: {finding}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::rfc7515;

    #[test]
    fn header_and_claims_are_shown_and_the_signature_is_not() {
        let inspection = inspect(rfc7515::A3_TOKEN);
        let shown = inspection.to_string();
        assert_eq!(inspection.format, "JWS");
        assert!(shown.contains("\"alg\": \"ES256\"") && shown.contains("\"iss\": \"joe\""), "{shown}");
        assert!(inspection.findings.is_empty(), "{shown}");
        let signature = rfc7515::A3_TOKEN.rsplit('.').next().unwrap();
        assert!(!shown.contains(signature) && !format!("{inspection:?}").contains(signature));
    }

    #[test]
    fn what_would_be_refused_is_said() {
        let token =
            format!("{}.{}.", base64url::encode(r#"{"alg":"none"}"#), base64url::encode(r#"{"a":1,"a":2}"#));
        let inspection = inspect(&token);
        assert_eq!(inspection.findings.len(), 2, "{inspection}");
        assert_eq!(inspection.claims, Some(serde_json::json!({"a": 2})));
    }

    #[test]
    fn a_jwe_and_rubbish_are_told_apart() {
        assert_eq!(inspect("e30.a.b.c.d").format, "JWE");
        for rubbish in ["", "a", "....", "ghp_secret", &"a.".repeat(10_000)] {
            let _ = inspect(rubbish).to_string();
        }
        assert!(!inspect("ghp_secret").to_string().contains("ghp_secret"));
    }

    #[test]
    fn a_terminal_cannot_be_fooled() {
        let claims = base64url::encode("{\"a\":\"\\u001b[2J\u{202e}\u{9b}\"}");
        let shown = inspect(&format!("e30.{claims}.AA")).to_string();
        assert!(!shown.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{shown:?}");
    }
}
