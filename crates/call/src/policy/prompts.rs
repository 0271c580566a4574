//! Every sentence that Segue speaks, in one language, as templates with checked variables (M18).

use std::collections::BTreeMap;

use segue_acd::{Language, QueueId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::template::Template;
use crate::action::{Prompt, Style};

/// The longest template, in characters; longer would speak for more than half a minute.
const TEMPLATE_MAX: usize = 500;

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident $variables:expr, $need:ident, $style:ident, $english:expr;)*) => {
        /// One thing that is said.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Message { $($(#[$doc])* $name,)* }

        impl Message {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The variables it must name; it may name no others.
            pub const fn variables(self) -> &'static [&'static str] {
                match self { $(Self::$name => &$variables,)* }
            }

            const fn need(self) -> Need {
                match self { $(Self::$name => Need::$need,)* }
            }

            const fn style(self) -> Style {
                match self { $(Self::$name => Style::$style,)* }
            }

            const fn english(self) -> &'static str {
                match self { $(Self::$name => $english,)* }
            }
        }
    };
}

impl std::fmt::Display for Message {
    /// The key in the file: `WaitingShort` is `waiting_short`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, letter) in format!("{self:?}").char_indices() {
            if letter.is_ascii_uppercase() && place > 0 {
                f.write_str("_")?;
            }
            write!(f, "{}", letter.to_ascii_lowercase())?;
        }
        Ok(())
    }
}

/// Whether a message may be left empty, which means that nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// It must be said.
    Must,
    /// It may be empty.
    May,
    /// It is a part of other messages and never said alone.
    Part,
}

messages! {
    /// The first words a caller hears; they offer the way to a human (T04). May be empty.
    Greeting [], May, Announcement,
        "Welcome. Say agent, or press zero, whenever you want to talk to a person.";
    /// A handoff begins: that, why, and what next (M01, M02).
    Announcement ["why", "queue"], Must, Announcement,
        "{why}, I'm connecting you with {queue} now. They will have everything you told me.";
    /// The same when the caller was let down before (M15).
    AnnouncementApology ["why", "queue"], Must, Announcement,
        "I'm sorry that this has been difficult. {why}, I'm connecting you with {queue} now. \
         They will have everything you told me.";
    /// Follows the announcement: an offer to say more while being connected (T03). May be empty.
    DetailsOffer [], May, Announcement,
        "While I do that, you can tell me in a sentence what it is about.";
    /// The wait will be less than a minute (M05).
    WaitingShort [], Must, Announcement,
        "It will take less than a minute.";
    /// Place and expected wait (M09).
    Waiting ["position", "wait"], Must, Announcement,
        "You are number {position} in the queue. The wait is {wait}.";
    /// The place became worse, with the reason (M09).
    WaitingOvertaken ["position", "wait"], Must, Announcement,
        "A more urgent call had to go first. You are number {position} now, and the wait is {wait}.";
    /// Said before the place, once, when the wait has become long (M10). May be empty.
    WaitingLong [], May, Announcement,
        "I'm sorry that this takes so long.";
    /// An expected wait with two ends, in minutes.
    WaitBetween ["least", "most"], Part, Announcement,
        "{least} to {most} minutes";
    /// An expected wait with an upper end only, in minutes.
    WaitUpTo ["most"], Part, Announcement,
        "up to {most} minutes";
    /// Nothing honest can be said about the wait.
    WaitUnknown [], Part, Announcement,
        "hard to tell at the moment";
    /// No place to tell, or an agent is being reached.
    StillConnecting ["queue"], Must, Announcement,
        "I'm still reaching {queue} for you. You have not been forgotten.";
    /// The agent is introduced by name (M14). May be empty.
    Introduction ["agent"], May, Announcement,
        "I've connected you with {agent}.";
    /// The agent was lost after the caller had been told of them.
    AgentLost ["queue"], Must, Announcement,
        "I'm sorry, that connection was lost. I'm reaching {queue} again, and you are first in line.";
    /// The queue takes no more calls.
    SorryFull ["queue"], Must, Announcement,
        "I'm sorry, too many people are waiting for {queue} right now.";
    /// Nobody is there.
    SorryAway ["queue"], Must, Announcement,
        "I'm sorry, {queue} cannot be reached right now.";
    /// It is outside business hours.
    SorryClosed ["queue"], Must, Announcement,
        "I'm sorry, we are closed right now, so I cannot reach {queue}.";
    /// The wait was over before anybody was free.
    SorryTimeout ["queue"], Must, Announcement,
        "I'm sorry, I could not reach {queue} in a reasonable time.";
    /// No more handoffs in this call.
    SorryLimit [], Must, Announcement,
        "I'm sorry, I have tried as often as I can and reached nobody.";
    /// The bot is broken and nobody else is there.
    SorryBroken [], Must, Announcement,
        "I'm sorry, something is broken on our side.";
    /// The handoff was taken back by us.
    Recalled [], Must, Announcement,
        "There was a change of plan.";
    /// What comes next: the bot (M07).
    ThenBot [], Must, Announcement,
        "I'm taking you back to the assistant. You can ask for a person again at any time.";
    /// What comes next: nothing.
    ThenEnd [], Must, Announcement,
        "Please call again later. Goodbye.";
    /// The agent hung up. May be empty.
    Goodbye [], May, Announcement,
        "Thank you for calling. Goodbye.";
    /// The gateway is going down.
    ShuttingDown [], Must, Announcement,
        "I'm sorry, we have to end this call for maintenance. Please call again in a few minutes. Goodbye.";
    /// Follows the whisper when the agent has not chosen yet.
    WhisperKeys [], Must, Whisper,
        "Press 1 to take the call, 2 to decline, star to hear it again.";
    /// The whisper could not be spoken.
    WhisperMissing [], Must, Whisper,
        "The brief is on your screen. Press 1 to take the call, 2 to decline.";
}

