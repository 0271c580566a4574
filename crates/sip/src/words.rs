//! The words of the public interface: who calls, who is dialled, how it ended.

use std::{net::SocketAddr, time::Duration};

use segue_media::MediaDescription;

use crate::config::Credentials;

/// Names one leg of one [`Sip`](crate::Sip), in logs and in Contact. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SipLegId(pub u64);

impl std::fmt::Display for SipLegId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Header names and values, in the order they came.
pub type Headers = Vec<(String, String)>;

/// What a caller's INVITE says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The leg that it may become.
    pub leg: SipLegId,
    /// Who calls. For `tel:` and `sip:` addresses the user part; empty if withheld.
    pub from: Caller,
    /// The user part of the Request-URI: whom they want.
    pub to: String,
    /// How they were let in.
    pub source: Source,
    /// Where the INVITE came from.
    pub signalling: SocketAddr,
    /// The SIP Call-ID.
    pub sip_call_id: String,
    /// `X-*`, `User-to-User`, `P-Asserted-Identity`, `Diversion` and `History-Info`, at most 32 of at most 2,048 bytes.
    pub headers: Headers,
    /// Their offer; `None` if they want ours (late offer).
    pub offer: Option<MediaDescription>,
}

/// A party's number and name. A caller's number is `Pii`: never logged above DEBUG.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The number or user name.
    pub user: String,
    /// The name to show.
    pub display: Option<String>,
}

/// How a caller was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// By source address.
    Trunk(String),
    /// By digest.
    User(String),
}

/// Why a caller is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 486.
    Busy,
    /// 480: nobody there now.
    NobodyThere,
    /// 503 with Retry-After, in whole seconds.
    Unavailable {
        /// How long to wait before trying again.
        retry_after: Duration,
    },
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 488: no codec in common.
    NotAcceptable,
    /// 603.
    Declined,
    /// 500: our fault.
    Error,
}

/// Whom to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A SIP URI, such as `sip:bot@192.0.2.1:5070;transport=tcp`.
    Uri(String),
    /// A user who registered here; all their contacts ring, the first to answer has the call.
    User(String),
    /// A number or user by way of a trunk, whose targets are tried in turn.
    Trunk {
        /// The trunk's name.
        name: String,
        /// Whom: the user part of the Request-URI.
        user: String,
    },
}

/// A call to be made.
#[derive(Clone, Debug)]
pub struct DialRequest {
    /// Whom.
    pub to: Target,
    /// As whom.
    pub from: Caller,
    /// More headers, such as `X-Call-Id`. Those that the stack writes itself are left out.
    pub headers: Headers,
    /// Our side.
    pub offer: MediaDescription,
    /// How long it may ring, from the first INVITE on.
    pub ring_max: Duration,
    /// Whether this party may ask for a handoff by REFER.
    pub handoff_allowed: bool,
    /// How to answer a challenge; without it, the credentials of the trunk that the target belongs to.
    pub credentials: Option<Credentials>,
    /// What is not usual about it.
    pub options: DialOptions,
}

/// What is not usual about a call to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DialOptions {
    /// The INVITE goes out without our offer: the far side offers, and we answer in PRACK or ACK (RFC 3261 §13.2.1).
    pub late_offer: bool,
    /// The call takes the place of this dialog at the far side (RFC 3891).
    pub replaces: Option<Replaces>,
    /// Whether this party may hand its side of the call to somebody else, by REFER or by an INVITE with Replaces.
    pub transfer_allowed: bool,
}

/// A dialog as the far side of ours names it (RFC 3891 §6.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replaces {
    /// Its Call-ID.
    pub call_id: String,
    /// The tag of the side that the INVITE goes to.
    pub to_tag: String,
    /// The tag of the other side.
    pub from_tag: String,
    /// Only while it has not been answered.
    pub early_only: bool,
}

/// A far side is asked to call somebody else (RFC 3515).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Referral {
    /// Whom, as a URI.
    pub to: String,
    /// The leg of ours to `to` that the new call is to take the place of: an attended transfer (RFC 3891, RFC 5589).
    pub instead_of: Option<SipLegId>,
    /// More headers. Those that the stack writes itself are left out.
    pub headers: Headers,
}

/// How dialling failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipFailure {
    /// In one word.
    pub kind: FailureKind,
    /// The status code that came, if one did.
    pub code: Option<u16>,
    /// What the far side, or we, say about it.
    pub reason: String,
}

