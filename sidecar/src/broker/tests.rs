//! What becomes of a question before it is put.
//! Questions that reach a broker are in `tests/`.

use std::sync::mpsc;

use symbolon_config::{Environment, parse_str};
use symbolon_daemon::{Registry, SystemClock};

use super::*;
use crate::config::Config;
use crate::settings::Settings;

const CONFIG: &str = r#"
broker: { url: "http://127.0.0.1:9", timeout: 50ms }
evidence: { token_file: { path: /nowhere/token } }
listen: { endpoints: { tcp: "127.0.0.1:0", allow_any_local_process: true } }
upstreams: [{ name: orders, target: "http://127.0.0.1:9", resource: "https://orders.internal" }]
"#;

fn broker(settings: &Settings) -> Broker {
    let key = Arc::new(ProofKey::generate(symbolon_jws::Algorithm::Es256).unwrap());
    let metrics = BrokerMetrics::register(&mut Registry::new());
    let time = Time::new(Arc::new(SystemClock));
    Broker::new(
        &settings.broker,
        Source::choose(&settings.evidence, None).unwrap().source,
        key,
        time,
        metrics,
    )
    .unwrap()
}

#[test]
fn evidence_that_does_not_come_in_time_is_an_outage_and_not_the_end_of_asking() {
    let loaded = parse_str::<Config>(CONFIG, "sidecar.yaml", &Environment::empty()).unwrap();
    let settings = Settings::new(&loaded).unwrap();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    // The only thread that reads files is stuck, as it is when a network file system is away.
    let (free, stuck) = mpsc::channel::<()>();
    runtime.spawn_blocking(move || stuck.recv());
    let answer = runtime.block_on(async {
        let broker = broker(&settings);
        let asked = broker.time.now();
        let mut dice = Dice::seeded(1);
        let want = &settings.upstreams.first().unwrap().want;
        tokio::time::timeout(Duration::from_secs(10), broker.ask(want, asked, &mut dice)).await
    });
    drop(free);
    assert!(matches!(answer, Ok(Answer::Failed { not_before: None })), "{answer:?}");
}
