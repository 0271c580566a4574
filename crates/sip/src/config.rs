//! What the gateway configures: sockets, users, trunks, limits and timers. Parsed and checked once, before a socket is opened.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use crate::{
    policy::{DialogPolicy, SESSION_FLOOR},
    transport::TlsFiles,
    trunks::TrunkRoute,
};

/// Everything that [`Sip::bind`](crate::Sip::bind) needs to know.
#[derive(Clone, Debug)]
pub struct SipConfig {
    /// UDP sockets to listen on. Port 0 takes any free port.
    pub udp: Vec<SocketAddr>,
    /// TCP sockets to listen on. Port 0 takes any free port.
    pub tcp: Vec<SocketAddr>,
    /// TLS sockets to listen on.
    pub tls: Vec<SocketAddr>,
    /// WebSocket sockets to listen on (RFC 7118), for browsers behind a proxy that ends TLS.
    pub ws: Vec<SocketAddr>,
    /// WebSocket sockets over TLS to listen on.
    pub wss: Vec<SocketAddr>,
    /// What TLS is made of, both ways.
    pub certificates: TlsFiles,
    /// The address that others are told in Via and Contact, if it is not the bound one (NAT, wildcard).
    pub advertised: Option<IpAddr>,
    /// The digest realm; phones show it and hash it into their credentials.
    pub realm: String,
    /// Who may register and call by digest.
    pub users: Vec<UserCredential>,
    /// Who may call by source address.
    pub trunks: Vec<Trunk>,
    /// Networks whose phones may register without a password, as long as they take no name that has one: a laboratory,
    /// or an edge proxy that has proven them already. Empty: none.
    pub open_registration: Vec<IpNet>,
    /// How calls go out by trunks.
    pub routes: Vec<TrunkRoute>,
    /// Whom to ask for names, instead of the system's DNS servers.
    pub nameservers: Vec<SocketAddr>,
    /// The digests that are offered, in the order of the challenges. RFC 8760 §2.4 wants the strongest first, but many
    /// phones read the first challenge only and know nothing but MD5, so MD5 stands first unless it is told otherwise.
    pub digests: Vec<DigestAlgorithm>,
    /// What dialogs may do.
    pub dialogs: DialogPolicy,
    /// What is too much.
    pub limits: SipLimits,
    /// How long things last.
    pub timers: SipTimers,
    /// Who is shown every message that comes and goes.
    pub observer: Option<Observer>,
}

impl Default for SipConfig {
    fn default() -> Self {
        Self {
            udp: Vec::new(),
            tcp: Vec::new(),
            tls: Vec::new(),
            ws: Vec::new(),
            wss: Vec::new(),
            certificates: TlsFiles::default(),
            advertised: None,
            realm: "segue".to_owned(),
            users: Vec::new(),
            trunks: Vec::new(),
            open_registration: Vec::new(),
            routes: Vec::new(),
            nameservers: Vec::new(),
            digests: vec![DigestAlgorithm::Md5, DigestAlgorithm::Sha256],
            dialogs: DialogPolicy::default(),
            limits: SipLimits::default(),
            timers: SipTimers::default(),
            observer: None,
        }
    }
}

/// One message on the wire, as it came or as it goes.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// Whether it went over a connection rather than as a datagram.
    pub stream: bool,
    /// The message, framed and nothing else; any bytes at all.
    pub bytes: &'a [u8],
}

/// Is shown every message. It is called on the driver's task and must not wait.
#[derive(Clone)]
pub struct Observer(pub std::sync::Arc<dyn Fn(&Observed<'_>) + Send + Sync>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// A hash for digest authentication (RFC 7616, RFC 8760).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DigestAlgorithm {
    /// MD5: weak, but the only one that many phones know.
    Md5,
    /// SHA-256.
    Sha256,
}

/// Somebody who proves who they are by digest.
#[derive(Clone, Debug)]
pub struct UserCredential {
    /// The user part of their address of record, and their digest user name.
    pub user: String,
    /// What they know.
    pub secret: Secret,
}

/// A password, or what digest makes of it. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password itself.
    Password(String),
    /// `H(user:realm:password)` in hexadecimal, for each hash that is known. A missing one never matches.
    Hashed {
        /// By MD5.
        md5: Option<String>,
        /// By SHA-256.
        sha256: Option<String>,
    },
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A user name and secret that we answer a challenge with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The digest user name.
    pub user: String,
    /// The secret.
    pub secret: Secret,
}

/// A carrier or PBX that is known by its source addresses.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// Its name in logs and in [`Source::Trunk`](crate::Source::Trunk).
    pub name: String,
    /// Where its requests come from.
    pub sources: Vec<IpNet>,
    /// How we answer its challenges when we dial through it.
    pub credentials: Option<Credentials>,
}

