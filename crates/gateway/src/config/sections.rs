//! The sections of `segue.toml` with their defaults. `config/segue.toml` says why each is what it is.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use super::{
    inband::InbandKeys,
    ways::{SipTls, SipTrunk},
};

/// `[files]`: the other files, relative to this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Files {
    /// Agents and queues.
    pub(crate) agents: PathBuf,
    /// A folder with one file of prompts a language.
    pub(crate) prompts: PathBuf,
    /// The trigger rules.
    pub(crate) triggers: PathBuf,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            agents: PathBuf::from("agents.toml"),
            prompts: PathBuf::from("prompts"),
            triggers: PathBuf::from("triggers/explicit.toml"),
        }
    }
}

/// `[sip]`: where signalling is heard and who may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sip {
    /// UDP addresses to listen on.
    pub(crate) udp: Vec<SocketAddr>,
    /// TCP addresses to listen on.
    pub(crate) tcp: Vec<SocketAddr>,
    /// WebSocket addresses to listen on.
    pub(crate) ws: Vec<SocketAddr>,
    /// WebSocket addresses over TLS to listen on.
    pub(crate) wss: Vec<SocketAddr>,
    /// DNS servers to ask; none: the system's.
    pub(crate) nameservers: Vec<SocketAddr>,
    /// Seconds between two questions whether the far side of a call is still there; 0: nobody is asked.
    pub(crate) alive_every_s: u64,
    /// TLS, both ways.
    pub(crate) tls: SipTls,
    /// The address to write into Contact and Via instead of the bound one; empty: the bound one.
    pub(crate) advertised: String,
    /// The digest realm (RFC 7616).
    pub(crate) realm: String,
    /// Carriers and exchanges that may send calls.
    pub(crate) trunks: Vec<SipTrunk>,
    /// Phones that may register, such as those of the agents.
    pub(crate) users: Vec<User>,
    /// When the caller is answered.
    pub(crate) answer: AnswerWhen,
    /// Networks whose phones may register names without a password.
    pub(crate) open_registration: Vec<String>,
    /// Limits against overload.
    pub(crate) limits: SipLimits,
    /// What dialogs may do.
    pub(crate) dialogs: SipDialogs,
    /// Which headers are passed on.
    pub(crate) headers: SipHeaders,
}

impl Default for Sip {
    fn default() -> Self {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
        Self {
            udp: vec![local],
            tcp: vec![local],
            ws: Vec::new(),
            wss: Vec::new(),
            nameservers: Vec::new(),
            alive_every_s: 120,
            tls: SipTls::default(),
            advertised: String::new(),
            realm: "segue".to_owned(),
            trunks: vec![SipTrunk {
                name: "local".to_owned(),
                sources: vec!["127.0.0.0/8".to_owned(), "::1".to_owned()],
                ..SipTrunk::default()
            }],
            users: Vec::new(),
            answer: AnswerWhen::AtOnce,
            open_registration: vec!["127.0.0.0/8".to_owned()],
            limits: SipLimits::default(),
            dialogs: SipDialogs::default(),
            headers: SipHeaders::default(),
        }
    }
}

/// When the caller is answered (200), and thereby billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AnswerWhen {
    /// Before the first word.
    #[default]
    AtOnce,
    /// When somebody can be talked to or waited for; until then everything is said as early media (183).
    WithParty,
}

/// When provisional responses are acknowledged (RFC 3262).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reliable {
    /// Never.
    Off,
    /// Where the other side can.
    #[default]
    Supported,
    /// Always; who cannot is refused.
    Required,
}

/// `[sip.dialogs]`: reliable provisionals, session timers, redirections, transfers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SipDialogs {
    /// PRACK.
    pub(crate) reliable: Reliable,
    /// Seconds of the session interval that we propose; 0: no session timers.
    pub(crate) session_expires_s: u32,
    /// Seconds of the shortest one that we take.
    pub(crate) session_expires_min_s: u32,
    /// Redirections that one call of ours follows.
    pub(crate) redirects_max: u8,
    /// Hosts they may lead to.
    pub(crate) redirect_hosts: Vec<String>,
    /// Whether an agent may transfer their side of the call with their phone.
    pub(crate) agent_transfers: bool,
    /// Hosts they may transfer to, besides the users that are registered here.
    pub(crate) transfer_hosts: Vec<String>,
}

impl Default for SipDialogs {
    fn default() -> Self {
        Self {
            reliable: Reliable::Supported,
            session_expires_s: 1_800,
            session_expires_min_s: 90,
            redirects_max: 0,
            redirect_hosts: Vec::new(),
            agent_transfers: false,
            transfer_hosts: Vec::new(),
        }
    }
}

