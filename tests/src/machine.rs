//! What the tests take from this machine: free ports, the time, the user.
//! Not here: anything that is the programs' own.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use rustix::process::Pid;

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

/// Whether foreign servers were asked for that are large to get and slow to start.
#[must_use]
pub fn interop() -> bool {
    std::env::var_os("SYMBOLON_INTEROP").is_some_and(|value| !value.is_empty())
}

/// Whether a real Kubernetes API server was asked for: by suites that otherwise take what one was seen to say.
/// Tests that need one in any case are marked `#[ignore]`, and the tier runs those too.
#[must_use]
pub fn kubernetes() -> bool {
    std::env::var_os("SYMBOLON_KUBERNETES").is_some_and(|value| !value.is_empty())
}

/// Where `scripts/setup` puts what the tests need.
///
/// # Panics
/// If this user has no home.
#[must_use]
pub fn cache() -> PathBuf {
    let named =
        |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("SYMBOLON_CACHE")
        .or_else(|| named("XDG_CACHE_HOME").map(|folder| folder.join("symbolon")))
        .or_else(|| named("HOME").map(|folder| folder.join(".cache/symbolon")))
        .unwrap()
}

/// The memory that a process has resident (`VmRSS` of proc(5)).
///
/// # Panics
/// If there is no such process.
#[must_use]
pub fn resident_bytes(pid: Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a running process");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// The CPU time that a process has used, in the kernel's ticks of ten milliseconds (fields 14 and 15 of proc(5)'s `stat`).
///
/// # Panics
/// If there is no such process.
#[must_use]
pub fn cpu_time(pid: Pid) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap();
    // The name of the program, in brackets, may hold spaces.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
