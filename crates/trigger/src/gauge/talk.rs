//! Whether the conversation gets anywhere: clarifications, answers that say nothing, the same question again, failures
//! in a row.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Turn;
use crate::{
    feature::{Evidence, Feature, Features},
    lexicon::Lexicon,
    rules::TalkRules,
    utterance::Speaker,
    words::{self, Word},
};

/// The compiled lists of one language.
#[derive(Debug)]
pub(crate) struct Talk {
    clarifying: Lexicon,
    vague: Lexicon,
    wrong: Lexicon,
    resolved: Lexicon,
    unimportant: BTreeSet<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    asked: VecDeque<BTreeSet<String>>,
    answered: VecDeque<BTreeSet<String>>,
    repeated: bool,
    question_repeats: u32,
    clarifications: u32,
    vague: u32,
    circular: u32,
    strikes: u32,
    attempts: u32,
}

impl Talk {
    /// # Errors
    /// A list that cannot be searched, with its key.
    pub(crate) fn new(
        rules: &TalkRules,
        expansions: &BTreeMap<String, String>,
    ) -> Result<Self, (&'static str, String)> {
        let lexicon = |key: &'static str, list: &[String]| {
            let phrases = list.iter().map(|phrase| words::plain(phrase, expansions)).collect();
            Lexicon::new(phrases).map_err(|problem| (key, problem))
        };
        Ok(Self {
            clarifying: lexicon("clarifying", &rules.clarifying)?,
            vague: lexicon("vague", &rules.vague)?,
            wrong: lexicon("wrong", &rules.wrong)?,
            resolved: lexicon("resolved", &rules.resolved)?,
            unimportant: rules.unimportant.iter().flat_map(|word| words::plain(word, expansions)).collect(),
        })
    }

    /// The words that an utterance is about, without their endings.
    fn content(&self, words: &[Word]) -> BTreeSet<String> {
        words
            .iter()
            .filter(|word| !self.unimportant.contains(&word.text))
            .map(|word| stem(&word.text).to_owned())
            .collect()
    }
}

impl Memory {
    pub(super) fn hear(
        &mut self,
        ears: &Talk,
        turn: &Turn<'_>,
        topic_changed: bool,
        features: &mut Features,
    ) {
        match turn.utterance.speaker {
            Speaker::Caller => self.caller(ears, turn, topic_changed, features),
            Speaker::Bot => self.bot(ears, turn, features),
            Speaker::Agent => {}
        }
    }

    fn caller(&mut self, ears: &Talk, turn: &Turn<'_>, topic_changed: bool, features: &mut Features) {
        if topic_changed {
            self.topic_changed();
        }
        if let Some(said) = ears.resolved.found(turn.words).first() {
            self.succeed(features, &turn.evidence(*said));
        }
        if let Some(said) = ears.wrong.found(turn.words).first() {
            self.strike(features, &turn.evidence(*said));
        }
        let content = ears.content(turn.words);
        self.repeated = false;
        if content.len() >= CONTENT_MIN {
            let nearest = nearest(&content, &self.asked);
            features.number(Feature::Similarity, nearest, turn.evidence(""));
            self.repeated = nearest >= SAME;
            if self.repeated {
                self.question_repeats += 1;
                tell(features, (Feature::QuestionRepeats, self.question_repeats), turn, "asked before");
            }
            remember(&mut self.asked, content);
        }
        self.loops(features, turn);
    }

    fn bot(&mut self, ears: &Talk, turn: &Turn<'_>, features: &mut Features) {
        let content = ears.content(turn.words);
        if content.len() >= CONTENT_MIN {
            if self.repeated && nearest(&content, &self.answered) >= SAME {
                self.circular += 1;
                tell(features, (Feature::CircularTurns, self.circular), turn, "both said it before");
            }
            remember(&mut self.answered, content);
        }
        match ears.clarifying.found(turn.words).first() {
            Some(said) => {
                self.clarifications += 1;
                self.strike(features, &turn.evidence(*said));
                tell(features, (Feature::Clarifications, self.clarifications), turn, said);
            }
            None => {
                self.clarifications = 0;
                tell(features, (Feature::Clarifications, 0), turn, "");
            }
        }
        let vague = ears.vague.found(turn.words);
        self.vague = if vague.is_empty() { 0 } else { self.vague + 1 };
        tell(features, (Feature::VagueAnswers, self.vague), turn, vague.first().copied().unwrap_or_default());
        self.loops(features, turn);
    }

    pub(super) fn strike(&mut self, features: &mut Features, evidence: &Evidence) {
        (self.strikes, self.attempts) = (self.strikes + 1, self.attempts + 1);
        self.tell_strikes(features, evidence);
    }

    pub(super) fn succeed(&mut self, features: &mut Features, evidence: &Evidence) {
        (self.strikes, self.attempts) = (0, 0);
        self.tell_strikes(features, evidence);
    }

    /// Attempts are counted by topic.
    pub(super) fn topic_changed(&mut self) {
        self.attempts = 0;
    }

    fn tell_strikes(&self, features: &mut Features, evidence: &Evidence) {
        features.number(Feature::Strikes, f64::from(self.strikes), evidence.clone());
        features.number(Feature::Attempts, f64::from(self.attempts), evidence.clone());
    }

    fn loops(&self, features: &mut Features, turn: &Turn<'_>) {
        let counts = [
            (self.clarifications, "clarifications in a row"),
            (self.vague, "answers that say nothing, in a row"),
            (self.circular, "turns in a circle"),
            (self.question_repeats, "times the same question"),
        ];
        if let Some((count, what)) = counts.into_iter().max_by_key(|(count, _)| *count) {
            tell(features, (Feature::ConfusionLoops, count), turn, what);
        }
    }
}

fn tell(features: &mut Features, (feature, count): (Feature, u32), turn: &Turn<'_>, why: &str) {
    features.number(feature, f64::from(count), turn.evidence(why));
}

fn remember(kept: &mut VecDeque<BTreeSet<String>>, content: BTreeSet<String>) {
    kept.push_back(content);
    if kept.len() > REMEMBERED {
        kept.pop_front();
    }
}

/// How much an utterance shares with the most similar one: twice the shared words over the words of both.
fn nearest(content: &BTreeSet<String>, kept: &VecDeque<BTreeSet<String>>) -> f64 {
    kept.iter()
        .map(|other| {
            let shared = content.intersection(other).count();
            2.0 * shared as f64 / (content.len() + other.len()).max(1) as f64
        })
        .fold(0.0, f64::max)
}

/// A word without a common ending, so that `refunded` and `refunds` are the same.
fn stem(word: &str) -> &str {
    let endings = ["ing", "ed", "es", "s"];
    let cut = |ending: &&str| word.strip_suffix(*ending).filter(|rest| rest.len() >= STEM_MIN);
    endings.iter().find_map(cut).unwrap_or(word)
}

/// Fewer words than that are an answer rather than a question of one's own.
const CONTENT_MIN: usize = 2;
/// From here on two utterances ask the same.
const SAME: f64 = 0.6;
const REMEMBERED: usize = 8;
const STEM_MIN: usize = 4;
