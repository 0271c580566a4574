//! The triggers of one call: a signal goes in, a decision comes out if a rule fired.
//!
//! Every rule that was looked at is kept until the next signal, so that silence can be explained too.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    decision::{Advice, Decision, Evaluation, Reason},
    lexicon::Lexicon,
    request::{Finding, Requests},
    rules::{LanguageRules, Rules, RulesError, RulesProblem},
    utterance::{Speaker, Stage, Utterance, UtteranceId},
    words::{self, Word},
};

/// Something the rules look at.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Signal<'a> {
    /// A piece of transcript, partial or final, of any speaker.
    Heard(&'a Utterance),
    /// A key of the caller's telephone: `0`–`9`, `*`, `#`, `A`–`D`.
    Key(char),
}

/// The compiled rules. Compiled once, shared by every call.
#[derive(Debug)]
pub struct RuleSet {
    rules: Rules,
    languages: Vec<Language>,
}

#[derive(Debug)]
struct Language {
    rules: LanguageRules,
    requests: Requests,
    moods: Vec<(Mood, Lexicon)>,
}

/// A list of phrases that says something about the caller without asking for anything.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Frustration,
    Profanity,
    Urgency,
}

/// The triggers of one call.
#[derive(Clone, Debug)]
pub struct Triggers {
    set: Arc<RuleSet>,
    evaluations: Vec<Evaluation>,
    /// Reasons that go on contributing, oldest first.
    moods: VecDeque<Reason>,
    /// The caller's last utterances, newest last: a mood contributes while its utterance is among them.
    turns: VecDeque<UtteranceId>,
    /// The letters of the last partial, to know one that says nothing new.
    partial: Option<(UtteranceId, String)>,
    /// The utterance that a request was found in, so that one request fires once.
    requested: Option<UtteranceId>,
}

impl RuleSet {
    /// Compiles the rules.
    ///
    /// # Errors
    /// The configuration's: every pattern that cannot be used, with its key.
    pub fn new(rules: &Rules) -> Result<Self, RulesError> {
        let mut problems = Vec::new();
        for (key, value) in [
            ("partial_confidence_min", rules.partial_confidence_min),
            ("final_confidence_min", rules.final_confidence_min),
        ] {
            if !(0.0..=1.0).contains(&value) {
                problems.push(RulesProblem {
                    key: key.to_owned(),
                    problem: format!("is {value}; a token probability lies in 0..=1"),
                });
            }
        }
        if rules.words_max == 0 {
            problems.push(RulesProblem {
                key: "words_max".to_owned(),
                problem: "is 0, so nothing would be heard; 120 is the default".to_owned(),
            });
        }
        let languages = rules
            .languages
            .iter()
            .map(|(tag, language)| Language::new(rules, language, tag, &mut problems))
            .collect();
        if problems.is_empty() {
            Ok(Self { rules: rules.clone(), languages })
        } else {
            Err(RulesError { problems })
        }
    }
}

impl Language {
    fn new(rules: &Rules, language: &LanguageRules, tag: &str, problems: &mut Vec<RulesProblem>) -> Self {
        let key = format!("languages.{tag}");
        let requests = Requests::compile(rules, language, &key, problems);
        let mut moods = Vec::new();
        for mood in [Mood::Frustration, Mood::Profanity, Mood::Urgency] {
            let list = mood.phrases(language);
            let phrases = list.iter().map(|phrase| words::plain(phrase, &language.expansions)).collect();
            match Lexicon::new(phrases) {
                Ok(lexicon) => moods.push((mood, lexicon)),
                Err(problem) => {
                    problems.push(RulesProblem { key: format!("{key}.{}", mood.key()), problem });
                }
            }
        }
        Self { rules: language.clone(), requests, moods }
    }
}