/// `[sip.headers]`: which headers of one party go on to another. A star at the end stands for any ending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SipHeaders {
    /// Of the caller's INVITE, to the bot.
    pub(crate) caller_to_bot: Vec<String>,
    /// Of the caller's INVITE, to the agent.
    pub(crate) caller_to_agent: Vec<String>,
    /// Of the bot's REFER or BYE, to the agent.
    pub(crate) bot_to_agent: Vec<String>,
    /// Bytes of all of them in one message.
    pub(crate) bytes_max: usize,
}

impl Default for SipHeaders {
    fn default() -> Self {
        let both = || vec!["User-to-User".to_owned(), "X-*".to_owned()];
        Self {
            caller_to_bot: both(),
            caller_to_agent: vec!["User-to-User".to_owned()],
            bot_to_agent: both(),
            bytes_max: 800,
        }
    }
}

/// `[[sip.users]]`: who may register and call by digest.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct User {
    /// The user part of the address, and the digest user name.
    pub(crate) user: String,
    /// The password.
    pub(crate) password: String,
    /// A rule of their own for SRTP; without it, `media.srtp.callers` or `media.srtp.agents`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) srtp: Option<SrtpRule>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("user", &self.user).finish_non_exhaustive()
    }
}

/// `[sip.limits]`: what is refused with 503 and Retry-After.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SipLimits {
    /// Calls at the same time.
    pub(crate) calls_max: usize,
    /// New calls a second, over all sources.
    pub(crate) calls_per_second: u32,
    /// Requests a second from one source address.
    pub(crate) source_per_second: u32,
    /// Messages a second from all strangers together.
    pub(crate) strangers_per_second: u32,
}

impl Default for SipLimits {
    fn default() -> Self {
        Self { calls_max: 500, calls_per_second: 50, source_per_second: 100, strangers_per_second: 2_000 }
    }
}

/// `[media]`: where sound flows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Media {
    /// The address to bind for RTP.
    pub(crate) address: IpAddr,
    /// The address to write into SDP instead; empty: the bound one.
    pub(crate) advertised: String,
    /// First RTP port, even.
    pub(crate) port_first: u16,
    /// Last RTCP port, odd.
    pub(crate) port_last: u16,
    /// Media threads; 0: one for each core but one.
    pub(crate) threads: usize,
    /// Which codecs are spoken with whom.
    pub(crate) codecs: Codecs,
    /// How Opus is encoded.
    pub(crate) opus: Opus,
    /// With whom SRTP is spoken.
    pub(crate) srtp: Srtp,
    /// Whether packets are forwarded as they come where both legs agree.
    pub(crate) forward: bool,
    /// Seconds of silence after which a party is lost; 0: never.
    pub(crate) dead_after_s: u64,
    /// The same on hold, and for a party that suppresses silence.
    pub(crate) dead_held_after_s: u64,
    /// Whether people hear music while the party that they are connected to sends no packets.
    pub(crate) fill_missing: bool,
    /// Seconds between two looks at each leg's quality; 0: only at its end.
    pub(crate) quality_interval_s: u64,
    /// Whether keys are looked for in the sound.
    pub(crate) inband_keys: InbandKeys,
    /// Packets that come within so many microseconds are taken together.
    pub(crate) gather_us: u32,
}

impl Default for Media {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            advertised: String::new(),
            port_first: 20_000,
            port_last: 29_999,
            threads: 0,
            codecs: Codecs::default(),
            opus: Opus::default(),
            srtp: Srtp::default(),
            forward: true,
            dead_after_s: 6,
            dead_held_after_s: 15,
            fill_missing: true,
            quality_interval_s: 5,
            inband_keys: InbandKeys::Auto,
            gather_us: 300,
        }
    }
}

/// A codec, by its name in rtpmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum CodecName {
    /// G.711 µ-law.
    #[serde(rename = "PCMU")]
    Pcmu,
    /// G.711 A-law.
    #[serde(rename = "PCMA")]
    Pcma,
    /// G.722.
    G722,
    /// Opus.
    #[serde(rename = "opus")]
    Opus,
}

impl CodecName {
    /// The codec of that name.
    pub(crate) const fn codec(self) -> segue_media::Codec {
        match self {
            Self::Pcmu => segue_media::Codec::Pcmu,
            Self::Pcma => segue_media::Codec::Pcma,
            Self::G722 => segue_media::Codec::G722,
            Self::Opus => segue_media::Codec::Opus,
        }
    }
}

/// `[media.codecs]`: which codecs are spoken with whom, in the order in which we offer them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Codecs {
    /// With callers.
    pub(crate) callers: Vec<CodecName>,
    /// With the bot.
    pub(crate) bot: Vec<CodecName>,
    /// With agents.
    pub(crate) agents: Vec<CodecName>,
}

