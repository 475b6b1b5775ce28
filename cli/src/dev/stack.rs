//! Everything that `symbolon dev` runs, started in the right order and ended together.
//! Not here: what is done with it.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use symbolon_daemon::Lifecycle;
use tokio::time::{Instant, sleep, timeout};

use super::client::Client;
use super::configs::{self, Facts, SidecarPlan, Upstream};
use super::echo::Echo;
use super::folder::Folder;
use super::ports::{self, Ports};
use super::programs::{Launch, Program};
use super::ready::{READY_FILE, Ready};
use super::tap::Tap;
use super::{DEFAULT_BASE, DevOptions};
use crate::http::{Call, Place};
use crate::sibling;

/// How often free ports are chosen anew when somebody took one of them.
const ATTEMPTS: usize = 3;
const TAKEN: &str = "a port is taken; choose others with --port-base N, or any free ones with --port-base 0";
const SETTLE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(3);

/// The running set-up.
pub(crate) struct Stack {
    pub(crate) ready: Ready,
    pub(crate) ports: Ports,
    pub(crate) echo: Echo,
    pub(crate) client: Client,
    /// The thief between sidecar and gateway, in the tour only.
    pub(crate) tap: Option<Tap>,
    /// The executable of the sidecar and its hash.
    pub(crate) sidecar_executable: PathBuf,
    pub(crate) sidecar_sha256: String,
    programs: Programs,
    pub(crate) folder: Folder,
}

impl Stack {
    /// Starts everything and waits until it is ready.
    pub(crate) async fn start(options: &DevOptions, lifecycle: &Lifecycle) -> anyhow::Result<Self> {
        let base = options.port_base.unwrap_or(if options.check { 0 } else { DEFAULT_BASE });
        if base != 0 {
            let started = Self::start_on(Ports::from_base(options.bind, base)?, options, lifecycle).await;
            return started.map_err(|error| if is_taken(&error) { error.context(TAKEN) } else { error });
        }
        let mut attempt = 1;
        loop {
            let started = Self::start_on(Ports::free(options.bind).await?, options, lifecycle).await;
            match started {
                Err(error) if attempt < ATTEMPTS && is_taken(&error) => attempt += 1,
                done => return done,
            }
        }
    }

    async fn start_on(ports: Ports, options: &DevOptions, lifecycle: &Lifecycle) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let executables = Executables::beside_us()?;
        let folder = Folder::open(options.state_dir.as_deref())?;
        let echo = Echo::start(ports.api, lifecycle).await?;
        let tap_address = if options.check { Some(ports::free_one(options.bind).await?) } else { None };
        let tap = match tap_address {
            Some(address) => Some(Tap::start(address, ports.gateway, lifecycle).await?),
            None => None,
        };
        let client = Client::in_folder(&folder)?;
        let sidecar_sha256 = sha256_of_file(&executables.sidecar)?;
        let facts = Facts {
            folder: &folder,
            ports: &ports,
            sidecar_sha256: &sidecar_sha256,
            uid: rustix::process::getuid().as_raw(),
            tap: tap_address,
        };
        let programs = Programs::start(&executables, &facts).await?;
        let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let ready = Ready::new(&folder, &ports, took);
        folder.write(READY_FILE, &serde_json::to_string(&ready)?)?;
        let sidecar_executable = executables.sidecar;
        Ok(Self { ready, ports, echo, client, tap, sidecar_executable, sidecar_sha256, programs, folder })
    }

    /// Waits until one of the programs ends by itself, and says which.
    pub(crate) async fn broken(&mut self) -> anyhow::Error {
        tokio::select! {
            error = self.programs.broker.ended() => error,
            error = self.programs.sidecar.ended() => error,
            error = self.programs.gateway.ended() => error,
        }
    }

    /// Ends everything, callers before whom they call.
    pub(crate) async fn stop(self) {
        self.programs.sidecar.stop().await;
        tokio::join!(self.programs.gateway.stop(), self.programs.broker.stop());
        // A state folder that the user named stays, but nothing runs in it any more.
        let _ = std::fs::remove_file(self.folder.file(READY_FILE));
    }
}

/// The executables beside our own.
struct Executables {
    broker: PathBuf,
    sidecar: PathBuf,
    gateway: PathBuf,
}

impl Executables {
    fn beside_us() -> anyhow::Result<Self> {
        Ok(Self {
            broker: sibling::find("symbolon-broker")?,
            sidecar: sibling::find("symbolon-sidecar")?,
            gateway: sibling::find("symbolon-gateway")?,
        })
    }
}

/// The three programs, ready.
struct Programs {
    broker: Program,
    sidecar: Program,
    gateway: Program,
}

impl Programs {
    async fn start(executables: &Executables, facts: &Facts<'_>) -> anyhow::Result<Self> {
        let (folder, ports) = (facts.folder, facts.ports);
        let written = configs::write(facts)?;
        let upstreams = upstreams(ports);
        let plan = SidecarPlan {
            broker: format!("http://{}", ports.broker),
            endpoints: ports.sidecar,
            health: ports.sidecar_health,
            target: facts.tap.unwrap_or(ports.gateway),
            upstreams: &upstreams,
        };
        let sidecar_config = configs::write_sidecar(folder, "sidecar.yaml", &plan)?;
        let start = |name, executable: &Path, verb, config: &Path| {
            Program::start(&Launch { name, executable, verb, config, folder: folder.path() })
        };
        let mut broker = start("broker", &executables.broker, "serve", &written.broker)?;
        // The others ask the broker at once, and back off if nobody is there.
        broker.ready().await?;
        let mut gateway = start("gateway", &executables.gateway, "serve", &written.gateway)?;
        let mut sidecar = start("sidecar", &executables.sidecar, "run", &sidecar_config)?;
        tokio::try_join!(sidecar.ready(), gateway.ready())?;
        let verdicts = healthy(ports.sidecar_health, symbolon_wire::paths::STARTUPZ);
        let keys = healthy(ports.gateway_admin, symbolon_wire::paths::READYZ);
        tokio::try_join!(verdicts, keys)?;
        Ok(Self { broker, sidecar, gateway })
    }
}

/// Whether a port was taken by somebody else.
fn is_taken(error: &anyhow::Error) -> bool {
    format!("{error:#}").contains("in use")
}

fn upstreams(ports: &Ports) -> [Upstream; 3] {
    [
        Upstream { name: "orders", listen: ports.orders, bearer: false },
        Upstream { name: "payroll", listen: ports.payroll, bearer: false },
        Upstream { name: "notes", listen: ports.notes, bearer: true },
    ]
}

/// Waits until a health endpoint answers 200.
pub(crate) async fn healthy(address: std::net::SocketAddr, path: &str) -> anyhow::Result<()> {
    let place = Place::Tcp(address.to_string());
    let asked = async {
        loop {
            if Call::get(&place, path).send().await.is_ok_and(|answer| answer.status.is_success()) {
                return;
            }
            sleep(POLL).await;
        }
    };
    timeout(SETTLE, asked).await.with_context(|| format!("http://{address}{path} does not become 200"))
}

/// The SHA-256 of a file in lower-case hexadecimal.
pub(crate) fn sha256_of_file(path: &Path) -> anyhow::Result<String> {
    let mut file = std::fs::File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut buffer = vec![0_u8; 256 * 1024];
    loop {
        let length = file.read(&mut buffer)?;
        match buffer.get(..length) {
            Some(bytes) if !bytes.is_empty() => context.update(bytes),
            _ => break,
        }
    }
    let digest = context.finish();
    let digits = digest.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    Ok(digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect())
}
