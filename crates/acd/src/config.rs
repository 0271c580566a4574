//! What the distributor is told: agents, queues and how calls are shared out. Every key has a default but the names.
//!
//! [`AcdConfig::check`] finds every mistake at once, so that a person mends them in one go.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Deserialize;

use crate::{
    hours::Hours,
    words::{AgentId, Language, QueueId, Skill},
};

/// The distributor's configuration. Lengths of time are numbers of seconds or text such as `"30s"` or `"1m30s"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AcdConfig {
    /// The people who take calls.
    pub agents: Vec<AgentConfig>,
    /// The queues that calls wait in.
    pub queues: Vec<QueueConfig>,
    /// Who goes first where several agents could take a call (R09). Default `longest_idle`.
    pub strategy: Strategy,
    /// How long an agent is left alone after a call. Default 15 s.
    #[serde(deserialize_with = "crate::span::deserialize")]
    pub wrap_up: Duration,
    /// How long an agent is held for one call without being bridged; longer than ring, whisper and accept
    /// time together, because at its end the call is taken for dead. Default 120 s.
    #[serde(deserialize_with = "crate::span::deserialize")]
    pub reservation_lease: Duration,
    /// How long an agent who declined a call, or whose phone was busy, is left in peace: from that call
    /// after a decline, from every call after a busy phone. Default 30 s.
    #[serde(deserialize_with = "crate::span::deserialize")]
    pub refusal_pause: Duration,
    /// The least time between two notices about one waiting call's place. Default 5 s.
    #[serde(deserialize_with = "crate::span::deserialize")]
    pub notice_interval: Duration,
}

impl Default for AcdConfig {
    fn default() -> Self {
        Self {
            agents: Vec::new(),
            queues: Vec::new(),
            strategy: Strategy::LongestIdle,
            wrap_up: Duration::from_secs(15),
            reservation_lease: Duration::from_secs(120),
            refusal_pause: Duration::from_secs(30),
            notice_interval: Duration::from_secs(5),
        }
    }
}

/// One person who takes calls.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentConfig {
    /// The agent's id, unique.
    pub id: AgentId,
    /// The name as it is spoken to the caller (M14).
    pub name: String,
    /// A fixed SIP URI to ring. An agent who has one needs no registration.
    #[serde(default)]
    pub address: Option<String>,
    /// The user part under which the agent's phone registers here, unique.
    #[serde(default)]
    pub user: Option<String>,
    /// What the agent knows.
    #[serde(default)]
    pub skills: BTreeSet<Skill>,
    /// What the agent speaks. Default `["en"]`.
    #[serde(default = "english")]
    pub languages: BTreeSet<Language>,
    /// Whether the agent is away until they say otherwise. Default false: whoever can be rung takes calls.
    #[serde(default)]
    pub starts_away: bool,
}

/// One queue.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueConfig {
    /// The queue's id, unique.
    pub id: QueueId,
    /// How it is spoken to the caller, such as `a billing specialist`.
    pub spoken: String,
    /// Skills that an agent must have to serve it. Default none: everybody does.
    #[serde(default)]
    pub skills: BTreeSet<Skill>,
    /// How many calls may wait at once. Default 50. At the limit a call is told `QueueFull`, unless an
    /// agent is idle for it.
    #[serde(default = "size_limit")]
    pub size_limit: u32,
    /// How long one call keeps an agent, before we know better. Default 240 s.
    #[serde(default = "handle_time", deserialize_with = "crate::span::deserialize")]
    pub handle_time: Duration,
    /// Queues that take a call over when this one is closed, full or deserted, best first (R08). Default none.
    #[serde(default)]
    pub fallback: Vec<QueueId>,
    /// When it is open. Default always. Who waits at closing time is still served.
    #[serde(default)]
    pub hours: Option<Hours>,
}

/// Who goes first where several agents could take a call (R09).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Whoever has been idle the longest.
    #[default]
    LongestIdle,
    /// Whoever was offered a call the longest ago; for small teams.
    RoundRobin,
    /// Whoever has spent the least time with callers since the start.
    LeastLoaded,
}

