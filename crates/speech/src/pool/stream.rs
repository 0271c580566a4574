//! The seam between the pool and an engine that hears frame by frame: sound goes in as it comes, words come out
//! when the engine knows them. Where utterances begin and end is the engine's to say; their numbers, stable
//! prefixes and gaps are made of what it tells in `lines`.

use std::{sync::Arc, time::Duration};

use super::{Frame, SpeechError, Stop};

/// Makes a listener for each voice.
pub trait StreamEngine: Send + Sync {
    /// For logs and the health page.
    fn name(&self) -> &str;
    /// A listener for one voice; it must not wait.
    ///
    /// # Errors
    /// When the engine can give none, for want of memory for example.
    fn listener(&self, wish: Wish) -> Result<Box<dyn Listener>, SpeechError>;
}

/// What is wanted of a listener.
#[derive(Clone)]
pub struct Wish {
    /// Two letters (ISO 639-1); `None` leaves it to the engine.
    pub language: Option<Arc<str>>,
    /// Whether words are wanted before they are settled.
    pub partials: bool,
    /// Silence that ends an utterance.
    pub pause: Duration,
    /// Asked for when the pool stops; whatever takes longer than a few milliseconds must look at it.
    pub stop: Stop,
}

/// Hears one voice, on a thread that serves no other.
pub trait Listener: Send {
    /// Takes the next 20 ms, due at `at`: 20 ms after the frame before, or later by more than half a second.
    /// Must not wait.
    fn hear(&mut self, at: Duration, frame: Frame<'_>);
    /// Does what is due and appends what is known since the last call. May wait for news as long as `wait`.
    fn work(&mut self, now: Duration, wait: Duration, news: &mut Vec<Told>);
    /// No frame comes any more. Called once; `work` is called on until it is over or a second has passed.
    fn end(&mut self);
    /// True once all that was said before the end was told.
    fn over(&self) -> bool;
}

/// What a listener tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Words since what was settled last; they replace those that were not settled.
    Words {
        /// In the order of time.
        words: Vec<Word>,
        /// What is sure about them.
        standing: Standing,
        /// How far the engine has heard.
        until: Duration,
    },
    /// The utterance is over.
    Paused,
    /// Nobody spoke until that moment since what was heard last: no gap.
    Silent {
        /// The moment.
        until: Duration,
    },
    /// Sound before that moment will not be heard any more, or not again: words in it that were told stay as they
    /// are, and what was not heard is a gap. Later words may be told again.
    Forgotten {
        /// The moment.
        before: Duration,
    },
}

/// How sure a listener is of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They may change.
    Growing,
    /// They will not change.
    Settled,
    /// They will not change, and the utterance ends with them.
    Last,
}

/// One word.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// As it is written, with its punctuation.
    pub text: String,
    /// When it began, on the gateway's clock.
    pub start: Duration,
    /// When it ended.
    pub end: Duration,
    /// 0..=1.
    pub confidence: f32,
}

impl Word {
    /// What decides whether a word lies before a moment: its ends move by a little from one hearing to the next.
    pub(super) fn middle(&self) -> Duration {
        (self.start + self.end) / 2
    }
}
