//! Who may call, over real sockets.
//! The rules about hosts and web pages are tested in full beside the gate.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use symbolon_identity::ReasonCode;

use crate::rig::{Plan, Rig};

#[tokio::test]
async fn our_own_user_may_use_the_unix_socket_and_nobody_else_can_open_it() {
    let rig = Rig::start(&Plan { listen: "{ unix: \"{folder}/orders.sock\" }", ..Plan::default() });
    assert_eq!(rig.call("/").send().await.status, 200);
    let mode = fs::metadata(rig.folder.path().join("orders.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_user_who_is_not_on_the_list_is_turned_away() {
    // Neither root nor any user that runs tests.
    let listen = "{ unix: \"{folder}/orders.sock\", uids: [4294967001] }";
    let rig = Rig::start(&Plan { listen, ..Plan::default() });
    assert_eq!(rig.call("/").send().await.problem(), (403, ReasonCode::UnauthorizedClient, None));
    assert!(rig.api.seen().is_empty());
    let mode = fs::metadata(rig.folder.path().join("orders.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666, "listed users can open it; the list decides");
}

#[tokio::test]
async fn a_name_that_was_rebound_to_this_machine_is_turned_away() {
    let rig = Rig::start(&Plan::default());
    let answer = rig.call("/").host("rebound.evil.example").send().await;
    assert_eq!(answer.problem(), (421, ReasonCode::RouteNotFound, None));
    assert!(rig.api.seen().is_empty());
}

#[tokio::test]
async fn a_web_page_is_turned_away() {
    let rig = Rig::start(&Plan::default());
    let answer = rig.call("/").field("origin", "https://evil.example").send().await;
    assert_eq!(answer.problem(), (403, ReasonCode::OriginNotAllowed, None));
    let answer = rig.call("/").field("sec-fetch-site", "cross-site").send().await;
    assert_eq!(answer.problem(), (403, ReasonCode::OriginNotAllowed, None));
    assert!(rig.api.seen().is_empty());
}

#[tokio::test]
async fn a_request_in_a_proxys_form_is_turned_away() {
    let rig = Rig::start(&Plan::default());
    let answer = rig.call("http://elsewhere.example/").send().await;
    assert_eq!(answer.problem(), (400, ReasonCode::MalformedRequest, None));
    assert!(rig.api.seen().is_empty());
}
