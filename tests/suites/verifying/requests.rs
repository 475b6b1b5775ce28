//! Requests around the token: headers of ours in the client's mouth, double credentials, paths with two readings.
//! Not here: the framing of HTTP itself, beyond a few raw requests.

use symbolon_e2e::http::{Call, raw};

use super::{ORDERS, Verifying};

#[tokio::test]
async fn no_spelling_of_our_headers_passes_from_a_client() {
    let verifying = Verifying::start().await;
    let lie = "spiffe://test.example/liar";
    let names = [
        "x-workload-id",
        "X-WORKLOAD-ID",
        "x_workload_id",
        "x.workload.id",
        "X-Workload_Id",
        "x-workload-subject",
        "x-workload-actors",
        "x_workload_scope",
        "x-request-id",
        "x-forwarded-user",
        "x-original-url",
        "x-rewrite-url",
        "x-forwarded-uri",
    ];
    for path in ["/orders/1", "/public/1"] {
        let mut call = Call::get(path);
        if path == "/orders/1" {
            call = call.bearer(&verifying.issuer.token(ORDERS));
        }
        for name in names {
            call = call.header(name, lie);
        }
        // A client nominates our header for removal at the next hop (P9).
        call = call.header("connection", "close, x-workload-id, x-request-id");
        let answer = call.send(verifying.gateway.address).await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        let headers = answer.json()["headers"].clone();
        assert!(!headers.to_string().contains("liar"), "{path}: {headers}");
        assert_eq!(headers.get("x-workload-id").is_some(), path == "/orders/1", "{path}: {headers}");
        assert!(headers.get("x-request-id").is_some(), "{path}: {headers}");
    }
}

#[tokio::test]
async fn two_credentials_or_a_strange_scheme_are_refused() {
    let verifying = Verifying::start().await;
    let token = verifying.issuer.token(ORDERS);
    let (bearer, place) = (format!("Bearer {token}"), verifying.gateway.address);
    let twice = Call::get("/orders/1").header("authorization", &bearer).header("authorization", &bearer);
    let answer = twice.send(place).await.unwrap();
    assert_eq!((answer.status, answer.text("code").as_str()), (400, "multiple_tokens"));
    for value in [
        format!("Bearer {token}, Bearer {token}"),
        format!("Bearer  {token}"),
        format!("Bearer\t{token}"),
        format!("Basic {token}"),
        "Bearer".to_owned(),
        token.clone(),
    ] {
        let answer = Call::get("/orders/1").header("authorization", &value).send(place).await.unwrap();
        assert!(matches!(answer.status, 400 | 401), "{value}: {}", answer.status);
    }
    let query = Call::get(&format!("/orders/1?access_token={token}")).send(place).await.unwrap();
    assert!(matches!(query.status, 400 | 401), "a token in the URL: {}", query.status);
    assert_eq!(verifying.api.requests(), 0);
    let folded =
        Call::get("/orders/1").header("authorization", &format!("bearer {token}")).send(place).await.unwrap();
    assert_eq!(folded.status, 200, "RFC 9110 §11.1: schemes are case-insensitive");
}

#[tokio::test]
async fn a_path_with_two_readings_is_refused_also_from_a_public_route() {
    let verifying = Verifying::start().await;
    for path in [
        "/public/../orders/1",
        "/public/%2e%2e/orders/1",
        "/public/%2E%2E%2Forders/1",
        "/public//orders/1",
        "//orders/1",
        "/public/./1",
        "/orders;x/1",
        "/public/..;/orders/1",
        "/public\\..\\orders\\1",
        "/public/%5c..%5corders",
        "/public/%252e%252e/orders/1",
        "/public/%c0%ae%c0%ae/orders/1",
        "/%6frders/1",
        "/public/%00",
        "/public/x%2fy",
        "/public/..",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let said = raw(verifying.gateway.address, request.as_bytes()).await;
        let status = said.split(' ').nth(1).unwrap_or_default();
        assert!(
            matches!(status, "400" | "401" | "404"),
            "{path}: {}",
            said.lines().next().unwrap_or_default()
        );
    }
    assert_eq!(verifying.api.requests(), 0, "one of them reached the API");
    verifying.serves_the_honest().await;
}

#[tokio::test]
async fn ambiguous_framing_reaches_the_api_never() {
    let verifying = Verifying::start().await;
    for head in [
        "POST /public/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST /public/1 HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
        "POST /public/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST /public/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "GET /public/1 HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
        "GET /public/1 HTTP/1.1\r\nHost : a\r\nConnection: close\r\n\r\n",
        "GET /public/1 HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET http://other.test/orders/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /public/1 HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade, close\r\n\r\n",
    ] {
        let said = raw(verifying.gateway.address, head.as_bytes()).await;
        let status = said.split(' ').nth(1).unwrap_or_default();
        assert!(
            said.is_empty() || status.starts_with('4'),
            "{head:?}: {}",
            said.lines().next().unwrap_or_default()
        );
    }
    assert_eq!(verifying.api.requests(), 0);
    verifying.serves_the_honest().await;
}

#[tokio::test]
async fn a_request_with_two_lengths_reaches_the_api_once_with_one_length() {
    let verifying = Verifying::start().await;
    // RFC 9112 §6.1: refused, or read by its transfer coding; and the connection is closed in any case.
    let head = "POST /public/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let smuggled = "GET /public/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let said = raw(verifying.gateway.address, format!("{head}{smuggled}").as_bytes()).await;
    assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said}");
    assert!(!said.contains("smuggled") && verifying.api.requests() <= 1, "{said}");
    assert!(!(said.contains("content-length\":[\"100") || said.contains("\"100\"")), "{said}");
}

#[tokio::test]
async fn operators_doors_are_not_on_the_public_port() {
    let verifying = Verifying::start().await;
    for path in ["/metrics", "/livez", "/readyz", "/v1/decisions/g-00000000000000000000000000", "/nothing"] {
        let answer = Call::get(path).send(verifying.gateway.address).await.unwrap();
        assert_eq!((answer.status, answer.text("code").as_str()), (404, "route_not_found"), "{path}");
    }
    verifying.serves_the_honest().await;
}

#[tokio::test]
async fn a_refusal_says_nothing_about_the_policy_and_the_admin_socket_says_all() {
    let verifying = Verifying::start().await;
    let answer = verifying.bearer("not-a-token").await;
    let body = answer.json();
    let mut members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["code", "decision_id", "status", "title", "type"]);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let socket = verifying.gateway.folder.path().join("admin.sock");
    let path = format!("/v1/decisions/{}", answer.text("decision_id"));
    let recorded = Call::get(&path).send(socket.as_path()).await.unwrap();
    assert_eq!((recorded.status, recorded.text("outcome").as_str()), (200, "refused"));
    assert_eq!(recorded.text("reason"), answer.text("code"));
}
