//! `WS /v1/listen`, as Deepgram defined it and others speak it: one WebSocket a voice, µ-law in, words out while
//! they are spoken.
//!
//! ```text
//! Idle ──due, breaker admits──► Dialling ──greeted──► Talking ──last words told──► Over
//!   ▲                              │                     │
//!   └────── refused, too late ─────┴── cut, mute, slow ──┘   then the last 2 s are sent again
//! ```
//! Nobody waits for the service: sound that it does not take within 5 s is lost and becomes a gap. A voice that is
//! silent is not sent, has no connection before its first sound, and none after a minute without any.

mod answer;
mod gate;
mod socket;
mod talk;
mod tape;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    thread::{Builder, JoinHandle},
    time::Duration,
};

use segue_media::{g711::Law, resample::Down};
use tungstenite::Message;

use self::{
    answer::Answer,
    gate::{Gate, Unheard},
    socket::{Place, Socket},
    talk::Talk,
    tape::Tape,
};
use super::{breaker::Breaker, failure::Failure, trust::Authorities};
use crate::{
    listen::FRAME_LENGTH,
    pool::{Frame, Listener, SpeechError, Stop, StreamEngine, Told, Wish},
};

/// Which service, and how it is asked.
#[derive(Clone, PartialEq, Eq)]
pub struct DeepgramOptions {
    /// Where it is, up to and without `/v1`: `wss://api.deepgram.com` for example.
    pub address: String,
    /// The model's name there.
    pub model: String,
    /// Sent as `Authorization: Token …`; none sends no such header.
    pub key: Option<String>,
    /// How long the service may take to greet, to take sound, and to answer a ping.
    pub deadline: Duration,
    /// Who may vouch for it, if it is reached over TLS.
    pub authorities: Authorities,
}

impl fmt::Debug for DeepgramOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DeepgramOptions")
            .field("address", &self.address)
            .field("model", &self.model)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// The engine. A service that keeps failing is left alone for a while: what is said meanwhile becomes gaps.
pub struct DeepgramEngine {
    name: String,
    service: Arc<Service>,
}

struct Service {
    options: DeepgramOptions,
    place: Place,
    breaker: Mutex<Breaker>,
}

impl fmt::Debug for DeepgramEngine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DeepgramEngine").field("options", &self.service.options).finish()
    }
}

impl DeepgramEngine {
    /// Asks nobody yet: a service that is down now may be up when the first caller speaks.
    ///
    /// # Errors
    /// When the address is none of a WebSocket or the key cannot be sent.
    pub fn new(options: DeepgramOptions) -> Result<Self, SpeechError> {
        let name = format!("{} at {}", options.model, options.address);
        let place = Place::new(&options.address, options.key.as_deref(), &options.authorities)
            .map_err(|reason| SpeechError::Model { model: options.model.clone(), reason })?;
        Ok(Self { name, service: Arc::new(Service { options, place, breaker: Mutex::default() }) })
    }
}

impl StreamEngine for DeepgramEngine {
    fn name(&self) -> &str {
        &self.name
    }

    fn listener(&self, wish: Wish) -> Result<Box<dyn Listener>, SpeechError> {
        let query = query(&self.service.options.model, &wish);
        Ok(Box::new(Voice {
            service: Arc::clone(&self.service),
            query,
            stop: wish.stop,
            gate: Gate::default(),
            unheard: Unheard::default(),
            tape: Tape::default(),
            due: Duration::ZERO,
            down: Down::default(),
            state: State::Idle { again: Duration::ZERO },
            failures: 0,
            lost_told: None,
            ending: false,
        }))
    }
}

