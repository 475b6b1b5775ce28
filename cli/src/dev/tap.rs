//! A thief on the line between sidecar and gateway, for the tour: it relays every byte and keeps a copy.
//! Not here: what the thief tries with its loot (`tour/stolen.rs`).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use symbolon_daemon::Lifecycle;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The newest bytes that are kept.
const KEPT: usize = 64 * 1024;

/// The running relay.
#[derive(Clone)]
pub(crate) struct Tap {
    seen: Arc<Mutex<Vec<u8>>>,
}

/// What the thief took from the last request. Credentials, so no `Debug`.
pub(crate) struct Stolen {
    /// The token, without its scheme.
    pub(crate) token: String,
    /// The proof that went with it.
    pub(crate) proof: String,
}

impl Tap {
    /// Starts it on an address, in front of another.
    pub(crate) async fn start(
        address: SocketAddr,
        behind: SocketAddr,
        lifecycle: &Lifecycle,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let tap = Self { seen: Arc::default() };
        let (relay, connections) = (tap.clone(), lifecycle.clone());
        lifecycle.spawn_background("tap", async move {
            while let Ok((client, _)) = listener.accept().await {
                let tap = relay.clone();
                connections.spawn_background("tap_connection", async move {
                    // A broken connection is its two ends' business.
                    let _ = tap.relay(client, behind).await;
                });
            }
        });
        Ok(tap)
    }

    /// The credentials of the last request that passed.
    pub(crate) fn stolen(&self) -> Option<Stolen> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&seen);
        let authorization = last_header(&text, "authorization")?;
        let token = authorization.split_once(' ')?.1.to_owned();
        Some(Stolen { token, proof: last_header(&text, "dpop")? })
    }

    async fn relay(&self, client: TcpStream, behind: SocketAddr) -> std::io::Result<()> {
        let server = TcpStream::connect(behind).await?;
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let requests = async {
            let mut buffer = vec![0_u8; 16 * 1024];
            loop {
                let length = from_client.read(&mut buffer).await?;
                let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
                    return to_server.shutdown().await;
                };
                self.keep(bytes);
                to_server.write_all(bytes).await?;
            }
        };
        let answers = tokio::io::copy(&mut from_server, &mut to_client);
        tokio::try_join!(requests, async { answers.await.map(drop) }).map(drop)
    }

    fn keep(&self, bytes: &[u8]) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.extend_from_slice(bytes);
        let surplus = seen.len().saturating_sub(KEPT);
        seen.drain(..surplus);
    }
}

fn last_header(text: &str, name: &str) -> Option<String> {
    let lines = text.split("\r\n").filter_map(|line| line.split_once(':'));
    let found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).last();
    found.map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_request_is_the_loot() {
        let tap = Tap { seen: Arc::default() };
        assert!(tap.stolen().is_none());
        tap.keep(b"GET / HTTP/1.1\r\nAuthorization: DPoP one\r\nDPoP: p1\r\n\r\n");
        tap.keep(b"GET / HTTP/1.1\r\nauthorization: DPoP two\r\ndpop: p2\r\n\r\n");
        let stolen = tap.stolen().unwrap();
        assert_eq!((stolen.token.as_str(), stolen.proof.as_str()), ("two", "p2"));
    }
}