/// A mistake in a prompt. It is the operator's to mend.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PromptError {
    /// A template names a variable that its message does not have.
    #[error("prompt {message} ({language}) names {{{variable}}}, which it does not have; it has {known:?}")]
    UnknownVariable {
        /// The language.
        language: Language,
        /// Which message.
        message: Message,
        /// What it names.
        variable: String,
        /// What it may name.
        known: &'static [&'static str],
    },
    /// A template leaves out a variable without which it would not say what it must.
    #[error("prompt {message} ({language}) does not name {{{variable}}}, so the caller would not be told it")]
    MissingVariable {
        /// The language.
        language: Language,
        /// Which message.
        message: Message,
        /// What is missing.
        variable: &'static str,
    },
    /// The braces do not match.
    #[error("prompt {message} ({language}): {what}")]
    Malformed {
        /// The language.
        language: Language,
        /// Which message.
        message: Message,
        /// What is wrong.
        what: String,
    },
    /// A message that must be said is empty.
    #[error("prompt {message} ({language}) is empty; it must be said, leave it out for the default")]
    Empty {
        /// The language.
        language: Language,
        /// Which message.
        message: Message,
    },
    /// A sentence that says neither what happens nor why (M03).
    #[error(
        "prompt {message} ({language}) says only {phrase:?}: tell the caller what happens, why, and what is next"
    )]
    Bare {
        /// The language.
        language: Language,
        /// Which message.
        message: Message,
        /// The words.
        phrase: String,
    },
    /// Too long to be spoken to somebody who waits.
    #[error("prompt {message} ({language}) is longer than 500 characters")]
    TooLong {
        /// The language.
        language: Language,
        /// Which message.
        message: Message,
    },
    /// A language other than English leaves a message out, and there is no default in that language.
    #[error("prompt {message} is missing in {language}")]
    Missing {
        /// The language.
        language: Language,
        /// Which message.
        message: Message,
    },
    /// The fallback for reasons or queues is missing.
    #[error("{table}.default is missing in {language}: every handoff needs words for it")]
    NoDefault {
        /// The language.
        language: Language,
        /// `reasons` or `queues`.
        table: &'static str,
    },
}

/// The prompts of one language, as the file has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sheet {
    /// A BCP 47 tag; `en` if it is left out.
    language: Option<Language>,
    /// A reason's code to the words for it ("As you asked"), and `default`.
    reasons: BTreeMap<String, String>,
    /// A queue to the words for who answers there ("a billing specialist"), and `default`.
    queues: BTreeMap<String, String>,
    /// The messages.
    messages: BTreeMap<Message, String>,
}

/// Every sentence of one language, checked. An English sheet may leave messages out and gets the built-in ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Sheet", into = "Sheet")]
pub struct Prompts {
    language: Language,
    reasons: BTreeMap<String, String>,
    queues: BTreeMap<String, String>,
    messages: BTreeMap<Message, Template>,
}

