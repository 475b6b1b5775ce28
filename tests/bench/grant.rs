//! Keeps a cluster with one pod for `tests/bench/grant.py`, and makes the proofs that it sends.
//! Not a part of any program: cluster and keys are the benchmark's own.
//!
//! usage: `bench-grant FOLDER cluster AUDIENCE` starts a real API server, writes `cluster.json` (where it is, our account there,
//! the pod's token) and runs until its standard input ends; `bench-grant FOLDER proofs NAME COUNT TARGET_URI` writes `NAME.txt`,
//! one fresh proof a line, all of the key `pod.jwk`.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use secrecy::ExposeSecret as _;
use serde_json::json;
use symbolon_e2e::kubernetes::Cluster;
use symbolon_e2e::kubernetes::objects::{Bound, running_container, uid};
use symbolon_identity::Timestamp;
use symbolon_jws::Algorithm;
use symbolon_proof::{ProofKey, ProofRequest};

const USAGE: &str = "usage: bench-grant FOLDER cluster AUDIENCE | proofs NAME COUNT TARGET_URI";
const HOUR: u64 = 3600;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [folder, "cluster", audience] => cluster(&PathBuf::from(folder), audience).await,
        [folder, "proofs", name, count, target] => {
            proofs(&PathBuf::from(folder), name, count.parse()?, target)
        }
        _ => bail!(USAGE),
    }
}

async fn cluster(folder: &Path, audience: &str) -> Result<()> {
    let cluster = Cluster::start("bench").await;
    let ours = cluster.namespace("symbolon", &json!({})).await;
    let rules = json!([
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
        {"nonResourceURLs": ["/openid/v1/jwks"], "verbs": ["get"]},
    ]);
    let token_file = cluster.write("broker-token", &cluster.caller(&ours, "broker", &rules).await);
    let (node, shop) = (cluster.node("node-1").await, cluster.namespace("shop", &json!({})).await);
    let node = node["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    cluster.service_account(&shop, "cart").await;
    let pod = cluster.pod(&shop, "cart-1", "cart", &node).await;
    let image = format!("app.test/app@sha256:{}", "a".repeat(64));
    let running = [running_container("app", "app.test/app:1", &image)];
    cluster.pod_status(&shop, "cart-1", "Running", &running).await;
    let bound = Bound::Pod("cart-1", uid(&pod));
    let evidence = cluster.token_request((&shop, "cart"), &[audience], HOUR, bound).await;
    let place = json!({
        "issuer": cluster.issuer(), "server": cluster.server(), "ca_file": cluster.ca_file(), "token_file": token_file,
        "evidence": evidence, "api_server": cluster.api_server().as_raw_nonzero().get(),
    });
    std::fs::write(folder.join("cluster.part"), place.to_string())?;
    std::fs::rename(folder.join("cluster.part"), folder.join("cluster.json"))?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn proofs(folder: &Path, name: &str, count: usize, target: &str) -> Result<()> {
    let file = folder.join("pod.jwk");
    let key = if file.exists() {
        ProofKey::from_private_jwk(&std::fs::read(file)?)?
    } else {
        let key = ProofKey::generate(Algorithm::Es256)?;
        std::fs::write(file, key.to_private_jwk().expose_secret())?;
        key
    };
    let request = ProofRequest { method: "POST", target_uri: target, access_token: None, nonce: None };
    let mut lines = std::io::BufWriter::new(std::fs::File::create(folder.join(format!("{name}.txt")))?);
    for _ in 0..count {
        writeln!(lines, "{}", key.prove(&request, now()?)?)?;
    }
    lines.flush()?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a program of its own: this is its clock")]
fn now() -> Result<Timestamp> {
    Ok(Timestamp::from_secs(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?)
}
