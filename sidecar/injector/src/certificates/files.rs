//! The task of `tls.mode: files`: reads the certificate again when its files have changed.
//! Who writes them, and who tells the API server, is not our matter.

use symbolon_config::Watch;
use symbolon_daemon::Lifecycle;
use symbolon_http::tls::{ServerTls, TlsError};

use crate::config::FilesConfig;

/// A certificate in files.
#[derive(Debug)]
pub(crate) struct Files {
    config: FilesConfig,
    tls: ServerTls,
}

impl Files {
    pub(crate) fn load(config: FilesConfig) -> Result<Self, TlsError> {
        let tls = ServerTls::load(&config.certificate, &config.key)?;
        Ok(Self { config, tls })
    }

    pub(crate) fn tls(&self) -> ServerTls {
        self.tls.clone()
    }

    /// Follows the files until the program ends. What cannot be used leaves the last good certificate in place.
    pub(crate) async fn run(self, lifecycle: Lifecycle) {
        let mut watch = Watch::new([self.config.certificate.clone(), self.config.key.clone()]);
        let end = lifecycle.shutting_down();
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return,
                () = watch.changed() => {}
            }
            match self.tls.reload() {
                Ok(true) => tracing::info!(event.name = "certificates.shown", "a new certificate is shown"),
                Ok(false) => {}
                Err(error) => {
                    let error = symbolon_program::chain(&error);
                    tracing::error!(
                        event.name = "certificates.failed",
                        error,
                        "the last good certificate stays"
                    );
                }
            }
        }
    }
}
