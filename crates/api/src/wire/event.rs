//! News on the wire: CloudEvents 1.0 in JSON, with the `sequence` extension to resume by.

use segue_call::Milestone;
use segue_trigger::{Decision as InnerDecision, Stage};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    call::{TranscriptGap, Utterance},
    conversation::{self, BargeIn, Echo, LanguageFound, TalkOver},
    handoff::{Card, Reason, Waiting},
    people::{Agent, Queue},
    quality::LegQuality,
    time,
    words::{Advice, EndedBy, HandoffState, Party, Phase, RecordingNews},
};
use crate::feed::{FeedItem, Gap, News};

/// One message of the event stream.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CloudEvent {
    /// Always `1.0`.
    specversion: &'static str,
    /// The event's id: its sequence in plain digits.
    id: String,
    /// Where it comes from: the path of the call, agent or queue.
    #[schema(example = "/v1/calls/019a9d2c-7b1e-7c40-9a51-0c2f6b1d2e3f")]
    source: String,
    /// What kind it is.
    #[serde(rename = "type")]
    #[schema(example = "segue.handoff.state")]
    kind: &'static str,
    /// The id of the call, agent or queue.
    subject: String,
    /// When it happened, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    time: Option<String>,
    /// Always `application/json`.
    datacontenttype: &'static str,
    /// Its number, twenty digits, rising by one: what to resume after.
    #[schema(example = "00001795180000000017")]
    sequence: String,
    /// What happened.
    data: EventData,
}

/// What happened; its form depends on the event's type.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum EventData {
    /// `segue.call.phase`.
    Phase {
        /// Where the call is now.
        phase: Phase,
    },
    /// `segue.call.heard`.
    Heard {
        /// What was said.
        utterance: Utterance,
        /// Whether it will not change any more.
        is_final: bool,
    },
    /// `segue.call.decided`.
    Decided(Decision),
    /// `segue.handoff.state`.
    Handoff {
        /// Its number in the call.
        handoff: u32,
        /// Where it is now.
        state: HandoffState,
        /// The agent concerned.
        #[serde(skip_serializing_if = "Option::is_none")]
        agent: Option<String>,
    },
    /// `segue.handoff.waiting`.
    Waiting(Waiting),
    /// `segue.call.saying`.
    Saying {
        /// To whom.
        ear: Party,
        /// What.
        text: String,
    },
    /// `segue.call.leg`.
    Leg {
        /// Its number in the call.
        attempt: u32,
        /// Whose.
        party: Party,
        /// Up or down.
        up: bool,
    },
    /// `segue.call.quality`: of each leg every few seconds, and once of its whole life.
    Quality {
        /// The leg's number in the call.
        attempt: u32,
        /// Whose.
        party: Party,
        /// What its sound was worth.
        quality: LegQuality,
        /// Whether the leg is over and this is of its whole life.
        is_final: bool,
    },
    /// `segue.call.language`.
    Language(LanguageFound),
    /// `segue.call.barge_in`.
    BargeIn(BargeIn),
    /// `segue.call.talk_over`.
    TalkOver(TalkOver),
    /// `segue.call.echo`.
    Echo(Echo),
    /// `segue.call.recording`.
    Recording {
        /// What became of it.
        recording: RecordingNews,
    },
    /// `segue.transcript.gap`.
    TranscriptGap {
        /// What is missing.
        gap: TranscriptGap,
    },
    /// `segue.handoff.card`.
    Card(Box<Card>),
    /// `segue.call.ended`.
    Ended {
        /// Who ended it.
        by: EndedBy,
    },
    /// `segue.stream.opened` and `segue.stream.gap`.
    Stream {
        /// The stream holds what comes after this sequence.
        resume_after: u64,
        /// After which sequence the subscriber wanted to read; what came between is gone.
        #[serde(skip_serializing_if = "Option::is_none")]
        missed_after: Option<u64>,
    },
    /// `segue.agent.changed`.
    Agent(Box<Agent>),
    /// `segue.queue.changed`.
    Queue(Box<Queue>),
    /// `segue.recognition.rung`: recognition gave something up under load, or took it back.
    Recognition {
        /// The rung it stood on: `full`, `slower`, `slowest`, `finals_only`, `without_bot`, `overflow` or
        /// `caller_only`.
        #[schema(example = "full")]
        from: &'static str,
        /// The rung it stands on.
        #[schema(example = "finals_only")]
        to: &'static str,
        /// How long finals waited for a decoder then, milliseconds.
        wait_ms: u64,
    },
}

/// What the rules found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Decision {
    /// What they advise.
    advice: Advice,
    /// The reason that is named to people.
    primary: Reason,
    /// What held at the same time.
    contributing: Vec<Reason>,
}