impl Service {
    fn breaker<T>(&self, with: impl FnOnce(&mut Breaker) -> T) -> T {
        with(&mut self.breaker.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One voice and its connection.
struct Voice {
    service: Arc<Service>,
    query: String,
    stop: Stop,
    gate: Gate,
    unheard: Unheard,
    tape: Tape,
    /// The end of the newest frame.
    due: Duration,
    down: Down,
    state: State,
    /// In a row, since the service last gave words.
    failures: u32,
    lost_told: Option<Duration>,
    ending: bool,
}

enum State {
    Idle { again: Duration },
    Dialling(Dial),
    Talking(Box<Talk>),
    Over,
}

/// A connection being made, on a thread of its own, so that sound is taken meanwhile.
struct Dial {
    thread: Option<JoinHandle<Result<Socket, Failure>>>,
    stop: Stop,
}

impl Drop for Dial {
    fn drop(&mut self) {
        self.stop.job.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a dialling thread panicked");
        }
    }
}

impl Listener for Voice {
    fn hear(&mut self, at: Duration, frame: Frame<'_>) {
        let mut sound = [Law::Pcmu.silence(); 160];
        match frame {
            Frame::G711(payload, law) => {
                sound = *payload;
                law.transcode(Law::Pcmu, &mut sound);
            }
            Frame::Linear(samples) => Law::Pcmu.encode_into(samples, &mut sound),
            Frame::Wide(samples) => {
                let mut narrow = Vec::new();
                self.down.push(samples, &mut narrow);
                Law::Pcmu.encode_into(&narrow, &mut sound);
            }
            Frame::Lost => {}
        }
        self.due = at + FRAME_LENGTH;
        let tape = &mut self.tape;
        if self.gate.pass(at, sound, |at, sound| tape.push(at, sound)) {
            self.unheard.add(at);
        }
    }

    fn work(&mut self, now: Duration, wait: Duration, news: &mut Vec<Told>) {
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Idle { again } => {
                std::thread::park_timeout(wait);
                self.idle(now, again)
            }
            State::Dialling(dial) => {
                std::thread::park_timeout(wait);
                self.dialling(now, dial, news)
            }
            State::Talking(mut talk) => match self.turn(now, &mut talk, news) {
                Ok(Turn::Going) => State::Talking(talk),
                Ok(Turn::Over) if self.ending => State::Over,
                Ok(Turn::Over) => {
                    self.put_back();
                    State::Idle { again: now }
                }
                Err(reason) => self.failed(now, reason.into()),
            },
            State::Over => State::Over,
        };
        self.tell_lost(news);
        if self.ending {
            news.push(Told::Silent { until: self.unheard.begin().unwrap_or(self.due) });
        }
    }

    fn end(&mut self) {
        self.ending = true;
    }

    fn over(&self) -> bool {
        self.ending
            && match self.state {
                State::Over => true,
                State::Talking(_) => false,
                State::Idle { .. } | State::Dialling(_) => self.unheard.begin().is_none(),
            }
    }
}

impl Voice {
    fn idle(&mut self, now: Duration, again: Duration) -> State {
        if now < again || self.unheard.begin().is_none() {
            return State::Idle { again };
        }
        if !self.service.breaker(|breaker| breaker.admits(now)) {
            return State::Idle { again: now + RETRY_FIRST };
        }
        let stop = self.stop.within(self.service.options.deadline);
        let (service, query, asked) = (Arc::clone(&self.service), self.query.clone(), stop.clone());
        let life = move || Socket::dial(&service.place, &query, &asked);
        match Builder::new().name("segue-dial".to_owned()).spawn(life) {
            Ok(thread) => State::Dialling(Dial { thread: Some(thread), stop }),
            Err(error) => self.failed(now, format!("no thread to dial: {error}").into()),
        }
    }

    fn dialling(&mut self, now: Duration, mut dial: Dial, news: &mut Vec<Told>) -> State {
        let Some(thread) = dial.thread.take_if(|thread| thread.is_finished()) else {
            return State::Dialling(dial);
        };
        match thread.join() {
            Ok(Ok(socket)) => {
                // Nothing that lies before the tape's beginning will be heard again.
                if let Some(begin) = self.tape.begin() {
                    self.forget(begin, news);
                }
                State::Talking(Box::new(Talk::new(socket, now)))
            }
            Ok(Err(failure)) => self.failed(now, failure),
            Err(_) => self.failed(now, "the dialling thread panicked".into()),
        }
    }

    fn failed(&mut self, now: Duration, failure: Failure) -> State {
        self.put_back();
        let Failure { reason, rest } = failure;
        let address = &self.service.options.address;
        let opened = self.service.breaker(|breaker| match rest {
            Some(rest) => breaker.refused(now, rest),
            None => breaker.failed(now),
        });
        if opened {
            tracing::warn!(address, reason, "the transcription service is left alone for a while");
        } else {
            tracing::debug!(address, reason, "a connection for transcription failed");
        }
        // The first time at once: a connection that was cut is mostly made again without trouble.
        let pause = match self.failures {
            0 => Duration::ZERO,
            count => RETRY_FIRST.saturating_mul(1 << (count - 1).min(4)),
        };
        self.failures += 1;
        State::Idle { again: now + pause }
    }