/// What is wrong with a configuration, all of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("call distribution is not configured well: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct AcdConfigError(pub Vec<AcdConfigProblem>);

/// One mistake in a configuration; the text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcdConfigProblem {
    /// Two agents share an id.
    #[error("two agents have the id {0}: give one of them another")]
    AgentTwice(AgentId),
    /// Two queues share an id.
    #[error("two queues have the id {0}: give one of them another")]
    QueueTwice(QueueId),
    /// Two agents would register under one name.
    #[error("two agents register as {0}: give one of them another user")]
    UserTwice(String),
    /// Nobody could ring this agent.
    #[error("agent {0} has neither user nor address: set one of them")]
    AgentWithoutPhone(AgentId),
    /// No caller could be understood by this agent.
    #[error("agent {0} speaks no language: name one, such as \"en\"")]
    AgentWithoutLanguage(AgentId),
    /// An id or a name is empty.
    #[error("{0} has an empty {1}: fill it in")]
    Empty(String, &'static str),
    /// A fallback points nowhere.
    #[error("queue {0} falls back to {1}, which is not configured: add the queue or remove the name")]
    UnknownFallback(QueueId, QueueId),
    /// A fallback points back or is named twice.
    #[error("queue {0} names {1} as a fallback of itself or twice: remove it")]
    FallbackLoop(QueueId, QueueId),
    /// A length of time that cannot be zero is.
    #[error("{0} is zero: set at least a second")]
    Zero(String),
}

impl AcdConfig {
    /// Finds every mistake.
    ///
    /// # Errors
    /// All problems in the order of the file, if there is one.
    pub fn check(&self) -> Result<(), AcdConfigError> {
        let mut problems = Vec::new();
        self.check_agents(&mut problems);
        self.check_queues(&mut problems);
        if self.reservation_lease.is_zero() {
            problems.push(AcdConfigProblem::Zero("reservation_lease".to_owned()));
        }
        if problems.is_empty() { Ok(()) } else { Err(AcdConfigError(problems)) }
    }

    fn check_agents(&self, problems: &mut Vec<AcdConfigProblem>) {
        let (mut ids, mut users) = (BTreeSet::new(), BTreeSet::new());
        for agent in &self.agents {
            if !ids.insert(&agent.id) {
                problems.push(AcdConfigProblem::AgentTwice(agent.id.clone()));
            }
            if let Some(user) = agent.user.as_ref().filter(|user| !users.insert(*user)) {
                problems.push(AcdConfigProblem::UserTwice(user.clone()));
            }
            if blank(agent.user.as_deref()) && blank(agent.address.as_deref()) {
                problems.push(AcdConfigProblem::AgentWithoutPhone(agent.id.clone()));
            }
            if agent.languages.is_empty() {
                problems.push(AcdConfigProblem::AgentWithoutLanguage(agent.id.clone()));
            }
            for (text, key) in [(&agent.id.0, "id"), (&agent.name, "name")] {
                if text.trim().is_empty() {
                    problems.push(AcdConfigProblem::Empty(format!("agent {}", agent.id), key));
                }
            }
        }
    }

    fn check_queues(&self, problems: &mut Vec<AcdConfigProblem>) {
        let mut ids = BTreeSet::new();
        let known: BTreeMap<_, _> = self.queues.iter().map(|queue| (&queue.id, ())).collect();
        for queue in &self.queues {
            if !ids.insert(&queue.id) {
                problems.push(AcdConfigProblem::QueueTwice(queue.id.clone()));
            }
            for (text, key) in [(&queue.id.0, "id"), (&queue.spoken, "spoken label")] {
                if text.trim().is_empty() {
                    problems.push(AcdConfigProblem::Empty(format!("queue {}", queue.id), key));
                }
            }
            if queue.handle_time.is_zero() {
                problems.push(AcdConfigProblem::Zero(format!("handle_time of queue {}", queue.id)));
            }
            let mut named = BTreeSet::from([&queue.id]);
            for next in &queue.fallback {
                if !known.contains_key(next) {
                    problems.push(AcdConfigProblem::UnknownFallback(queue.id.clone(), next.clone()));
                } else if !named.insert(next) {
                    problems.push(AcdConfigProblem::FallbackLoop(queue.id.clone(), next.clone()));
                }
            }
        }
    }
}

