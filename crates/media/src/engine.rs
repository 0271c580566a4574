//! The engine: all legs of the calls of one media thread.
//!
//! The driver's duty: 1. give it commands, packets as they come, and a tick every 20 ms; 2. after each of
//! these, take everything that `poll_transmit`, `poll_report` and `poll_tap` have; 3. wait.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use crate::{
    command::{Channel, Command, LegId, LegStats, PlayId, Report, Source, TapFrame, TapPayload, Transmit},
    ear::Ear,
    jitter::JitterLimits,
    music::Music,
    outbox::Outbox,
    random::Random,
    rtcp::{Control, Way},
    rtp,
    session::Codec,
    voice::{News, Tapped, Voice},
    watchdog::{FRAME_TIME, Watchdog},
};

/// How an engine behaves. Cheap to clone: engines that are made from clones share the music.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// A watched ear is never sent silence for longer than this; zero switches all watching off.
    pub watchdog: Duration,
    /// How long jitter buffers hold sound back.
    pub jitter: JitterLimits,
    /// Legs at one time; beyond it `Open` is refused.
    pub legs_max: usize,
    /// Tap frames waiting to be taken; beyond it the oldest is dropped and counted.
    pub taps_max: usize,
    /// Ticks that are made up for after a stall; what lies further back is skipped and counted.
    pub catch_up_max: u32,
    /// The payload type that our own offers give telephone-event.
    pub telephone_event: u8,
    /// Mean time between two RTCP reports of a leg (RFC 3550 §6.2); zero sends none.
    pub rtcp_interval: Duration,
    /// What is heard on hold and as filler.
    pub music: Music,
}

impl Default for EngineConfig {
    /// The product's defaults. Renders the hold music, which takes about 0.1 s: make one and
    /// clone it.
    fn default() -> Self {
        Self {
            watchdog: Duration::from_secs(2),
            jitter: JitterLimits::default(),
            legs_max: 4096,
            taps_max: 8192,
            catch_up_max: 10,
            telephone_event: 101,
            rtcp_interval: Duration::from_secs(5),
            music: Music::render(),
        }
    }
}

/// What an engine counts over all its legs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineCounters {
    /// Ticks made so far.
    pub ticks: u64,
    /// Ticks that came more than a tick late and were made up for.
    pub ticks_late: u64,
    /// Ticks that came so late that their sound was never sent.
    pub ticks_skipped: u64,
    /// Packets for legs that do not exist.
    pub packets_unknown: u64,
    /// Packets that nobody took to send.
    pub packets_untaken: u64,
    /// Tap frames that nobody took.
    pub taps_dropped: u64,
    /// Keys that could not be sent or reported.
    pub keys_dropped: u64,
}

/// All legs of one media thread.
pub struct Engine {
    config: EngineConfig,
    random: Random,
    voices: BTreeMap<LegId, Voice>,
    ears: BTreeMap<LegId, Ear>,
    controls: BTreeMap<LegId, Control>,
    taps: BTreeSet<LegId>,
    plays: BTreeMap<PlayId, LegId>,
    /// When the next tick is due; none before the first.
    due: Option<Duration>,
    outbox: Outbox,
    reports: VecDeque<Report>,
    tapped: VecDeque<TapFrame>,
    counters: EngineCounters,
}

/// A tick may come so much before its time: timers are not exact.
const EARLY: Duration = Duration::from_millis(8);
/// A tick that comes further before its time than this means that the clock was set back.
const STEP_BACK_MAX: Duration = Duration::from_millis(200);
/// Reports waiting to be taken; beyond it keys, the only ones that strangers can cause, are dropped.
const REPORTS_MAX: usize = 16_384;

impl Engine {
    /// Makes an engine without legs. From the seed follow its SSRCs, starts of sequences and noise: give every
    /// engine of a running gateway another one.
    #[must_use]
    pub fn new(config: EngineConfig, seed: u64) -> Self {
        let packets_max = config.legs_max.saturating_mul(config.catch_up_max as usize + 3).max(64);
        Self {
            config,
            random: Random::new(seed),
            voices: BTreeMap::new(),
            ears: BTreeMap::new(),
            controls: BTreeMap::new(),
            taps: BTreeSet::new(),
            plays: BTreeMap::new(),
            due: None,
            outbox: Outbox::new(packets_max),
            reports: VecDeque::new(),
            tapped: VecDeque::new(),
            counters: EngineCounters::default(),
        }
    }

