//! A client of the gateway's API: requests one by one, and the event stream from its beginning.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use serde_json::Value;

use super::{Deadline, witness::Witness};

/// An answer to a request takes no longer.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// The API and what its event stream has told.
pub(crate) struct Api {
    address: SocketAddr,
    pub(crate) events: Arc<Witness<Event>>,
}

/// One CloudEvent.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) kind: String,
    /// Which call, agent or queue.
    pub(crate) subject: String,
    /// Since the Unix epoch.
    pub(crate) at: Duration,
    pub(crate) data: Value,
}

impl Event {
    /// A field of the data that is text; empty if it is not there.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.data[field].as_str().unwrap_or_default()
    }

    /// Whether a handoff came to this state.
    pub(crate) fn is_handoff(&self, state: &str) -> bool {
        self.kind == "segue.handoff.state" && self.text("state") == state
    }

    /// Whether a call came to this phase.
    pub(crate) fn is_phase(&self, phase: &str) -> bool {
        self.kind == "segue.call.phase" && self.text("phase") == phase
    }

    /// Whether the gateway begins to speak to this party.
    pub(crate) fn is_saying(&self, ear: &str) -> bool {
        self.kind == "segue.call.saying" && self.text("ear") == ear
    }
}

impl Api {
    /// Subscribes to the events of a gateway that is ready.
    pub(crate) fn subscribe(address: SocketAddr) -> Self {
        let events = Arc::new(Witness::default());
        let (mut socket, _) = tungstenite::connect(format!("ws://{address}/v1/events")).unwrap();
        let opened = socket.read().unwrap();
        assert!(opened.to_text().unwrap().contains("segue.stream.opened"), "{opened}");
        let told = Arc::clone(&events);
        std::thread::spawn(move || {
            while let Ok(message) = socket.read() {
                if let tungstenite::Message::Text(text) = message {
                    told.push(event(&text));
                }
            }
        });
        Self { address, events }
    }

    /// Asks for something: the status, the head and the body.
    pub(crate) fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(ANSWER_MAX)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap();
        (status, head.to_owned(), body.to_owned())
    }

    /// A JSON document that has to be there.
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, _, body) = Self::ask(self.address, "GET", path, "");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the gateway says that it takes calls.
    pub(crate) fn ready(&self) -> u16 {
        Self::ask(self.address, "GET", "/readyz", "").0
    }

    /// All metrics, as they are written.
    pub(crate) fn metrics(&self) -> String {
        Self::ask(self.address, "GET", "/metrics", "").2
    }

    /// A gauge or counter without labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.metrics();
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or_else(|| panic!("no metric {name}"))
    }

    /// One agent as the API shows them.
    pub(crate) fn agent(&self, id: &str) -> Value {
        let all = self.get("/v1/agents");
        let mut agents = all["agents"].as_array().unwrap().iter();
        agents.find(|agent| agent["id"] == id).unwrap_or_else(|| panic!("no agent {id}")).clone()
    }

    /// Asks again and again, at the pace of the news, until the answer is what is wanted.
    pub(crate) fn until<R>(&self, until: Deadline, what: &str, look: impl Fn(&Self) -> Option<R>) -> R {
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(!until.left().is_zero(), "waited too long until {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The next event of a kind that is wanted, among all since the start.
    pub(crate) fn event(&self, until: Deadline, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        self.events.wait_for(until, what, wanted)
    }

    /// The call that began as the `number`th, from 0.
    pub(crate) fn call(&self, until: Deadline, number: usize) -> String {
        self.events.wait(until, "a call", |seen| {
            let mut calls: Vec<&str> = Vec::new();
            for event in seen.iter().filter(|event| event.kind == "segue.call.phase") {
                if !calls.contains(&event.subject.as_str()) {
                    calls.push(&event.subject);
                }
            }
            calls.get(number).map(|id| (*id).to_owned())
        })
    }
}

fn event(text: &str) -> Event {
    let value: Value = serde_json::from_str(text).unwrap();
    Event {
        kind: value["type"].as_str().unwrap_or_default().to_owned(),
        subject: value["subject"].as_str().unwrap_or_default().to_owned(),
        at: value["time"].as_str().map(moment).unwrap_or_default(),
        data: value["data"].clone(),
    }
}

/// An RFC 3339 time in UTC, since the Unix epoch.
pub(crate) fn moment(text: &str) -> Duration {
    let number = |range: std::ops::Range<usize>| -> u64 {
        text.get(range).and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("no time: {text}"))
    };
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    // Days since 1970-01-01, with years that begin in March so that leap days come last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + number(11..13) * 3_600 + number(14..16) * 60 + number(17..19);
    let fraction: String = text[19..].chars().skip(1).take_while(char::is_ascii_digit).collect();
    let fraction = if fraction.is_empty() { 0.0 } else { format!("0.{fraction}").parse().unwrap() };
    Duration::from_secs(seconds) + Duration::from_secs_f64(fraction)
}

#[test]
fn a_moment_is_read_from_the_apis_form() {
    assert_eq!(moment("1970-01-01T00:00:00Z"), Duration::ZERO);
    assert_eq!(moment("2024-02-29T12:00:00.25Z"), Duration::from_millis(1_709_208_000_250));
}
