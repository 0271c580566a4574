//! The server's side of a connection, and what every test here begins with.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use segue_speech::{
    Authorities, DeepgramEngine, DeepgramOptions, Gap, Heard, Hypothesis, Speech, SpeechConfig,
};
use segue_trigger::Stage;
use tungstenite::{
    Message, WebSocket,
    handshake::server::{Request, Response},
};

use crate::support::{BEGIN, Line, PATIENCE, config, hypotheses};

/// One connection as the server has it.
pub(crate) struct Guest<S = TcpStream> {
    pub(crate) socket: WebSocket<S>,
    pub(crate) request: Request,
    pub(crate) sound: Vec<u8>,
    pub(crate) texts: Vec<String>,
}

impl<S: Read + Write> Guest<S> {
    pub(crate) fn greet(stream: S) -> Guest<S> {
        let mut seen = None;
        let keep = |request: &Request, response: Response| {
            seen = Some(request.clone());
            Ok(response)
        };
        let socket = tungstenite::accept_hdr(stream, keep).map_err(|error| error.to_string()).unwrap();
        Guest { socket, request: seen.unwrap(), sound: Vec::new(), texts: Vec::new() }
    }

    pub(crate) fn take(&mut self) {
        match self.socket.read().unwrap() {
            Message::Binary(sound) => self.sound.extend_from_slice(&sound),
            Message::Text(text) => self.texts.push(text.to_string()),
            _ => {}
        }
    }

    pub(crate) fn hear(&mut self, frames: usize) {
        while self.sound.len() < frames * 160 {
            self.take();
        }
    }

    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).unwrap();
    }

    /// Until the client has no more sound; then gives the last result, sums up and hangs up.
    pub(crate) fn part(mut self, last: Option<String>) -> Guest<S> {
        while !self.texts.iter().any(|text| text.contains("CloseStream")) {
            self.take();
        }
        if let Some(last) = last {
            self.say(last);
        }
        self.say(r#"{"type":"Metadata","request_id":"7"}"#);
        // The client goes first or is gone already.
        self.socket.close(None).unwrap_or_default();
        while self.socket.read().is_ok() {}
        self
    }
}

/// A result: words with their begin and end, in milliseconds of the connection.
pub(crate) fn result(words: &[(&str, u64, u64)], until: u64, ends: (bool, bool)) -> String {
    let begin = words.first().map_or(0, |(_, start, _)| *start);
    let timed: Vec<String> = words
        .iter()
        .map(|(word, start, end)| {
            let (start, end) = (*start as f64 / 1_000.0, *end as f64 / 1_000.0);
            format!(r#"{{"word":"{word}","start":{start},"end":{end},"confidence":0.5}}"#)
        })
        .collect();
    let text: Vec<&str> = words.iter().map(|(word, _, _)| *word).collect();
    format!(
        r#"{{"type":"Results","start":{},"duration":{},"is_final":{},"speech_final":{},"channel":
        {{"alternatives":[{{"transcript":"{}","confidence":0.9,"words":[{}]}}]}}}}"#,
        begin as f64 / 1_000.0,
        (until - begin) as f64 / 1_000.0,
        ends.0,
        ends.1,
        text.join(" "),
        timed.join(",")
    )
}

pub(crate) const GROWING: (bool, bool) = (false, false);
pub(crate) const SETTLED: (bool, bool) = (true, false);
pub(crate) const LAST: (bool, bool) = (true, true);

pub(crate) fn serve<T: Send + 'static>(
    life: impl FnOnce(&TcpListener) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("ws://{}", listener.local_addr().unwrap());
    (address, std::thread::spawn(move || life(&listener)))
}

pub(crate) fn accept(listener: &TcpListener) -> Guest {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Guest::greet(stream)
}

pub(crate) fn options(address: &str, deadline: Duration) -> DeepgramOptions {
    let options = DeepgramOptions {
        address: address.to_owned(),
        model: "nova-2 phone".to_owned(),
        key: Some("secret-of-ours".to_owned()),
        deadline,
        authorities: Authorities::default(),
    };
    assert!(!format!("{options:?}").contains("secret"));
    options
}

pub(crate) fn listen(address: &str, deadline: Duration) -> Speech {
    listen_with(options(address, deadline), config())
}

pub(crate) fn listen_with(options: DeepgramOptions, config: SpeechConfig) -> Speech {
    Speech::start_streaming(config, Arc::new(DeepgramEngine::new(options).unwrap()))
}

/// Frames whose every byte is their number.
pub(crate) fn frames(from: usize, count: usize) -> Vec<u8> {
    (from..from + count).flat_map(|number| [(number % 251) as u8; 160]).collect()
}

/// All news up to the first that is asked for.
pub(crate) fn until(line: &Line, wanted: impl Fn(&Heard) -> bool) -> Vec<Heard> {
    let mut all = Vec::new();
    loop {
        all.push(line.heard.recv_timeout(PATIENCE).unwrap());
        if wanted(all.last().unwrap()) {
            return all;
        }
    }
}

pub(crate) fn is_final(heard: &Heard) -> bool {
    matches!(heard, Heard::Hypothesis(Hypothesis { stage: Stage::Final, .. }))
}

pub(crate) fn texts(heard: &[Heard]) -> Vec<String> {
    hypotheses(heard, Stage::Final).into_iter().map(|words| words.text).collect()
}

pub(crate) fn missing(heard: &[Heard]) -> Vec<Gap> {
    heard.iter().filter_map(|news| if let Heard::Gap(gap) = news { Some(*gap) } else { None }).collect()
}

pub(crate) fn after(millis: u64) -> Duration {
    BEGIN + Duration::from_millis(millis)
}

pub(crate) const LONG: Duration = Duration::from_secs(30);
