//! What all calls share: the planes they stand on and the rules they follow.

use std::{collections::BTreeMap, sync::Arc};

use segue_acd::{AgentConfig, AgentId};
use segue_api::{Board, Feed};
use segue_call::Policy;
use segue_sip::Sip;
use segue_speech::{Speech, language::TextLanguages};
use segue_store::{PolicyText, Store};
use segue_trigger::RuleSet;

use crate::{
    clock::Clock, config::Settings, distribution::Distribution, homer::Homer, media::MediaPlane, overload,
    recording::Recorder, voice::Voice,
};

/// The parts of a running gateway.
pub(crate) struct Parts {
    /// The one clock.
    pub(crate) clock: Clock,
    /// `segue.toml`.
    pub(crate) settings: Settings,
    /// What every call follows.
    pub(crate) policy: Arc<Policy>,
    /// When a call is handed over.
    pub(crate) rules: Arc<RuleSet>,
    /// Both, as they are stored with each call.
    pub(crate) policy_text: Arc<PolicyText>,
    /// The people who take calls.
    pub(crate) agents: BTreeMap<AgentId, AgentConfig>,
    /// Signalling.
    pub(crate) sip: Sip,
    /// Sound.
    pub(crate) media: MediaPlane,
    /// The gateway's own voice.
    pub(crate) voice: Voice,
    /// Recognition, if an engine is configured.
    pub(crate) speech: Option<Speech>,
    /// Tells the languages that callers may speak by their words, if there is something to tell.
    pub(crate) texts: Option<TextLanguages>,
    /// Who takes which call.
    pub(crate) distribution: Distribution,
    /// The event log.
    pub(crate) store: Store,
    /// What live calls look like.
    pub(crate) board: Board,
    /// News for subscribers.
    pub(crate) feed: Arc<Feed>,
    /// The way to the Homer collector, if there is one.
    pub(crate) homer: Option<Homer>,
    /// Where recordings go, unless they are off.
    pub(crate) recorder: Option<Recorder>,
}

impl Parts {
    /// Brings the metrics of recognition up to date.
    pub(crate) fn measure_speech(&self) {
        if let Some(speech) = &self.speech {
            overload::measure(&speech.stats());
        }
    }
}
