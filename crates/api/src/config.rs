//! Limits of the interface and who may use it.

use std::{net::SocketAddr, time::Duration};

use sha2::{Digest, Sha256};

/// How the interface behaves. Every limit says what happens when it is reached.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// Who may use it. With none, only peers on a loopback address are served.
    pub keys: Vec<ApiKey>,
    /// Whether `/healthz`, `/readyz` and `/metrics` are open to loopback peers when keys are configured.
    pub probes_open_to_loopback: bool,
    /// Origins of web pages, besides our own, that may write and listen, such as `https://desk.example.com`.
    /// Others get 403. There is no CORS: pages of another origin cannot read answers.
    pub origins: Vec<String>,
    /// Bytes of a request's body, at most; more gets 413.
    pub body_bytes_max: usize,
    /// Calls in a page when none is asked for.
    pub page_default: u32,
    /// Calls in a page, at most; a larger wish gets 400.
    pub page_max: u32,
    /// How long the gateway may take to answer; later gets 504.
    pub desk_wait_max: Duration,
    /// How long a request may take from its head to its answer, body included; later gets 408.
    pub request_wait_max: Duration,
    /// Connections, at most; one more waits until another ends.
    pub connections_max: usize,
    /// How long a connection may take to send the head of a request, the first or a later one; a slower or idle one
    /// is closed.
    pub head_wait_max: Duration,
    /// WebSocket subscribers, at most; one more gets 503.
    pub sockets_max: usize,
    /// How often a subscriber is pinged; one that misses two pings in a row is dropped.
    pub socket_ping: Duration,
    /// How long a subscriber may take to take one message; a slower one is dropped and can resume.
    pub socket_send_wait_max: Duration,
    /// Idempotency keys kept, at most; beyond it the oldest is forgotten.
    pub idempotency_keys_max: usize,
    /// How long an idempotency key is kept.
    pub idempotency_keep: Duration,
    /// What transcribes the calls.
    pub transcription: Transcription,
}

/// What transcribes, as every page tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcription {
    /// The word of the configuration, `none` if nothing does.
    pub engine: String,
    /// If nothing does: what turns it on, with the one command.
    pub turn_on: Option<String>,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            probes_open_to_loopback: true,
            origins: Vec::new(),
            body_bytes_max: 64 << 10,
            page_default: 50,
            page_max: 200,
            desk_wait_max: Duration::from_secs(5),
            request_wait_max: Duration::from_secs(15),
            connections_max: 512,
            head_wait_max: Duration::from_secs(10),
            sockets_max: 64,
            socket_ping: Duration::from_secs(20),
            socket_send_wait_max: Duration::from_secs(5),
            idempotency_keys_max: 10_000,
            idempotency_keep: Duration::from_secs(24 * 3_600),
            transcription: Transcription::default(),
        }
    }
}

/// What a key allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// To look and to listen.
    Read,
    /// To ask for handoffs, take them back, choose for agents and set presence; and to read.
    Write,
}

/// One key. Only its hash is kept, so a configuration file that leaks does not leak the key.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    name: String,
    hash: [u8; 32],
    scope: Scope,
}

/// Why a key in the configuration cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// The hash is no SHA-256 in hex.
    #[error("the hash of an API key is 64 hex digits: the output of `printf %s KEY | sha256sum`")]
    NotAHash,
    /// The key has no name to be told by in the log.
    #[error("an API key needs a name, so that the log can tell who used it")]
    NoName,
}

impl ApiKey {
    /// Takes a key from the configuration: its name for the log, the SHA-256 of the key in hex, what it allows.
    ///
    /// # Errors
    /// [`ApiKeyError`] if the name is empty or the hash is none.
    pub fn new(name: &str, sha256: &str, scope: Scope) -> Result<Self, ApiKeyError> {
        if name.trim().is_empty() {
            return Err(ApiKeyError::NoName);
        }
        let mut hash = [0; 32];
        hex::decode_to_slice(sha256.trim(), &mut hash).map_err(|_| ApiKeyError::NotAHash)?;
        Ok(Self { name: name.to_owned(), hash, scope })
    }

    /// Whose key it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it allows.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// The key among these whose secret this is. Every key is compared in full, whichever fits.
    pub(crate) fn find<'a>(keys: &'a [Self], secret: &[u8]) -> Option<&'a Self> {
        let hash: [u8; 32] = Sha256::digest(secret).into();
        let mut found = None;
        for key in keys {
            let difference = key.hash.iter().zip(hash).fold(0, |sum, (ours, theirs)| sum | (ours ^ theirs));
            if std::hint::black_box(difference) == 0 {
                found = Some(key);
            }
        }
        found
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiKey({}, {:?})", self.name, self.scope)
    }
}

/// The operator's: the interface would be open to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the API listens on {0} without keys: configure a key, or listen on 127.0.0.1")]
pub struct ExposedBind(pub SocketAddr);

/// Checks that an interface without keys listens on a loopback address alone.
///
/// # Errors
/// [`ExposedBind`] if it does not.
pub fn bind_allowed(bind: SocketAddr, keys: &[ApiKey]) -> Result<(), ExposedBind> {
    if keys.is_empty() && !bind.ip().to_canonical().is_loopback() { Err(ExposedBind(bind)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_keys_only_a_loopback_bind_is_allowed() {
        for (bind, allowed) in [
            ("127.0.0.1:8080", true),
            ("127.9.9.9:8080", true),
            ("[::1]:8080", true),
            ("[::ffff:127.0.0.1]:8080", true),
            ("0.0.0.0:8080", false),
            ("[::]:8080", false),
            ("192.0.2.1:8080", false),
        ] {
            let bind: SocketAddr = bind.parse().unwrap();
            assert_eq!(bind_allowed(bind, &[]).is_ok(), allowed, "{bind}");
            let key = ApiKey::new("crm", &hex::encode(Sha256::digest("secret")), Scope::Read).unwrap();
            assert_eq!(bind_allowed(bind, &[key]), Ok(()));
        }
    }

    #[test]
    fn a_key_is_found_by_its_secret_and_by_nothing_else() {
        let key = |name: &str, secret: &str| {
            ApiKey::new(name, &hex::encode(Sha256::digest(secret)), Scope::Write).unwrap()
        };
        let keys = [key("crm", "one"), key("desk", "two")];
        assert_eq!(ApiKey::find(&keys, b"two").map(ApiKey::name), Some("desk"));
        for wrong in ["", "three", "One", "one "] {
            assert_eq!(ApiKey::find(&keys, wrong.as_bytes()), None, "{wrong:?}");
        }
        assert!(!format!("{keys:?}").contains(&hex::encode(Sha256::digest("one"))));
    }

    #[test]
    fn a_key_that_is_no_hash_or_has_no_name_is_refused() {
        assert_eq!(ApiKey::new("crm", "secret", Scope::Read), Err(ApiKeyError::NotAHash));
        assert_eq!(ApiKey::new(" ", &"0".repeat(64), Scope::Read), Err(ApiKeyError::NoName));
    }
}
