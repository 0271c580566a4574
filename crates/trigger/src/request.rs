//! Recognises an explicit request for a human (T01) in one language.
//!
//! A pattern must match; then whatever takes it back is looked for: a compound (`human resources`), and from
//! the request backwards over unimportant words a negation, reported speech, or a condition.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    pattern::{Found, Meaning, Pattern, Vocabulary},
    rules::{LanguageRules, Rules, RulesProblem},
    words::{self, Word},
};

/// What was found in an utterance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// A request, with the words that were it.
    Request(String),
    /// Something like a request that is none, with the reason.
    No(String),
    /// A request if nothing else is said: the next words decide.
    NotYet(String),
}

/// The compiled rules of one language.
#[derive(Debug)]
pub(crate) struct Requests {
    vocabulary: Vocabulary,
    patterns: Vec<Pattern>,
    whole: Vec<Pattern>,
    refusals: Vec<Pattern>,
    compounds: Vec<Pattern>,
    noise: BTreeSet<String>,
    around: BTreeSet<String>,
    complete: BTreeSet<String>,
    determiners: BTreeSet<String>,
    guards: Guards,
}

/// An utterance without its noise words, a word that was said twice in a row kept once.
struct Heard<'a> {
    words: Vec<Word>,
    meanings: Vec<Meaning>,
    text: &'a str,
    /// More may come, and this is the first time we see these words.
    unsettled: bool,
    /// The last word said, noise included, shows that a request is complete.
    completed: bool,
}

impl Requests {
    /// Compiles the rules of one language, or adds to `problems`.
    pub(crate) fn compile(
        rules: &Rules,
        language: &LanguageRules,
        key: &str,
        problems: &mut Vec<RulesProblem>,
    ) -> Self {
        let request = &language.request;
        let plain = |phrase: &String| words::plain(phrase, &language.expansions);
        let classes: BTreeMap<String, Vec<Vec<String>>> = request
            .classes
            .iter()
            .map(|(name, phrases)| (name.clone(), phrases.iter().map(plain).collect()))
            .collect();
        let mut vocabulary = Vocabulary::default();
        let mut compile = |name: &str, patterns: &[String]| -> Vec<Pattern> {
            let mut compiled = Vec::new();
            for (at, pattern) in patterns.iter().enumerate() {
                match Pattern::compile(pattern, &classes, &mut vocabulary) {
                    Ok(pattern) => compiled.push(pattern),
                    Err(problem) => problems.push(RulesProblem { key: format!("{name}[{at}]"), problem }),
                }
            }
            compiled
        };
        let mut patterns = compile(&format!("{key}.request.patterns"), &request.patterns);
        patterns.extend(compile("request_patterns", &rules.request_patterns));
        let whole = compile(&format!("{key}.request.whole"), &request.whole);
        let refusals = compile(&format!("{key}.request.refusals"), &request.refusals);
        let mut compounds = compile(&format!("{key}.request.compounds"), &request.compounds);
        compounds.extend(compile("request_exclusions", &rules.request_exclusions));
        tolerate(language, &classes, key, &mut vocabulary, problems);
        let set = |list: &[String]| list.iter().flat_map(plain).collect::<BTreeSet<String>>();
        let guards = Guards::new(language);
        for word in guards.transparent.iter().chain(&request.distinct) {
            vocabulary.keep_apart(word);
        }
        Self {
            vocabulary,
            patterns,
            whole,
            refusals,
            compounds,
            noise: set(&language.noise),
            around: set(&request.around),
            complete: set(&request.complete),
            determiners: set(&request.determiners),
            guards,
        }
    }

