//! The four worlds, each a set of numbers: how many agents, how many callers, what people do and what breaks.

use std::time::Duration;

use segue_acd::{AcdConfig, AgentConfig, QueueConfig};
use segue_call::{DialFailure, LegEnd};

/// A world to simulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Enough agents, polite people, nothing breaks.
    Kind,
    /// As many callers as the agents can just serve; people decline, are away, change their minds.
    Busy,
    /// Far too many callers for far too few agents.
    Swamped,
    /// News is lost, doubled and late; prompts fail; legs and phones break at every moment.
    Faulty,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Kind, Self::Busy, Self::Swamped, Self::Faulty];

    pub(crate) fn numbers(self) -> Numbers {
        match self {
            Self::Kind => kind(),
            Self::Busy => busy(),
            Self::Swamped => swamped(),
            Self::Faulty => faulty(),
        }
    }
}

/// Everything that differs between the worlds.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    pub(crate) agents: usize,
    /// Mean time between two calls.
    pub(crate) gap: Duration,
    pub(crate) queue_max: Duration,
    pub(crate) queue_size: u32,
    /// How long an agent is held; longer than ring, accept, announcement and introduction together (76 s).
    pub(crate) lease: Duration,
    pub(crate) callers: Callers,
    pub(crate) bot: Vec<(u32, BotFate)>,
    pub(crate) phones: Vec<(u32, PhoneFate)>,
    pub(crate) choices: Vec<(u32, AgentHabit)>,
    /// The mean time after which an agent changes their presence.
    pub(crate) shift: Duration,
    pub(crate) trouble: Trouble,
}

/// What callers and those around them do. Probabilities.
#[derive(Clone, Debug)]
pub(crate) struct Callers {
    /// Hanging up in a handoff state, for each state.
    pub(crate) quit: f64,
    /// A recall by the API in a handoff state.
    pub(crate) recall: f64,
    /// Asking again while the handoff is under way.
    pub(crate) insist: f64,
    /// A shutdown somewhere in the call.
    pub(crate) shutdown: f64,
    /// The mean time a caller talks to bot or agent.
    pub(crate) talk: Duration,
    /// A queue that does not exist, is closed, or needs a skill, is named with the request.
    pub(crate) odd_queue: f64,
}

/// What becomes of a dialled bot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BotFate {
    /// Answers and stays until somebody else ends the call.
    Stays,
    /// Answers, says goodbye and hangs up.
    Finishes,
    /// Answers, and declares a handoff with a REFER.
    Refers,
    /// Answers, and declares a handoff with its BYE.
    DeclaresAndLeaves,
    /// Answers, and its leg goes this way, at any moment.
    Dies(LegEnd),
    /// Is not reached.
    Fails(DialFailure),
    /// Says nothing at all.
    Silent,
}

/// What becomes of a dialled agent's phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PhoneFate {
    /// Rings and is answered.
    Answers,
    /// Is answered without ringing first.
    AnswersAtOnce,
    /// Is answered in the moment in which we give up.
    AnswersTooLate,
    /// Rings for ever.
    RingsOut,
    /// Says nothing at all.
    Silent,
    /// Rings, and its agent declines on screen.
    DeclinedOnScreen,
    /// Fails.
    Fails(DialFailure),
}

/// What an agent does once they answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AgentHabit {
    /// Accepts by key.
    Accepts,
    /// Accepts on screen.
    AcceptsOnScreen,
    /// Hears it twice, then accepts, twice.
    RepeatsAndAccepts,
    /// Declines by key.
    Declines,
    /// Declines on screen.
    DeclinesOnScreen,
    /// Does nothing.
    Ignores,
    /// Is gone before choosing.
    Leaves(LegEnd),
    /// Accepts and is gone a moment later.
    AcceptsAndLeaves(LegEnd),
}

/// What breaks. Probabilities, for each piece of news.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    pub(crate) lost: f64,
    pub(crate) doubled: f64,
    pub(crate) late: f64,
    /// An alarm that nobody asked for.
    pub(crate) early_alarm: f64,
    pub(crate) prompt_fails: f64,
    /// A prompt whose end is never told.
    pub(crate) prompt_endless: f64,
    /// A conversation whose leg breaks.
    pub(crate) talk_breaks: f64,
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn kind() -> Numbers {
    Numbers {
        agents: 40,
        gap: seconds(5),
        queue_max: seconds(600),
        queue_size: 50,
        lease: seconds(120),
        callers: Callers {
            quit: 0.01,
            recall: 0.0,
            insist: 0.05,
            shutdown: 0.0,
            talk: seconds(60),
            odd_queue: 0.0,
        },
        bot: vec![
            (8, BotFate::Stays),
            (1, BotFate::Finishes),
            (1, BotFate::Refers),
            (1, BotFate::DeclaresAndLeaves),
        ],
        phones: vec![(1, PhoneFate::Answers)],
        choices: vec![
            (6, AgentHabit::Accepts),
            (2, AgentHabit::AcceptsOnScreen),
            (1, AgentHabit::RepeatsAndAccepts),
        ],
        shift: seconds(1200),
        trouble: Trouble::default(),
    }
}