/// How dialling failed, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureKind {
    /// 486 or 600.
    Busy,
    /// 603, 403, 401 and their like: they do not want it.
    Declined,
    /// Rang until the time was over, or 480 or 408.
    NoAnswer,
    /// No such party, no registration, no route, a redirection, silence.
    Unreachable,
    /// 488, 606, 415, or an answer without a codec that we offered.
    NoCommonCodec,
    /// 5xx.
    ServerError,
    /// We gave up ourselves.
    Canceled,
}

impl FailureKind {
    /// What a final status code of an INVITE means.
    #[must_use]
    pub const fn of_code(code: u16) -> Self {
        match code {
            486 | 600 => Self::Busy,
            480 | 408 => Self::NoAnswer,
            487 => Self::Canceled,
            300..=399 | 404 | 410 | 416 | 484 | 485 | 502 | 604 => Self::Unreachable,
            415 | 488 | 606 => Self::NoCommonCodec,
            500..=599 => Self::ServerError,
            _ => Self::Declined,
        }
    }
}

/// News of a leg that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "few wait at a time, and each is taken at once")]
pub enum LegEvent {
    /// The far side changed its media (re-INVITE, UPDATE, a late answer); we have answered.
    MediaChanged {
        /// Their side; the first codec is the one in use.
        remote: MediaDescription,
        /// What we answered.
        local: MediaDescription,
    },
    /// The far side sent REFER and is allowed to; it was told that this worked.
    HandoffRequested {
        /// The URI it wants the call to go to.
        refer_to: String,
        /// `X-*`, `User-to-User`, `Referred-By` and `Reason`.
        headers: Headers,
    },
    /// A key by INFO (`application/dtmf-relay` or `application/dtmf`).
    Key(char),
    /// Our own new offer was not taken; everything is as it was before.
    OfferRefused {
        /// What they said; `None` if it crossed theirs too often.
        code: Option<u16>,
    },
    /// The party gave its side of the call to somebody else, who speaks from here on. `MediaChanged` comes too.
    Transferred {
        /// The URI of who speaks now.
        to: String,
    },
    /// How our REFER goes (RFC 3515).
    ReferProgress {
        /// What the far side was answered by whom it calls, or its own refusal.
        code: u16,
        /// Nothing more comes.
        over: bool,
    },
    /// The leg is gone. Nothing comes after this.
    Ended(Ended),
}

/// How a leg that was up ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// They hung up.
    Remote {
        /// `X-*`, `User-to-User` and `Reason` of their BYE.
        headers: Headers,
    },
    /// We hung up.
    Local,
    /// They did not answer what they had to answer (ACK).
    Timeout,
    /// It could not go on; a sentence for the log.
    Error(String),
}

/// Why we hang up, as a Reason header (RFC 3326) and more headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HangUp {
    /// A Q.850 cause and its text, such as `(16, "Normal call clearing")`.
    pub cause: Option<(u8, &'static str)>,
    /// More headers for the BYE.
    pub headers: Headers,
}

/// Why an incoming call cannot be answered any more, or not like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The caller gave up first.
    #[error("the caller gave up before we answered")]
    Canceled,
    /// The caller can hear nothing before we answer: an INVITE without an offer and without 100rel (RFC 3262 §5).
    #[error("the caller cannot take sound before the answer")]
    NoEarlyMedia,
    /// No codec in common; the caller was told 488.
    #[error("the caller offers no codec that we speak")]
    NoCommonCodec,
    /// The SIP part is shutting down.
    #[error("the SIP part has ended")]
    Closed,
}

/// Why a registration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnregisteredWhy {
    /// The phone said so.
    Asked,
    /// It was not renewed in time.
    Expired,
    /// Its TCP connection closed.
    ConnectionLost,
}

/// What was refused at the door since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SipRefusals {
    /// Messages of strangers that were dropped unread: their source, or all strangers together, sent too many.
    pub unread: u64,
    /// New requests over the rate of their source, told 503 or dropped.
    pub too_fast: u64,
    /// Messages that were no SIP or broken; what could be answered was.
    pub malformed: u64,
    /// Wrong users and wrong passwords, told 403.
    pub wrong_credentials: u64,
    /// Credentials that were not looked at, because their source had failed too often; told 503.
    pub barred: u64,
    /// Calls over a limit on calls, told 503.
    pub calls_over_limit: u64,
}

/// What exists right now. After all calls are over, `dialogs`, `transactions` and `timers` come to zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SipCounts {
    /// Legs, in and out, with those that ring or end.
    pub dialogs: usize,
    /// Transactions (RFC 3261 §17); the last of a call stay up to 64·T1 for retransmissions.
    pub transactions: usize,
    /// Registered contacts.
    pub registrations: usize,
    /// Open TCP connections.
    pub connections: usize,
    /// Timers that are set.
    pub timers: usize,
    /// What was refused since the start.
    pub refused: SipRefusals,
}
