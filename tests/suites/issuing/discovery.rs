//! What the metadata says, and in which form (RFC 8414 §2 and §3.2).
//! Not here: where the documents of an issuer with a path stand.

use serde_json::{Value, json};
use symbolon_e2e::http::Call;

use super::Issuing;

#[tokio::test]
async fn the_metadata_is_whole_and_promises_nothing_that_is_not_there() {
    let issuing = Issuing::start().await;
    let place = issuing.broker.address;
    let mut documents = Vec::new();
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let answer = Call::get(path).send(place).await.unwrap();
        assert_eq!((answer.status, answer.header("content-type").as_str()), (200, "application/json"));
        documents.push(answer.json());
    }
    assert_eq!(documents[0], documents[1]);
    let document = documents[0].as_object().unwrap();
    for (member, value) in document {
        assert!(!value.is_null() && *value != json!([]), "{member} is empty and should be absent");
        if member.ends_with("_endpoint") || member.ends_with("_uri") {
            let path = value.as_str().unwrap().strip_prefix(&issuing.broker.url).expect(member);
            let answer = Call::get(path).send(place).await.unwrap();
            assert_ne!(answer.status, 404, "{member} leads nowhere");
        }
        if member.contains("_alg_values_") {
            let algorithms = value.as_array().unwrap();
            let symmetric =
                |alg: &&Value| alg.as_str().is_none_or(|alg| alg == "none" || alg.starts_with("HS"));
            assert!(!algorithms.iter().any(|alg| symmetric(&alg)), "{member}: {value}");
        }
    }
    for required in ["issuer", "token_endpoint", "jwks_uri", "response_types_supported", "scopes_supported"] {
        assert!(document.contains_key(required), "{required}");
    }
    // Their defaults would promise more than we have: the code grant, and secrets.
    assert!(document["grant_types_supported"].as_array().unwrap().contains(&json!("client_credentials")));
    for endpoint in ["token", "introspection", "revocation"] {
        assert_eq!(
            document[&format!("{endpoint}_endpoint_auth_methods_supported")],
            json!(["private_key_jwt"])
        );
        let algorithms = &document[&format!("{endpoint}_endpoint_auth_signing_alg_values_supported")];
        assert!(algorithms.as_array().unwrap().contains(&json!("RS256")), "{endpoint}");
    }
    for absent in ["authorization_endpoint", "registration_endpoint", "signed_metadata"] {
        assert!(!document.contains_key(absent), "{absent}");
    }
}
