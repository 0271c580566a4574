//! The sections of `segue.toml` about the ways in and out: TLS, trunks, their targets and our registrations at them.

use std::path::PathBuf;

use segue_acd::Language;
use serde::{Deserialize, Serialize};

use super::SrtpRule;

/// `[sip.tls]`: certificates for `tls` and `wss` sockets, and for connections that we make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SipTls {
    /// Addresses to listen on.
    pub(crate) bind: Vec<std::net::SocketAddr>,
    /// Our certificate with its chain, PEM.
    pub(crate) certificate: PathBuf,
    /// Its private key, PEM.
    pub(crate) key: PathBuf,
    /// Whom to trust when we connect; empty: the system's authorities.
    pub(crate) ca: PathBuf,
    /// The certificate that we show when we connect; empty: none.
    pub(crate) client_certificate: PathBuf,
    /// Its private key.
    pub(crate) client_key: PathBuf,
    /// Who signs the certificates of those who connect to us; empty: nobody is asked for one.
    pub(crate) client_ca: PathBuf,
    /// Whether those who show no certificate are turned away.
    pub(crate) client_required: bool,
}

/// `[[sip.trunks]]`: who may send calls by source address, and where calls go out. Others prove themselves by digest,
/// see `User`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SipTrunk {
    /// A name for logs and records, and the host of URIs that go out by it.
    pub(crate) name: String,
    /// Source networks, such as `203.0.113.0/24`.
    pub(crate) sources: Vec<String>,
    /// Its own rule for SRTP; without it, `media.srtp.callers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) srtp: Option<SrtpRule>,
    /// The language of its callers, BCP 47; without it, `call.speech.default_language`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) language: Option<Language>,
    /// Where its calls are sent.
    pub(crate) targets: Vec<TrunkTarget>,
    /// The host that Request-URIs and From show; empty: the target's.
    pub(crate) domain: String,
    /// The digest user name that its challenges are answered with; empty: they are not.
    pub(crate) user: String,
    /// The password for it.
    pub(crate) password: String,
    /// Seconds between two questions whether a target is well; 0: it is not asked.
    pub(crate) health_s: u64,
    /// Milliseconds that its answer may take.
    pub(crate) health_answer_max_ms: u64,
    /// Good answers in a row after which a target that was down is up.
    pub(crate) up_after: u32,
    /// Questions in a row without a good answer after which a target is down.
    pub(crate) down_after: u32,
    /// Where we register; left out: nowhere.
    pub(crate) register: Option<Register>,
}

impl Default for SipTrunk {
    fn default() -> Self {
        Self {
            name: String::new(),
            sources: Vec::new(),
            srtp: None,
            language: None,
            targets: Vec::new(),
            domain: String::new(),
            user: String::new(),
            password: String::new(),
            health_s: 30,
            health_answer_max_ms: 3_000,
            up_after: 1,
            down_after: 2,
            register: None,
        }
    }
}

impl std::fmt::Debug for SipTrunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SipTrunk")
            .field("name", &self.name)
            .field("sources", &self.sources)
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}

/// One of a trunk's `targets`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TrunkTarget {
    /// A SIP URI without a user, such as `sip:sbc.example.com;transport=tls`.
    pub(crate) uri: String,
    /// The lowest is tried first.
    pub(crate) priority: u16,
    /// The share among targets of one priority.
    pub(crate) weight: u16,
}

/// A trunk's `register`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Register {
    /// The registrar's URI, such as `sip:example.com`.
    pub(crate) registrar: String,
    /// The user part of our address there; empty: the trunk's `user`.
    pub(crate) user: String,
    /// The user part of our Contact: what calls for us are sent to; empty: the same.
    pub(crate) contact_user: String,
    /// Seconds that a registration shall last.
    pub(crate) expires_s: u64,
}

impl Default for Register {
    fn default() -> Self {
        Self { registrar: String::new(), user: String::new(), contact_user: String::new(), expires_s: 600 }
    }
}