impl Default for Prompts {
    fn default() -> Self {
        Self::english()
    }
}

/// The key under which the words for any other reason or queue stand.
const DEFAULT: &str = "default";

impl Prompts {
    /// The built-in English prompts.
    pub fn english() -> Self {
        let words = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, words)| ((*key).to_owned(), (*words).to_owned())).collect()
        };
        let message = |message: &Message| {
            // A built-in sentence that does not parse would be empty here; a test reads every one.
            let template = Template::parse(message.english()).or_else(|_| Template::parse("")).ok()?;
            Some((*message, template))
        };
        Self {
            language: Language::from("en"),
            reasons: words(ENGLISH_REASONS),
            queues: words(ENGLISH_QUEUES),
            messages: Message::ALL.iter().filter_map(message).collect(),
        }
    }

    /// The language they are in.
    pub fn language(&self) -> &Language {
        &self.language
    }

    /// Everything that must be rendered before the first call, so that no caller waits for a voice: all that is said
    /// without a number or a name in it, for each of the queues and each known reason.
    pub fn mandatory<'a>(&self, queues: impl IntoIterator<Item = &'a QueueId>, details: bool) -> Vec<Prompt> {
        let mut labels: Vec<&str> = queues.into_iter().map(|queue| self.queue_words(queue)).collect();
        labels.push(self.queues.get(DEFAULT).map_or("", String::as_str));
        labels.sort_unstable();
        labels.dedup();
        let mut prompts = Vec::new();
        for label in labels {
            let with_label = [("queue", label)];
            for why in self.reasons.values() {
                prompts.push(self.announcement(Message::Announcement, (why, label), details));
            }
            // The rules that mean frustration have no words of their own for the reason.
            let why = self.reason_words(DEFAULT);
            prompts.push(self.announcement(Message::AnnouncementApology, (why, label), details));
            for message in [Message::StillConnecting, Message::AgentLost] {
                prompts.extend(self.say(message, &with_label));
            }
            for sorry in SORRIES {
                prompts.extend(self.sequence(&[*sorry, Message::ThenBot], &with_label));
            }
        }
        prompts.extend(self.sequence(&[Message::SorryBroken, Message::ThenEnd], &[]));
        prompts.extend(ALONE.iter().filter_map(|message| self.say(*message, &[])));
        prompts.sort_unstable();
        prompts.dedup();
        prompts
    }

    /// The announcement, with the offer to say more if that is wanted.
    pub(crate) fn announcement(&self, message: Message, (why, queue): (&str, &str), details: bool) -> Prompt {
        let values = [("why", why), ("queue", queue)];
        let mut text = self.text(message, &values);
        let offer = self.text(Message::DetailsOffer, &[]);
        if details && !offer.is_empty() {
            text = format!("{text} {offer}");
        }
        self.prompt(text, Style::Announcement)
    }

    /// One message, or nothing if the operator left it empty.
    pub(crate) fn say(&self, message: Message, values: &[(&str, &str)]) -> Option<Prompt> {
        let text = self.text(message, values);
        (!text.is_empty()).then(|| self.prompt(text, message.style()))
    }

    /// Several messages in one breath.
    pub(crate) fn sequence(&self, messages: &[Message], values: &[(&str, &str)]) -> Option<Prompt> {
        let texts: Vec<String> = messages
            .iter()
            .map(|message| self.text(*message, values))
            .filter(|text| !text.is_empty())
            .collect();
        (!texts.is_empty()).then(|| self.prompt(texts.join(" "), Style::Announcement))
    }

    /// A message's text with its variables filled in.
    pub(crate) fn text(&self, message: Message, values: &[(&str, &str)]) -> String {
        self.messages.get(&message).map(|template| template.fill(values)).unwrap_or_default()
    }

    pub(crate) fn prompt(&self, text: String, style: Style) -> Prompt {
        Prompt { text, language: self.language.0.clone(), style }
    }

    /// The words for a reason's code.
    pub(crate) fn reason_words(&self, code: &str) -> &str {
        self.reasons.get(code).or_else(|| self.reasons.get(DEFAULT)).map_or("", String::as_str)
    }

    /// The words for who answers in a queue.
    pub(crate) fn queue_words(&self, queue: &QueueId) -> &str {
        self.queues.get(&queue.0).or_else(|| self.queues.get(DEFAULT)).map_or("", String::as_str)
    }
}

