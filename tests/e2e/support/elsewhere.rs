//! Transcription services of our own, in OpenAI's dialect and in Deepgram's. They know a few sentences by their sound:
//! words are given when their very sound arrived, and no others.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use segue_media::{g711::Law, level, wav};
use tungstenite::Message;

use super::listening::{correlation, find};

/// Samples that are compared: a quarter of a second.
const PIECE: usize = 2_000;
/// What G.711 and the way to 16 kHz and back leave of a sound.
const ALIKE_MIN: f32 = 0.8;
/// Samples of silence that end an utterance.
const PAUSE: usize = 3_200;
/// Samples between two results while somebody speaks.
const STEP: usize = 8_000;

/// A sentence: its sound at 8 kHz, and its words.
pub(crate) type Sentence = (Vec<i16>, &'static str);

/// A service that runs until it is told to die.
pub(crate) struct Elsewhere {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    sentences: Vec<Sentence>,
    guests: Mutex<Vec<TcpStream>>,
    dead: AtomicBool,
}

impl Elsewhere {
    /// `POST /v1/audio/transcriptions`.
    pub(crate) fn per_utterance(sentences: Vec<Sentence>) -> Self {
        Self::start(sentences, |stream, shared| {
            // A request that is cut off was given up by the gateway, or by our death.
            drop(answer(stream, shared));
        })
    }

    /// `WS /v1/listen`.
    pub(crate) fn streaming(sentences: Vec<Sentence>) -> Self {
        Self::start(sentences, |stream, shared| drop(listen(stream, shared)))
    }

    fn start(sentences: Vec<Sentence>, serve: fn(TcpStream, &Shared)) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { sentences, guests: Mutex::default(), dead: AtomicBool::default() });
        let own = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if own.dead.load(Ordering::Relaxed) {
                    return;
                }
                let mut guests = own.guests.lock().unwrap_or_else(PoisonError::into_inner);
                guests.push(stream.try_clone().unwrap());
                drop(guests);
                let shared = Arc::clone(&own);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hangs up on everybody and takes nobody any more.
    pub(crate) fn die(&mut self) {
        self.shared.dead.store(true, Ordering::Relaxed);
        // Wakes the listener, which then goes.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        for guest in self.shared.guests.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // Most have gone by themselves.
            drop(guest.shutdown(Shutdown::Both));
        }
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.die();
    }
}

/// A word and where its sound begins and ends in what was heard, in samples.
struct Word {
    text: &'static str,
    start: usize,
    end: usize,
}

impl Shared {
    /// The words whose sound is in what was heard: each stands where its share of the sentence is.
    fn words(&self, heard: &[i16]) -> Vec<Word> {
        let loudest = heard.windows(PIECE).enumerate().step_by(PIECE / 4);
        let Some((at, piece)) = loudest.max_by(|a, b| level::dbov(a.1).total_cmp(&level::dbov(b.1))) else {
            return Vec::new();
        };
        for (sound, text) in &self.sentences {
            let Some(place) = find(piece, sound) else { continue };
            if sound.get(place..).is_none_or(|same| correlation(piece, same) < ALIKE_MIN) {
                continue;
            }
            let words: Vec<&'static str> = text.split(' ').collect();
            let each = sound.len() / words.len();
            let placed = words.into_iter().enumerate().filter_map(|(number, text)| {
                // A sentence that began before what was heard has lost its first words.
                let start = (at + number * each).checked_sub(place)?;
                (start + each / 2 <= heard.len()).then_some(Word { text, start, end: start + each })
            });
            return placed.collect();
        }
        Vec::new()
    }
}

fn said(words: &[Word]) -> String {
    words.iter().map(|word| word.text).collect::<Vec<_>>().join(" ")
}

/// One request.
fn answer(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    assert!(head.starts_with("POST /v1/audio/transcriptions HTTP/1.1"), "{head}");
    let lower = head.to_lowercase();
    let value =
        |name: &str| lower.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let mut body = vec![0; value("content-length:").parse().unwrap()];
    reader.read_exact(&mut body)?;
    let place = |what: &[u8]| body.windows(what.len()).position(|bytes| bytes == what).unwrap();
    let file = &body[place(b"RIFF")..];
    let (rate, sound) = wav::decode(file).unwrap();
    assert_eq!(rate, 16_000);
    let narrow: Vec<i16> =
        sound.chunks_exact(2).map(|pair| (pair[0] / 2).saturating_add(pair[1] / 2)).collect();
    let text = format!("{{\"text\":\"{}\"}}", said(&shared.words(&narrow)));
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
    let mut stream = reader.into_inner();
    write!(stream, "{head}Content-Length: {}\r\n\r\n{text}", text.len())
}

/// One voice.
#[expect(clippy::result_large_err, reason = "the refusal is tungstenite's own type")]
fn listen(stream: TcpStream, shared: &Shared) -> Result<(), Box<dyn std::error::Error>> {
    let mut asked = String::new();
    let keep = |request: &tungstenite::handshake::server::Request, response| {
        asked = request.uri().to_string();
        Ok(response)
    };
    let mut socket = tungstenite::accept_hdr(stream, keep).map_err(|error| error.to_string())?;
    assert!(asked.starts_with("/v1/listen?encoding=mulaw&sample_rate=8000&channels=1"), "{asked}");
    let (mut heard, mut settled, mut told) = (Vec::new(), 0, 0);
    loop {
        let closing = match socket.read()? {
            Message::Binary(sound) => {
                heard.extend(sound.iter().map(|byte| Law::Pcmu.decode(*byte)));
                false
            }
            Message::Text(text) => text.contains("CloseStream"),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => false,
            Message::Close(_) => return Ok(()),
        };
        let rest = &heard[settled..];
        let pauses = heard.len() >= PAUSE && level::dbov(&heard[heard.len() - PAUSE..]) < level::SILENCE;
        if closing || (pauses && level::dbov(rest) > level::SILENCE) || rest.len() > 12 * STEP {
            socket.send(Message::text(result(&shared.words(rest), (settled, heard.len()), true)))?;
            (settled, told) = (heard.len(), heard.len());
        } else if heard.len() >= told + STEP {
            let words = shared.words(rest);
            // What holds no words is settled, as services do from time to time.
            let empty = words.is_empty();
            socket.send(Message::text(result(
                &words,
                (settled, heard.len()),
                empty && rest.len() > 4 * STEP,
            )))?;
            told = heard.len();
            settled = if empty && rest.len() > 4 * STEP { heard.len() } else { settled };
        }
        if closing {
            socket.send(Message::text("{\"type\":\"Metadata\",\"request_id\":\"1\"}"))?;
        }
    }
}

/// A result of the dialect, about a piece of the connection's sound.
fn result(words: &[Word], (from, until): (usize, usize), last: bool) -> String {
    let seconds = |samples: usize| samples as f64 / 8_000.0;
    let timed: Vec<String> = words
        .iter()
        .map(|word| {
            let (start, end) = (seconds(from + word.start), seconds(from + word.end));
            format!("{{\"word\":\"{}\",\"start\":{start},\"end\":{end},\"confidence\":0.9}}", word.text)
        })
        .collect();
    format!(
        "{{\"type\":\"Results\",\"start\":{},\"duration\":{},\"is_final\":{last},\"speech_final\":{last},\"channel\":\
         {{\"alternatives\":[{{\"transcript\":\"{}\",\"confidence\":0.9,\"words\":[{}]}}]}}}}",
        seconds(from),
        seconds(until - from),
        said(words),
        timed.join(",")
    )
}
