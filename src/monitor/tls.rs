//! TLS of a check: which certificates are taken, one configuration for each way to verify.
//!
//! No session is ever resumed: a check is to see the certificate each time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::clock::Stopwatch;
use crate::engine::event::Reason;
use crate::monitor::dial::Trouble;
use crate::options::http::Verify;

/// Trusted certificates are read again after this long: a renewed bundle counts within the hour.
const TRUST_FOR: Duration = Duration::from_secs(3_600);

/// Different option sets kept; a farm has a few.
const SETTINGS_MAX: usize = 100;

/// The configurations of this process.
#[derive(Debug, Default)]
pub(super) struct TlsSettings(Mutex<BTreeMap<Verify, (Arc<ClientConfig>, Stopwatch)>>);

impl TlsSettings {
    /// The handshake over a connection to `peer`, which has to show a certificate for `name`.
    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        name: &str,
        verify: &Verify,
    ) -> Result<TlsStream<TcpStream>, Trouble> {
        let config = self.config(verify).await?;
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let server = ServerName::try_from(bare.to_owned()).map_err(|_| {
            Trouble::down(
                Reason::Tls,
                format!("\"{name}\" cannot be the name in a certificate; use -n NAME"),
            )
        })?;
        TlsConnector::from(config)
            .connect(server, stream)
            .await
            .map_err(|error| trouble(&error, peer, name))
    }

    async fn config(&self, verify: &Verify) -> Result<Arc<ClientConfig>, Trouble> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((config, read)) = lock().get(verify)
            && read.elapsed() < TRUST_FOR
        {
            return Ok(Arc::clone(config));
        }
        let wanted = verify.clone();
        // Files are read: away from the one runtime thread.
        let built = tokio::task::spawn_blocking(move || build(&wanted)).await;
        let config = match built {
            Ok(Ok(config)) => Arc::new(config),
            Ok(Err(why)) => return Err(Trouble::unknown(why)),
            Err(error) => return Err(Trouble::unknown(format!("TLS settings: {error}"))),
        };
        let mut settings = lock();
        if settings.len() >= SETTINGS_MAX {
            settings.clear();
        }
        settings.insert(verify.clone(), (Arc::clone(&config), Stopwatch::start()));
        Ok(config)
    }
}

fn build(verify: &Verify) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match verify {
        Verify::System => verifier(system_roots()?, &provider)?,
        Verify::File(path) => verifier(roots_of(path)?, &provider)?,
        Verify::Nothing => Arc::new(AnyCertificate(Arc::clone(&provider))),
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn verifier(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| format!("TLS: {error}"))
}

fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(roots);
    }
    let why = found.errors.first().map(|error| format!(" ({error})"));
    Err(format!(
        "the system trusts no certificate{}; install ca-certificates, or use -c FILE or -k",
        why.unwrap_or_default()
    ))
}

fn roots_of(path: &Path) -> Result<RootCertStore, String> {
    let shown = path.display();
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(|error| format!("cannot read the certificates in {shown}: {error}"))?;
    for certificate in certificates {
        let certificate = certificate
            .map_err(|error| format!("cannot read the certificates in {shown}: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("a certificate in {shown} cannot be trusted: {error}"))?;
    }
    if roots.is_empty() {
        return Err(format!("{shown} holds no certificate in PEM form"));
    }
    Ok(roots)
}

/// What a failed handshake means; texts without times, so that equal failures read equal.
fn trouble(error: &std::io::Error, peer: SocketAddr, name: &str) -> Trouble {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let what = match inner {
        Some(rustls::Error::InvalidCertificate(fault)) => certificate_fault(fault, name),
        Some(rustls::Error::InvalidMessage(_)) => "the server does not speak TLS".to_owned(),
        Some(error) => error.to_string(),
        None if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "the server closed during the handshake".to_owned()
        }
        None => return Trouble::from_io(error, peer),
    };
    Trouble::down(Reason::Tls, format!("TLS with {peer} failed: {what}"))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an enum of rustls that grows; the rest speaks for itself"
)]
fn certificate_fault(fault: &CertificateError, name: &str) -> String {
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet".to_owned()
        }
        CertificateError::UnknownIssuer => {
            "the certificate is signed by none that is trusted here (see -c FILE, -k)".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the certificate is not for \"{name}\" (see -n NAME)")
        }
        other => format!("bad certificate: {other}"),
    }
}

/// `-k`: takes whatever the server shows.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
