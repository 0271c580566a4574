//! Whose signature under a service's certificate is believed.

use std::{fmt, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::pool::SpeechError;

/// The certificate authorities of services elsewhere: those that browsers trust, or those of a file and no others.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Authorities {
    own: Option<Arc<[CertificateDer<'static>]>>,
}

impl fmt::Debug for Authorities {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.own {
            None => formatter.write_str("Authorities(public)"),
            Some(own) => write!(formatter, "Authorities({} of a file)", own.len()),
        }
    }
}

impl Authorities {
    /// Takes the authorities of a PEM file.
    ///
    /// # Errors
    /// When the file cannot be read or holds no certificate.
    pub fn read(path: &Path) -> Result<Authorities, SpeechError> {
        let wrong = |reason: String| SpeechError::Authorities { path: path.to_owned(), reason };
        let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        let found = found.map_err(|error| wrong(error.to_string()))?;
        let mut roots = RootCertStore::empty();
        for certificate in &found {
            roots.add(certificate.clone()).map_err(|error| wrong(error.to_string()))?;
        }
        if found.is_empty() {
            return Err(wrong("it holds no certificate in PEM".to_owned()));
        }
        Ok(Authorities { own: Some(found.into()) })
    }

    /// For a connection that rustls makes.
    pub(super) fn client(&self) -> Result<Arc<ClientConfig>, String> {
        let mut roots = RootCertStore::empty();
        match &self.own {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(own) => {
                for certificate in own.iter() {
                    roots.add(certificate.clone()).map_err(|error| error.to_string())?;
                }
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }

    /// For a request that ureq makes.
    pub(super) fn request(&self) -> TlsConfig {
        let roots = match &self.own {
            None => RootCerts::WebPki,
            Some(own) => {
                own.iter().map(|der| Certificate::from_der(der).to_owned()).collect::<Vec<_>>().into()
            }
        };
        TlsConfig::builder().root_certs(roots).build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authority.pem");
        for text in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            std::fs::write(&file, text).unwrap();
            let error = Authorities::read(&file).unwrap_err().to_string();
            assert!(error.contains("authority.pem"), "{error}");
        }
        assert!(Authorities::read(&folder.path().join("none.pem")).is_err());
    }
}
