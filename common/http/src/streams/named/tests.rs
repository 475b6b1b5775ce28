//! Names of streams, and ends that move.

use std::time::Duration;

use symbolon_daemon::Lifecycle;

use super::*;
use crate::streams::Ending;

const NAME: StreamName = StreamName(7);

fn streams() -> Streams {
    Streams::new(&Lifecycle::new(Duration::ZERO))
}

fn holder(name: &'static str) -> Holder {
    Arc::new(name)
}

fn after(wait: Duration) -> Instant {
    Instant::now().checked_add(wait).unwrap()
}

#[test]
fn a_name_is_read_in_one_spelling_only_and_not_shown() {
    let name = StreamName::from_random([0xab; 16]);
    assert_eq!(StreamName::parse(&name.to_text()), Some(name));
    let text = name.to_text();
    for bad in ["", "ab", &text.to_uppercase(), &format!("+{}", &text[1..]), &format!("{text}0")] {
        assert_eq!(StreamName::parse(bad), None, "{bad}");
    }
    assert!(!format!("{name:?}").contains("ab"));
}

#[tokio::test]
async fn an_end_moves_for_the_holder_that_was_seen_and_only_once() {
    let streams = streams();
    let mut guard = streams.register(holder("a"), Some(after(Duration::from_millis(50))));
    assert!(streams.holder(NAME).is_none());
    guard.name(NAME, holder("b"));
    let seen = streams.holder(NAME).unwrap();
    let renewal = || Renewal { holder: holder("c"), deadline: after(Duration::from_mins(1)) };
    assert!(!streams.renew(NAME, &holder("b"), renewal()), "an equal holder is not the same one");
    assert!(streams.renew(NAME, &seen, renewal()));
    assert!(!streams.renew(NAME, &seen, renewal()), "somebody was faster");
    tokio::time::sleep_until(after(Duration::from_millis(60))).await;
    assert_eq!(guard.over(), None, "the stream lives past its first end");
    assert!(streams.end_where(|holder| holder.downcast_ref::<&str>() == Some(&"c")) == 1);
    assert_eq!(guard.over(), Some(Ending::Revoked));
    assert!(streams.holder(NAME).is_none(), "what has to end is not found");
}

#[tokio::test]
async fn an_end_that_comes_nearer_is_noticed_too() {
    let streams = streams();
    let mut guard = streams.register(holder("a"), Some(after(Duration::from_mins(1))));
    guard.name(NAME, holder("a"));
    let seen = streams.holder(NAME).unwrap();
    assert!(streams.renew(NAME, &seen, Renewal { holder: holder("a"), deadline: Instant::now() }));
    assert_eq!(guard.over(), Some(Ending::Expired));
    let late = streams.holder(NAME);
    assert!(late.is_none());
    assert!(!streams.renew(
        NAME,
        &seen,
        Renewal { holder: holder("a"), deadline: after(Duration::from_mins(1)) }
    ));
}

#[tokio::test]
async fn a_name_is_gone_with_its_stream() {
    let streams = streams();
    let guard = streams.register(holder("a"), None);
    guard.name(NAME, holder("a"));
    drop(guard);
    let other = streams.register(holder("b"), None);
    assert!(streams.holder(NAME).is_none());
    assert!(streams.inner.named().is_empty());
    drop(other);
}