    /// Carries out an order. Orders for legs that are gone change nothing; a prompt for one ends as stopped.
    pub fn command(&mut self, now: Duration, command: Command) {
        match command {
            Command::Open { leg, codec, watched } => self.open(leg, codec, watched),
            Command::Remote { leg, description, signalling } => {
                if let Some(voice) = self.voices.get_mut(&leg) {
                    voice.remote(&description, signalling.map(|address| address.ip()));
                }
                if let Some(ear) = self.ears.get_mut(&leg) {
                    ear.remote(&description);
                }
                if let Some(control) = self.controls.get_mut(&leg) {
                    control.remote(&description);
                }
            }
            Command::Wire(ears) => {
                for (leg, source) in ears {
                    if let Some(ear) = self.ears.get_mut(&leg) {
                        ear.wire(source);
                    }
                }
            }
            Command::Play { leg, play, sound } => match self.ears.get_mut(&leg) {
                Some(ear) => {
                    let replaced = ear.play(play, sound);
                    self.plays.insert(play, leg);
                    self.ended(replaced, false);
                }
                None => self.reports.push_back(Report::Played { play, finished: false }),
            },
            Command::Stop { play } => {
                let ear = self.plays.get(&play).and_then(|leg| self.ears.get_mut(leg));
                let stopped = ear.is_some_and(|ear| ear.stop(play));
                self.ended(stopped.then_some(play), false);
            }
            Command::SendKeys { leg, keys } => self.send_keys(leg, &keys),
            Command::Tap { leg, on: true } if self.voices.contains_key(&leg) => {
                self.taps.insert(leg);
            }
            Command::Tap { leg, .. } => {
                self.taps.remove(&leg);
            }
            Command::Watch { leg, on } => {
                if let Some(ear) = self.ears.get_mut(&leg) {
                    ear.watch(on);
                }
            }
            Command::Measure { leg, mark } => {
                if let Some(ear) = self.ears.get_mut(&leg) {
                    self.reports.push_back(Report::Measured { leg, mark, ear: ear.mark() });
                }
            }
            Command::Close { leg } => self.close(now, leg),
        }
    }

    /// Takes in a packet that came to a leg's port. Any bytes are safe.
    #[expect(clippy::too_many_arguments, reason = "a datagram is when, at which port, whence and what")]
    pub fn on_packet(&mut self, now: Duration, leg: LegId, channel: Channel, from: SocketAddr, bytes: &[u8]) {
        let Some(voice) = self.voices.get_mut(&leg) else {
            self.counters.packets_unknown += 1;
            return;
        };
        if channel == Channel::Rtcp || rtp::is_rtcp(bytes) {
            let (Some(control), Some(ear)) = (self.controls.get_mut(&leg), self.ears.get(&leg)) else {
                return;
            };
            let ours = voice.lock.admits_control(from);
            if !ours || control.read(now, from, ear.timeline().ssrc, bytes).is_err() {
                voice.reject();
            }
            return;
        }
        match voice.on_rtp(now, from, bytes) {
            News::None => {}
            News::First => self.reports.push_back(Report::Heard { leg }),
            News::Key(key) => self.pressed(leg, key),
            News::FirstKey(key) => {
                self.reports.push_back(Report::Heard { leg });
                self.pressed(leg, key);
            }
        }
    }

    /// Makes the frames that are due: one for each 20 ms since the first tick. A tick that comes early by less
    /// than 8 ms counts for its time; a late one makes up for up to `catch_up_max` frames and skips the rest.
    pub fn on_tick(&mut self, now: Duration) {
        // A clock that was set back must not leave callers waiting until it is forward again.
        let mut due = self.due.filter(|due| *due <= now + STEP_BACK_MAX).unwrap_or(now);
        let behind = (now.saturating_sub(due).as_nanos() / FRAME_TIME.as_nanos()) as u64;
        let skipped = behind.saturating_sub(u64::from(self.config.catch_up_max));
        if skipped > 0 {
            let frames = u32::try_from(skipped).unwrap_or(u32::MAX);
            due = due.saturating_add(FRAME_TIME * frames);
            self.counters.ticks_skipped += skipped;
            self.ears.values_mut().for_each(|ear| ear.skip(frames));
        }
        self.counters.ticks_late += behind.min(u64::from(self.config.catch_up_max));
        while due <= now + EARLY {
            self.tick(due);
            due += FRAME_TIME;
        }
        self.due = Some(due);
    }

    /// The next packet to send. The bytes are valid until the next call.
    pub fn poll_transmit(&mut self) -> Option<(Transmit, &[u8])> {
        self.outbox.pop()
    }

