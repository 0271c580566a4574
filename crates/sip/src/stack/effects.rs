//! What the stack leaves for the driver: messages to send, news to tell, alarms to set. And the one source of chance.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use sha2::{Digest, Sha256};

use super::{Output, transaction::TransactionId};
use crate::{message::Transport, words::SipLegId};

/// One way to a peer: which socket or connection, and where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Hop {
    pub(crate) transport: Transport,
    /// The place of the local socket among those of its transport.
    pub(crate) socket: usize,
    pub(crate) remote: SocketAddr,
}

/// Every reason to wake up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    /// Timers A, E, G: send again.
    Retransmit(TransactionId),
    /// Timers B, D, F, H, I, J, K, L, M: the transaction's state is over.
    Expire(TransactionId),
    /// The 2xx was not acknowledged: send it again (RFC 3261 §13.3.1.4).
    Reanswer(SipLegId),
    /// The 2xx will never be acknowledged.
    AckLost(SipLegId),
    /// An incoming call has rung long enough.
    RungOut(SipLegId),
    /// A dialled party has not even said 100.
    Silent(SipLegId),
    /// A dialled party has rung long enough.
    NoAnswer(SipLegId),
    /// The far side of a leg that is up is to be asked whether it is still there.
    Alive(SipLegId),
    /// A reliable provisional response was not acknowledged: send it again (RFC 3262 §3).
    Reprovision(SipLegId),
    /// It will never be acknowledged.
    PrackLost(SipLegId),
    /// A change that crossed theirs may be tried again, or one rings for too long.
    Change(SipLegId),
    /// The session is to be refreshed by us (RFC 4028).
    Refresh(SipLegId),
    /// Nobody refreshed the session.
    SessionOver(SipLegId),
    /// A REFER of ours has not come to an end.
    Referred(SipLegId),
    /// A trunk's target is to be asked for its health, or has not answered.
    Probe(usize),
    /// We are to register at a trunk, or it has not answered.
    Register(usize),
    /// A registration is to be looked at.
    Registration,
}

impl Alarm {
    /// All that may be set for a leg.
    pub(super) const fn of_leg(id: SipLegId) -> [Self; 10] {
        [
            Self::Reanswer(id),
            Self::AckLost(id),
            Self::RungOut(id),
            Self::Alive(id),
            Self::Reprovision(id),
            Self::PrackLost(id),
            Self::Change(id),
            Self::Refresh(id),
            Self::SessionOver(id),
            Self::Referred(id),
        ]
    }
}

/// Outputs, alarms, chance and the present moment.
#[derive(Debug)]
pub(crate) struct Effects {
    /// Set at the beginning of each input.
    pub(crate) now: Duration,
    pub(crate) outputs: VecDeque<Output>,
    by_time: BTreeSet<(Duration, Alarm)>,
    by_alarm: BTreeMap<Alarm, Duration>,
    seed: [u8; 32],
    drawn: u64,
}

impl Effects {
    pub(crate) const fn new(seed: [u8; 32]) -> Self {
        Self {
            now: Duration::ZERO,
            outputs: VecDeque::new(),
            by_time: BTreeSet::new(),
            by_alarm: BTreeMap::new(),
            seed,
            drawn: 0,
        }
    }

    pub(crate) fn send(&mut self, hop: Hop, bytes: Vec<u8>) {
        self.outputs.push_back(Output::Send { hop, bytes });
    }

    /// Sets or moves an alarm.
    pub(crate) fn set(&mut self, alarm: Alarm, after: Duration) {
        self.clear(alarm);
        let when = self.now + after;
        self.by_time.insert((when, alarm));
        self.by_alarm.insert(alarm, when);
    }

    pub(crate) fn clear(&mut self, alarm: Alarm) {
        if let Some(when) = self.by_alarm.remove(&alarm) {
            self.by_time.remove(&(when, alarm));
        }
    }

    pub(crate) fn next_alarm(&self) -> Option<Duration> {
        self.by_time.first().map(|(when, _)| *when)
    }

    /// Takes one alarm that is due.
    pub(crate) fn take_due(&mut self) -> Option<Alarm> {
        let &(when, alarm) = self.by_time.first()?;
        if when > self.now {
            return None;
        }
        self.clear(alarm);
        Some(alarm)
    }

    pub(crate) fn alarms(&self) -> usize {
        self.by_alarm.len()
    }

    /// Sixteen hexadecimal digits that nobody can guess who does not know the seed.
    pub(crate) fn token(&mut self) -> String {
        self.drawn += 1;
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.drawn.to_be_bytes());
        hex::encode(hash.finalize().get(..8).unwrap_or_default())
    }

    /// One of `0..below`, near enough to fair.
    pub(crate) fn chance(&mut self, below: u64) -> u64 {
        u64::from_str_radix(&self.token(), 16).unwrap_or(0) % below.max(1)
    }

    /// A token that is the same for the same text: the To tag of an answer given without state.
    pub(crate) fn token_for(&self, text: &str) -> String {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(b"tag");
        hash.update(text.as_bytes());
        hex::encode(hash.finalize().get(..8).unwrap_or_default())
    }
}