    /// Looks for a request. `unsettled` is true for a partial transcript seen for the first time.
    pub(crate) fn look(&self, words: &[Word], text: &str, unsettled: bool) -> Finding {
        let heard = self.hear(words, text, unsettled);
        if heard.meanings.iter().all(Meaning::is_empty) {
            return Finding::No("no request for a human in it".to_owned());
        }
        if let Some(found) = self.refusal(&heard) {
            return Finding::Request(self.quote(&heard, &found));
        }
        let mut finding = Finding::No("no request for a human in it".to_owned());
        for start in 0..heard.words.len() {
            for pattern in &self.patterns {
                let Some(found) = pattern.match_at(&heard.meanings, start) else { continue };
                if pattern.at_start() && !self.opens_sentence(&heard, start) {
                    continue;
                }
                match self.objection(&heard, &found) {
                    None => return Finding::Request(self.quote(&heard, &found)),
                    Some(objection) => finding = objection,
                }
            }
        }
        for (from, to) in parts(&heard.words) {
            match self.whole(&heard, from, to) {
                Some(request @ Finding::Request(_)) => return request,
                Some(other) => finding = other,
                None => {}
            }
        }
        finding
    }

    fn hear<'a>(&self, words: &[Word], text: &'a str, unsettled: bool) -> Heard<'a> {
        let mut kept: Vec<Word> = Vec::with_capacity(words.len());
        let (mut starts_sentence, mut starts_clause) = (false, false);
        for word in words {
            starts_sentence |= word.starts_sentence;
            starts_clause |= word.starts_clause;
            if self.noise.contains(&word.text) {
                continue;
            }
            match kept.last_mut() {
                Some(last) if last.text == word.text => last.to = word.to,
                _ => kept.push(Word { starts_sentence, starts_clause, ..word.clone() }),
            }
            (starts_sentence, starts_clause) = (false, false);
        }
        let meanings = kept.iter().map(|word| self.vocabulary.meaning(&word.text)).collect();
        let completed = words.last().is_some_and(|word| self.complete.contains(&word.text));
        Heard { words: kept, meanings, text, unsettled, completed }
    }

    fn refusal(&self, heard: &Heard<'_>) -> Option<Found> {
        (0..heard.words.len()).find_map(|start| {
            self.refusals.iter().find_map(|pattern| pattern.match_at(&heard.meanings, start))
        })
    }

    /// Whether only greetings and the like stand between the start of the sentence and this word.
    fn opens_sentence(&self, heard: &Heard<'_>, start: usize) -> bool {
        for (at, word) in heard.words.iter().enumerate().take(start + 1).rev() {
            if at < start && !self.around.contains(&word.text) {
                return false;
            }
            if word.starts_sentence {
                return true;
            }
        }
        true
    }

    fn objection(&self, heard: &Heard<'_>, found: &Found) -> Option<Finding> {
        if let Some(compound) = self.compound(heard, found) {
            return Some(Finding::No(compound));
        }
        if let Some(guard) = self.guards.against(&heard.words, found.start, found.end()) {
            return Some(Finding::No(guard));
        }
        self.unfinished(heard, found).map(Finding::NotYet)
    }

    fn compound(&self, heard: &Heard<'_>, found: &Found) -> Option<String> {
        (0..found.end()).find_map(|start| {
            let overlapping = self
                .compounds
                .iter()
                .filter_map(|pattern| pattern.match_at(&heard.meanings, start))
                .find(|compound| compound.end() > found.start)?;
            Some(format!("`{}` is something else", quote(heard, &overlapping)))
        })
    }

    /// A partial transcript may still turn into something else: its last word may be half a word, or the
    /// beginning of a compound.
    fn unfinished(&self, heard: &Heard<'_>, found: &Found) -> Option<String> {
        if !heard.unsettled {
            return None;
        }
        let (last, meant) = (heard.words.last()?, self.vocabulary.text(*found.taken.last()?));
        if found.end() == heard.words.len() && meant.len() > last.text.len() && meant.starts_with(&last.text)
        {
            return Some(format!("`{}` may be half a word", last.text));
        }
        let grows = |start: usize| {
            let after_determiner = start
                .checked_sub(1)
                .and_then(|before| heard.words.get(before))
                .is_some_and(|word| self.determiners.contains(&word.text));
            !after_determiner
                && self.compounds.iter().any(|pattern| pattern.may_grow_from(&heard.meanings, start))
        };
        (!heard.completed && (found.start..found.end()).any(grows))
            .then(|| format!("`{}` may go on", quote(heard, found)))
    }

    /// A request that is all there is from one word to another, perhaps said more than once.
    fn whole(&self, heard: &Heard<'_>, from: usize, to: usize) -> Option<Finding> {
        let mut first: Option<Found> = None;
        let mut at = from;
        while at < to {
            let longest = self
                .whole
                .iter()
                .filter_map(|pattern| pattern.match_at(&heard.meanings, at))
                .filter(|found| found.end() <= to)
                .max_by_key(Found::end);
            match longest {
                Some(found) => {
                    at = found.end();
                    first.get_or_insert(found);
                }
                None if heard.words.get(at).is_some_and(|word| self.around.contains(&word.text)) => at += 1,
                None => return None,
            }
        }
        let found = first?;
        if let Some(objection) = self.objection(heard, &found) {
            return Some(objection);
        }
        if heard.unsettled && !heard.completed && to == heard.words.len() {
            return Some(Finding::NotYet(format!("`{}` may go on", quote(heard, &found))));
        }
        Some(Finding::Request(self.quote(heard, &found)))
    }

    /// The words as they were recognised, and what they were taken for if that differs.
    fn quote(&self, heard: &Heard<'_>, found: &Found) -> String {
        let said = quote(heard, found);
        let words = heard.words.get(found.start..found.end()).unwrap_or_default();
        let meant: Vec<&str> = found.taken.iter().map(|word| self.vocabulary.text(*word)).collect();
        if words.iter().zip(&meant).all(|(word, meant)| word.text == *meant) {
            said
        } else {
            format!("{said} (taken for: {})", meant.join(" "))
        }
    }
}

