//! The guarded client.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use symbolon_http::Body;
use symbolon_http::client::{AddressPolicy, ClientError, GuardedClient};
use symbolon_http::server::Limits;
use url::Url;

use crate::support::{lifecycle, serve, soon, text};
use crate::upstream::upstream;

fn local() -> GuardedClient {
    let policy = AddressPolicy::public().allow_loopback();
    GuardedClient::builder().addresses(policy).max_body(100).timeout(Duration::from_secs(10)).build().unwrap()
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

async fn get(client: &GuardedClient, at: &str) -> Result<String, ClientError> {
    let fetched = soon("an answer", client.get(&url(at), HeaderMap::new())).await?;
    Ok(format!("{} {}", fetched.status.as_u16(), String::from_utf8_lossy(&fetched.body)))
}

#[tokio::test]
async fn answers_of_any_status_come_back_whole() {
    let lifecycle = lifecycle();
    let address = serve(Limits::default(), &lifecycle, |request: Request<Body>| async move {
        let mut answer = text("gone").await;
        *answer.status_mut() = StatusCode::GONE;
        answer
            .headers_mut()
            .extend(request.headers().get("if-none-match").map(|tag| (http::header::ETAG, tag.clone())));
        answer
    });
    let mut headers = HeaderMap::new();
    headers.insert("if-none-match", HeaderValue::from_static("\"a\""));
    let fetched = local().get(&url(&format!("http://{address}/")), headers).await.unwrap();
    assert_eq!((fetched.status, fetched.body.as_ref()), (StatusCode::GONE, &b"gone"[..]));
    assert_eq!(fetched.headers["etag"], "\"a\"");
}

#[tokio::test]
async fn forms_are_posted() {
    let lifecycle = lifecycle();
    let address = serve(Limits::default(), &lifecycle, |request: Request<Body>| async move {
        let form = request.headers()["content-type"] == "application/x-www-form-urlencoded";
        let body = request.into_body().read(1000, Duration::from_secs(5)).await.unwrap();
        assert!(form);
        Response::new(Body::from(body))
    });
    let pairs = [("grant_type", "client_credentials"), ("scope", "a b&c")];
    let fetched =
        local().post_form(&url(&format!("http://{address}/")), &pairs, HeaderMap::new()).await.unwrap();
    assert_eq!(fetched.body, "grant_type=client_credentials&scope=a+b%26c");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let lifecycle = lifecycle();
    let (address, _) = upstream(
        &lifecycle,
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    assert_eq!(get(&local(), &format!("http://{address}/")).await.unwrap(), "302 ");
}

#[tokio::test]
async fn an_answer_above_the_limit_is_not_read() {
    let lifecycle = lifecycle();
    let (announced, _) = upstream(&lifecycle, "HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await;
    let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40\r\n\
        0123456789012345678901234567890123456789012345678901234567890123\r\n40\r\n\
        0123456789012345678901234567890123456789012345678901234567890123\r\n";
    let (chunked, _) = upstream(&lifecycle, endless).await;
    for address in [announced, chunked] {
        let error = get(&local(), &format!("http://{address}/")).await.unwrap_err();
        assert!(matches!(error, ClientError::TooLarge { limit: 100 }), "{error:?}");
    }
}

#[tokio::test]
async fn loopback_in_any_spelling_is_refused_unless_allowed() {
    let lifecycle = lifecycle();
    let address = serve(Limits::default(), &lifecycle, |_| text("reached"));
    let port = address.port();
    let public = GuardedClient::builder().build().unwrap();
    for host in
        ["127.0.0.1", "localhost", "LOCALHOST.", "127.1", "0x7f000001", "2130706433", "[::ffff:127.0.0.1]"]
    {
        let at = format!("http://{host}:{port}/");
        let error = get(&public, &at).await.unwrap_err();
        assert!(matches!(error, ClientError::AddressRefused { .. }), "{host}: {error:?}");
        assert!(error.is_our_fault() && !error.is_transient());
        assert_eq!(get(&local(), &at).await.unwrap(), "200 reached", "{host}");
    }
}

#[tokio::test]
async fn metadata_and_private_addresses_are_refused() {
    for at in ["http://169.254.169.254/", "https://10.0.0.1/", "https://[fd00:ec2::254]/", "https://0.0.0.0/"]
    {
        let error = get(&local(), at).await.unwrap_err();
        assert!(matches!(error, ClientError::AddressRefused { .. }), "{at}: {error:?}");
    }
}

#[tokio::test]
async fn plaintext_stays_on_this_machine() {
    for at in ["http://example.com/", "http://1.1.1.1/", "http://localhost.example.com/"] {
        assert!(matches!(get(&local(), at).await, Err(ClientError::Plaintext)), "{at}");
    }
    assert!(matches!(get(&local(), "https://u:p@example.com/").await, Err(ClientError::UserInformation)));
    assert!(matches!(get(&local(), "ftp://example.com/").await, Err(ClientError::UnsupportedScheme { .. })));
}

#[tokio::test]
async fn a_slow_answer_is_a_timeout_and_a_closed_port_is_not() {
    let lifecycle = lifecycle();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap();
    let policy = AddressPolicy::public().allow_loopback();
    let client =
        GuardedClient::builder().addresses(policy).timeout(Duration::from_millis(50)).build().unwrap();
    let error = get(&client, &format!("http://{silent}/secret?token=abc")).await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut(_)), "{error:?}");
    assert!(error.is_transient());
    assert!(!format!("{error:?}").contains("abc"), "{error:?}");
    // A body that never ends is a timeout too.
    let (dripping, _) = upstream(&lifecycle, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc").await;
    assert!(matches!(get(&client, &format!("http://{dripping}/")).await, Err(ClientError::TimedOut(_))));
    drop(listener);
    assert!(matches!(get(&local(), &format!("http://{silent}/")).await, Err(ClientError::Connect(_))));
}
