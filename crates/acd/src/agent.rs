//! One agent as the distributor sees them: what they said, whether they can be rung, what they do.
//!
//! ```text
//! idle ──reserve──► reserved ──took──► talking ──freed──► wrapping up ──time──► idle
//!   ▲                  │ refused, withdrawn, lapsed                                │
//!   └──────────────────┴───────────────────────────────────────────────────────────┘
//! ```

use std::time::Duration;

use crate::{
    config::{AgentConfig, QueueConfig, Strategy},
    view::AgentView,
    words::{Activity, Language, Presence, ReservationId, Ticket},
};

/// An agent and their moment.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) config: AgentConfig,
    standing: Standing,
    registered: bool,
    doing: Doing,
    /// When what they do began.
    doing_since: Duration,
    /// When they became idle the last time; a declined offer does not change it.
    idle_since: Duration,
    /// Their phone was busy: no call before this moment.
    rests_until: Duration,
    /// The number of the last offer they had; 0 before the first.
    last_offer: u64,
    /// Time spent with callers since the start.
    load: Duration,
}

/// What an agent said, or what we concluded.
#[derive(Debug)]
enum Standing {
    Available,
    /// They said so.
    Away(String),
    /// We marked them (R11). A new registration of their phone ends it too.
    Missed(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Idle,
    Reserved(ReservationId),
    Talking(ReservationId),
    WrappingUp { until: Duration },
}

impl Agent {
    pub(crate) fn new(config: AgentConfig) -> Self {
        let standing =
            if config.starts_away { Standing::Away("not signed in".to_owned()) } else { Standing::Available };
        Self {
            config,
            standing,
            registered: false,
            doing: Doing::Idle,
            doing_since: Duration::ZERO,
            idle_since: Duration::ZERO,
            rests_until: Duration::ZERO,
            last_offer: 0,
            load: Duration::ZERO,
        }
    }

    /// Takes what the agent says of themselves. Available ends a wrap-up at once.
    pub(crate) fn says(&mut self, now: Duration, presence: Presence) {
        match presence {
            Presence::Away(why) => self.standing = Standing::Away(why),
            Presence::Available => {
                if !matches!(self.standing, Standing::Available) {
                    self.idle_since = now;
                }
                self.standing = Standing::Available;
                self.rests_until = Duration::ZERO;
                if matches!(self.doing, Doing::WrappingUp { .. }) {
                    self.becomes_idle(now);
                }
            }
        }
    }

    /// Takes news of the phone's registration.
    pub(crate) fn registers(&mut self, now: Duration, registered: bool) {
        if registered && !self.registered {
            self.idle_since = now;
            if matches!(self.standing, Standing::Missed(_)) {
                self.standing = Standing::Available;
            }
        }
        self.registered = registered;
    }

    /// Marks the agent away for a call they did not answer (R11).
    pub(crate) fn missed(&mut self, why: &'static str) {
        if matches!(self.standing, Standing::Available) {
            self.standing = Standing::Missed(why);
        }
    }

    /// Leaves the agent in peace for a while: their phone was busy.
    pub(crate) fn rests(&mut self, until: Duration) {
        self.rests_until = until;
    }

    /// Signed in, reachable and willing, be they idle or busy.
    pub(crate) fn staffed(&self) -> bool {
        matches!(self.standing, Standing::Available) && self.reachable()
    }

    /// Could be rung this moment.
    pub(crate) fn ready(&self, now: Duration) -> bool {
        self.staffed() && self.doing == Doing::Idle && self.rests_until <= now
    }

    /// Whether the agent could serve a ticket in a queue: skills of both, and the language.
    pub(crate) fn serves(&self, queue: &QueueConfig, ticket: &Ticket) -> bool {
        queue.skills.is_subset(&self.config.skills)
            && ticket.skills.is_subset(&self.config.skills)
            && self.config.languages.iter().any(|spoken| understands(spoken, &ticket.language))
    }

    /// Holds the agent; `offer` is the number of this offer among all.
    pub(crate) fn reserve(&mut self, now: Duration, reservation: ReservationId, offer: u64) {
        self.doing = Doing::Reserved(reservation);
        self.doing_since = now;
        self.last_offer = offer;
    }