impl From<&FeedItem> for CloudEvent {
    fn from(item: &FeedItem) -> Self {
        let (path, subject, kind, data) = match &item.news {
            News::Call(call, milestone) => {
                let (kind, data) = of_call(milestone);
                ("calls", call.0.clone(), kind, data)
            }
            News::Agent(agent) => (
                "agents",
                agent.id.0.clone(),
                "segue.agent.changed",
                EventData::Agent(Box::new(agent.into())),
            ),
            News::Queue(queue) => (
                "queues",
                queue.id.0.clone(),
                "segue.queue.changed",
                EventData::Queue(Box::new(queue.into())),
            ),
            News::Recognition(step) => (
                "node",
                "recognition".to_owned(),
                "segue.recognition.rung",
                EventData::Recognition {
                    from: step.from,
                    to: step.to,
                    wait_ms: u64::try_from(step.wait.as_millis()).unwrap_or(u64::MAX),
                },
            ),
        };
        Self {
            specversion: "1.0",
            id: item.sequence.to_string(),
            source: format!("/v1/{path}/{subject}"),
            kind,
            subject,
            time: Some(time(item.at)),
            datacontenttype: "application/json",
            sequence: format!("{:020}", item.sequence),
            data,
        }
    }
}

fn of_call(milestone: &Milestone) -> (&'static str, EventData) {
    match milestone {
        Milestone::Phase { phase } => ("segue.call.phase", EventData::Phase { phase: (*phase).into() }),
        Milestone::Heard(utterance) => (
            "segue.call.heard",
            EventData::Heard { utterance: utterance.into(), is_final: utterance.stage != Stage::Partial },
        ),
        Milestone::Decided(decision) => ("segue.call.decided", EventData::Decided(decision.into())),
        Milestone::Handoff { handoff, state, agent } => (
            "segue.handoff.state",
            EventData::Handoff {
                handoff: *handoff,
                state: (*state).into(),
                agent: agent.as_ref().map(|agent| agent.0.clone()),
            },
        ),
        Milestone::Waiting { position, wait } => {
            ("segue.handoff.waiting", EventData::Waiting(Waiting::new(*position, *wait)))
        }
        Milestone::Saying { ear, text } => {
            ("segue.call.saying", EventData::Saying { ear: (*ear).into(), text: text.clone() })
        }
        Milestone::Leg { attempt, party, up } => {
            ("segue.call.leg", EventData::Leg { attempt: attempt.0, party: (*party).into(), up: *up })
        }
        Milestone::Quality { attempt, party, quality, whole } => (
            "segue.call.quality",
            EventData::Quality {
                attempt: attempt.0,
                party: (*party).into(),
                quality: quality.into(),
                is_final: *whole,
            },
        ),
        Milestone::TranscriptGap(gap) => {
            ("segue.transcript.gap", EventData::TranscriptGap { gap: gap.into() })
        }
        Milestone::Conversation(news) => conversation::news(news),
        Milestone::Recording(news) => {
            ("segue.call.recording", EventData::Recording { recording: (*news).into() })
        }
        Milestone::Brief(brief) => ("segue.handoff.card", EventData::Card(Box::new((&**brief).into()))),
        Milestone::Ended { by } => ("segue.call.ended", EventData::Ended { by: (*by).into() }),
    }
}

impl From<&InnerDecision> for Decision {
    fn from(decision: &InnerDecision) -> Self {
        Self {
            advice: decision.advice.into(),
            primary: (&decision.primary).into(),
            contributing: decision.contributing.iter().map(Into::into).collect(),
        }
    }
}

/// Writes an item as one message.
pub(crate) fn event_text(item: &FeedItem) -> String {
    serde_json::to_string(&CloudEvent::from(item)).unwrap_or_else(|error| {
        tracing::error!(%error, sequence = item.sequence, "an event has no JSON form");
        String::from("{}")
    })
}

/// Writes the first message of a stream that holds what comes after a sequence.
pub(crate) fn stream_text(after: u64, gap: Option<Gap>) -> String {
    let event = CloudEvent {
        specversion: "1.0",
        id: format!("stream-{after}"),
        source: "/v1/events".to_owned(),
        kind: if gap.is_some() { "segue.stream.gap" } else { "segue.stream.opened" },
        subject: "stream".to_owned(),
        time: None,
        datacontenttype: "application/json",
        sequence: format!("{after:020}"),
        data: EventData::Stream { resume_after: after, missed_after: gap.map(|gap| gap.after) },
    };
    serde_json::to_string(&event).unwrap_or_default()
}
