//! The main question of a call: the caller's most telling words, without greetings and pleas for a human.

use std::collections::BTreeMap;

use segue_trigger::{Speaker, Utterance, UtteranceId};

use super::{
    reading::Said,
    text,
    topic::{self, Mention},
};
use crate::{
    brief::{Entity, EntityKind, Fact},
    event::Declared,
};

/// The goal and what it is about.
#[derive(Debug)]
pub(super) struct Goal {
    /// The statement.
    pub(super) fact: Fact,
    /// Its topic, if the table knows one.
    pub(super) topic: Option<Mention>,
    /// Whether anything is known.
    pub(super) known: bool,
}

/// Finds the main question.
pub(super) fn find(said: &[Said<'_>], entities: &[Entity], declared: Option<&Declared>) -> Goal {
    let mut here: BTreeMap<UtteranceId, usize> = BTreeMap::new();
    for entity in entities {
        *here.entry(entity.utterance).or_default() += 1;
    }
    let told = said.iter().filter(|said| said.utterance.speaker == Speaker::Caller);
    let mut best: Option<Candidate<'_>> = None;
    for (place, said) in told.enumerate() {
        let Some(told) = said.reading.told.as_ref() else { continue };
        let utterance = said.utterance;
        let entities = here.get(&utterance.id).copied().unwrap_or_default();
        let candidate =
            Candidate { utterance: utterance.id, told, score: told.weight(utterance, place, entities) };
        if best.as_ref().is_none_or(|best| candidate.score > best.score) {
            best = Some(candidate);
        }
    }
    match best.filter(|best| best.score >= SCORE_MIN) {
        Some(best) => best.goal(entities),
        None => without_words(declared, said),
    }
}

/// What one utterance says about the goal, whatever else is said.
#[derive(Clone, Debug)]
pub(super) struct Told {
    text: String,
    topic: Option<Mention>,
    score: f32,
}

impl Told {
    /// Reads it from what a caller said; `None` if nothing is said about a goal.
    pub(super) fn read(said: &str) -> Option<Self> {
        let sentences: Vec<String> = text::sentences(said)
            .filter_map(without_plea)
            .map(|sentence| text::without_preamble(&sentence))
            .filter(|sentence| content(sentence) > 0)
            .collect();
        let scored = sentences.iter().map(|sentence| (score(sentence), sentence));
        // The first of the best.
        let (score, best) = scored.reduce(|best, later| if later.0 > best.0 { later } else { best })?;
        let whole = sentences.iter().map(|sentence| text::ended(sentence)).collect::<Vec<_>>().join(" ");
        let short = whole.split_whitespace().count() <= GOAL_WORDS_MAX;
        let told = if short { whole } else { text::shortened(best, GOAL_WORDS_MAX) };
        Some(Self { topic: topic::mentions(&told).first().copied(), score, text: told })
    }

    /// How likely it is the goal, by its place among the caller's utterances and the entities that were first said
    /// in it.
    fn weight(&self, utterance: &Utterance, place: usize, entities: usize) -> f32 {
        let entity_score: f32 = [0.0, 1.0, 1.6].get(entities).copied().unwrap_or(2.0);
        let early = if place < 2 { 0.5 } else { 0.0 };
        let heard = 0.5 + 0.5 * utterance.confidence.clamp(0.0, 1.0);
        (self.score + entity_score + early) * heard
    }
}

/// An utterance that may be the goal.
struct Candidate<'a> {
    utterance: UtteranceId,
    told: &'a Told,
    score: f32,
}

impl Candidate<'_> {
    fn goal(self, entities: &[Entity]) -> Goal {
        let mut cites = vec![self.utterance];
        let mut line = self.told.text.clone();
        let order = entities.iter().find(|entity| entity.kind == EntityKind::Order);
        if let Some(order) = order.filter(|order| order.utterance != self.utterance) {
            line = format!("{} (order {})", text::unended(&line), order.value);
            cites.push(order.utterance);
        }
        Goal { fact: Fact { text: line, cites }, topic: self.told.topic, known: true }
    }
}

