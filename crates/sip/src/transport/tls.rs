//! TLS: certificates from files, checked before they are used, and replaced while connections go on.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::WebPkiServerVerifier,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use crate::config::SipError;

/// The files that TLS is made of, all PEM. They are read at start and again at each reload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Our certificate with its chain, for `tls` and `wss` sockets.
    pub certificate: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
    /// Whom to trust when we connect; without it, the system's authorities.
    pub ca: Option<PathBuf>,
    /// The certificate that we show when we connect, for trunks that want one.
    pub client_certificate: Option<PathBuf>,
    /// Its private key.
    pub client_key: Option<PathBuf>,
    /// Who signs the certificates of those who connect to us; without it nobody is asked for one.
    pub client_ca: Option<PathBuf>,
    /// Whether those who show no certificate are turned away.
    pub client_required: bool,
}

/// Where systems keep the authorities that they trust.
const SYSTEM_CA: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What TLS connections are made with.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    pub(crate) acceptor: Option<TlsAcceptor>,
    pub(crate) connector: Option<Connector>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("accepts", &self.acceptor.is_some()).finish_non_exhaustive()
    }
}

/// Makes TLS connections to named peers.
#[derive(Clone)]
pub(crate) struct Connector(TlsConnector);

impl Connector {
    /// Shakes hands with a peer, whose certificate has to be good for this name or address (RFC 5922 §7).
    pub(crate) async fn connect(&self, name: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        self.0.connect(name, stream).await
    }
}

impl Tls {
    /// Reads and checks the files. A listener needs a certificate.
    ///
    /// # Errors
    /// The operator has to mend a file, or its path.
    pub(crate) async fn read(files: &TlsFiles, listens: bool) -> Result<Self, SipError> {
        let acceptor = match (&files.certificate, &files.key) {
            (Some(certificate), Some(key)) => Some(acceptor(files, certificate, key).await?),
            (None, None) if !listens => None,
            (Some(_) | None, Some(_) | None) => {
                let what = "sip.tls.certificate and sip.tls.key must both be set to listen on tls or wss";
                return Err(SipError::Invalid { what });
            }
        };
        Ok(Self { acceptor, connector: connector(files).await?.map(Connector) })
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// An error of one file, with its key in the configuration.
fn wrong(key: &'static str, path: &Path, error: impl std::fmt::Display) -> SipError {
    SipError::Certificate { key, path: path.to_owned(), error: error.to_string() }
}

async fn acceptor(files: &TlsFiles, certificate: &Path, key: &Path) -> Result<TlsAcceptor, SipError> {
    let chain = certificates("sip.tls.certificate", certificate).await?;
    let secret = private_key("sip.tls.key", key).await?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("sip.tls.certificate", certificate, error))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(roots("sip.tls.client_ca", path).await?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            let verifier = if files.client_required { verifier } else { verifier.allow_unauthenticated() };
            let verifier = verifier.build().map_err(|error| wrong("sip.tls.client_ca", path, error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder
        .with_single_cert(chain, secret)
        .map_err(|error| wrong("sip.tls.certificate", certificate, error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn connector(files: &TlsFiles) -> Result<Option<TlsConnector>, SipError> {
    let system = || SYSTEM_CA.iter().map(PathBuf::from).find(|path| path.is_file());
    let Some(path) = files.ca.clone().or_else(system) else { return Ok(None) };
    let roots = Arc::new(roots("sip.tls.ca", &path).await?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider())
        .build()
        .map_err(|error| wrong("sip.tls.ca", &path, error))?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("sip.tls.ca", &path, error))?
        .with_webpki_verifier(verifier);
    let config = match (&files.client_certificate, &files.client_key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let chain = certificates("sip.tls.client_certificate", certificate).await?;
            let secret = private_key("sip.tls.client_key", key).await?;
            builder
                .with_client_auth_cert(chain, secret)
                .map_err(|error| wrong("sip.tls.client_certificate", certificate, error))?
        }
        (Some(_) | None, Some(_) | None) => {
            let what = "sip.tls.client_certificate and sip.tls.client_key go together: set both or none";
            return Err(SipError::Invalid { what });
        }
    };
    Ok(Some(TlsConnector::from(Arc::new(config))))
}

async fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, SipError> {
    let bytes = tokio::fs::read(path).await.map_err(|error| wrong(key, path, error))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = chain.map_err(|error| wrong(key, path, error))?;
    if chain.is_empty() {
        return Err(wrong(key, path, "the file holds no certificate in PEM"));
    }
    Ok(chain)
}

async fn private_key(key: &'static str, path: &Path) -> Result<PrivateKeyDer<'static>, SipError> {
    let bytes = tokio::fs::read(path).await.map_err(|error| wrong(key, path, error))?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| wrong(key, path, error))
}

/// The authorities of a file. The system's file may hold some that cannot be read; one that can is enough.
async fn roots(key: &'static str, path: &Path) -> Result<RootCertStore, SipError> {
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(certificates(key, path).await?);
    if ignored > 0 {
        tracing::debug!(path = %path.display(), ignored, "authorities that cannot be read are left out");
    }
    if added == 0 {
        return Err(wrong(key, path, "the file holds no certificate of an authority"));
    }
    Ok(roots)
}