    /// Whether they are neither held for a call nor in one.
    pub(crate) fn is_free(&self) -> bool {
        matches!(self.doing, Doing::Idle | Doing::WrappingUp { .. })
    }

    pub(crate) fn talks(&mut self, now: Duration, reservation: ReservationId) {
        self.doing = Doing::Talking(reservation);
        self.doing_since = now;
    }

    /// Gives the agent back unused. They have not worked, so they keep their place among the idle.
    pub(crate) fn given_back(&mut self, now: Duration) {
        self.doing = Doing::Idle;
        self.doing_since = now;
    }

    /// A conversation is over.
    pub(crate) fn wraps_up(&mut self, now: Duration, wrap_up: Duration) {
        self.load += now.saturating_sub(self.doing_since);
        self.doing = Doing::WrappingUp { until: now + wrap_up };
        self.doing_since = now;
        self.settle(now);
    }

    /// Ends a wrap-up whose time is over.
    pub(crate) fn settle(&mut self, now: Duration) {
        if let Doing::WrappingUp { until } = self.doing
            && until <= now
        {
            self.becomes_idle(until);
        }
    }

    /// When something about this agent changes by itself.
    pub(crate) fn next_change(&self, now: Duration) -> Option<Duration> {
        match self.doing {
            Doing::WrappingUp { until } => Some(until),
            Doing::Idle if self.rests_until > now => Some(self.rests_until),
            Doing::Idle | Doing::Reserved(_) | Doing::Talking(_) => None,
        }
    }

    /// The strategy's order: the smallest goes first.
    pub(crate) fn rank(&self, strategy: Strategy) -> (u128, Duration) {
        let first = match strategy {
            Strategy::LongestIdle => 0,
            Strategy::RoundRobin => u128::from(self.last_offer),
            Strategy::LeastLoaded => self.load.as_nanos(),
        };
        (first, self.idle_since)
    }

    pub(crate) fn view(&self) -> AgentView {
        AgentView {
            id: self.config.id.clone(),
            name: self.config.name.clone(),
            presence: match &self.standing {
                Standing::Available => Presence::Available,
                Standing::Away(why) => Presence::Away(why.clone()),
                Standing::Missed(why) => Presence::Away((*why).to_owned()),
            },
            registered: self.registered,
            reachable: self.reachable(),
            activity: match self.doing {
                Doing::Idle => Activity::Idle,
                Doing::Reserved(_) => Activity::Reserved,
                Doing::Talking(_) => Activity::Talking,
                Doing::WrappingUp { .. } => Activity::WrappingUp,
            },
            since: self.doing_since,
            reservation: match self.doing {
                Doing::Reserved(reservation) | Doing::Talking(reservation) => Some(reservation),
                Doing::Idle | Doing::WrappingUp { .. } => None,
            },
            skills: self.config.skills.clone(),
            languages: self.config.languages.clone(),
        }
    }

    fn becomes_idle(&mut self, at: Duration) {
        self.doing = Doing::Idle;
        self.doing_since = at;
        self.idle_since = at;
    }

    fn reachable(&self) -> bool {
        self.registered || self.config.address.as_deref().is_some_and(|address| !address.trim().is_empty())
    }
}

/// Two tags understand each other if their primary language is the same (RFC 5646 §2.2.1): a caller from Mexico is
/// understood in Madrid, while `yue` and `cmn` differ. A ticket without a language is understood by everybody.
fn understands(spoken: &Language, wanted: &Language) -> bool {
    let primary = |tag: &Language| tag.0.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    wanted.0.is_empty() || primary(spoken) == primary(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_of_one_language_understand_each_other() {
        let check = |spoken: &str, wanted: &str, expected: bool| {
            assert_eq!(understands(&spoken.into(), &wanted.into()), expected, "{spoken} {wanted}");
        };
        check("es-MX", "es", true);
        check("es", "es-MX", true);
        check("en-GB", "en-US", true);
        check("EN", "en", true);
        check("en", "", true);
        check("en", "es", false);
        check("yue", "cmn", false);
        check("en", "eng-x", false);
    }
}
