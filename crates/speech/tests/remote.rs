//! Recognition elsewhere, against a small server of our own on loopback: asked rightly, slow, broken, silent.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "test code fails by panicking"
)]

mod support;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use segue_media::wav;
use segue_speech::{
    Authorities, GapCause, OpenAiEngine, OpenAiOptions, Speech, SpeechConfig,
    pool::{DecodeError, Decoded, Engine, Stop},
};
use segue_trigger::{Speaker, Stage};
use support::{Line, PATIENCE, assert_whole, clock, config, gaps, hypotheses, said, script};

/// What the server gives for one request.
enum Answer {
    Says(&'static str, &'static str),
    /// Nothing, until the client hangs up.
    Never,
}

/// One request as the server got it.
struct Asked {
    head: Vec<String>,
    fields: Vec<(String, Vec<u8>)>,
}

impl Asked {
    fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }
}

/// Answers as many requests as it was given answers for, each on a connection of its own.
struct Server {
    address: String,
    asked: Receiver<Asked>,
    thread: JoinHandle<()>,
}

impl Server {
    fn start(answers: Vec<Answer>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (tell, asked) = channel();
        let thread = std::thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                one(stream, &answer, &tell);
            }
        });
        Server { address, asked, thread }
    }
}

fn one(mut stream: TcpStream, answer: &Answer, tell: &Sender<Asked>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        head.push(line.to_owned());
    }
    let value = |name: &str| {
        let line = head.iter().find(|line| line.to_lowercase().starts_with(name)).unwrap();
        line.split_once(':').unwrap().1.trim().to_owned()
    };
    let mut body = vec![0; value("content-length").parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let kind = value("content-type");
    let fields = parts(&body, kind.split_once("boundary=").unwrap().1);
    tell.send(Asked { head, fields }).unwrap();
    match answer {
        Answer::Says(status, body) => {
            let length = body.len();
            let text = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            stream.write_all(text.as_bytes()).unwrap();
        }
        Answer::Never => assert_eq!(reader.read(&mut [0; 1]).unwrap_or(0), 0, "the client hangs up"),
    }
}

/// The parts of a form, by name.
fn parts(body: &[u8], boundary: &str) -> Vec<(String, Vec<u8>)> {
    let mark = format!("--{boundary}").into_bytes();
    let places: Vec<usize> = (0..body.len()).filter(|at| body[*at..].starts_with(&mark)).collect();
    assert_eq!(body[*places.last().unwrap() + mark.len()..], *b"--\r\n", "the form is closed");
    let part = |pair: &[usize]| {
        let whole = &body[pair[0] + mark.len() + 2..pair[1] - 2];
        let end = whole.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(whole[..end].to_vec()).unwrap();
        let name = head.split_once("name=\"").unwrap().1.split('"').next().unwrap().to_owned();
        (name, whole[end + 4..].to_vec())
    };
    places.windows(2).map(part).collect()
}

fn options(address: &str) -> OpenAiOptions {
    OpenAiOptions {
        address: address.to_owned(),
        model: "whisper-1".to_owned(),
        key: Some("secret-of-ours".to_owned()),
        deadline: Duration::from_secs(20),
        vocabulary: "Segue".to_owned(),
        authorities: Authorities::default(),
    }
}

fn decode(options: OpenAiOptions, times: usize) -> Vec<Result<Decoded, DecodeError>> {
    let mut decoder = OpenAiEngine::new(options).decoder().unwrap();
    let stop = Stop::at(Duration::MAX, clock());
    (0..times).map(|_| decoder.decode(&[7; 16_000], Some("de"), &stop)).collect()
}

const SURE: &str = r#"{"task":"transcribe","text":" I want  a human. ","duration":1.0,
    "segments":[{"id":0,"avg_logprob":-0.105,"no_speech_prob":0.01,"tokens":[1,2]}]}"#;
const NOBODY: &str = r#"{"text":"Thank you.","segments":[{"avg_logprob":-1.6,"no_speech_prob":0.9}]}"#;

