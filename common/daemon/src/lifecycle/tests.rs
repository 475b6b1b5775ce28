use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Signal, getpid, kill_process};

use super::*;

const GRACE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_drain_waits_for_work_in_flight() {
    let lifecycle = Lifecycle::new(GRACE);
    let finished = Arc::new(AtomicBool::new(false));
    let (seen, stop) = (Arc::clone(&finished), lifecycle.shutting_down());
    lifecycle.spawn("work", async move {
        stop.await;
        tokio::task::yield_now().await;
        seen.store(true, Ordering::SeqCst);
    });
    lifecycle.shutdown();
    assert_eq!(lifecycle.run().await, Ended::Drained);
    assert!(finished.load(Ordering::SeqCst));
}

#[tokio::test]
async fn work_that_never_ends_is_cut_off_after_the_grace_period() {
    let grace = Duration::from_millis(40);
    let lifecycle = Lifecycle::new(grace);
    lifecycle.spawn("stuck", std::future::pending());
    lifecycle.shutdown();
    let began = tokio::time::Instant::now();
    assert_eq!(lifecycle.clone().run().await, Ended::CutOff);
    assert!(began.elapsed() >= grace);
    assert_eq!(lifecycle.inner.tasks.running(), ["stuck"]);
}

#[tokio::test]
async fn background_tasks_do_not_hold_the_drain_and_are_dropped_after_it() {
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let lifecycle = Lifecycle::new(GRACE);
    let dropped = Arc::new(AtomicBool::new(false));
    let guard = Dropped(Arc::clone(&dropped));
    lifecycle.spawn_background("pool", async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    lifecycle.shutdown();
    assert_eq!(lifecycle.run().await, Ended::Drained);
    assert!(dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_panic_is_counted_and_does_not_end_the_program() {
    let lifecycle = Lifecycle::new(GRACE);
    let mut registry = Registry::new();
    lifecycle.register(&mut registry);
    lifecycle.spawn("clumsy", async { panic!("on purpose") });
    lifecycle.shutdown();
    assert_eq!(lifecycle.run().await, Ended::Drained);
    let text = registry.encode().unwrap();
    assert!(text.contains("symbolon_task_panics_total{task=\"clumsy\"} 1"), "{text}");
    assert!(text.contains("symbolon_tasks{task=\"clumsy\"} 0"), "{text}");
}

#[tokio::test]
async fn a_failed_part_takes_the_program_with_it() {
    let lifecycle = Lifecycle::new(GRACE);
    lifecycle.fail("audit sink is gone");
    lifecycle.fail("a consequence");
    let ended = lifecycle.run().await;
    assert_eq!(ended, Ended::Failed("audit sink is gone"));
    assert_eq!(ended.exit_code(), ExitCode::FAILURE);
}

#[tokio::test]
async fn the_drain_makes_the_program_not_ready_for_good() {
    let readiness = Readiness::new();
    let lifecycle = Lifecycle::new(GRACE).with_readiness(readiness.clone());
    lifecycle.shutdown();
    lifecycle.run().await;
    assert_eq!(readiness.waiting_for(), ["shutting down"]);
}

#[tokio::test]
async fn a_reload_reaches_every_listener() {
    let lifecycle = Lifecycle::new(GRACE);
    let (mut one, mut two) = (lifecycle.reloads(), lifecycle.reloads());
    lifecycle.request_reload();
    one.next().await;
    two.next().await;
}

/// One test for all signals: they belong to the process, and tests share it.
#[tokio::test]
async fn signals_reload_then_drain_then_abort() {
    let lifecycle = Lifecycle::with_signals(GRACE).unwrap();
    let mut reloads = lifecycle.reloads();
    lifecycle.spawn("stuck", std::future::pending());
    let stopping = lifecycle.shutting_down();
    let us = getpid();
    let (ended, ()) = tokio::join!(lifecycle.run(), async {
        kill_process(us, Signal::HUP).unwrap();
        reloads.next().await;
        kill_process(us, Signal::TERM).unwrap();
        stopping.await;
        kill_process(us, Signal::INT).unwrap();
    });
    assert_eq!(ended, Ended::Aborted);
}