impl Mood {
    fn rule(self) -> &'static str {
        match self {
            Self::Frustration => "T17",
            Self::Profanity => "T18",
            Self::Urgency => "T19",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Frustration => "frustration",
            Self::Profanity => "profanity",
            Self::Urgency => "urgency",
        }
    }

    fn phrases(self, language: &LanguageRules) -> &[String] {
        match self {
            Self::Frustration => &language.frustration,
            Self::Profanity => &language.profanity,
            Self::Urgency => &language.urgency,
        }
    }
}

impl Triggers {
    /// Compiles the rules and begins a call. Use [`Triggers::with`] to compile once for many calls.
    ///
    /// # Errors
    /// The configuration's: every pattern that cannot be used, with its key.
    pub fn new(rules: &Rules) -> Result<Self, RulesError> {
        RuleSet::new(rules).map(|set| Self::with(Arc::new(set)))
    }

    /// Begins a call on compiled rules.
    #[must_use]
    pub fn with(set: Arc<RuleSet>) -> Self {
        Self {
            set,
            evaluations: Vec::new(),
            moods: VecDeque::new(),
            turns: VecDeque::new(),
            partial: None,
            requested: None,
        }
    }

    /// Looks at a signal. A decision comes back if any rule fired; its advice may be [`Advice::None`], when
    /// something was noticed that alone is no reason to act.
    pub fn observe(&mut self, signal: Signal<'_>) -> Option<Decision> {
        self.evaluations.clear();
        match signal {
            Signal::Key(key) => self.key(key),
            Signal::Heard(utterance) if utterance.speaker == Speaker::Caller => self.heard(utterance),
            Signal::Heard(utterance) => {
                let because = format!("said by the {}", name(utterance.speaker));
                self.evaluate("T01", 0.0, false, because);
                None
            }
        }
    }

    /// Every rule that the last signal was held against, fired or not (T33).
    #[must_use]
    pub fn last_evaluations(&self) -> &[Evaluation] {
        &self.evaluations
    }

    fn key(&mut self, key: char) -> Option<Decision> {
        let fired = key == '0' && self.set.rules.dtmf_zero;
        let because = match (fired, key) {
            (true, _) => "the key 0 asks for a human".to_owned(),
            (false, '0') => "the key 0 is switched off".to_owned(),
            (false, other) => format!("the key {other} asks for nothing"),
        };
        self.evaluate("T01", f64::from(u8::from(fired)), fired, because);
        fired.then(|| self.request("dtmf_zero", "0".to_owned(), None))
    }

    fn heard(&mut self, utterance: &Utterance) -> Option<Decision> {
        self.remember_turn(utterance.id);
        let set = Arc::clone(&self.set);
        let confidence_min = match utterance.stage {
            Stage::Partial => set.rules.partial_confidence_min,
            Stage::Final | Stage::Late => set.rules.final_confidence_min,
        };
        if utterance.confidence < confidence_min {
            let because =
                format!("heard with confidence {:.2}, below {confidence_min:.2}", utterance.confidence);
            self.evaluate("T01", 0.0, false, because);
            return None;
        }
        let mut request = None;
        let mut noticed = Vec::new();
        let unsettled = self.unsettled(utterance);
        for language in &set.languages {
            let words = language.words(utterance, usize::from(set.rules.words_max));
            let finding = language.requests.look(&words, &utterance.text, unsettled);
            self.weigh(utterance.id, finding, &mut request);
            noticed.extend(self.moods_in(language, &words, utterance.id));
        }
        let fresh = self.remember_moods(utterance.id, noticed);
        match request {
            Some(evidence) => {
                self.requested = Some(utterance.id);
                Some(self.request("explicit_request", evidence, Some(utterance.id)))
            }
            None => self.notice(fresh),
        }
    }

    fn weigh(&mut self, id: UtteranceId, finding: Finding, request: &mut Option<String>) {
        match finding {
            Finding::Request(_) if self.requested == Some(id) => {
                self.evaluate("T01", 1.0, false, "already fired on this utterance".to_owned());
            }
            Finding::Request(evidence) => {
                self.evaluate("T01", 1.0, true, format!("asks for a human: {evidence}"));
                request.get_or_insert(evidence);
            }
            Finding::No(because) => self.evaluate("T01", 0.0, false, because),
        }
    }

