use symbolon_http::server::ConnectionInfo;
use symbolon_identity::{DecisionId, Origin, Timestamp};
use symbolon_jws::{Algorithm, SigningKey};
use symbolon_token::{Claims, Issuer, Subject, TokenType, sign};

use super::*;
use crate::refusal::Party;

fn parse(body: &str) -> Result<TokenRequest, Refusal> {
    let connection = ConnectionInfo::new(Peer::Tcp("192.0.2.1:1".parse().unwrap()), false);
    let id = DecisionId::new(Origin::Broker, Timestamp::default(), [0; 10]);
    TokenRequest::parse(&Presented {
        id,
        form: TokenForm::parse(body.as_bytes()).unwrap(),
        connection,
        source: None,
        proof: None,
    })
}

fn jwt() -> String {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let audience = "https://broker.example.com".parse().unwrap();
    let expires_at = Timestamp::from_secs(2_000_000_000).unwrap();
    let claims = Claims::new(Issuer::parse("a").unwrap(), Subject::parse("a").unwrap(), audience, expires_at);
    sign(&claims, TokenType::Jwt, &key).unwrap().expose().to_owned()
}

fn asserted(rest: &str) -> String {
    format!(
        "grant_type=client_credentials&client_assertion_type={}&client_assertion={}&{rest}",
        client_assertion_type::JWT_BEARER,
        jwt()
    )
}

#[test]
fn a_whole_request_is_parsed() {
    let request = parse(&asserted("resource=https://a.example&scope=x+y&client_id=c")).unwrap();
    assert_eq!(request.targets, [Target::Resource("https://a.example".to_owned())]);
    assert_eq!(request.scopes.unwrap().as_str(), "x y");
    assert_eq!(request.client.unverified_id.as_deref(), Some("c"));
    assert!(matches!(request.client.credential, Credential::Assertion(_)));
}

#[test]
fn other_grants_and_none_are_refused() {
    assert!(matches!(parse("resource=https://a.example"), Err(Refusal::Malformed(_))));
    for grant in ["password", "authorization_code", "refresh_token", "Client_Credentials"] {
        let body = format!("grant_type={grant}&resource=https://a.example");
        assert!(matches!(parse(&body), Err(Refusal::UnsupportedGrantType)), "{grant}");
    }
}

#[test]
fn evidence_is_needed_and_comes_whole() {
    let grant = "grant_type=client_credentials&resource=https://a.example";
    assert!(matches!(parse(grant), Err(Refusal::EvidenceMissing)));
    assert!(matches!(parse(&format!("{grant}&client_assertion=a.b.c")), Err(Refusal::Malformed(_))));
    let typed =
        |kind: &str, text: &str| format!("{grant}&client_assertion_type={kind}&client_assertion={text}");
    let saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer";
    assert!(matches!(parse(&typed(saml, "a")), Err(Refusal::UnsupportedAssertionType)));
    let jwt_bearer = client_assertion_type::JWT_BEARER;
    for bad in ["a", "a.b.c", "..", "eyJhbGciOiJub25lIn0.e30."] {
        assert!(matches!(parse(&typed(jwt_bearer, bad)), Err(Refusal::AssertionMalformed(_))), "{bad}");
    }
}

#[test]
fn x5_each_target_is_well_formed() {
    for bad in [
        "",
        "resource=a",
        "resource=/orders",
        "resource=https://a.example%23f",
        "resource=https://a.example&resource=b",
        "audience=a%20b",
        "audience=%C3%A4",
    ] {
        assert!(matches!(parse(&asserted(bad)), Err(Refusal::InvalidTarget(_))), "{bad}");
    }
    let both = parse(&asserted("resource=https://a.example&audience=https://a.example")).unwrap();
    assert_eq!(both.targets, [Target::Resource("https://a.example".to_owned())]);
    assert!(parse(&asserted("audience=orders")).is_ok());
}

#[test]
fn a_malformed_scope_is_refused() {
    for bad in ["scope=+", "scope=a++b", "scope=%22"] {
        let body = asserted(&format!("audience=orders&{bad}"));
        assert!(matches!(parse(&body), Err(Refusal::InvalidScope(_))), "{bad}");
    }
}