/// Nobody said what it is about: the bot may have, or nothing is known.
fn without_words(declared: Option<&Declared>, said: &[Said<'_>]) -> Goal {
    let told = declared.and_then(|declared| {
        let reason = Some(declared.reason.as_str()).filter(|reason| !reason.is_empty());
        declared.intent.as_deref().filter(|intent| !intent.is_empty()).or(reason)
    });
    let Some(told) = told else {
        let nothing_said = said.iter().all(|said| said.utterance.speaker != Speaker::Caller);
        let line = if nothing_said {
            "Nothing is known: the caller said nothing."
        } else {
            "Nothing is known of the goal."
        };
        return Goal { fact: Fact { text: line.to_owned(), cites: Vec::new() }, topic: None, known: false };
    };
    let plain = told.replace(['_', '-'], " ");
    Goal {
        topic: topic::mentions(&plain).first().copied(),
        fact: Fact { text: format!("According to the bot: {plain}"), cites: Vec::new() },
        known: true,
    }
}

/// How much a sentence says about why somebody calls.
fn score(sentence: &str) -> f32 {
    let words = text::words(sentence);
    let mentions = topic::mentions(sentence);
    let topics = mentions.first().map_or(0.0, |mention| mention.topic.weight)
        + if mentions.len() > 1 { 0.6 } else { 0.0 };
    let asks = if WISHES.iter().any(|wish| text::says(&words, wish)) { 1.4 } else { 0.0 };
    let substance = f32::from(u8::try_from(content(sentence).min(8)).unwrap_or(8)) * 0.3;
    let remark = if REMARKS.iter().any(|remark| text::says(&words, remark)) { 1.2 } else { 0.0 };
    topics + asks + substance - remark
}

/// How many words of a sentence carry meaning.
fn content(sentence: &str) -> usize {
    text::words(sentence)
        .iter()
        .filter(|word| !text::listed(EMPTY, word) && !word.bytes().all(|byte| byte.is_ascii_digit()))
        .count()
}

/// A sentence without its clauses that only ask for a human; `None` if nothing else is in it.
fn without_plea(sentence: &str) -> Option<String> {
    let mut kept: Vec<&str> = Vec::new();
    let mut rest = sentence;
    let mut dropped = false;
    while !rest.is_empty() {
        let (clause, later) = next_clause(rest);
        if is_plea(clause) {
            dropped = true;
        } else {
            kept.push(clause);
        }
        rest = later;
    }
    if !dropped {
        return Some(sentence.to_owned());
    }
    let mut line = kept.concat();
    for joint in JOINTS {
        line = line.trim_end().trim_end_matches(joint.trim_end()).to_owned();
        line = line.strip_prefix(joint.trim_start()).map_or_else(|| line.clone(), str::to_owned);
    }
    (content(&line) > 0).then_some(line)
}

/// The words up to and without the next joint, and the rest from the joint on.
fn next_clause(text: &str) -> (&str, &str) {
    let at = JOINTS
        .iter()
        .filter_map(|joint| text.get(1..).and_then(|tail| tail.find(joint)).map(|at| at + 1))
        .min()
        .unwrap_or(text.len());
    text.split_at(at)
}

fn is_plea(clause: &str) -> bool {
    let words = text::words(clause);
    let has = |list: &str| words.iter().any(|word| text::listed(list, word));
    let human =
        has(HUMANS) || text::says(&words, "customer service") || text::says(&words, "customer support");
    if !human {
        return false;
    }
    let bare = content(clause) <= 2;
    let asks = has("talk speak speaking talking connect transfer put get give want need chat let reach call");
    (bare || asks) && !topic::mentions(clause).iter().any(|mention| mention.topic.weight > 2.0)
}

const SCORE_MIN: f32 = 1.1;
const GOAL_WORDS_MAX: usize = 26;

const JOINTS: &[&str] = &[", ", " and ", " but ", " so ", " because "];
const HUMANS: &str = "human humans agent agents representative rep operator person people someone somebody anyone \
    anybody manager supervisor advisor specialist colleague";
const WISHES: &[&str] = &[
    "i want",
    "i need",
    "i would like",
    "id like",
    "i wanted",
    "can you",
    "could you",
    "can i",
    "how do",
    "how can",
    "how much",
    "why",
    "where",
    "when",
    "what is",
    "whats",
    "calling about",
    "calling because",
    "calling to",
    "problem",
    "issue",
    "help with",
    "question",
    "it is about",
    "its about",
    "about",
    "trying to",
    "wrong",
    "still",
    "wont",
    "cant",
    "didnt",
    "never",
    "havent",
    "hasnt",
];
/// Remarks about the conversation, which tell nothing about its subject.
const REMARKS: &[&str] = &[
    "you dont understand",
    "not listening",
    "ridiculous",
    "are you there",
    "can you hear",
    "waste of time",
    "already told",
    "i told you",
    "not what i",
    "thats wrong",
    "useless",
    "how are you",
    "say that again",
    "repeat that",
    "a robot",
    "a bot",
    "a machine",
    "didnt say that",
];
const EMPTY: &str = "a an the and or but so to of in on at for with from by as it its it's this that these those i im \
    ive id ill me my we our you your he she they them is are was were be been am do does did dont doesnt didnt have \
    has had can could will would should please just really hello hi hey yes yeah yep no nope not ok okay thanks \
    thank um uh er well right now then there here what who how want need like one two three four five six seven \
    eight nine ten zero oh double triple twenty thirty forty fifty sixty seventy eighty ninety hundred thousand \
    number good morning afternoon evening bye goodbye sure fine talk speak human agent person someone somebody \
    representative operator manager supervisor get give let sorry hmm if go ahead said say mean know think maybe \
    correct exactly hold wait moment again any some all real live help connect transfer";