impl Default for Codecs {
    fn default() -> Self {
        let all = vec![CodecName::Pcmu, CodecName::Pcma, CodecName::G722, CodecName::Opus];
        Self { callers: all.clone(), bot: vec![CodecName::Pcmu, CodecName::Pcma], agents: all }
    }
}

/// `[media.opus]`: how Opus is encoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Opus {
    /// How hard the encoder tries, 0 to 10.
    pub(crate) complexity: u8,
    /// Bits in a second.
    pub(crate) bitrate: u32,
}

impl Default for Opus {
    fn default() -> Self {
        Self { complexity: 0, bitrate: 24_000 }
    }
}

/// Whether SRTP is spoken with somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SrtpRule {
    /// No: who demands it is refused.
    Never,
    /// Where the other side wants it too.
    #[default]
    Offered,
    /// Yes: who does not is refused.
    Required,
}

/// `[media.srtp]`: with whom SRTP is spoken, keys by SDES (RFC 4568).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Srtp {
    /// With callers, unless their trunk or user has a rule of its own.
    pub(crate) callers: SrtpRule,
    /// With the bot.
    pub(crate) bot: SrtpRule,
    /// With agents, unless their user has a rule of its own.
    pub(crate) agents: SrtpRule,
    /// Whether keys are taken and sent over signalling that is not TLS.
    pub(crate) keys_in_clear: bool,
}

/// `[bot]`: whom the caller talks to first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Bot {
    /// The bot's SIP URI, such as `sip:bot@127.0.0.1:5070`.
    pub(crate) uri: String,
    /// Whether a REFER from the bot is read as a handoff request.
    pub(crate) refer: bool,
}

impl Default for Bot {
    fn default() -> Self {
        Self { uri: "sip:bot@127.0.0.1:5070".to_owned(), refer: true }
    }
}

/// `[synthesis]`: the gateway's own voice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Synthesis {
    /// Rendered prompts kept in memory; the one unused longest gives way.
    pub(crate) cache_max: usize,
}

impl Default for Synthesis {
    fn default() -> Self {
        Self { cache_max: 2_000 }
    }
}

/// `[store]`: what is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Store {
    /// The SQLite file.
    pub(crate) path: PathBuf,
    /// Days that an ended call is kept; 0 keeps it for ever.
    pub(crate) keep_days: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self { path: PathBuf::from("run/segue.db"), keep_days: 90 }
    }
}

/// `[api]`: REST, events, health and metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Api {
    /// Where to listen.
    pub(crate) bind: SocketAddr,
    /// Keys that may call; none: only callers on this machine may.
    pub(crate) keys: Vec<ApiKey>,
    /// Event subscribers at the same time.
    pub(crate) subscribers_max: usize,
    /// Events kept for those who come back.
    pub(crate) events_kept: usize,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            keys: Vec::new(),
            subscribers_max: 100,
            events_kept: 10_000,
        }
    }
}

/// `[[api.keys]]`: one key, kept as its SHA-256.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ApiKey {
    /// Who has it.
    pub(crate) name: String,
    /// SHA-256 of the key, 64 hexadecimal digits.
    pub(crate) sha256: String,
    /// Whether it may change things.
    pub(crate) write: bool,
}

/// `[homer]`: copies of SIP messages and media reports for a collector.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Homer {
    /// The collector's address; empty: no copies.
    pub(crate) collector: String,
    /// By which the collector tells this gateway from others.
    pub(crate) agent_id: u32,
    /// What the collector wants to be told; empty: nothing.
    pub(crate) key: String,
}

impl Default for Homer {
    fn default() -> Self {
        Self { collector: String::new(), agent_id: 2_001, key: String::new() }
    }
}

impl std::fmt::Debug for Homer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Homer").field("collector", &self.collector).finish_non_exhaustive()
    }
}

/// Which calls are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RecordingMode {
    /// None, and nobody can ask for it.
    #[default]
    Off,
    /// Those that are asked for by the API.
    OnRequest,
    /// All, from their beginning.
    All,
}

/// `[recording]`: calls as files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Recording {
    /// Which calls.
    pub(crate) mode: RecordingMode,
    /// Where the files lie.
    pub(crate) folder: PathBuf,
    /// Days that a file is kept; 0 keeps it for ever.
    pub(crate) keep_days: u64,
}

impl Default for Recording {
    fn default() -> Self {
        Self { mode: RecordingMode::Off, folder: PathBuf::from("run/recordings"), keep_days: 30 }
    }
}

/// `[shutdown]`: how the program ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Shutdown {
    /// Seconds that running calls may go on after SIGTERM.
    pub(crate) grace_s: u64,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { grace_s: 300 }
    }
}

/// `[log]`: what the program tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// A filter such as `info,segue_sip=debug`.
    pub(crate) filter: String,
    /// JSON lines instead of text.
    pub(crate) json: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), json: false }
    }
}
