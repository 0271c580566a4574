//! What was tried before: the bot's attempts and the caller's own, each with its sentence (B01, C07).

use segue_trigger::{Speaker, Utterance, UtteranceId};

use super::{reading::Said, text};
use crate::{brief::Fact, event::Declared};

/// Something that was tried.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// The statement.
    pub(super) fact: Fact,
    /// The bot's own words, if it said that it could not do something.
    pub(super) failure: Option<String>,
}

/// The attempts of a call, in order; the oldest are left out where there are too many.
pub(super) fn find(said: &[Said<'_>], declared: Option<&Declared>) -> Vec<Attempt> {
    let mut attempts: Vec<Attempt> = declared.map(told).unwrap_or_default();
    let mut confused: Vec<UtteranceId> = Vec::new();
    for (place, here) in said.iter().enumerate() {
        let id = here.utterance.id;
        let refusal =
            said.get(place + 1).and_then(|next| Some((next.utterance.id, next.reading.refusal.as_deref()?)));
        for step in &here.reading.steps {
            match step {
                Step::Confused => confused.push(id),
                Step::Tried(tried) => attempts.push(tried.attempt(id, refusal)),
            }
        }
    }
    attempts.dedup_by(|later, earlier| later.fact.text == earlier.fact.text);
    let spare = attempts.len().saturating_sub(ATTEMPTS_MAX);
    attempts.drain(..spare);
    if confused.len() > 1 {
        let line = format!("Bot did not understand the caller, {} times", confused.len());
        attempts.push(Attempt { fact: Fact { text: line, cites: confused }, failure: None });
    }
    attempts
}

/// What one sentence says about attempts, whatever is answered to it.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The bot did not understand.
    Confused,
    /// Something was tried.
    Tried(Tried),
}

/// What was tried, in one sentence.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    /// Who, and what they said.
    line: String,
    /// Whether the caller tried it themselves.
    own: bool,
    /// The bot's own words, if it said that it could not do something.
    failure: Option<String>,
}

impl Tried {
    fn read(sentence: &str, kind: Kind) -> Self {
        let own = kind == Kind::OwnAttempt;
        let plain = text::without_preamble(&without_apology(sentence));
        let who = if own { "Caller" } else { "Bot" };
        let line = format!("{who}: {}", text::shortened(text::unended(&plain), WORDS_MAX));
        Self { line, own, failure: (kind == Kind::Failed).then(|| text::unended(&plain).to_owned()) }
    }

    /// The attempt with what the caller said to it next.
    fn attempt(&self, id: UtteranceId, refusal: Option<(UtteranceId, &str)>) -> Attempt {
        let fact = match refusal.filter(|_| !self.own) {
            Some((answer, words)) => {
                Fact { text: format!("{}. Caller: {words}", self.line), cites: vec![id, answer] }
            }
            None => Fact { text: self.line.clone(), cites: vec![id] },
        };
        Attempt { fact, failure: self.failure.clone() }
    }
}

/// Reads what an utterance says about attempts.
pub(super) fn steps(utterance: &Utterance) -> Vec<Step> {
    let step = |sentence: &str| {
        let kind = match utterance.speaker {
            Speaker::Bot => of_bot(sentence),
            Speaker::Caller => of_caller(sentence),
            Speaker::Agent => Kind::Nothing,
        };
        match kind {
            Kind::Nothing => None,
            Kind::Confused => Some(Step::Confused),
            Kind::Failed | Kind::Answered | Kind::OwnAttempt => {
                Some(Step::Tried(Tried::read(sentence, kind)))
            }
        }
    };
    text::sentences(&utterance.text).filter_map(step).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The bot could not do something.
    Failed,
    /// The bot told the caller what to do, or what is so.
    Answered,
    /// The caller did something themselves.
    OwnAttempt,
    /// The bot did not understand.
    Confused,
    /// Nothing was tried.
    Nothing,
}

/// What the bot reports itself.
fn told(declared: &Declared) -> Vec<Attempt> {
    let lists =
        ["attempted_solutions", "attempted", "tried"].iter().filter_map(|key| declared.details.get(*key));
    let steps =
        lists.flat_map(|list| list.split([';', '|', '\n'])).map(str::trim).filter(|step| !step.is_empty());
    let attempt = |step: &str| Attempt {
        fact: Fact { text: format!("Bot reports: {}", text::shortened(step, WORDS_MAX)), cites: Vec::new() },
        failure: None,
    };
    steps.take(ATTEMPTS_MAX).map(attempt).collect()
}

