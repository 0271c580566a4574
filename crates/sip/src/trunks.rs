//! What the gateway configures of the way out: trunks with their targets, how they are watched, where we register,
//! and how they stand.

use std::time::Duration;

use crate::{
    config::{Credentials, SipError},
    message::Uri,
};

/// How calls go out by a trunk. The trunk of the same name says whose calls come in.
#[derive(Clone, Debug, Default)]
pub struct TrunkRoute {
    /// Its name, for [`Target::Trunk`](crate::Target::Trunk). A `sip:` URI with this name, or the domain, as its host
    /// goes out by the trunk too.
    pub name: String,
    /// The host that its Request-URIs and From show instead of the target's, such as the carrier's domain.
    pub domain: Option<String>,
    /// Where calls are sent, such as `sip:sbc1.example.com;transport=tls`.
    pub targets: Vec<TrunkTarget>,
    /// How its challenges are answered.
    pub credentials: Option<Credentials>,
    /// Whether its targets are asked for their health; without it all count as up.
    pub health: Option<TrunkHealth>,
    /// Where we register, for trunks that want it.
    pub registration: Option<Registration>,
}

/// One place of a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkTarget {
    /// A SIP URI without a user. A name without a port is looked up by RFC 3263.
    pub uri: String,
    /// The lowest is tried first.
    pub priority: u16,
    /// The share of the calls among targets of one priority.
    pub weight: u16,
}

/// How targets are asked for their health, by OPTIONS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkHealth {
    /// From one question to the next.
    pub every: Duration,
    /// How long an answer may take.
    pub answer_max: Duration,
    /// Answers in a row after which a target that was down is up.
    pub up_after: u32,
    /// Questions in a row without a good answer after which a target is down.
    pub down_after: u32,
}

impl Default for TrunkHealth {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(30),
            answer_max: Duration::from_secs(3),
            up_after: 1,
            down_after: 2,
        }
    }
}

/// Where and as whom we register (RFC 3261 §10.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The registrar's URI, such as `sip:example.com;transport=tls`.
    pub registrar: String,
    /// The user part of our address of record.
    pub user: String,
    /// The user part of our Contact: what calls for us are sent to.
    pub contact_user: String,
    /// How long a registration shall last; the registrar has the last word.
    pub expires: Duration,
}

/// How a trunk stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkStatus {
    /// Its name.
    pub name: String,
    /// How our registration stands; none if there shall be none.
    pub registration: Option<RegistrationStatus>,
    /// Its targets, in the order of the configuration.
    pub targets: Vec<TargetStatus>,
}

/// How a registration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationStatus {
    /// Not yet, or not any more.
    Trying,
    /// It holds.
    Registered,
    /// It does not hold; what the registrar said, or that it said nothing. It is tried again.
    Failed(String),
}

/// How a trunk's target stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetStatus {
    /// As configured.
    pub uri: String,
    /// False if it does not answer; calls take the others first.
    pub up: bool,
}

impl TrunkRoute {
    /// Finds what is wrong before a socket is opened.
    ///
    /// # Errors
    /// The first value that makes no sense.
    pub fn check(&self) -> Result<(), SipError> {
        let wrong = |what| Err(SipError::Trunk { name: self.name.clone(), what });
        let is_sip = |text: &str| Uri::read(text).is_some_and(|uri| uri.is_sip() && !uri.host.is_empty());
        if self.name.is_empty() {
            return wrong("a trunk needs a name");
        }
        if self.targets.iter().any(|target| !is_sip(&target.uri)) {
            return wrong("a target is no SIP URI: write one such as sip:sbc.example.com;transport=tls");
        }
        if let Some(registration) = &self.registration {
            if !is_sip(&registration.registrar) {
                return wrong("the registrar is no SIP URI: write one such as sip:example.com");
            }
            if registration.user.is_empty() || registration.contact_user.is_empty() {
                return wrong("a registration needs a user");
            }
            if registration.expires < Duration::from_secs(60) {
                return wrong("a registration of less than 60 seconds is more trouble than use");
            }
        }
        if let Some(health) = &self.health {
            if health.every < Duration::from_secs(1) || health.answer_max.is_zero() {
                return wrong(
                    "targets cannot be asked more often than once a second, and need time to answer",
                );
            }
            if health.up_after == 0 || health.down_after == 0 {
                return wrong("the answers after which a target is up or down must be at least one");
            }
        }
        Ok(())
    }
}
