//! The programs that `symbolon dev` runs as child processes: found, started, awaited, ended.
//! Not here: their configurations.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::exit::{Exit, Failure};

/// How long a program may take until it listens.
const START: Duration = Duration::from_secs(15);
/// How long a program may take to end after it was asked to.
const STOP: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(3);

/// How a program is started.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    /// Its name in messages and file names.
    pub(crate) name: &'static str,
    /// The executable.
    pub(crate) executable: &'a Path,
    /// `serve` or `run`.
    pub(crate) verb: &'static str,
    /// Its configuration.
    pub(crate) config: &'a Path,
    /// Where its log and its ready file go.
    pub(crate) folder: &'a Path,
}

/// A running program. It is killed when this is dropped, and ends with us even if we are killed.
#[derive(Debug)]
pub(crate) struct Program {
    name: &'static str,
    child: Child,
    log: PathBuf,
    ready: PathBuf,
}

impl Program {
    /// Starts it.
    pub(crate) fn start(launch: &Launch<'_>) -> anyhow::Result<Self> {
        let name = launch.name;
        let log = launch.folder.join(format!("{name}.log"));
        let ready = launch.folder.join(format!("{name}.ready.json"));
        match std::fs::remove_file(&ready) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let output = File::create(&log).with_context(|| format!("writing {}", log.display()))?;
        // A clean environment: no override of ours reaches the children by accident. A process group of
        // their own: Ctrl-C at the terminal is for us, who end them in order.
        let child = Command::new(launch.executable)
            .arg(launch.verb)
            .arg("--config")
            .arg(launch.config)
            .arg("--ready-file")
            .arg(&ready)
            .arg("--exit-with-parent")
            .env_clear()
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", launch.executable.display()))?;
        Ok(Self { name, child, log, ready })
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        loop {
            if self.ready.exists() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(self.failed(status.code()));
            }
            if Instant::now() > deadline {
                anyhow::bail!(
                    "{} is not ready after {START:?}; its log ends with\n{}",
                    self.name,
                    self.log_end()
                );
            }
            sleep(POLL).await;
        }
    }

    /// Asks it to end, and sees to it that it does.
    pub(crate) async fn stop(mut self) {
        let pid =
            self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended meanwhile; then there is nothing to do.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if timeout(STOP, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }

    /// Waits until it ends, which it should not do by itself.
    pub(crate) async fn ended(&mut self) -> anyhow::Error {
        match self.child.wait().await {
            Ok(status) => self.failed(status.code()),
            Err(error) => error.into(),
        }
    }

    fn failed(&self, code: Option<i32>) -> anyhow::Error {
        let code = code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
        let message = format!("{} ended with {code}; its log ends with\n{}", self.name, self.log_end());
        if code == format!("exit code {}", Exit::Invalid.code()) {
            Failure::invalid(message).into()
        } else {
            anyhow::anyhow!(message)
        }
    }

    fn log_end(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(12);
        lines.iter().skip(from).flat_map(|line| ["  ", line, "\n"]).collect()
    }
}