fn of_bot(sentence: &str) -> Kind {
    let words = text::words(sentence);
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| text::says(&words, phrase));
    if says(CONFUSED) {
        Kind::Confused
    } else if says(MOVES) {
        Kind::Nothing
    } else if says(FAILURES) {
        Kind::Failed
    } else if says(SUGGESTIONS) || (!sentence.ends_with('?') && says(ANSWERS)) {
        Kind::Answered
    } else {
        Kind::Nothing
    }
}

fn of_caller(sentence: &str) -> Kind {
    let words = text::words(sentence);
    let own = OWN.iter().any(|phrase| text::says(&words, phrase));
    let plea =
        ["human", "agent", "person", "someone", "representative"].iter().any(|who| text::says(&words, who));
    if own && !plea { Kind::OwnAttempt } else { Kind::Nothing }
}

/// The words in which a caller says that something did not help.
pub(super) fn refusal(answer: &str) -> Option<String> {
    let sentence = text::sentences(answer).find(|sentence| {
        let words = text::words(sentence);
        REFUSALS.iter().any(|phrase| text::says(&words, phrase))
    })?;
    Some(text::shortened(text::unended(&text::without_preamble(sentence)), WORDS_MAX))
}

/// `I'm sorry, but I could not find it`: without the apology.
fn without_apology(sentence: &str) -> String {
    let mut rest = sentence.trim();
    for apology in APOLOGIES {
        let head = rest.get(..apology.len()).unwrap_or_default();
        if head.eq_ignore_ascii_case(apology) {
            rest = rest.get(apology.len()..).unwrap_or_default().trim_start_matches([',', ' ', '.']);
        }
    }
    if rest.is_empty() { sentence.to_owned() } else { rest.to_owned() }
}

const ATTEMPTS_MAX: usize = 5;
const WORDS_MAX: usize = 18;

const CONFUSED: &[&str] = &[
    "did not understand",
    "didnt understand",
    "dont understand",
    "did not catch",
    "didnt catch",
    "didnt get that",
    "say that again",
    "repeat that",
    "rephrase",
    "not sure i understand",
    "not sure what you",
];
/// Words with which a bot moves on without trying anything.
const MOVES: &[&str] = &[
    "how can i help",
    "how may i help",
    "what can i do",
    "anything else",
    "one moment",
    "please hold",
    "welcome",
    "connecting you",
    "connect you",
    "transfer you",
    "transferring you",
    "goodbye",
    "thank you for calling",
    "let me check",
    "let me look",
    "bear with me",
];
const FAILURES: &[&str] = &[
    "could not",
    "couldnt",
    "cannot",
    "cant",
    "can not",
    "unable to",
    "not able to",
    "no record",
    "dont have",
    "do not have",
    "did not find",
    "didnt find",
    "there is no",
    "theres no",
    "not possible",
    "not allowed",
    "failed",
];
const SUGGESTIONS: &[&str] = &[
    "please try",
    "try to",
    "try restarting",
    "have you tried",
    "did you try",
    "you can",
    "you could",
    "go to",
    "please restart",
    "please reset",
    "click on",
    "please check",
    "make sure",
    "i recommend",
    "i suggest",
    "please visit",
    "please log",
    "please unplug",
];
const ANSWERS: &[&str] = &[
    "i have sent",
    "ive sent",
    "i sent",
    "i have reset",
    "ive reset",
    "i checked",
    "i have checked",
    "ive checked",
    "i found",
    "i have found",
    "ive found",
    "i can see",
    "i see that",
    "i have updated",
    "ive updated",
    "i created",
    "i have created",
    "your order",
    "your refund",
    "your account",
    "your package",
    "your payment",
    "your balance",
    "it was shipped",
    "it will arrive",
    "will arrive",
    "was delivered",
    "is scheduled",
    "according to",
    "our policy",
    "i have cancelled",
    "i have canceled",
    "ive cancelled",
];
const OWN: &[&str] = &[
    "i tried",
    "i have tried",
    "ive tried",
    "i already tried",
    "i have already",
    "ive already",
    "i restarted",
    "i already restarted",
    "i reset",
    "i rebooted",
    "i called",
    "i emailed",
    "i wrote",
    "i unplugged",
    "i reinstalled",
    "i checked",
    "i contacted",
];
const REFUSALS: &[&str] = &[
    "did not work",
    "didnt work",
    "does not work",
    "doesnt work",
    "not working",
    "tried that",
    "no luck",
    "did that",
    "did not help",
    "didnt help",
    "doesnt help",
    "thats wrong",
    "that is wrong",
    "not true",
    "thats not right",
    "already",
    "still",
    "not correct",
    "wrong",
];
const APOLOGIES: &[&str] = &[
    "i'm sorry",
    "i am sorry",
    "i\u{2019}m sorry",
    "sorry",
    "unfortunately",
    "i apologize",
    "but ",
    "okay",
    "thank you",
    "thanks",
];