fn busy() -> Numbers {
    Numbers {
        agents: 12,
        gap: seconds(9),
        queue_max: seconds(300),
        queue_size: 30,
        lease: seconds(120),
        callers: Callers {
            quit: 0.04,
            recall: 0.01,
            insist: 0.1,
            shutdown: 0.01,
            talk: seconds(60),
            odd_queue: 0.2,
        },
        bot: vec![
            (8, BotFate::Stays),
            (1, BotFate::Finishes),
            (2, BotFate::Refers),
            (2, BotFate::DeclaresAndLeaves),
            (1, BotFate::Dies(LegEnd::HungUp)),
            (1, BotFate::Fails(DialFailure::Busy)),
        ],
        phones: vec![
            (10, PhoneFate::Answers),
            (1, PhoneFate::AnswersAtOnce),
            (1, PhoneFate::RingsOut),
            (1, PhoneFate::DeclinedOnScreen),
            (1, PhoneFate::Fails(DialFailure::Busy)),
            (1, PhoneFate::Fails(DialFailure::Declined)),
        ],
        choices: vec![
            (8, AgentHabit::Accepts),
            (2, AgentHabit::AcceptsOnScreen),
            (1, AgentHabit::RepeatsAndAccepts),
            (1, AgentHabit::Declines),
            (1, AgentHabit::DeclinesOnScreen),
            (1, AgentHabit::Ignores),
            (1, AgentHabit::Leaves(LegEnd::HungUp)),
        ],
        shift: seconds(100),
        trouble: Trouble::default(),
    }
}

fn swamped() -> Numbers {
    Numbers {
        agents: 4,
        gap: seconds(3),
        queue_max: seconds(90),
        queue_size: 8,
        callers: Callers { quit: 0.06, odd_queue: 0.3, ..busy().callers },
        shift: seconds(60),
        ..busy()
    }
}

fn faulty() -> Numbers {
    let failures = [
        DialFailure::Busy,
        DialFailure::Declined,
        DialFailure::NoAnswer,
        DialFailure::Unreachable,
        DialFailure::NoCommonCodec,
        DialFailure::ServerError,
        DialFailure::Canceled,
    ];
    let ends = [LegEnd::HungUp, LegEnd::Lost, LegEnd::Error];
    let mut bot = vec![
        (20, BotFate::Stays),
        (2, BotFate::Finishes),
        (3, BotFate::Refers),
        (3, BotFate::DeclaresAndLeaves),
        (2, BotFate::Silent),
    ];
    bot.extend(ends.map(|end| (1, BotFate::Dies(end))));
    bot.extend(failures.map(|failure| (1, BotFate::Fails(failure))));
    let mut phones = vec![
        (20, PhoneFate::Answers),
        (3, PhoneFate::AnswersAtOnce),
        (3, PhoneFate::AnswersTooLate),
        (2, PhoneFate::RingsOut),
        (2, PhoneFate::Silent),
        (1, PhoneFate::DeclinedOnScreen),
    ];
    phones.extend(failures.map(|failure| (1, PhoneFate::Fails(failure))));
    let mut choices = vec![
        (14, AgentHabit::Accepts),
        (3, AgentHabit::AcceptsOnScreen),
        (3, AgentHabit::RepeatsAndAccepts),
        (2, AgentHabit::Declines),
        (1, AgentHabit::DeclinesOnScreen),
        (2, AgentHabit::Ignores),
    ];
    choices.extend(ends.map(|end| (1, AgentHabit::Leaves(end))));
    choices.extend(ends.map(|end| (2, AgentHabit::AcceptsAndLeaves(end))));
    Numbers {
        agents: 16,
        gap: seconds(8),
        queue_max: seconds(200),
        queue_size: 12,
        lease: seconds(90),
        callers: Callers { quit: 0.04, recall: 0.02, shutdown: 0.08, odd_queue: 0.15, ..busy().callers },
        bot,
        phones,
        choices,
        shift: seconds(40),
        trouble: Trouble {
            lost: 0.02,
            doubled: 0.04,
            late: 0.04,
            early_alarm: 0.1,
            prompt_fails: 0.05,
            prompt_endless: 0.05,
            talk_breaks: 0.2,
        },
    }
}

/// The queue that is never open.
pub(crate) const CLOSED_QUEUE: &str = "night";
/// The queue whose calls need a skill, and which falls back to [`QUEUE`].
pub(crate) const SKILLED_QUEUE: &str = "billing";
/// The queue for everything.
pub(crate) const QUEUE: &str = "general";
/// No queue at all.
pub(crate) const UNKNOWN_QUEUE: &str = "nowhere";

impl Numbers {
    /// The house: every third agent knows billing, every fourth speaks Spanish, every second has a fixed address.
    pub(crate) fn house(&self) -> AcdConfig {
        let agent = |number: usize| AgentConfig {
            id: format!("agent-{number:02}").as_str().into(),
            name: format!("Agent Number {number:02}"),
            address: number.is_multiple_of(2).then(|| format!("sip:agent-{number:02}@127.0.0.1")),
            user: (!number.is_multiple_of(2)).then(|| format!("agent-{number:02}")),
            skills: number.is_multiple_of(3).then(|| SKILLED_QUEUE.into()).into_iter().collect(),
            languages: ["en"]
                .into_iter()
                .chain(number.is_multiple_of(4).then_some("es"))
                .map(Into::into)
                .collect(),
            starts_away: number % 5 == 4,
        };
        let queue = |id: &str| QueueConfig {
            id: id.into(),
            spoken: format!("the {id} desk"),
            skills: Default::default(),
            size_limit: self.queue_size,
            handle_time: seconds(90),
            fallback: Vec::new(),
            hours: None,
        };
        let never = segue_acd::Hours { utc_offset_minutes: 0, open: Vec::new() };
        AcdConfig {
            agents: (0..self.agents).map(agent).collect(),
            queues: vec![
                queue(QUEUE),
                QueueConfig {
                    skills: [SKILLED_QUEUE.into()].into(),
                    fallback: vec![QUEUE.into()],
                    ..queue(SKILLED_QUEUE)
                },
                QueueConfig { hours: Some(never), ..queue(CLOSED_QUEUE) },
            ],
            reservation_lease: self.lease,
            ..AcdConfig::default()
        }
    }
}
