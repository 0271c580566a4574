//! Mouth and ear of a party whose signalling is sipp's: one UDP port that sends µ-law every 20 ms and keeps every
//! packet that comes in. It speaks to whoever spoke to it last, as sipp does not tell us what SDP it was given.

use std::{
    collections::VecDeque,
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use segue_media::g711::Law;

use super::{Deadline, now, recording::Packet, witness::Witness};

/// Samples of one packet.
pub(crate) const FRAME: usize = 160;
const FRAME_TIME: Duration = Duration::from_millis(20);
/// Payload type of telephone-event in every scenario.
pub(crate) const KEYS: u8 = 101;
/// Packets that a pressed key lasts, the first of them marked.
const KEY_PACKETS: u16 = 5;
/// How often its end is told (RFC 4733 §2.5.1.4).
const KEY_ENDS: u16 = 3;

/// 12 dB.
const ECHO_BELOW: i16 = 4;
/// Samples of 120 ms.
const ECHO_DELAY: usize = 960;

/// One port that speaks and listens.
pub(crate) struct Endpoint {
    pub(crate) port: u16,
    mouth: Arc<Mouth>,
    /// Everything that came in.
    pub(crate) ear: Arc<Witness<Packet>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Mouth {
    words: Mutex<Words>,
    said: Condvar,
    stopped: AtomicBool,
    silent: AtomicBool,
    echoes: AtomicBool,
}

#[derive(Default)]
struct Words {
    queue: VecDeque<i16>,
    /// What is sent over and over when there is nothing to say; empty: digital silence.
    idle: Vec<i16>,
    idle_place: usize,
    keys: VecDeque<u8>,
}

impl Mouth {
    fn words(&self) -> MutexGuard<'_, Words> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Endpoint {
    /// Opens a port and begins to listen.
    pub(crate) fn open() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let (mouth, ear) = (Arc::new(Mouth::default()), Arc::new(Witness::default()));
        let line = Line {
            socket,
            remote: None,
            sequence: 1,
            timestamp: 0,
            ssrc: u32::from(port),
            echo: VecDeque::new(),
            key: None,
        };
        let (its_mouth, its_ear) = (Arc::clone(&mouth), Arc::clone(&ear));
        let thread = std::thread::spawn(move || line.run(&its_mouth, &its_ear));
        Self { port, mouth, ear, thread: Some(thread) }
    }

    /// What is sent from now on whenever nothing else is said.
    pub(crate) fn idle(&self, samples: Vec<i16>) {
        let mut words = self.mouth.words();
        (words.idle, words.idle_place) = (samples, 0);
    }

    /// Says something after what is being said already.
    pub(crate) fn say(&self, samples: &[i16]) {
        self.mouth.words().queue.extend(samples);
    }

    /// Says something and waits until the last of it is sent; gives the moment.
    pub(crate) fn say_out(&self, until: Deadline, samples: &[i16]) -> Duration {
        self.say(samples);
        let mut words = self.mouth.words();
        while !words.queue.is_empty() {
            assert!(!until.left().is_zero(), "waited too long for the end of an utterance");
            let waited = self.mouth.said.wait_timeout(words, until.left());
            words = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        now()
    }

    /// Sends nothing any more, and goes on listening.
    pub(crate) fn fall_silent(&self) {
        self.mouth.silent.store(true, Ordering::Relaxed);
    }

    /// Sends back what it hears from now on, 120 ms later and 12 dB quieter, below what it says: a loudspeaker beside its
    /// microphone.
    pub(crate) fn send_back(&self) {
        self.mouth.echoes.store(true, Ordering::Relaxed);
    }

    /// Presses a key for 100 ms (RFC 4733).
    pub(crate) fn press(&self, key: char) {
        let event = "0123456789*#ABCD".find(key).unwrap();
        self.mouth.words().keys.push_back(event as u8);
    }

    /// Waits until so many packets came in after those that are there now.
    pub(crate) fn hears_more(&self, until: Deadline, packets: usize) {
        let wanted = self.ear.count() + packets;
        self.ear.wait(until, "more sound", |heard| (heard.len() >= wanted).then_some(()));
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.mouth.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The thread's side.
struct Line {
    socket: UdpSocket,
    remote: Option<SocketAddr>,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    /// What was heard and is sent back.
    echo: VecDeque<i16>,
    /// The event that is being sent, how many packets of it went out, and its timestamp.
    key: Option<(u8, u16, u32)>,
}

impl Line {
    fn run(mut self, mouth: &Mouth, ear: &Witness<Packet>) {
        let mut due = Instant::now() + FRAME_TIME;
        let mut bytes = [0; 2048];
        while !mouth.stopped.load(Ordering::Relaxed) {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.send(mouth);
                due += FRAME_TIME;
                continue;
            }
            self.socket.set_read_timeout(Some(left)).unwrap();
            match self.socket.recv_from(&mut bytes) {
                Ok((length, from)) => {
                    if let Some(packet) = Packet::read(&bytes[..length], now()) {
                        self.remote = Some(from);
                        if packet.is_sound() && mouth.echoes.load(Ordering::Relaxed) {
                            self.keep(&packet.payload);
                        }
                        ear.push(packet);
                    }
                }
                Err(error) => assert!(
                    matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionRefused
                    ),
                    "{error}"
                ),
            }
        }
    }

    /// Keeps what was heard, to be sent back; what comes late is not waited for.
    fn keep(&mut self, payload: &[u8]) {
        if self.echo.is_empty() {
            self.echo.extend([0; ECHO_DELAY]);
        }
        self.echo.extend(payload.iter().map(|byte| Law::Pcmu.decode(*byte)));
        let surplus = self.echo.len().saturating_sub(2 * ECHO_DELAY);
        self.echo.drain(..surplus);
    }

    fn send(&mut self, mouth: &Mouth) {
        let Some(remote) = self.remote.filter(|_| !mouth.silent.load(Ordering::Relaxed)) else { return };
        let (payload_type, marker, timestamp, payload) = self.next(mouth);
        let mut packet = vec![0x80, payload_type | if marker { 0x80 } else { 0 }];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
        // A far side that has gone is the test's business, not the line's.
        drop(self.socket.send_to(&packet, remote));
    }

    fn next(&mut self, mouth: &Mouth) -> (u8, bool, u32, Vec<u8>) {
        let mut words = mouth.words();
        if self.key.is_none() {
            self.key = words.keys.pop_front().map(|event| (event, 0, self.timestamp));
        }
        if let Some((event, sent, since)) = self.key {
            let end = if sent >= KEY_PACKETS { 0x80 } else { 0 };
            let length = FRAME as u16 * (sent.min(KEY_PACKETS) + 1);
            let [high, low] = length.to_be_bytes();
            self.key = (sent + 1 < KEY_PACKETS + KEY_ENDS).then_some((event, sent + 1, since));
            return (KEYS, sent == 0, since, vec![event, end | 10, high, low]);
        }
        let mut samples = [0; FRAME];
        for sample in &mut samples {
            let echo = self.echo.pop_front().unwrap_or(0) / ECHO_BELOW;
            *sample = words.next().saturating_add(echo);
        }
        if words.queue.is_empty() {
            mouth.said.notify_all();
        }
        let payload = samples.iter().map(|sample| Law::Pcmu.encode(*sample)).collect();
        (0, false, self.timestamp, payload)
    }
}

impl Words {
    fn next(&mut self) -> i16 {
        if let Some(sample) = self.queue.pop_front() {
            return sample;
        }
        let Some(sample) = self.idle.get(self.idle_place).copied() else { return 0 };
        self.idle_place = (self.idle_place + 1) % self.idle.len();
        sample
    }
}
