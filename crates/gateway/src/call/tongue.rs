//! Which language the caller speaks: what it is believed to be at the door, and what their words show.

use std::sync::Arc;

use segue_acd::Language;
use segue_call::{Event, IdentifiedBy, Party};
use segue_sip::Source;
use segue_speech::{
    Hypothesis,
    language::{Found, Identification, Told},
};
use segue_trigger::Stage;

use super::{News, parts::Parts, task::CallTask};
use crate::{config::code, metrics};

/// The language of a call, on the edge of recognition.
pub(super) struct Tongue {
    parts: Arc<Parts>,
    identification: Identification,
    /// What is believed, or known.
    current: Language,
}

/// The language that a call begins with: its trunk's, or the node's.
pub(super) fn of_trunk(parts: &Parts, source: &Source) -> Language {
    let trunks = &parts.settings.sip.trunks;
    let own = match source {
        Source::Trunk(name) => trunks.iter().find(|trunk| trunk.name == *name),
        Source::User(_) => None,
    };
    let own = own.and_then(|trunk| trunk.language.clone());
    own.unwrap_or_else(|| parts.policy.speech.default_language.clone())
}

impl Tongue {
    pub(super) fn new(parts: &Arc<Parts>, believed: &Language) -> Self {
        let allowed = parts.settings.recognition.languages.iter().map(|language| language.0.as_str());
        let identification = Identification::new(allowed, &believed.0);
        Self { parts: Arc::clone(parts), identification, current: believed.clone() }
    }

    /// What a recogniser is told of a party's language: nothing of a caller's whose language is to be found out.
    pub(super) fn told(&self, party: Party) -> Option<String> {
        let open = self.identification.is_open() && !self.identification.is_settled();
        (party != Party::Caller || !open).then(|| code(&self.current))
    }

    /// Takes what was heard of the caller; gives the language when it is found out.
    fn consider(&mut self, hypothesis: &Hypothesis) -> Option<(Language, IdentifiedBy)> {
        let Found { language, told } = self.identification.hear(
            &hypothesis.text,
            hypothesis.language.as_ref(),
            self.parts.texts.as_ref(),
        )?;
        let by = match told {
            Told::BySound => IdentifiedBy::Sound,
            Told::ByWords => IdentifiedBy::Words,
        };
        // A region that is known stays: who was believed to speak es-MX, and speaks es, does.
        if code(&self.current) != language {
            let allowed = &self.parts.settings.recognition.languages;
            let tagged = allowed.iter().find(|tag| code(tag) == language).cloned();
            self.current = tagged.unwrap_or(Language(language));
        }
        Some((self.current.clone(), by))
    }
}

impl CallTask {
    /// Looks for the caller's language in finished words. Once it is known, all voices of the call are heard in it, and the
    /// call is told.
    pub(super) fn consider(&mut self, party: Party, hypothesis: &Hypothesis) {
        if party != Party::Caller || hypothesis.stage != Stage::Final {
            return;
        }
        let Some((language, by)) = self.tongue.consider(hypothesis) else { return };
        tracing::info!(%language, ?by, "the caller's language is known");
        metrics::language_found(&language.0, by);
        for attention in self.attention.values() {
            attention.set_language(Some(&language.0));
        }
        self.tell_myself(News::Event(Box::new(Event::Language { language, by })));
    }
}