fn blank(text: Option<&str>) -> bool {
    text.is_none_or(|text| text.trim().is_empty())
}

fn english() -> BTreeSet<Language> {
    BTreeSet::from([Language::from("en")])
}

fn size_limit() -> u32 {
    50
}

fn handle_time() -> Duration {
    Duration::from_secs(240)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> AcdConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn an_empty_table_is_the_default() {
        assert_eq!(read(""), AcdConfig::default());
        assert_eq!(AcdConfig::default().check(), Ok(()));
    }

    #[test]
    fn a_whole_configuration_is_read() {
        let config = read(
            "strategy = 'round_robin'\nwrap_up = '20s'\nreservation_lease = 90\n\
             [[agents]]\nid = 'alex'\nname = 'Alex'\nuser = 'alex'\nskills = ['refunds']\nlanguages = ['en', 'es-MX']\n\
             [[queues]]\nid = 'billing'\nspoken = 'a billing specialist'\nskills = ['refunds']\nsize_limit = 3\n\
             handle_time = '3m'\nfallback = ['general']\n\
             hours = { utc_offset_minutes = 60, open = [{ days = ['monday'], from = '08:00', until = '18:00' }] }\n\
             [[queues]]\nid = 'general'\nspoken = 'a colleague'\n",
        );
        assert_eq!(config.check(), Ok(()));
        assert_eq!(config.wrap_up, Duration::from_secs(20));
        assert_eq!(config.reservation_lease, Duration::from_secs(90));
        assert_eq!(config.queues[0].handle_time, Duration::from_secs(180));
        assert_eq!(config.queues[1].size_limit, 50);
    }

    #[test]
    fn a_mistyped_key_is_refused() {
        let mistake = toml::from_str::<AcdConfig>("wrapup = 3").unwrap_err().to_string();
        assert!(mistake.contains("wrapup"), "{mistake}");
        assert!(toml::from_str::<AcdConfig>("[[queues]]\nid = 'q'\nspoken = 's'\nsize = 3").is_err());
        assert!(toml::from_str::<AcdConfig>("wrap_up = 'soon'").is_err());
    }

    #[test]
    fn every_mistake_is_found_at_once() {
        let config = read(
            "reservation_lease = 0\n\
             [[agents]]\nid = 'a'\nname = ' '\nlanguages = []\n\
             [[agents]]\nid = 'a'\nname = 'A'\nuser = 'u'\n\
             [[agents]]\nid = 'b'\nname = 'B'\nuser = 'u'\n\
             [[queues]]\nid = 'q'\nspoken = ''\nhandle_time = 0\nfallback = ['q', 'nowhere']\n\
             [[queues]]\nid = 'q'\nspoken = 'x'\n",
        );
        use AcdConfigProblem as P;
        let (a, q) = (AgentId::from("a"), QueueId::from("q"));
        let AcdConfigError(problems) = config.check().unwrap_err();
        assert_eq!(
            problems,
            [
                P::AgentWithoutPhone(a.clone()),
                P::AgentWithoutLanguage(a.clone()),
                P::Empty("agent a".to_owned(), "name"),
                P::AgentTwice(a),
                P::UserTwice("u".to_owned()),
                P::Empty("queue q".to_owned(), "spoken label"),
                P::Zero("handle_time of queue q".to_owned()),
                P::FallbackLoop(q.clone(), q.clone()),
                P::UnknownFallback(q.clone(), QueueId::from("nowhere")),
                P::QueueTwice(q),
                P::Zero("reservation_lease".to_owned()),
            ]
        );
    }

    #[test]
    fn the_error_says_what_to_do() {
        let text =
            AcdConfigError(vec![AcdConfigProblem::AgentWithoutPhone(AgentId::from("alex"))]).to_string();
        assert!(text.ends_with("agent alex has neither user nor address: set one of them"), "{text}");
    }
}
