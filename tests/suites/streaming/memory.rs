//! What an open WebSocket costs the programs in memory.

use std::fs;
use std::time::Duration;

use symbolon_e2e::chain::{Chain, Link};
use symbolon_e2e::machine::soak;
use symbolon_e2e::process::Process;
use symbolon_e2e::sockets::{Echo, frame, open};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const LIMIT: u64 = 32 * 1024;
const SHORT: u64 = 200;
const LONG: u64 = 1_000;
/// The first sockets make what all share: buffers of threads, pools, tables.
const WARM: u64 = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_websocket_costs_each_program_at_most_32_kib() {
    let sockets = if soak() { LONG } else { SHORT };
    let api = Echo::start().await;
    let link = Link { name: "web", path: "/web/**", address: api.address, http2: false };
    let chain = Chain::renewing(&[link], "10m").await;
    let mut open = Vec::new();
    for _ in 0..WARM {
        open.push(socket(&chain).await);
    }
    let before = [resident(&chain.gateway.process), resident(&chain.sidecar.process)];
    for _ in 0..sockets {
        open.push(socket(&chain).await);
    }
    let after = [resident(&chain.gateway.process), resident(&chain.sidecar.process)];
    let [gateway, sidecar] = [0, 1].map(|program| after[program].saturating_sub(before[program]) / sockets);
    eprintln!(
        "{sockets} open WebSockets: {gateway} bytes each in the gateway, {sidecar} in the sidecar \
         (debug build: {})",
        cfg!(debug_assertions)
    );
    assert!(gateway <= LIMIT && sidecar <= LIMIT, "{gateway} and {sidecar} bytes each");
    for socket in &mut open {
        talk(socket).await;
    }
}

/// Opens a socket and sees that it works.
async fn socket(chain: &Chain) -> TcpStream {
    let mut socket = open("/web/a", chain.door("web")).await.unwrap();
    talk(&mut socket).await;
    socket
}

async fn talk(socket: &mut TcpStream) {
    let word = frame(&"x".repeat(100));
    let talk = async {
        socket.write_all(&word).await.unwrap();
        let mut echoed = vec![0; word.len()];
        socket.read_exact(&mut echoed).await.unwrap();
        assert_eq!(echoed, word);
    };
    tokio::time::timeout(Duration::from_secs(20), talk).await.unwrap();
}

/// The resident memory of a program in bytes.
fn resident(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid().as_raw_nonzero())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kibibytes * 1024
}