    /// The next piece of news.
    pub fn poll_report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }

    /// The next tap frame.
    pub fn poll_tap(&mut self) -> Option<TapFrame> {
        self.tapped.pop_front()
    }

    /// The numbers of a leg so far.
    #[must_use]
    pub fn stats(&self, leg: LegId) -> Option<LegStats> {
        let (voice, ear) = (self.voices.get(&leg)?, self.ears.get(&leg)?);
        let far = self.controls.get(&leg)?.far;
        Some(LegStats {
            sent: ear.timeline().packets,
            round_trip: far.round_trip,
            far_lost: far.lost,
            far_jitter: far.jitter,
            ..voice.stats()
        })
    }

    /// The legs that are open.
    #[must_use]
    pub fn legs(&self) -> usize {
        self.voices.len()
    }

    /// What was counted so far.
    #[must_use]
    pub const fn counters(&self) -> EngineCounters {
        EngineCounters { packets_untaken: self.outbox.dropped(), ..self.counters }
    }

    fn open(&mut self, leg: LegId, codec: Codec, watched: bool) {
        if self.voices.len() >= self.config.legs_max || self.voices.contains_key(&leg) {
            self.reports.push_back(Report::Refused { leg });
            return;
        }
        let watchdog = Watchdog::new(watched, self.config.watchdog);
        self.voices.insert(leg, Voice::new(codec, self.config.jitter, self.config.telephone_event));
        self.ears.insert(leg, Ear::new(codec, watchdog, &mut self.random));
        self.controls.insert(leg, Control::new(self.config.rtcp_interval, &mut self.random));
    }

    fn close(&mut self, now: Duration, leg: LegId) {
        let Some(stats) = self.stats(leg) else { return };
        let playing = self.ears.get_mut(&leg).and_then(Ear::silence);
        self.ended(playing, false);
        self.report(now, leg, true);
        self.voices.remove(&leg);
        self.ears.remove(&leg);
        self.controls.remove(&leg);
        self.taps.remove(&leg);
        self.reports.push_back(Report::Closed { leg, stats });
    }

    fn ended(&mut self, play: Option<PlayId>, finished: bool) {
        if let Some(play) = play {
            self.plays.remove(&play);
            self.reports.push_back(Report::Played { play, finished });
        }
    }

    fn send_keys(&mut self, leg: LegId, keys: &[char]) {
        if let Some(ear) = self.ears.get_mut(&leg) {
            self.counters.keys_dropped += ear.send_keys(keys.iter().copied());
        }
    }

    /// A far side pressed a key: whoever listens to it gets the key too.
    fn pressed(&mut self, leg: LegId, key: char) {
        if self.reports.len() >= REPORTS_MAX {
            self.counters.keys_dropped += 1;
            return;
        }
        self.reports.push_back(Report::Key { leg, key });
        for ear in self.ears.values_mut().filter(|ear| ear.listens_to() == Source::Leg(leg)) {
            ear.send_keys([key]);
        }
    }

    fn tick(&mut self, now: Duration) {
        self.counters.ticks += 1;
        for (&leg, voice) in &mut self.voices {
            let payload = match voice.tick() {
                Tapped::NotYet => continue,
                Tapped::Gap => None,
                Tapped::Frame(frame) => Some(frame),
            };
            if self.taps.contains(&leg) {
                if self.tapped.len() >= self.config.taps_max {
                    self.tapped.pop_front();
                    self.counters.taps_dropped += 1;
                }
                let law = voice.codec();
                let payload = payload.map(|frame| TapPayload::G711(law, frame));
                self.tapped.push_back(TapFrame { leg, at: now, payload });
            }
        }
        for (&leg, ear) in &mut self.ears {
            let heard = match ear.source() {
                Source::Leg(peer) => self.voices.get(&peer),
                Source::Quiet | Source::Hold => None,
            };
            let done = ear.tick(heard, &self.config.music);
            if let Some(play) = done.played {
                self.plays.remove(&play);
                self.reports.push_back(Report::Played { play, finished: true });
            }
            if done.filled {
                self.reports.push_back(Report::Filled { leg });
            }
            let to = self.voices.get(&leg).and_then(|voice| voice.lock.destination());
            if let Some(to) = to.filter(|_| ear.wants_sound()) {
                let packet = ear.packet();
                let transmit = Transmit { leg, channel: Channel::Rtp, to };
                self.outbox.push(transmit, &packet.header, packet.payload.bytes());
            }
        }
        self.report_due(now);
        self.ears.values_mut().for_each(Ear::advance);
    }

    /// Sends the control reports whose time has come.
    fn report_due(&mut self, now: Duration) {
        let controls = self.controls.iter_mut();
        let due = controls.filter_map(|(&leg, control)| control.is_due(now, &mut self.random).then_some(leg));
        for leg in due.collect::<Vec<_>>() {
            self.report(now, leg, false);
        }
    }

    /// Sends one leg's control report; the last one says goodbye.
    fn report(&mut self, now: Duration, leg: LegId, last: bool) {
        let (Some(control), Some(voice), Some(ear)) =
            (self.controls.get_mut(&leg), self.voices.get_mut(&leg), self.ears.get(&leg))
        else {
            return;
        };
        let destination = voice.lock.destination().filter(|_| !self.config.rtcp_interval.is_zero());
        let Some(way) = destination.and_then(|to| control.way(to)) else { return };
        let theirs = (voice.lock.ssrc(), &mut voice.reception);
        let compound = control.compound(now, ear.timeline(), theirs, last);
        let (channel, to) = match way {
            Way::Shared(to) => (Channel::Rtp, to),
            Way::Own(to) => (Channel::Rtcp, to),
        };
        self.outbox.push(Transmit { leg, channel, to }, &compound, &[]);
    }
}
