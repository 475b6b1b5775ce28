//! The signals that a program understands.
//! Not their meaning, which is the lifecycle's.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}

/// The installed handlers; by default none, and then nothing is ever heard.
#[derive(Debug, Default)]
pub(super) struct Signals {
    installed: Option<Installed>,
}

#[derive(Debug)]
struct Installed {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Installs the handlers. From here on the process no longer ends by itself on these signals.
    pub(super) fn listen() -> io::Result<Self> {
        let installed = Installed {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        };
        Ok(Self { installed: Some(installed) })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> Heard {
        let Some(installed) = &mut self.installed else {
            return std::future::pending().await;
        };
        tokio::select! {
            Some(()) = installed.terminate.recv() => Heard::Stop,
            Some(()) = installed.interrupt.recv() => Heard::Stop,
            Some(()) = installed.hangup.recv() => Heard::Reload,
            else => std::future::pending().await,
        }
    }

    /// Waits for the next signal that asks to stop.
    pub(super) async fn stop(&mut self) {
        while self.next().await != Heard::Stop {}
    }
}
