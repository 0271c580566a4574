//! An open connection: sound and signs of life go out, and what the service does not do in time is found out.

use std::time::Duration;

use tungstenite::Message;

use super::{
    gate::Unheard,
    socket::Socket,
    tape::{Tape, Times},
};

/// An open connection.
pub(super) struct Talk {
    pub(super) socket: Socket,
    pub(super) times: Times,
    /// When the service last said anything, when it last gave a result, and when it was last told anything.
    heard: Duration,
    answered: Duration,
    told: Duration,
    pinged: Option<Duration>,
    behind: Option<Duration>,
    /// It gave a result.
    proven: bool,
    /// When it was told that no sound comes any more.
    closing: Option<Duration>,
}

impl Talk {
    pub(super) fn new(socket: Socket, now: Duration) -> Talk {
        Talk {
            socket,
            times: Times::default(),
            heard: now,
            answered: now,
            told: now,
            pinged: None,
            behind: None,
            proven: false,
            closing: None,
        }
    }

    /// Whether it was told that no sound comes any more.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// A message came, of whatever kind.
    pub(super) fn lives(&mut self, now: Duration) {
        self.heard = now;
        self.pinged = None;
    }

    /// A result came. True if it is the connection's first.
    pub(super) fn answers(&mut self, now: Duration) -> bool {
        self.answered = now;
        !std::mem::replace(&mut self.proven, true)
    }

    /// Sends what is there, then signs of life or, if it is time, the end.
    pub(super) fn send(&mut self, now: Duration, tape: &mut Tape, hang_up: bool) -> Result<(), String> {
        if self.socket.behind {
            self.socket.flush()?;
        }
        while !self.socket.behind
            && self.closing.is_none()
            && let Some(batch) = tape.next(&mut self.times)
        {
            self.told = now;
            if batch.jumped {
                self.socket.send(Message::text(FINALIZE))?;
            }
            self.socket.send(Message::binary(batch.sound))?;
        }
        if self.socket.behind || self.closing.is_some() {
            return Ok(());
        }
        if hang_up {
            self.closing = Some(now);
            return self.socket.send(Message::text(CLOSE_STREAM));
        }
        if now >= self.told + KEEP_ALIVE {
            self.told = now;
            self.socket.send(Message::text(ALIVE))?;
        }
        if now >= self.heard + KEEP_ALIVE && self.pinged.is_none() {
            self.pinged = Some(now);
            self.socket.send(Message::Ping(Vec::new().into()))?;
        }
        Ok(())
    }

    /// What the service should have done by now.
    pub(super) fn check(
        &mut self,
        now: Duration,
        deadline: Duration,
        unheard: &Unheard,
    ) -> Result<(), String> {
        if self.socket.behind {
            if now > *self.behind.get_or_insert(now) + deadline {
                return Err("the service takes no sound any more".to_owned());
            }
        } else {
            self.behind = None;
        }
        if self.pinged.is_some_and(|pinged| now > pinged + deadline) {
            return Err("the service does not answer any more".to_owned());
        }
        let waits = unheard.begin().is_some_and(|from| now > from + RESULT_MAX);
        if waits && now > self.answered + RESULT_MAX {
            return Err("the service lives and gives no results".to_owned());
        }
        Ok(())
    }

    /// Whether the end was not confirmed in time.
    pub(super) fn is_overdue(&self, now: Duration, deadline: Duration) -> bool {
        self.closing.is_some_and(|since| now > since + deadline)
    }
}

const ALIVE: &str = r#"{"type":"KeepAlive"}"#;
const FINALIZE: &str = r#"{"type":"Finalize"}"#;
const CLOSE_STREAM: &str = r#"{"type":"CloseStream"}"#;
/// The service hangs up after ten seconds without sound or such a message.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// A result comes every second or so while there is sound, be it without a word.
const RESULT_MAX: Duration = Duration::from_secs(15);