/// A block of addresses, such as `203.0.113.0/24` or `2001:db8::/32`; a bare address is a block of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpNet {
    address: IpAddr,
    prefix: u8,
}

/// A block of addresses that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address block: write 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32")]
pub struct IpNetError(String);

impl std::str::FromStr for IpNet {
    type Err = IpNetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || IpNetError(text.to_owned());
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(prefix) => prefix.trim().parse().map_err(|_| wrong())?,
        };
        if prefix > bits {
            return Err(wrong());
        }
        Ok(Self { address, prefix })
    }
}

impl IpNet {
    /// Whether the block holds this address. An IPv4 address mapped into IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let shifted = |value: u128, bits: u32| {
            let drop = bits - u32::from(self.prefix);
            value.checked_shr(drop).unwrap_or(0)
        };
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(block), IpAddr::V4(one)) => {
                shifted(u32::from(block).into(), 32) == shifted(u32::from(one).into(), 32)
            }
            (IpAddr::V6(block), IpAddr::V6(one)) => {
                shifted(u128::from(block), 128) == shifted(u128::from(one), 128)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// What is too much, and so is refused. At a limit on calls the answer is 503 with Retry-After, before any state exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipLimits {
    /// Calls from outside that are up or ringing.
    pub calls_max: usize,
    /// New calls a second from all sides together; a burst of one second's worth is taken.
    pub calls_per_second: u32,
    /// New requests outside of a dialog a second from one source address, or from all of a trunk's addresses together.
    pub per_source_per_second: u32,
    /// Dialogs, in and out, with those that are ending.
    pub dialogs_max: usize,
    /// Open connections of every kind; at the limit a new one is closed at once.
    pub connections_max: usize,
    /// Open connections from one source address; at the limit a new one is closed at once.
    pub connections_per_source_max: usize,
    /// Bytes of one message; a longer one is answered 513 on UDP and closes a TCP connection.
    pub message_bytes_max: usize,
    /// Messages a second that are read from all strangers together: sources that are no trunk, proved no password lately
    /// and were not asked anything by us. More are dropped unread.
    pub strangers_per_second: u32,
    /// Users that are registered at the same time; at the limit further ones are refused with 503.
    pub registrations_max: usize,
    /// Registered contacts of one user; at the limit the one that expires first gives way.
    pub contacts_per_user_max: usize,
    /// Source addresses whose rate is remembered; at the limit, new ones are refused until an old one has been quiet.
    pub sources_max: usize,
    /// What callers that are refused by a limit are told to wait, in whole seconds.
    pub retry_after: Duration,
}

impl Default for SipLimits {
    fn default() -> Self {
        Self {
            calls_max: 2_000,
            calls_per_second: 100,
            per_source_per_second: 50,
            dialogs_max: 10_000,
            connections_max: 2_000,
            connections_per_source_max: 500,
            message_bytes_max: 16 * 1024,
            strangers_per_second: 2_000,
            registrations_max: 10_000,
            contacts_per_user_max: 5,
            sources_max: 20_000,
            retry_after: Duration::from_secs(5),
        }
    }
}

/// How long things last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipTimers {
    /// RFC 3261 T1, the round-trip estimate; all transaction timers follow from it.
    pub t1: Duration,
    /// RFC 3261 T2, the longest retransmission interval.
    pub t2: Duration,
    /// RFC 3261 T4, how long a message may stay in the network.
    pub t4: Duration,
    /// How long an incoming call may ring before it is refused with 480.
    pub incoming_ring_max: Duration,
    /// How long a dialled party may stay silent, without even a 100, before it counts as unreachable.
    pub first_response_max: Duration,
    /// How often the far side of an answered call is asked whether it is still there, by OPTIONS in the dialog: a phone
    /// that lost its power sends no BYE, and would hold a bot or an agent for hours. Zero asks nobody.
    pub alive_every: Duration,
    /// The shortest registration that is taken; less is answered 423.
    pub register_expires_min: Duration,
    /// The longest registration that is given, and the one for phones that name none.
    pub register_expires_max: Duration,
    /// How long a digest nonce is good.
    pub nonce_life: Duration,
    /// How long a connection may be idle.
    pub connection_idle_max: Duration,
    /// How long TCP, TLS and WebSocket together may take to set up a connection.
    pub connection_setup_max: Duration,
    /// How long a stranger's connection may wait with its first message, and any message take to come whole.
    pub message_max: Duration,
}

impl Default for SipTimers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            incoming_ring_max: Duration::from_secs(180),
            first_response_max: Duration::from_secs(6),
            alive_every: Duration::from_secs(120),
            register_expires_min: Duration::from_secs(60),
            register_expires_max: Duration::from_secs(3_600),
            nonce_life: Duration::from_secs(300),
            connection_idle_max: Duration::from_secs(600),
            connection_setup_max: Duration::from_secs(5),
            message_max: Duration::from_secs(30),
        }
    }
}