    fn moods_in(&mut self, language: &Language, words: &[Word], id: UtteranceId) -> Vec<Reason> {
        let mut reasons = Vec::new();
        for (mood, lexicon) in &language.moods {
            let found = lexicon.found(words);
            let value = f64::from(u32::try_from(found.len()).unwrap_or(u32::MAX));
            let fired = !found.is_empty();
            let because = if fired {
                format!("said: {}", found.join(", "))
            } else {
                format!("no {} in it", mood.key())
            };
            self.evaluate(mood.rule(), value, fired, because);
            if fired {
                reasons.push(Reason {
                    rule: mood.rule().to_owned(),
                    code: mood.key().to_owned(),
                    evidence: found.join(", "),
                    value,
                    utterance: Some(id),
                });
            }
        }
        reasons
    }

    fn request(&self, code: &str, evidence: String, utterance: Option<UtteranceId>) -> Decision {
        let primary =
            Reason { rule: "T01".to_owned(), code: code.to_owned(), evidence, value: 1.0, utterance };
        self.decide(Advice::Escalate, primary, self.moods.iter().cloned().collect())
    }

    fn notice(&self, mut fresh: Vec<Reason>) -> Option<Decision> {
        if fresh.is_empty() {
            return None;
        }
        let primary = fresh.remove(0);
        let older = self.moods.iter().filter(|reason| **reason != primary && !fresh.contains(reason));
        let contributing: Vec<Reason> = fresh.iter().chain(older).cloned().collect();
        Some(self.decide(Advice::None, primary, contributing))
    }

    fn decide(&self, advice: Advice, primary: Reason, contributing: Vec<Reason>) -> Decision {
        Decision { advice, primary, contributing, evaluated: self.evaluations.clone() }
    }

    fn evaluate(&mut self, rule: &str, value: f64, fired: bool, because: String) {
        self.evaluations.push(Evaluation { rule: rule.to_owned(), value, threshold: 1.0, fired, because });
    }

    /// Whether a transcript may still change into something else: a partial whose words are new.
    fn unsettled(&mut self, utterance: &Utterance) -> bool {
        match utterance.stage {
            Stage::Final | Stage::Late => {
                self.partial = None;
                false
            }
            Stage::Partial => {
                let letters = utterance.text.chars().filter(|letter| letter.is_alphanumeric());
                let now = (utterance.id, letters.flat_map(char::to_lowercase).collect());
                let known = self.partial.as_ref() == Some(&now);
                self.partial = Some(now);
                !known
            }
        }
    }

    fn remember_turn(&mut self, id: UtteranceId) {
        if self.turns.back() != Some(&id) {
            self.turns.push_back(id);
        }
        while self.turns.len() > usize::from(self.set.rules.contributing_turns) + 1 {
            self.turns.pop_front();
        }
        let turns = &self.turns;
        self.moods.retain(|reason| reason.utterance.is_some_and(|id| turns.contains(&id)));
    }

    /// Keeps what was noticed in place of what an earlier partial of the same utterance said, and gives back
    /// what is new.
    fn remember_moods(&mut self, id: UtteranceId, noticed: Vec<Reason>) -> Vec<Reason> {
        let fresh = noticed.iter().filter(|reason| !self.moods.contains(reason)).cloned().collect();
        self.moods.retain(|reason| reason.utterance != Some(id));
        self.moods.extend(noticed);
        fresh
    }
}

impl Language {
    fn words(&self, utterance: &Utterance, words_max: usize) -> Vec<Word> {
        let mut words = words::split(&utterance.text, &self.rules.expansions);
        let dropped = words.len().saturating_sub(words_max);
        words.drain(..dropped);
        words
    }
}

fn name(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::Caller => "caller",
        Speaker::Bot => "bot",
        Speaker::Agent => "agent",
    }
}
