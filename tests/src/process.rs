//! A program under test as a child process: found, started, awaited, ended.
//! Not here: its configuration.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use crate::refusals::Witness;

const POLL: Duration = Duration::from_millis(3);
const STOP: Duration = Duration::from_secs(10);

/// The folder with the programs: the one above the test executable's.
///
/// # Panics
/// If the test executable has no such folder.
#[must_use]
pub fn binaries() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().and_then(Path::parent).expect("a test executable is in `deps`").to_owned()
}

/// A program that was built into the same target folder.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let path = binaries().join(name);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --workspace --all-targets` first",
        path.display()
    );
    path
}

/// The root folder of the workspace.
///
/// # Panics
/// If this package was moved out of it.
#[must_use]
pub fn workspace() -> PathBuf {
    // Cargo says at run time where the tests stand: clones that share a target folder share what was built in one of them.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&here).parent().unwrap().to_owned()
}

/// A running program. It is killed when this is dropped, and its log is shown if the test failed.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    witnesses: Vec<Witness>,
}

impl Process {
    /// Starts a command; what it prints goes to `<folder>/<name>.log`.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(name: &str, mut command: Command, folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stderr(output.try_clone().unwrap()).stdout(output);
        Self { name: name.to_owned(), child: spawn(command), log, witnesses: Vec::new() }
    }

    /// Starts one of our programs with a configuration.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn program(name: &str, verb: &str, config: &Path) -> Self {
        let mut command = Command::new(binary(name));
        command.env_clear().arg(verb).arg("--config").arg(config).arg("--exit-with-parent");
        Self::start(name, command, config.parent().unwrap())
    }

    /// From now on everything that this witness knows of is explained before the process ends.
    pub fn explains(&mut self, witness: Witness) {
        self.witnesses.push(witness);
    }

    /// Fails the test if the process lives and cannot explain what it refused.
    ///
    /// # Panics
    /// If something is not explained, unless the test has failed already.
    pub fn assert_explained(&mut self) {
        if std::thread::panicking() || self.witnesses.is_empty() || !self.is_running() {
            return;
        }
        self.testify();
    }

    /// The same for a process that is known to live.
    pub(crate) fn testify(&self) {
        for witness in &self.witnesses {
            if let Err(unexplained) = witness.testify() {
                panic!("{} refused what it cannot explain:\n{unexplained}", self.name);
            }
        }
    }

    /// Its process id.
    ///
    /// # Panics
    /// Never on this platform.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// If the process has ended and was waited for.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Ends it at once, as `kill -9` does.
    ///
    /// # Panics
    /// If it cannot be waited for, or cannot explain what it refused.
    pub fn kill(&mut self) {
        self.assert_explained();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.witnesses.iter().for_each(Witness::forget);
    }

    /// Asks it to end, waits until it has, and returns its exit code.
    ///
    /// # Panics
    /// If it does not end in time, or cannot explain what it refused.
    pub async fn stop(&mut self, signal: Signal) -> Option<i32> {
        self.assert_explained();
        if self.is_running() {
            self.signal(signal);
        }
        self.ended(STOP).await
    }

    /// Waits until it has ended, and returns its exit code.
    ///
    /// # Panics
    /// If it does not end in time.
    pub async fn ended(&mut self, within: Duration) -> Option<i32> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "{} does not end", self.name);
            sleep(POLL).await;
        }
    }

    /// Whether it still runs.
    ///
    /// # Panics
    /// If its state cannot be asked for.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Everything that it printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- end of the log of {}", self.name);
            for line in lines.iter().skip(lines.len().saturating_sub(30)) {
                eprintln!("{line}");
            }
        }
    }
}

/// Waits until a condition holds, with a timeout.
///
/// # Panics
/// If it does not hold in time.
pub async fn wait_for(what: &str, within: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited {within:?} in vain: {what}");
        sleep(POLL).await;
    }
}

type Order = (Command, Sender<std::io::Result<Child>>);

/// Starts a command from a thread that lasts as long as the test binary: "exit with parent" means the
/// thread that started a process, and the thread of a test ends with its test.
fn spawn(command: Command) -> Child {
    static STARTER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (orders, received) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in received {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (answer, answered) = channel();
    let shown = format!("{command:?}");
    starter.lock().unwrap().send((command, answer)).unwrap();
    answered.recv().unwrap().unwrap_or_else(|error| panic!("cannot start {shown}: {error}"))
}
