//! The files that an API server and its clients are started with: certificates, keys, who the administrator is.
//! Not here: the processes.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize,
};

use crate::issuer::{encode, random};

/// A folder of them.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    /// The administrator's token.
    pub(super) admin_token: String,
}

impl Files {
    /// Writes all of them, with fresh keys.
    pub(super) fn write(folder: &Path, server: SocketAddr) -> Self {
        let files = Self { folder: folder.to_owned(), admin_token: encode(&random()) };
        files.certificates();
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        fs::write(files.path("accounts.key"), key.serialize_pem()).unwrap();
        fs::write(files.path("accounts.pub"), key.public_key_pem()).unwrap();
        let admin = format!("{},admin,admin,\"system:masters\"\n", files.admin_token);
        fs::write(files.path("tokens.csv"), admin).unwrap();
        fs::write(files.path("kubeconfig"), files.kubeconfig(server)).unwrap();
        files
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn flag(&self, flag: &str, name: &str) -> String {
        format!("--{flag}={}", self.path(name).display())
    }

    /// A CA of its own, and a certificate for this machine.
    fn certificates(&self) {
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(rcgen::DnType::CommonName, "test cluster");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let ca_key = KeyPair::generate().unwrap();
        fs::write(self.path("ca.pem"), ca.self_signed(&ca_key).unwrap().pem()).unwrap();
        let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"].map(ToOwned::to_owned);
        let (server, key) = (CertificateParams::new(names).unwrap(), KeyPair::generate().unwrap());
        let server = server.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        fs::write(self.path("server.pem"), server.pem()).unwrap();
        fs::write(self.path("server.key"), key.serialize_pem()).unwrap();
    }

    fn kubeconfig(&self, server: SocketAddr) -> String {
        let (ca, token) = (self.path("ca.pem"), &self.admin_token);
        let ca = ca.display();
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters: [{{ name: test, cluster: {{ server: \"https://{server}\", certificate-authority: {ca} }} }}]\n\
             users: [{{ name: admin, user: {{ token: {token} }} }}]\n\
             contexts: [{{ name: test, context: {{ cluster: test, user: admin }} }}]\n"
        )
    }
}
