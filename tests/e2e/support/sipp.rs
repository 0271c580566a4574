//! sipp as a caller, a bot or a phone. A test moves a call on by a nudge: a request with the call's own Call-ID,
//! which sipp takes for news of that call. It is no part of the dialog and the gateway never sees it.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use tempfile::TempDir;

use super::{Deadline, free_address, note, root, witness::Witness};

pub(crate) const PROGRAM: &str = "/usr/bin/sipp";
/// sipp tells by a file; it is looked into this often.
const LOOK: Duration = Duration::from_millis(10);

/// A sipp process and what its scenario tells.
pub(crate) struct Sipp {
    child: Child,
    folder: TempDir,
    /// Where it takes SIP.
    pub(crate) address: SocketAddr,
    told: Arc<Witness<String>>,
    stopped: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

/// What a call should do next; each scenario says what it makes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Nudge {
    /// Hang up, or answer if it rings.
    GoOn,
    /// The bot hands the call over and leaves.
    DeclareByBye,
    /// The bot hands the call over and stays.
    DeclareByRefer,
}

impl Nudge {
    fn method(self) -> &'static str {
        match self {
            Self::GoOn => "INFO",
            Self::DeclareByBye => "MESSAGE",
            Self::DeclareByRefer => "OPTIONS",
        }
    }
}

impl Sipp {
    /// Places a call to the gateway for each port, four a second; its sound is heard and made there.
    pub(crate) fn calls(scenario: &str, gateway: SocketAddr, ports: &[u16]) -> Self {
        let count = ports.len().to_string();
        Self::start(scenario, ports, &[&gateway.to_string(), "-r", "4", "-m", &count, "-l", &count])
    }

    /// Takes calls; the ports for their sound are given out in order, over and over.
    pub(crate) fn answers(scenario: &str, ports: &[u16]) -> Self {
        Self::start(scenario, ports, &[])
    }

    fn start(scenario: &str, ports: &[u16], options: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let lines: String = ports.iter().map(|port| format!("{port};\n")).collect();
        fs::write(folder.path().join("ports.csv"), format!("SEQUENTIAL\n{lines}")).unwrap();
        let address = free_address();
        let child = Command::new(PROGRAM)
            .arg("-sf")
            .arg(root().join(format!("tests/e2e/scenarios/{scenario}.xml")))
            .args(["-i", "127.0.0.1", "-p", &address.port().to_string(), "-nostdin", "-nd"])
            .args(["-trace_logs", "-log_file", "told", "-trace_msg", "-message_file", "messages"])
            .args(["-trace_err", "-error_file", "errors", "-inf", "ports.csv"])
            .args(options)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (told, stopped) = (Arc::new(Witness::default()), Arc::new(AtomicBool::new(false)));
        let (writes, stops, file) = (Arc::clone(&told), Arc::clone(&stopped), folder.path().join("told"));
        let reader = std::thread::spawn(move || {
            let mut read = 0;
            while !stops.load(Ordering::Relaxed) {
                let text = fs::read_to_string(&file).unwrap_or_default();
                let whole = text.rfind('\n').map_or(0, |end| end + 1);
                text.get(read..whole)
                    .unwrap_or_default()
                    .lines()
                    .for_each(|line| writes.push(line.to_owned()));
                read = whole;
                std::thread::sleep(LOOK);
            }
        });
        Self { child, folder, address, told, stopped, reader: Some(reader) }
    }

    /// Waits until the scenario tells `word` of its `number`th call, from 0; gives the Call-ID.
    pub(crate) fn tells(&self, until: Deadline, word: &str, number: usize) -> String {
        self.told.wait(until, word, |lines| {
            let mut calls =
                lines.iter().map(|line| line.split(' ')).filter(|words| words.clone().next() == Some(word));
            calls.nth(number)?.nth(1).map(str::to_owned)
        })
    }

    /// The Call-ID of the caller whose sound is at this port, once it is up.
    pub(crate) fn call_at(&self, until: Deadline, port: u16) -> String {
        let wanted = port.to_string();
        self.told.wait(until, "a caller to be up", |lines| {
            lines.iter().find_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
                ["up", call, at] if at == wanted => Some(call.to_owned()),
                _ => None,
            })
        })
    }

    /// Moves a call on.
    pub(crate) fn nudge(&self, call: &str, nudge: Nudge) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (from, method) = (socket.local_addr().unwrap(), nudge.method());
        let text = format!(
            "{method} sip:nudge@{} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKnudge\r\n\
             From: <sip:test@{from}>;tag=test\r\nTo: <sip:nudge@{}>\r\nCall-ID: {call}\r\n\
             CSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n",
            self.address, self.address
        );
        socket.send_to(text.as_bytes(), self.address).unwrap();
    }

    /// Waits until every call went as the scenario says.
    pub(crate) fn succeeds(mut self, until: Deadline) {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(!until.left().is_zero(), "waited too long for sipp");
            std::thread::sleep(LOOK);
        };
        let errors = fs::read_to_string(self.folder.path().join("errors")).unwrap_or_default();
        assert!(status.success(), "{status}: {errors}");
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
        if std::thread::panicking() {
            for file in ["told", "errors", "messages"] {
                let text = fs::read_to_string(self.folder.path().join(file)).unwrap_or_default();
                note(&format!("sipp's {file}:\n{text}"));
            }
        }
    }
}
