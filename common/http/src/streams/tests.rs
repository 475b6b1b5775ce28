//! Streams that end by time, by revocation, and by themselves.

use std::future::poll_fn;

use super::*;

fn streams() -> Streams {
    Streams::new(&Lifecycle::new(Duration::ZERO))
}

fn named(name: &'static str) -> Holder {
    Arc::new(name)
}

fn is(holder: &(dyn Any + Send + Sync), name: &str) -> bool {
    holder.downcast_ref::<&str>().is_some_and(|held| *held == name)
}

fn after(wait: Duration) -> Option<Instant> {
    Instant::now().checked_add(wait)
}

#[tokio::test]
async fn a_silent_stream_ends_soon_after_its_deadline_and_not_before() {
    let streams = streams();
    let begun = Instant::now();
    let mut guard = streams.register(named("a"), after(Duration::from_millis(300)));
    assert_eq!(guard.over(), None);
    assert_eq!(poll_fn(|cx| guard.poll_over(cx)).await, Ending::Expired);
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(300) && took <= Duration::from_millis(1_300), "{took:?}");
    assert_eq!(guard.over(), Some(Ending::Expired));
}

#[tokio::test]
async fn a_stream_that_moves_notices_at_once() {
    let streams = streams();
    assert_eq!(streams.register(named("a"), after(Duration::from_mins(1))).over(), None);
    assert_eq!(streams.register(named("a"), after(Duration::ZERO)).over(), Some(Ending::Expired));
}

#[tokio::test]
async fn only_the_streams_of_that_holder_are_ended() {
    let streams = streams();
    let (mut one, mut two, mut other) = (
        streams.register(named("a"), None),
        streams.register(named("a"), None),
        streams.register(named("b"), None),
    );
    let waiting = async { (poll_fn(|cx| one.poll_over(cx)).await, poll_fn(|cx| two.poll_over(cx)).await) };
    let ending = async {
        tokio::task::yield_now().await;
        streams.end_where(|holder| is(holder, "a"))
    };
    let (ended, count) = tokio::join!(waiting, ending);
    assert_eq!((ended, count), ((Ending::Revoked, Ending::Revoked), 2));
    assert_eq!(other.over(), None);
    assert_eq!(streams.end_where(|holder| is(holder, "a")), 0, "they have been ended already");
}

#[tokio::test]
async fn a_stream_that_ended_is_forgotten_and_its_place_used_again() {
    let streams = streams();
    for _ in 0..100 {
        let one = streams.register(named("a"), None);
        let _two = streams.register(named("b"), None);
        drop(one);
    }
    assert!(streams.is_empty());
    let room: usize = (0..SHARDS).map(|shard| streams.inner.shard(shard).capacity()).sum();
    assert!(room <= 8, "{room} places for two streams at a time");
    let mut later = streams.register(named("c"), None);
    assert_eq!(streams.end_where(|holder| is(holder, "a")), 0);
    assert_eq!(later.over(), None, "the end of a stream is not inherited with its place");
}