#[test]
fn an_utterance_is_sent_as_a_form_and_its_words_and_their_confidence_come_back() {
    let server = Server::start(vec![Answer::Says("200 OK", SURE)]);
    let words = decode(options(&server.address), 1).remove(0).unwrap();
    assert_eq!(words.text, "I want a human.");
    assert!((words.confidence - 0.9).abs() < 0.01, "{}", words.confidence);
    let asked = server.asked.recv().unwrap();
    assert_eq!(asked.head[0], "POST /v1/audio/transcriptions HTTP/1.1");
    assert!(asked.head.iter().any(|line| line.eq_ignore_ascii_case("authorization: Bearer secret-of-ours")));
    assert_eq!(asked.field("model"), Some(&b"whisper-1"[..]));
    assert_eq!(asked.field("language"), Some(&b"de"[..]));
    assert_eq!(asked.field("prompt"), Some(&b"Segue"[..]));
    let (rate, samples) = wav::decode(asked.field("file").unwrap()).unwrap();
    assert_eq!((rate, samples), (16_000, vec![7; 16_000]));
    server.thread.join().unwrap();
}

#[test]
fn a_server_that_gives_the_text_alone_is_understood_and_silence_is_nothing() {
    let server = Server::start(vec![
        Answer::Says("200 OK", r#"{"text":"my parcel is late"}"#),
        Answer::Says("200 OK", NOBODY),
        Answer::Says("200 OK", r#"{"text":"  "}"#),
    ]);
    let heard = decode(options(&server.address), 3);
    let texts: Vec<&str> = heard.iter().map(|decoded| decoded.as_ref().unwrap().text.as_str()).collect();
    assert_eq!(texts, ["my parcel is late", "", ""]);
    assert!(heard[0].as_ref().unwrap().confidence < 1.0, "not surer than it can be");
    server.thread.join().unwrap();
}

#[test]
fn what_the_server_does_wrong_is_said() {
    let server = Server::start(vec![
        Answer::Says("200 OK", "<html>busy</html>"),
        Answer::Says("401 Unauthorized", r#"{"error":{"message":"bad key"}}"#),
    ]);
    let heard = decode(options(&server.address), 3);
    let said: Vec<String> = heard.into_iter().map(|answer| answer.unwrap_err().to_string()).collect();
    assert!(said[0].contains("no transcription") && said[0].contains("busy"), "{}", said[0]);
    assert!(said[1].contains("401") && said[1].contains("bad key"), "{}", said[1]);
    assert!(said[2].contains("left alone"), "who refuses the key is not asked again: {}", said[2]);
    assert!(!said.concat().contains("secret"), "{said:?}");
    server.thread.join().unwrap();
}

#[test]
fn a_server_that_never_answers_is_left_at_the_deadline() {
    let server = Server::start(vec![Answer::Never]);
    let quick = OpenAiOptions { deadline: Duration::from_millis(200), ..options(&server.address) };
    assert!(matches!(decode(quick, 1).remove(0), Err(DecodeError::Failed(_))));
    server.thread.join().unwrap();
}

#[test]
fn a_service_that_keeps_failing_is_not_asked_any_more() {
    let failures = (0..5).map(|_| Answer::Says("500 Internal Server Error", "{}")).collect();
    let server = Server::start(failures);
    let heard = decode(options(&server.address), 8);
    assert!(heard.iter().all(Result::is_err));
    let last = heard.last().unwrap().as_ref().unwrap_err().to_string();
    assert!(last.contains("left alone"), "{last}");
    server.thread.join().unwrap();
    assert_eq!(server.asked.iter().count(), 5);
}

#[test]
fn a_conversation_goes_through_it_and_a_failure_is_a_gap() {
    let server = Server::start(vec![
        Answer::Says("200 OK", SURE),
        Answer::Says("503 Service Unavailable", "overloaded"),
        Answer::Says("200 OK", r#"{"text":"thank you"}"#),
    ]);
    let engine = Arc::new(OpenAiEngine::new(options(&server.address)));
    let config = SpeechConfig { workers: 1, ..config() };
    let speech = Speech::start(config, Some(engine)).unwrap();
    let mut line = Line::open(&speech, Speaker::Caller, false);
    for sentence in ["I want a human", "My parcel is late", "Thank you"] {
        line.feed(&speech, &script(&[said(sentence)]));
        // The next is not spoken before the server was asked for this one.
        server.asked.recv_timeout(PATIENCE).unwrap();
    }
    let heard = line.end();
    assert_whole(&heard);
    let texts: Vec<String> = hypotheses(&heard, Stage::Final).into_iter().map(|words| words.text).collect();
    assert_eq!(texts, ["I want a human.", "thank you"]);
    assert_eq!(gaps(&heard), [GapCause::EngineFailed]);
    server.thread.join().unwrap();
}
