//! What is known of the caller and their matter: the words, what the bot declared, what a lookup found, and the
//! brief that is kept current from them (B12).

use std::{collections::BTreeMap, sync::Arc};

use segue_acd::QueueId;

use crate::{brief::Brief, event::Declared, policy::Limits, writer::Writer};

use super::transcript::Transcript;

/// What is known.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) transcript: Transcript,
    /// What the bot said of the matter, later words over earlier ones.
    pub(crate) declared: Option<Declared>,
    /// What a customer lookup found.
    pub(crate) customer: BTreeMap<String, String>,
    /// Writes the briefs, and remembers what it read.
    pub(crate) writer: Writer,
    /// The newest brief.
    pub(crate) brief: Option<Arc<Brief>>,
    /// The queue that the newest handoff waits or waited in.
    pub(crate) queue: Option<QueueId>,
    /// Something is known that the brief does not know yet.
    pub(crate) stale: bool,
    /// The whisper that was last given to be rendered.
    pub(crate) prepared: String,
}

impl Known {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            transcript: Transcript::new(limits),
            declared: None,
            customer: BTreeMap::new(),
            writer: Writer::default(),
            brief: None,
            queue: None,
            stale: false,
            prepared: String::new(),
        }
    }

    /// Adds what the bot declared; what it leaves out now stays as it was.
    pub(crate) fn declare(&mut self, newer: Declared) {
        self.stale = true;
        let Some(known) = self.declared.as_mut() else {
            self.declared = Some(newer);
            return;
        };
        if !newer.reason.is_empty() {
            known.reason = newer.reason;
        }
        known.queue = newer.queue.or(known.queue.take());
        known.confidence = newer.confidence.or(known.confidence);
        known.intent = newer.intent.or(known.intent.take());
        known.summary = newer.summary.or(known.summary.take());
        known.details.extend(newer.details);
    }
}
