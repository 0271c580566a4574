//! The triggers of one call: a signal goes in, a decision comes out if a rule fired.
//!
//! Every rule that was looked at is kept until the next signal, so that silence can be explained too.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use crate::{
    contextual::{Contextual, Held},
    decision::{Advice, Decision, Evaluation, Reason},
    fact::Fact,
    feature::{Evidence, Feature, Features},
    gauge::{Ears, Memory, Sentiments, Talk, Topics, Turn},
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
    /// What others found out, and the utterance they found it in. Told before that utterance, it counts with it;
    /// told without one, the rules look at it at once.
    Learned(&'a [Fact], Option<UtteranceId>),
}

/// The compiled rules. Compiled once, shared by every call.
#[derive(Debug)]
pub struct RuleSet {
    rules: Rules,
    contextual: Contextual,
    languages: Vec<Language>,
}

#[derive(Debug)]
struct Language {
    tag: String,
    rules: LanguageRules,
    requests: Requests,
    moods: Vec<(Mood, Lexicon)>,
    ears: Ears,
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
    features: Features,
    memory: Memory,
    /// The rules over features that held the last time.
    held: BTreeSet<usize>,
    /// The language that is spoken, as far as is known.
    spoken: String,
    /// The last words were a request unless the next ones take it back.
    waits: bool,
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
            .filter_map(|(tag, language)| Language::new(rules, language, tag, &mut problems))
            .collect();
        let contextual = Contextual::compile(rules, &mut problems);
        if problems.is_empty() {
            Ok(Self { rules: rules.clone(), contextual, languages })
        } else {
            Err(RulesError { problems })
        }
    }
}

impl RuleSet {
    /// The lists of a language: of its tag, of its primary language, or the first there are.
    fn language(&self, tag: &str) -> Option<&Language> {
        let primary = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        let exact = self.languages.iter().find(|language| language.tag == tag);
        let near = || self.languages.iter().find(|language| primary(&language.tag) == primary(tag));
        exact.or_else(near).or_else(|| self.languages.first())
    }
}

impl Language {
    /// Compiles what is listened for in a language; what cannot be used is added to `problems`.
    fn new(
        rules: &Rules,
        language: &LanguageRules,
        tag: &str,
        problems: &mut Vec<RulesProblem>,
    ) -> Option<Self> {
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
        let expansions = &language.expansions;
        let mut keep = |key: String, problem: String| problems.push(RulesProblem { key, problem });
        let talk = Talk::new(&language.talk, expansions)
            .map_err(|(list, problem)| keep(format!("{key}.talk.{list}"), problem));
        let topics = Topics::new(&language.topics, expansions)
            .map_err(|(topic, problem)| keep(format!("{key}.topics.{topic}"), problem));
        let sentiments = Sentiments::new(&language.sentiment, expansions);
        let ears = Ears { sentiments, talk: talk.ok()?, topics: topics.ok()? };
        Some(Self { tag: tag.to_owned(), rules: language.clone(), requests, moods, ears })
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
            features: Features::new(),
            memory: Memory::default(),
            held: BTreeSet::new(),
            spoken: "en".to_owned(),
            waits: false,
        }
    }

    /// Counts the call's length from a moment, on the clock of the utterances; from the first one's end otherwise.
    #[must_use]
    pub fn since(mut self, began: Duration) -> Self {
        self.memory.began = Some(began);
        self
    }

    /// Says which language is spoken, a BCP 47 tag: its lists measure the features. Requests for a human are heard in
    /// every language.
    pub fn speak(&mut self, tag: &str) {
        tag.clone_into(&mut self.spoken);
    }

    /// What is known of the call now, by name, as the explanation of a decision shows it.
    pub fn features(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.features.all()
    }

    /// Looks at a signal. A decision comes back if any rule fired; its advice may be [`Advice::None`], when
    /// something was noticed that alone is no reason to act.
    pub fn observe(&mut self, signal: Signal<'_>) -> Option<Decision> {
        self.evaluations.clear();
        match signal {
            Signal::Key(key) => self.key(key),
            Signal::Learned(facts, utterance) => {
                for fact in facts {
                    self.memory.learn(fact, utterance, &mut self.features);
                }
                if utterance.is_some() {
                    return None;
                }
                let set = Arc::clone(&self.set);
                let held = self.hold(&set.contextual);
                self.advise(held)
            }
            Signal::Heard(utterance) if utterance.speaker == Speaker::Caller => self.heard(utterance),
            Signal::Heard(utterance) => {
                let because = format!("said by the {}", name(utterance.speaker));
                self.evaluate("T01", 0.0, false, because);
                let held = self.context(utterance);
                self.advise(held)
            }
        }
    }

    /// Every rule that the last signal was held against, fired or not (T33).
    #[must_use]
    pub fn last_evaluations(&self) -> &[Evaluation] {
        &self.evaluations
    }

    /// Whether a request was heard that the next words of the same utterance confirm or take back.
    #[must_use]
    pub fn waits_for_words(&self) -> bool {
        self.waits
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
        self.waits = false;
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
        let held = self.context(utterance);
        match request {
            Some(evidence) => {
                self.requested = Some(utterance.id);
                let mut decision = self.request("explicit_request", evidence, Some(utterance.id));
                decision.contributing.extend(held.fired.into_iter().map(|(_, reason)| reason));
                decision.contributing.extend(held.others);
                Some(decision)
            }
            None if held.fired.is_empty() => self.notice(fresh),
            None => self.advise(held),
        }
    }

    /// Brings the features up to date with a finished utterance and holds the rules against them.
    fn context(&mut self, utterance: &Utterance) -> Held {
        let set = Arc::clone(&self.set);
        let Some(language) = set.language(&self.spoken) else { return Held::default() };
        if utterance.stage != Stage::Final {
            return Held::default();
        }
        let words = language.words(utterance, usize::from(set.rules.words_max));
        self.memory.hear(&language.ears, &Turn { utterance, words: &words }, &mut self.features);
        for (mood, feature) in [
            (Mood::Frustration, Feature::Frustration),
            (Mood::Profanity, Feature::Profanity),
            (Mood::Urgency, Feature::Urgency),
        ] {
            let of_mood = self.moods.iter().filter(|reason| reason.code == mood.key());
            let said: Vec<&str> = of_mood.clone().map(|reason| reason.evidence.as_str()).collect();
            let evidence = Evidence {
                text: said.join(", "),
                utterance: of_mood.clone().next_back().and_then(|reason| reason.utterance),
            };
            let count = of_mood.map(|reason| reason.value).sum();
            self.features.number(feature, count, evidence);
        }
        self.hold(&set.contextual)
    }

    fn hold(&mut self, rules: &Contextual) -> Held {
        let mut held = rules.look(&mut self.features, &mut self.held);
        self.evaluations.append(&mut held.evaluated);
        held
    }

    /// The strongest of the rules that began to hold; the others contribute.
    fn advise(&self, held: Held) -> Option<Decision> {
        let mut fired = held.fired.into_iter();
        let (advice, primary) = fired.next()?;
        let contributing =
            fired.map(|(_, reason)| reason).chain(held.others).chain(self.moods.iter().cloned()).collect();
        Some(self.decide(advice, primary, contributing))
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
            Finding::NotYet(because) => {
                self.waits = true;
                self.evaluate("T01", 0.0, false, because);
            }
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