#[test]
fn one_assertion_has_one_digest_whatever_its_signature() {
    let text = jwt();
    let (covered, _) = text.rsplit_once('.').unwrap();
    let digest = |signature: &str| {
        let body = format!(
            "grant_type=client_credentials&audience=a&client_assertion_type={}&client_assertion={covered}.{signature}",
            client_assertion_type::JWT_BEARER
        );
        match parse(&body).unwrap().client.credential {
            Credential::Assertion(assertion) => assertion.digest,
            Credential::Connection => [0; 32],
        }
    };
    assert_eq!(digest(&"A".repeat(86)), digest(&format!("{}A", "B".repeat(85))));
}

#[test]
fn several_targets_are_kept_in_their_order() {
    let request =
        parse(&asserted("resource=https://a.example&resource=https://b.example&audience=c")).unwrap();
    let names: Vec<&str> = request.targets.iter().map(Target::as_str).collect();
    assert_eq!(names, ["https://a.example", "https://b.example", "c"]);
}

fn exchange(rest: &str) -> Result<TokenRequest, Refusal> {
    parse(&format!(
        "grant_type={}&client_assertion_type={}&client_assertion={}&audience=orders&{rest}",
        grant_type::TOKEN_EXCHANGE,
        client_assertion_type::JWT_BEARER,
        jwt()
    ))
}

#[test]
fn an_exchange_has_a_subject_and_perhaps_an_actor() {
    let (kind, token) = (symbolon_wire::token_type::ACCESS_TOKEN, jwt());
    let subject = format!("subject_token={token}&subject_token_type={kind}");
    let request = exchange(&subject).unwrap().exchange.unwrap();
    let PresentedParty::Jwt(presented) = &request.subject else { panic!("it is a JWT") };
    assert_eq!((presented.claimed, request.wanted), (TokenKind::AccessToken, TokenKind::AccessToken));
    assert!(request.actor.is_none());
    let both = format!("{subject}&actor_token={token}&actor_token_type={kind}");
    assert!(exchange(&both).unwrap().exchange.unwrap().actor.is_some());
}

#[test]
fn only_an_access_token_may_be_opaque() {
    let presented = |text: &str, kind: &str| {
        exchange(&format!("subject_token={text}&subject_token_type={kind}"))
            .map(|request| request.exchange.unwrap().subject)
    };
    let [access_token, id_token, jwt] = TokenKind::ALL.map(TokenKind::as_str);
    assert!(matches!(presented("idp_x", access_token), Ok(PresentedParty::Opaque(_))));
    for kind in [id_token, jwt] {
        let refused = presented("idp_x", kind);
        assert!(matches!(refused, Err(Refusal::PresentedMalformed { .. })), "{kind}: {refused:?}");
    }
    for text in ["a.b.c", "a.b.c.d.e", "a+b%20c", &"a".repeat(4097)] {
        let refused = presented(text, access_token);
        assert!(matches!(refused, Err(Refusal::PresentedMalformed { .. })), "{text}: {refused:?}");
    }
}

#[test]
fn x8_an_exchange_that_is_not_whole_is_refused() {
    let (kind, token) = (symbolon_wire::token_type::ACCESS_TOKEN, jwt());
    let subject = format!("subject_token={token}&subject_token_type={kind}");
    for bad in [
        String::new(),
        format!("subject_token={token}"),
        format!("subject_token_type={kind}"),
        format!("{subject}&actor_token={token}"),
        format!("{subject}&actor_token_type={kind}"),
    ] {
        assert!(matches!(exchange(&bad), Err(Refusal::Malformed(_))), "{bad}");
    }
    for kind in
        ["urn:ietf:params:oauth:token-type:saml2", "urn:ietf:params:oauth:token-type:refresh_token", "x"]
    {
        let bad = format!("subject_token={token}&subject_token_type={kind}");
        assert!(matches!(exchange(&bad), Err(Refusal::UnsupportedTokenType)), "{bad}");
        let bad = format!("{subject}&requested_token_type={kind}");
        assert!(matches!(exchange(&bad), Err(Refusal::UnsupportedTokenType)), "{bad}");
    }
    let malformed = format!("subject_token=a.b.c&subject_token_type={kind}");
    assert!(matches!(exchange(&malformed), Err(Refusal::PresentedMalformed { party: Party::Subject, .. })));
}
