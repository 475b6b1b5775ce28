//! How many files and sockets this process may have open at one time.
//! Not a limit on connections: each listener has its own, and this is what they all have to fit into.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a program needs beside its connections: logs, listeners, the store, the runtime.
const SPARE: u64 = 64;

/// Raises the soft limit on open files to the hard one, and returns what then counts; `None` is no limit.
///
/// The soft limit is low by tradition, for programs that use `select(2)`. Ours do not. Call it at the start.
#[must_use]
pub fn raise_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        // Nothing was lost: the limit is what it was.
        Err(_) => limit.current,
    }
}

/// Says so if `connections`, each of which needs `each` descriptors, do not fit into the limit.
///
/// What does not fit waits in the kernel's queue until something else is closed. Call it once logs are on.
pub fn check_limit(limit: Option<u64>, connections: usize, each: u64) {
    let needed = needed(connections, each);
    if let Some(limit) = limit.filter(|limit| *limit < needed) {
        tracing::warn!(
            event.name = "limits.descriptors_short",
            descriptors.limit = limit,
            descriptors.needed = needed,
            connections,
            "the limit on open files is too low for the configured connections: raise it (`ulimit -n`, LimitNOFILE) or lower `limits.connections`"
        );
    }
}

fn needed(connections: usize, each: u64) -> u64 {
    u64::try_from(connections).unwrap_or(u64::MAX).saturating_mul(each).saturating_add(SPARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_needs_two_for_each_connection() {
        assert_eq!(needed(10_000, 2), 20_064);
        assert_eq!(needed(usize::MAX, 2), u64::MAX);
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let limit = raise_limit();
        let now = getrlimit(Resource::Nofile);
        assert_eq!((limit, now.current), (now.maximum, now.maximum));
    }
}
