//! An API behind the gateway: where it is and how long it may take.
//! Not here: connections to it (`symbolon-http`).

use symbolon_http::forward::{self, ForwardOptions};

use crate::config::UpstreamConfig;

/// Where admitted requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Scheme, host and port.
    pub address: forward::Upstream,
    /// Which of the plan's [`ForwardOptions`] it is reached by.
    pub slot: usize,
}

/// Why an upstream is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// It is no address of an upstream.
    #[error(transparent)]
    Address(#[from] forward::UpstreamError),
    /// The path that is judged is the path that is forwarded, so nothing can be put before it.
    #[error("an upstream has no path: the path that was judged is forwarded as it is")]
    Path,
    /// A CA file makes sense for https only.
    #[error("`ca_file` is for an https upstream")]
    CaFile,
}

impl Upstream {
    /// Reads the section; upstreams with the same options share a slot and with it their connections.
    ///
    /// # Errors
    /// [`UpstreamError`] if the URL is not exactly scheme, host and port.
    pub fn plan(config: &UpstreamConfig, slots: &mut Vec<ForwardOptions>) -> Result<Self, UpstreamError> {
        let address: forward::Upstream = config.url.parse()?;
        let has_path = address.to_string().split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
        if has_path {
            return Err(UpstreamError::Path);
        }
        if config.ca_file.is_some() && !address.is_tls() {
            return Err(UpstreamError::CaFile);
        }
        let usual = ForwardOptions::default();
        let options = ForwardOptions {
            connect_timeout: config.connect_timeout.map_or(usual.connect_timeout, Into::into),
            answer_timeout: config.response_timeout.map_or(usual.answer_timeout, Into::into),
            max_requests: config.max_requests.unwrap_or(usual.max_requests),
            ca_file: config.ca_file.clone(),
            ..usual
        };
        let known = slots.iter().position(|slot| *slot == options);
        let slot = known.unwrap_or_else(|| {
            slots.push(options);
            slots.len().saturating_sub(1)
        });
        Ok(Self { address, slot })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(url: &str, slots: &mut Vec<ForwardOptions>) -> Result<Upstream, UpstreamError> {
        let config = UpstreamConfig {
            url: url.to_owned(),
            ca_file: None,
            connect_timeout: None,
            response_timeout: None,
            max_requests: None,
        };
        Upstream::plan(&config, slots)
    }

    #[test]
    fn an_upstream_is_scheme_host_and_port() {
        let mut slots = Vec::new();
        assert_eq!(plan("http://127.0.0.1:9000", &mut slots).unwrap().address.authority(), "127.0.0.1:9000");
        assert!(plan("https://orders.internal/", &mut slots).is_ok());
        for bad in [
            "",
            "127.0.0.1:9000",
            "/x",
            "ftp://a",
            "http://",
            "http://a/x",
            "http://a/?q",
            "http://u@a",
            "http://a/#f",
        ] {
            assert!(plan(bad, &mut slots).is_err(), "{bad}");
        }
        assert_eq!(slots.len(), 1, "equal options share a slot");
    }

    #[test]
    fn a_ca_file_is_for_https() {
        let config = UpstreamConfig {
            url: "http://127.0.0.1:9000".to_owned(),
            ca_file: Some("/ca.pem".into()),
            connect_timeout: None,
            response_timeout: None,
            max_requests: None,
        };
        assert_eq!(Upstream::plan(&config, &mut Vec::new()), Err(UpstreamError::CaFile));
    }
}
