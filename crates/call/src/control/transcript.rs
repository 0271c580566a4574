//! The words of a call: final utterances and those that still grow, within limits.
//!
//! Recognisers repeat themselves and overtake each other: a final is kept once, and a partial that comes after its
//! final, or that hears less than the one before it, changes nothing.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use segue_trigger::{Speaker, Stage, Utterance, UtteranceId};

use crate::policy::Limits;

/// What a piece of transcript did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It was late or told twice.
    Not,
    /// It grows.
    Partial,
    /// It is finished.
    Final,
    /// It was finished long ago: nothing is decided by it any more.
    Late,
}

/// The words of a call.
#[derive(Clone, Debug)]
pub(crate) struct Transcript {
    limits: Limits,
    /// In order of their ids.
    finals: Vec<Utterance>,
    partials: BTreeMap<UtteranceId, Utterance>,
    /// Finals that were dropped at the limit.
    dropped: u32,
    /// The newest final that was dropped: it and what is older does not come back.
    dropped_to: Option<UtteranceId>,
}

impl Transcript {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, finals: Vec::new(), partials: BTreeMap::new(), dropped: 0, dropped_to: None }
    }

    /// Takes a piece in, cut to the limit.
    pub(crate) fn take(&mut self, utterance: &mut Utterance) -> Kept {
        let id = utterance.id;
        if self.dropped_to.is_some_and(|dropped_to| id <= dropped_to) {
            return Kept::Not;
        }
        let Err(place) = self.finals.binary_search_by_key(&id, |known| known.id) else {
            return Kept::Not;
        };
        if let Some((end, _)) = utterance.text.char_indices().nth(self.limits.utterance_chars) {
            utterance.text.truncate(end);
        }
        match utterance.stage {
            Stage::Partial => {
                if self.partials.get(&id).is_some_and(|known| known.end > utterance.end) {
                    return Kept::Not;
                }
                self.partials.insert(id, utterance.clone());
                if self.partials.len() > self.limits.partials {
                    self.partials.pop_first();
                }
                Kept::Partial
            }
            Stage::Final | Stage::Late => {
                self.partials.remove(&id);
                self.finals.insert(place, utterance.clone());
                if self.finals.len() > self.limits.utterances {
                    self.dropped = self.dropped.saturating_add(1);
                    self.dropped_to = Some(self.finals.remove(0).id);
                }
                if utterance.stage == Stage::Late { Kept::Late } else { Kept::Final }
            }
        }
    }

    /// Forgets what grew there: it was nothing that anybody said.
    pub(crate) fn forget(&mut self, id: UtteranceId) {
        self.partials.remove(&id);
    }

    /// The final utterances that are kept, in order.
    pub(crate) fn finals(&self) -> &[Utterance] {
        &self.finals
    }

    /// What a brief is written from: everything, or at the limit the beginning, where callers say what they want,
    /// and the end, where they say what became of it.
    pub(crate) fn for_brief(&self) -> Cow<'_, [Utterance]> {
        let most = self.limits.brief_utterances;
        let (Some(first), Some(last)) = (
            self.finals.get(..most / 4),
            self.finals.len().checked_sub(most - most / 4).and_then(|from| self.finals.get(from..)),
        ) else {
            return Cow::Borrowed(&self.finals);
        };
        if self.finals.len() <= most {
            return Cow::Borrowed(&self.finals);
        }
        Cow::Owned([first, last].concat())
    }

    /// The utterances that still grow, in order.
    pub(crate) fn partials(&self) -> impl Iterator<Item = &Utterance> {
        self.partials.values()
    }

    /// Whether the caller is in the middle of a sentence.
    pub(crate) fn caller_speaks(&self, now: Duration) -> bool {
        let mut growing = self.partials.values().filter(|said| said.speaker == Speaker::Caller);
        growing.any(|said| said.end.saturating_add(SPEAKING) > now)
    }

    /// How many final utterances there were, dropped ones too.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.finals.len()).unwrap_or(u32::MAX).saturating_add(self.dropped)
    }

    /// How many final utterances were dropped at the limit.
    pub(crate) fn dropped(&self) -> u32 {
        self.dropped
    }
}

/// A sentence that has not grown for so long has ended, even if its final is late.
const SPEAKING: Duration = Duration::from_millis(1500);

#[cfg(test)]
mod tests {
    use super::*;

    fn said(id: u32, text: &str, stage: Stage, end: u64) -> Utterance {
        let (start, end) = (Duration::ZERO, Duration::from_secs(end));
        Utterance {
            id: UtteranceId(id),
            speaker: Speaker::Caller,
            text: text.into(),
            start,
            end,
            confidence: 1.0,
            stage,
            level: None,
        }
    }

    fn limited() -> Transcript {
        Transcript::new(Limits { utterances: 2, partials: 2, utterance_chars: 5, ..Limits::default() })
    }

    #[test]
    fn a_final_replaces_its_partial_and_comes_once() {
        let mut words = limited();
        assert_eq!(words.take(&mut said(1, "he", Stage::Partial, 1)), Kept::Partial);
        assert_eq!(words.take(&mut said(1, "hello", Stage::Final, 2)), Kept::Final);
        assert_eq!(words.take(&mut said(1, "hello", Stage::Final, 2)), Kept::Not);
        assert_eq!(words.take(&mut said(1, "hel", Stage::Partial, 3)), Kept::Not);
        assert_eq!((words.finals().len(), words.partials().count(), words.count()), (1, 0, 1));
    }

    #[test]
    fn a_partial_that_hears_less_is_late() {
        let mut words = limited();
        words.take(&mut said(1, "hello", Stage::Partial, 3));
        assert_eq!(words.take(&mut said(1, "he", Stage::Partial, 2)), Kept::Not);
    }

    #[test]
    fn at_the_limit_the_oldest_goes_and_is_counted_and_does_not_come_back() {
        let mut words = limited();
        for id in 1..=3 {
            words.take(&mut said(id, "yes", Stage::Final, id.into()));
        }
        assert_eq!((words.finals().len(), words.count(), words.dropped()), (2, 3, 1));
        assert_eq!(words.take(&mut said(1, "yes", Stage::Final, 9)), Kept::Not);
    }

    #[test]
    fn a_brief_is_written_from_the_beginning_and_the_end() {
        let limits = Limits { brief_utterances: 4, ..Limits::default() };
        let check = |count: u32, expected: &[u32]| {
            let mut words = Transcript::new(limits);
            for id in 1..=count {
                words.take(&mut said(id, "yes", Stage::Final, id.into()));
            }
            let taken: Vec<u32> = words.for_brief().iter().map(|said| said.id.0).collect();
            assert_eq!(taken, expected, "of {count}");
        };
        check(0, &[]);
        check(4, &[1, 2, 3, 4]);
        check(9, &[1, 7, 8, 9]);
    }

    #[test]
    fn a_long_utterance_is_cut_between_letters() {
        let mut words = limited();
        let mut long = said(1, "äöüßéèê", Stage::Final, 1);
        words.take(&mut long);
        assert_eq!(long.text, "äöüßé");
    }
}
