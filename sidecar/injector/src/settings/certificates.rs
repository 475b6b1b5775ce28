//! The certificates that travel into pods: certificates only, re-written from what the file holds.
//! Whether they are any good is for the sidecar's TLS to find out.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use symbolon_config::{ConfigError, Loaded};

use crate::config::Config;

/// All annotations of an object together may have 256 KiB.
const MAX_BYTES: usize = 64 * 1024;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Reads `broker.ca_file`, if there is one.
pub(super) fn read(
    loaded: &Loaded<Config>,
    files: &mut Vec<PathBuf>,
    errors: &mut Vec<ConfigError>,
) -> Option<String> {
    let path = loaded.value.broker.ca_file.as_ref()?;
    files.push(path.clone());
    let read = std::fs::read_to_string(path).map_err(|error| error.to_string());
    match read.and_then(|text| only_certificates(&text)) {
        Ok(certificates) => Some(certificates),
        Err(problem) => {
            let message = format!("`{}`: {problem}", path.display());
            errors.push(loaded.contradiction("broker.ca_file", message));
            None
        }
    }
}

/// The certificates of a PEM text, without whatever stands between them.
///
/// SECURITY: what comes out is shown in every pod. A private key in the same file must not get there.
pub(crate) fn only_certificates(text: &str) -> Result<String, String> {
    if text.contains("PRIVATE KEY") {
        return Err("it holds a private key, and its content would be shown in every pod".to_owned());
    }
    let mut clean = String::new();
    for block in text.split(BEGIN).skip(1) {
        let (body, _) = block.split_once(END).ok_or("a certificate has no end")?;
        let body: String = body.split_whitespace().collect();
        let bytes = STANDARD.decode(&body).map_err(|_| "a certificate is not base64")?;
        if bytes.is_empty() {
            return Err("a certificate is empty".to_owned());
        }
        clean.push_str(BEGIN);
        for line in body.as_bytes().chunks(64) {
            clean.push('\n');
            clean.extend(line.iter().map(|byte| char::from(*byte)));
        }
        clean.push('\n');
        clean.push_str(END);
        clean.push('\n');
    }
    match clean.len() {
        0 => Err("it holds no certificate".to_owned()),
        1..=MAX_BYTES => Ok(clean),
        _ => Err(format!("more than {} KiB of certificates", MAX_BYTES / 1024)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_come_out_and_nothing_else() {
        let body = STANDARD.encode([7_u8; 100]);
        let text = format!("# a note\n{BEGIN}\r\n{body}\r\n{END}\nsubject=x\n");
        let clean = only_certificates(&text).unwrap();
        assert!(clean.starts_with(BEGIN) && clean.ends_with("-----\n"), "{clean}");
        assert!(!clean.contains("note") && !clean.contains('\r'), "{clean}");
        assert_eq!(only_certificates(&clean).unwrap(), clean);
    }

    #[test]
    fn a_key_or_nothing_at_all_is_refused() {
        let key = format!("{BEGIN}\nAAAA\n{END}\n-----BEGIN EC PRIVATE KEY-----\n");
        for bad in [key.as_str(), "", "-----BEGIN CERTIFICATE-----\nAAAA\n", &format!("{BEGIN}\n$\n{END}")] {
            assert!(only_certificates(bad).is_err(), "{bad}");
        }
    }
}
