//! What the tests take from this machine: free ports, the time, the user.
//! Not here: anything that is the programs' own.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

/// A free loopback address that this test binary has not handed out before.
///
/// It is looked for below the range that the kernel gives to outgoing connections, so that none takes it meanwhile.
///
/// # Panics
/// If no port is free.
#[must_use]
pub fn free_address() -> SocketAddr {
    static HANDED_OUT: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut handed_out = HANDED_OUT.lock().unwrap();
    for _ in 0..1000 {
        let mut random = [0_u8; 2];
        aws_lc_rs::rand::fill(&mut random).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 10_240 + u16::from_be_bytes(random) % 22_000));
        if TcpListener::bind(address).is_ok() && handed_out.insert(address.port()) {
            return address;
        }
    }
    panic!("no free port")
}

/// Whole seconds since the epoch.
#[must_use]
pub fn now() -> u64 {
    moment().as_secs()
}

/// The time since the epoch.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the tests have a clock of their own, beside the programs'")]
pub fn moment() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO)
}

/// The user who runs the tests.
#[must_use]
pub fn uid() -> u32 {
    rustix::process::getuid().as_raw()
}

/// Whether the long versions of the long suites were asked for.
#[must_use]
pub fn soak() -> bool {
    std::env::var_os("SYMBOLON_SOAK").is_some_and(|value| !value.is_empty())
}