/// What is followed by the way back to the bot.
const SORRIES: &[Message] = &[
    Message::SorryFull,
    Message::SorryAway,
    Message::SorryClosed,
    Message::SorryTimeout,
    Message::SorryLimit,
    Message::Recalled,
];

/// What is said alone and always in the same words.
const ALONE: &[Message] = &[
    Message::Greeting,
    Message::WaitingShort,
    Message::Goodbye,
    Message::ShuttingDown,
    Message::WhisperKeys,
    Message::WhisperMissing,
];

const ENGLISH_REASONS: &[(&str, &str)] = &[
    ("explicit_request", "As you asked"),
    ("dtmf_zero", "As you asked"),
    ("bot_failed", "As our assistant is not available"),
    ("transferred", "As our colleague asked me to"),
    ("agent_lost", "As your connection to our colleague was lost"),
    (DEFAULT, "So that you get the right help"),
];

const ENGLISH_QUEUES: &[(&str, &str)] = &[
    ("billing", "a billing specialist"),
    ("technical", "a technical specialist"),
    ("sales", "an account executive"),
    ("retention", "a customer care specialist"),
    (DEFAULT, "a member of our team"),
];

impl TryFrom<Sheet> for Prompts {
    type Error = PromptError;

    fn try_from(sheet: Sheet) -> Result<Self, PromptError> {
        let language = sheet.language.unwrap_or_else(|| Language::from("en"));
        let english = (language.0 == "en" || language.0.starts_with("en-")).then(Self::english);
        let (mut reasons, mut queues) =
            english.map(|english| (english.reasons, english.queues)).unwrap_or_default();
        reasons.extend(sheet.reasons);
        queues.extend(sheet.queues);
        for (table, words) in [("reasons", &reasons), ("queues", &queues)] {
            if !words.contains_key(DEFAULT) {
                return Err(PromptError::NoDefault { language, table });
            }
        }
        let built_in = language.0 == "en" || language.0.starts_with("en-");
        let mut messages = BTreeMap::new();
        for message in Message::ALL.iter().copied() {
            let text = match sheet.messages.get(&message) {
                Some(text) => text.as_str(),
                None if built_in => message.english(),
                None => return Err(PromptError::Missing { language, message }),
            };
            messages.insert(message, checked(&language, message, text)?);
        }
        Ok(Self { language, reasons, queues, messages })
    }
}

impl From<Prompts> for Sheet {
    fn from(prompts: Prompts) -> Self {
        Self {
            language: Some(prompts.language),
            reasons: prompts.reasons,
            queues: prompts.queues,
            messages: prompts.messages.into_iter().map(|(message, text)| (message, text.into())).collect(),
        }
    }
}

/// Words that leave a caller alone when nothing else stands in their sentence.
const BARE: &[&str] = &[
    "please hold",
    "please hold on",
    "please hold the line",
    "please wait",
    "hold please",
    "one moment",
    "one moment please",
    "transferring",
    "transferring you",
    "transferring you now",
    "transferring your call",
    "connecting",
    "connecting you",
];

/// The first sentence that is nothing but such words.
fn bare_phrase(text: &str) -> Option<String> {
    let plain = |sentence: &str| {
        let letters = sentence.to_lowercase().replace(|letter: char| !letter.is_alphanumeric(), " ");
        letters.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    text.split(['.', '!', '?']).map(plain).find(|sentence| BARE.contains(&sentence.as_str()))
}

fn checked(language: &Language, message: Message, text: &str) -> Result<Template, PromptError> {
    let language = language.clone();
    if text.chars().count() > TEMPLATE_MAX {
        return Err(PromptError::TooLong { language, message });
    }
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(what) => return Err(PromptError::Malformed { language, message, what }),
    };
    if template.is_empty() {
        return match message.need() {
            Need::May => Ok(template),
            Need::Must | Need::Part => Err(PromptError::Empty { language, message }),
        };
    }
    if let Some(phrase) = bare_phrase(text) {
        return Err(PromptError::Bare { language, message, phrase });
    }
    let known = message.variables();
    if let Some(variable) = template.variables().find(|variable| !known.contains(variable)) {
        return Err(PromptError::UnknownVariable { language, message, variable: variable.to_owned(), known });
    }
    let named: Vec<&str> = template.variables().collect();
    match known.iter().find(|variable| !named.contains(variable)) {
        Some(variable) => Err(PromptError::MissingVariable { language, message, variable }),
        None => Ok(template),
    }
}