/// What a request can be the whole of: each sentence, and the last part of the last one.
fn parts(words: &[Word]) -> Vec<(usize, usize)> {
    let starts = words.iter().enumerate().filter(|(_, word)| word.starts_sentence).map(|(at, _)| at);
    let bounds: Vec<usize> = std::iter::once(0).chain(starts).chain(std::iter::once(words.len())).collect();
    let mut parts: Vec<(usize, usize)> =
        bounds.iter().zip(bounds.iter().skip(1)).map(|(from, to)| (*from, *to)).collect();
    if let Some(clause) = words.iter().rposition(|word| word.starts_clause) {
        parts.push((clause, words.len()));
    }
    parts.retain(|(from, to)| from < to);
    parts
}

fn quote(heard: &Heard<'_>, found: &Found) -> String {
    let words = heard.words.get(found.start..found.end()).unwrap_or_default();
    match (words.first(), words.last()) {
        (Some(first), Some(last)) => heard.text.get(first.from..last.to).unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}

fn tolerate(
    language: &LanguageRules,
    classes: &BTreeMap<String, Vec<Vec<String>>>,
    key: &str,
    vocabulary: &mut Vocabulary,
    problems: &mut Vec<RulesProblem>,
) {
    for (at, name) in language.request.tolerant.iter().enumerate() {
        let Some(phrases) = classes.get(name) else {
            problems.push(RulesProblem {
                key: format!("{key}.request.tolerant[{at}]"),
                problem: format!("names the class `{name}`, which is not among `classes`"),
            });
            continue;
        };
        for word in phrases.iter().flatten() {
            let word = vocabulary.learn(word);
            vocabulary.tolerate(word);
        }
    }
}

/// What takes a request back, in comparable form.
#[derive(Debug)]
struct Guards {
    negations: Vec<Vec<String>>,
    exceptions: Vec<Vec<String>>,
    conditions: Vec<Vec<String>>,
    reports: BTreeSet<String>,
    own: BTreeSet<String>,
    subjects: BTreeSet<String>,
    transparent: BTreeSet<String>,
}

impl Guards {
    fn new(language: &LanguageRules) -> Self {
        let guards = &language.request.guards;
        let phrases = |list: &[String]| -> Vec<Vec<String>> {
            list.iter().map(|phrase| words::plain(phrase, &language.expansions)).collect()
        };
        let set = |list: &[String]| phrases(list).into_iter().flatten().collect::<BTreeSet<String>>();
        let mut transparent = set(&guards.transparent);
        for list in [&guards.negations, &guards.reports, &guards.own, &guards.subjects] {
            transparent.extend(set(list));
        }
        Self {
            negations: phrases(&guards.negations),
            exceptions: phrases(&guards.exceptions),
            conditions: phrases(&guards.conditions),
            reports: set(&guards.reports),
            own: set(&guards.own),
            subjects: set(&guards.subjects),
            transparent,
        }
    }

    /// Why a request at `start..end` does not count, if it does not.
    fn against(&self, words: &[Word], start: usize, end: usize) -> Option<String> {
        let lead = self.lead(words, start);
        let excepted = |from: usize, to: usize| {
            let overlaps = |phrase: &Vec<String>| {
                occurrences(words, phrase, lead, end).any(|at| at < to && at + phrase.len() > from)
            };
            self.exceptions.iter().any(overlaps)
        };
        for phrase in &self.negations {
            for at in occurrences(words, phrase, lead, end) {
                let after = at + phrase.len();
                let a_question = words.get(after).is_some_and(|word| self.subjects.contains(&word.text));
                if !a_question && !excepted(at, after) {
                    return Some(format!("`{}` takes it back", phrase.join(" ")));
                }
            }
        }
        for phrase in &self.conditions {
            if let Some(at) = occurrences(words, phrase, lead, end).next()
                && !excepted(at, at + phrase.len())
            {
                return Some(format!("`{}` makes it a question or a condition", phrase.join(" ")));
            }
        }
        self.reported(words, lead, end)
    }

    fn reported(&self, words: &[Word], lead: usize, end: usize) -> Option<String> {
        for at in lead..end {
            let word = words.get(at)?;
            if !self.reports.contains(&word.text) || word.starts_sentence {
                continue;
            }
            let speaker = at.checked_sub(1).and_then(|before| words.get(before));
            if speaker.is_some_and(|speaker| !self.own.contains(&speaker.text)) {
                return Some(format!("`{}` reports somebody else's words", word.text));
            }
        }
        None
    }

    /// The first word that belongs to the request: backwards over words that may stand before it.
    fn lead(&self, words: &[Word], start: usize) -> usize {
        let mut lead = start;
        while lead > 0 {
            let starts_sentence = words.get(lead).is_some_and(|word| word.starts_sentence);
            let before = words.get(lead - 1);
            if starts_sentence || !before.is_some_and(|word| self.transparent.contains(&word.text)) {
                break;
            }
            lead -= 1;
        }
        lead
    }
}

/// Where a phrase begins, each time it ends between `lead` and `end`. It may begin before `lead`, but not in
/// an earlier sentence.
fn occurrences<'a>(
    words: &'a [Word],
    phrase: &'a [String],
    lead: usize,
    end: usize,
) -> impl Iterator<Item = usize> + 'a {
    let length = phrase.len().max(1);
    let first = lead.saturating_sub(length);
    words.get(first..end).unwrap_or_default().windows(length).enumerate().filter_map(move |(at, window)| {
        let same = !phrase.is_empty() && window.iter().zip(phrase).all(|(word, wanted)| word.text == *wanted);
        let inside = window.iter().skip(1).all(|word| !word.starts_sentence);
        let touches = first + at >= lead || !words.get(lead).is_some_and(|word| word.starts_sentence);
        (same && inside && touches).then_some(first + at)
    })
}
