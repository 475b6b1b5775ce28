//! Requests that are wrong in their form, their target or their scope.
//! Not here: evidence.

use symbolon_e2e::http::{Call, raw};

use super::{Issuing, assert_refused};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");
const NOTES: (&str, &str) = ("resource", "https://notes.test");

#[tokio::test]
async fn each_wrong_form_has_its_own_error() {
    let issuing = Issuing::start().await;
    let invalid_target = ("invalid_target", "invalid_target");
    for (fields, (error, code)) in [
        (vec![GRANT], invalid_target),
        (vec![GRANT, ("resource", "https://unknown.test")], invalid_target),
        (vec![GRANT, ("resource", "https://notes.test/")], invalid_target),
        (vec![GRANT, ("resource", "https://notes.test#x")], invalid_target),
        (vec![GRANT, NOTES, ("scope", "notes:burn")], ("invalid_scope", "invalid_scope")),
        (vec![NOTES], ("invalid_request", "malformed_request")),
        (vec![("grant_type", "password"), NOTES], ("unsupported_grant_type", "unsupported_grant_type")),
        (vec![("grant_type", "refresh_token"), NOTES], ("unsupported_grant_type", "unsupported_grant_type")),
        (
            vec![
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", "a.b.c"),
                NOTES,
            ],
            ("unsupported_grant_type", "unsupported_grant_type"),
        ),
        (vec![GRANT, NOTES, ("resource", "https://orders.test")], invalid_target),
        (vec![GRANT, ("resource", "notes")], invalid_target),
        (vec![GRANT, GRANT, NOTES], ("invalid_request", "malformed_request")),
        (
            vec![GRANT, NOTES, ("scope", "notes:read"), ("scope", "notes:read")],
            ("invalid_request", "malformed_request"),
        ),
    ] {
        let answer = issuing.socket(&fields).await;
        assert_refused(&answer, 400, error, code);
    }
}

#[tokio::test]
async fn only_a_posted_form_of_moderate_size_is_read() {
    let issuing = Issuing::start().await;
    let place = issuing.broker.address;
    assert_eq!(Call::get("/oauth2/token").send(place).await.unwrap().status, 405);
    let json = Call::form("/oauth2/token", &[]).send(place).await.unwrap();
    assert_eq!(json.status, 400);
    let long = "a".repeat(300_000);
    let answer = Call::form("/oauth2/token", &[GRANT, NOTES, ("x", &long)]).send(place).await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| matches!(answer.status, 400 | 413)), "too large");
    let head = "POST /oauth2/token HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    let said = raw(place, head.as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 400") || said.starts_with("HTTP/1.1 415"), "{said}");
}

#[tokio::test]
async fn credentials_in_the_url_are_not_read() {
    let issuing = Issuing::start().await;
    let path = "/oauth2/token?grant_type=client_credentials&resource=https%3A%2F%2Fnotes.test";
    let answer = Call::form(path, &[]).send(issuing.broker.socket().as_path()).await.unwrap();
    assert_eq!(answer.status, 400, "{}", String::from_utf8_lossy(&answer.body));
}

#[tokio::test]
async fn a_query_beside_a_valid_form_is_refused() {
    let issuing = Issuing::start().await;
    for query in ["?x=1", "?grant_type=client_credentials", "?"] {
        let call = Call::form(&format!("/oauth2/token{query}"), &[GRANT, NOTES]);
        let answer = call.send(issuing.broker.socket().as_path()).await.unwrap();
        assert_refused(&answer, 400, "invalid_request", "malformed_request");
    }
    assert_eq!(issuing.socket(&[GRANT, NOTES]).await.status, 200);
}

#[tokio::test]
async fn a_client_that_authenticates_by_a_header_is_told_so_in_its_own_scheme() {
    let issuing = Issuing::start().await;
    for (value, scheme) in [
        ("Basic dGVzdGVyOnNlY3JldA==", "Basic realm="),
        ("basic dGVzdGVyOg==", "Basic realm="),
        ("Bearer abc", "Bearer realm="),
        ("DPoP abc", "DPoP realm="),
        ("Negotiate abc", "Bearer realm="),
        ("", "Bearer realm="),
    ] {
        let call = Call::form("/oauth2/token", &[GRANT, NOTES]).header("authorization", value);
        let answer = call.send(issuing.broker.socket().as_path()).await.unwrap();
        assert_refused(&answer, 401, "invalid_client", "authorization_header");
        assert!(answer.header("www-authenticate").starts_with(scheme), "{value}: {:?}", answer.headers);
    }
}

#[tokio::test]
async fn other_methods_get_an_answer_of_the_documented_form() {
    let issuing = Issuing::start().await;
    let answer = Call::get("/oauth2/token").send(issuing.broker.address).await.unwrap();
    assert_refused(&answer, 405, "invalid_request", "malformed_request");
    assert_eq!(answer.header("allow"), "POST");
}
