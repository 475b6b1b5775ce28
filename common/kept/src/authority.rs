//! An authority of our own: one ES256 key that signs nothing but one program's certificates.
//! Each replica makes its certificate itself and in memory; only authorities are shared.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use secrecy::{ExposeSecret, SecretString};

/// Clocks differ: a certificate is valid from a little before it is made.
const BACKDATED: u64 = 300;

/// An authority.
#[derive(Clone, Debug)]
pub struct Authority {
    /// Its certificate, PEM.
    pub certificate: String,
    /// Its key, PEM.
    pub key: SecretString,
    /// When it was made, in seconds since the epoch.
    pub made: u64,
    /// When it ends.
    pub ends: u64,
}

/// A certificate for a program.
#[derive(Debug)]
pub struct Leaf {
    /// Itself, PEM.
    pub certificate: String,
    /// Its key, PEM.
    pub key: SecretString,
    /// When to make the next one.
    pub renewed: u64,
    /// When it ends.
    pub ends: u64,
}

/// A certificate that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a certificate")]
pub struct IssueError(#[from] rcgen::Error);

impl Authority {
    /// A new one of this name that is valid from now on.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn make(name: &str, now: u64, lifetime: Duration) -> Result<Self, IssueError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let ends = now.saturating_add(lifetime.as_secs());
        let mut params = valid(CertificateParams::default(), now, ends);
        // Each has a name of its own, so that a verifier with two in its bundle tries the right one.
        params.distinguished_name = named(&format!("{name}, made {now}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, key: SecretString::from(key.serialize_pem()), made: now, ends })
    }

    /// Signs a certificate for these names.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn issue(&self, names: &[String], now: u64, lifetime: Duration) -> Result<Leaf, IssueError> {
        let issuer =
            Issuer::from_ca_cert_pem(&self.certificate, KeyPair::from_pem(self.key.expose_secret())?)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let ends = now.saturating_add(lifetime.as_secs()).min(self.ends);
        let mut params = valid(CertificateParams::new(names)?, now, ends);
        params.distinguished_name = named("Symbolon");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &issuer)?.pem();
        let key = SecretString::from(key.serialize_pem());
        Ok(Leaf { certificate, key, renewed: two_thirds(now, ends), ends })
    }

    /// When the next authority is made.
    #[must_use]
    pub const fn succeeded(&self) -> u64 {
        two_thirds(self.made, self.ends)
    }
}

const fn two_thirds(from: u64, to: u64) -> u64 {
    from.saturating_add(to.saturating_sub(from) / 3 * 2)
}

fn valid(mut params: CertificateParams, from: u64, to: u64) -> CertificateParams {
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(from.saturating_sub(BACKDATED));
    params.not_after = epoch + Duration::from_secs(to);
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}
