//! SIP legs for the gateway: a user agent and registrar over UDP, TCP, TLS and WebSocket
//! (RFC 3261 with 3263, 3264, 3311, 3515, 3581, 6026, 7118, 7616).
//!
//! [`Sip::bind`] opens the sockets and gives three things: the [`Sip`] to dial with, the [`SipDriver`] to spawn, and
//! the events at the door. A call in comes as [`IncomingCall`], a call out as [`Dialing`]; both become a [`Leg`].
//! Nothing in here decides about a handoff, and nothing of how SIP is spoken shows outside.
//!
//! ```text
//! gateway ── Sip, IncomingCall, Dialing, Leg ── driver ── stack (no I/O, no clock) ── transactions, dialogs, registrar
//!                                                  └───── transport: sockets and connections
//! ```

mod config;
mod digest;
mod driver;
mod handles;
mod links;
mod message;
mod places;
mod policy;
mod resolver;
mod sdp;
mod stack;
mod transport;
mod trunks;
mod words;

pub use config::{
    Credentials, DigestAlgorithm, IpNet, IpNetError, Observed, Observer, Secret, SipConfig, SipError,
    SipLimits, SipTimers, Trunk, UserCredential,
};
pub use driver::SipDriver;
pub use handles::{Addresses, Answer, DialEvent, Dialing, IncomingCall, Leg, LegControl, Sip, SipEvent};
pub use message::user_and_host;
pub use policy::{DialogPolicy, ReliableProvisionals};
pub use transport::TlsFiles;
pub use trunks::{
    Registration, RegistrationStatus, TargetStatus, TrunkHealth, TrunkRoute, TrunkStatus, TrunkTarget,
};
pub use words::{
    AnswerError, Caller, DialOptions, DialRequest, Ended, FailureKind, HangUp, Headers, Invitation, LegEvent,
    Referral, Refusal, Replaces, SipCounts, SipFailure, SipLegId, SipRefusals, Source, Target,
    UnregisteredWhy,
};
