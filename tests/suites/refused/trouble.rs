//! Refusals that are nobody's fault but ours, or that come before a request is looked at.
//! Not here: what the request itself got wrong.

use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _};
use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::issuer::TestIssuer;
use symbolon_e2e::process::wait_for;
use symbolon_e2e::programs::{Broker, Gateway};
use tokio::net::TcpListener;

async fn broker(rest: &str) -> Broker {
    Broker::start("tester", &TestIssuer::new("tester").jwks().to_string(), rest).await
}

async fn notes(broker: &Broker) -> Answer {
    let fields = [("grant_type", "client_credentials"), ("resource", "https://notes.test")];
    Call::form("/oauth2/token", &fields).send(broker.socket().as_path()).await.unwrap()
}

fn reason(answer: &Answer) -> String {
    answer.text("error_description").split(':').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_group_that_cannot_be_told_refuses() {
    let broker = broker("groups: { shop: 'attested.client_id == \"batch\"' }\n").await;
    let answer = notes(&broker).await;
    assert_eq!((answer.status, reason(&answer).as_str()), (400, "group_undetermined"));
}

#[tokio::test]
async fn a_forbid_that_cannot_be_evaluated_refuses() {
    let keys = TestIssuer::new("tester").jwks().to_string();
    let forbid = "@id(\"broken\") forbid (principal, action == Symbolon::Action::\"issue\", resource) \
        when { principal has unix && (principal.unix.uid + 2) * 9223372036854775807 > 0 };";
    let broker = Broker::start_clients(&[("tester", &keys)], "", forbid).await;
    let answer = notes(&broker).await;
    assert_eq!((answer.status, reason(&answer).as_str()), (400, "undetermined"));
}

#[tokio::test]
async fn who_asks_too_often_is_told_so_by_the_broker() {
    let broker = broker("limits: { requests_per_second: 1, burst: 2 }\n").await;
    let form = || Call::form("/oauth2/token", &[("grant_type", "client_credentials")]);
    wait_for("the source is over its limit", Duration::from_secs(10), async || {
        let answer = form().send(broker.address).await.unwrap();
        (answer.status, reason(&answer).as_str()) == (429, "rate_limited")
    })
    .await;
}

#[tokio::test]
async fn a_store_that_does_not_take_the_answer_is_an_outage() {
    let broker = broker("").await;
    let file = broker.folder.path().join("broker.db");
    let mut other = sqlx::sqlite::SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    let blocking = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let answer = notes(&broker).await;
    assert_eq!((answer.status, reason(&answer).as_str()), (503, "store_unavailable"));
    blocking.rollback().await.unwrap();
    wait_for("the store answers again", Duration::from_secs(20), async || notes(&broker).await.status == 200)
        .await;
}

#[tokio::test]
async fn an_api_that_does_not_answer_in_time_is_the_last_stage() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let routes = format!(
        "issuers: [{{ name: a, issuer: \"https://issuer.test/a\", jwks_file: {{folder}}/a.json, audiences: [\"https://a.test\"] }}]\n\
         routes: [{{ name: silent, match: {{ path: /** }}, public: true, upstream: {{ url: \"http://{}\", response_timeout: 100ms }} }}]\n",
        silent.local_addr().unwrap()
    );
    let keys = TestIssuer::new("https://issuer.test/a").jwks().to_string();
    let gateway = Gateway::start(&routes, &[("a.json", &keys)]).await;
    gateway.ready().await;
    let answer = Call::get("/x").send(gateway.address).await.unwrap();
    assert_eq!((answer.status, answer.text("code").as_str()), (504, "upstream_timeout"));
}