/// Why the SIP part cannot start. All of these are for the operator to mend.
#[derive(Debug, thiserror::Error)]
pub enum SipError {
    /// Nothing to listen on.
    #[error(
        "the configuration names no SIP socket: give at least one address in sip.udp, tcp, tls, ws or wss"
    )]
    NoSocket,
    /// A socket cannot be opened.
    #[error("cannot listen on {transport} {address}: {error}")]
    Listen {
        /// `UDP`, `TCP`, `TLS`, `WS` or `WSS`.
        transport: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// A certificate, a key or a list of authorities cannot be used.
    #[error("{key} {}: {error}", path.display())]
    Certificate {
        /// Where the configuration names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// A trunk's way out makes no sense.
    #[error("trunk \"{name}\": {what}")]
    Trunk {
        /// Which trunk.
        name: String,
        /// What is wrong, and what would be right.
        what: &'static str,
    },
    /// A value makes no sense.
    #[error("{what}")]
    Invalid {
        /// Which, and what would be right.
        what: &'static str,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes, without which no nonce is safe")]
    NoRandom,
}

impl SipConfig {
    /// Finds what is wrong before a socket is opened.
    ///
    /// # Errors
    /// The first value that makes no sense.
    pub fn check(&self) -> Result<(), SipError> {
        let rules = [
            (self.limits.message_bytes_max >= 1_300, "sip.limits.message_bytes_max must be at least 1300"),
            (self.limits.contacts_per_user_max >= 1, "sip.limits.contacts_per_user_max must be at least 1"),
            (self.limits.connections_max >= 1, "sip.limits.connections_max must be at least 1"),
            (!self.timers.t1.is_zero(), "sip.timers.t1 must be more than zero"),
            (
                self.dialogs.session_expires.is_zero()
                    || self.dialogs.session_expires >= self.dialogs.session_expires_min,
                "sip.session_expires must be 0 or at least sip.session_expires_min",
            ),
            (
                self.dialogs.session_expires_min >= SESSION_FLOOR,
                "sip.session_expires_min must be at least 90 seconds (RFC 4028)",
            ),
            (self.timers.t2 >= self.timers.t1, "sip.timers.t2 must not be less than t1"),
            (!self.digests.is_empty(), "sip.digests must name at least one of md5, sha256"),
            (
                !self.realm.is_empty() && !self.realm.contains(['"', '\\', '\r', '\n']),
                "sip.realm must be a word without quotes, backslashes and line ends",
            ),
            (
                self.timers.register_expires_min <= self.timers.register_expires_max,
                "sip.timers.register_expires_min must not be more than register_expires_max",
            ),
        ];
        let sockets = [&self.udp, &self.tcp, &self.tls, &self.ws, &self.wss];
        if sockets.iter().all(|sockets| sockets.is_empty()) {
            return Err(SipError::NoSocket);
        }
        self.routes.iter().try_for_each(TrunkRoute::check)?;
        for (holds, what) in rules {
            if !holds {
                return Err(SipError::Invalid { what });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(block: &str, address: &str) -> bool {
        block.parse::<IpNet>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_block_holds_its_own_addresses_and_no_others() {
        assert!(holds("127.0.0.1", "127.0.0.1"));
        assert!(!holds("127.0.0.1", "127.0.0.2"));
        assert!(holds("10.1.0.0/16", "10.1.255.3"));
        assert!(!holds("10.1.0.0/16", "10.2.0.1"));
        assert!(holds("0.0.0.0/0", "203.0.113.9"));
        assert!(!holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("::/0", "2001:db8::1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1"));
        assert!(!holds("2001:db8::/32", "2001:db9::1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.9.9.9"));
    }

    #[test]
    fn a_wrong_block_is_refused_with_the_remedy() {
        for wrong in ["", "10.0.0.0/33", "::/129", "ten", "10.0.0.0/x", "10.0.0.0/-1"] {
            let error = wrong.parse::<IpNet>().unwrap_err();
            assert!(error.to_string().contains("203.0.113.0/24"));
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let user = UserCredential { user: "a".into(), secret: Secret::Password("hunter2".into()) };
        assert!(!format!("{user:?}").contains("hunter2"));
    }

    #[test]
    fn a_configuration_without_a_socket_is_refused() {
        assert!(matches!(SipConfig::default().check(), Err(SipError::NoSocket)));
        let config = SipConfig { udp: vec!["127.0.0.1:0".parse().unwrap()], ..SipConfig::default() };
        assert!(config.check().is_ok());
    }
}