    /// A connection is over: what was not heard is sent again over the next.
    fn put_back(&mut self) {
        match self.unheard.begin() {
            None => self.tape.forget(),
            Some(_) => self.tape.rewind(),
        }
    }

    /// Sound before that moment is given up; silence is no loss.
    fn forget(&mut self, before: Duration, news: &mut Vec<Told>) {
        let silent = self.unheard.begin().map_or(before, |begin| begin.min(before));
        news.push(Told::Silent { until: silent });
        news.push(Told::Forgotten { before });
        self.unheard.settle(before);
    }

    /// A long loss is told now and then, not at its end alone.
    fn tell_lost(&mut self, news: &mut Vec<Told>) {
        let Some(lost) = self.tape.lost().filter(|lost| Some(*lost) > self.lost_told) else { return };
        if self.tape.is_sent() || self.lost_told.is_none_or(|told| lost >= told + LOST_STEP) {
            self.lost_told = Some(lost);
            self.forget(lost, news);
        }
    }

    /// Sends what is there, and takes what came.
    fn turn(&mut self, now: Duration, talk: &mut Talk, news: &mut Vec<Told>) -> Result<Turn, String> {
        let deadline = self.service.options.deadline;
        let quiet = self.unheard.begin().is_none() && self.gate.quiet_for(now) > HELD_MAX;
        talk.send(now, &mut self.tape, self.ending || quiet)?;
        talk.check(now, deadline, &self.unheard)?;
        if talk.is_overdue(now, deadline) {
            return Ok(Turn::Over);
        }
        for _ in 0..MESSAGES_MAX {
            let Some(message) = talk.socket.read()? else { break };
            talk.lives(now);
            match message {
                Message::Text(text) => {
                    let answer = serde_json::from_str(&text)
                        .map_err(|error| format!("the service's answer is no result: {error}"))?;
                    if self.answer(now, answer, (talk, news))? == Turn::Over {
                        return Ok(Turn::Over);
                    }
                }
                Message::Close(_) if talk.is_closing() => return Ok(Turn::Over),
                Message::Close(frame) => {
                    let why = frame.map_or_else(String::new, |frame| frame.to_string());
                    return Err(format!("the service closed the connection: {why}"));
                }
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
        Ok(Turn::Going)
    }

    fn answer(
        &mut self,
        now: Duration,
        answer: Answer,
        (talk, news): (&mut Talk, &mut Vec<Told>),
    ) -> Result<Turn, String> {
        match answer {
            Answer::Results(results) => {
                let (told, settled) = results.told(&talk.times);
                news.push(told);
                if let Some(settled) = settled {
                    self.unheard.settle(settled);
                }
                if talk.answers(now) {
                    self.failures = 0;
                    self.service.breaker(Breaker::succeeded);
                }
            }
            Answer::UtteranceEnd => news.push(Told::Paused),
            Answer::Metadata if talk.is_closing() => return Ok(Turn::Over),
            Answer::Metadata | Answer::Other => {}
            Answer::Error { description } => return Err(format!("the service gave up: {description}")),
        }
        Ok(Turn::Going)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Going,
    Over,
}

/// What is asked of the service, in the order of its documentation.
fn query(model: &str, wish: &Wish) -> String {
    let mut query = format!(
        "encoding=mulaw&sample_rate=8000&channels=1&punctuate=true&interim_results={}&endpointing={}",
        wish.partials,
        wish.pause.as_millis()
    );
    if wish.partials {
        // Has no meaning without interim results; the service allows no less than a second.
        query.push_str("&utterance_end_ms=1000");
    }
    for (name, value) in [("model", model), ("language", wish.language.as_deref().unwrap_or_default())] {
        if !value.is_empty() {
            query.push_str(&format!("&{name}={}", escaped(value)));
        }
    }
    query
}

/// Percent-encoded (RFC 3986 §2.1).
fn escaped(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

/// Before the second attempt; twice as long before each further one, up to 4 s.
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// How long a connection is held for a voice that is silent: to be there at once when it speaks again, and not for
/// the whole call of somebody who listens.
const HELD_MAX: Duration = Duration::from_secs(60);
/// A gap is told in steps of that.
const LOST_STEP: Duration = Duration::from_secs(5);
/// Messages that are read before sound is sent again.
const MESSAGES_MAX: usize = 32;
