//! The engine: all legs of the calls of one media thread.
//!
//! The driver's duty: 1. give it commands, packets as they come, and a tick every 20 ms; 2. after each of
//! these, take everything that `poll_transmit`, `poll_report` and `poll_tap` have; 3. wait.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use crate::{
    codec::OpusEffort,
    command::{
        Channel, Command, EarFrame, InBandKeys, LegId, LegStats, PlayId, Report, Sound, Source, TapFrame,
        TapPayload, Transmit,
    },
    ear::{Ear, Made},
    guard::Guard,
    jitter::JitterLimits,
    legs::{Leg, Legs, Slot},
    life::{DeadLimits, JUDGED_EVERY},
    music::Music,
    outbox::Outbox,
    presses::Told,
    quality::Assessor,
    random::Random,
    rtcp::{Control, Invalid, Way},
    rtp,
    session::Codec,
    voice::{Arrival, Arrived, Tapped, Voice},
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
    /// Whether packets go to an ear as they come where codec and packet time agree; otherwise every voice is
    /// played from its jitter buffer, which conceals what is lost.
    pub forward: bool,
    /// Whether keys are looked for in the sound.
    pub in_band_keys: InBandKeys,
    /// Mean time between two RTCP reports of a leg (RFC 3550 §6.2); zero sends none.
    pub rtcp_interval: Duration,
    /// How long a leg may be silent before it is told as dead.
    pub dead: DeadLimits,
    /// How often the quality of a leg is told; zero tells only that of its whole life.
    pub quality_interval: Duration,
    /// How Opus is encoded.
    pub opus: OpusEffort,
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
            in_band_keys: InBandKeys::Auto,
            forward: true,
            rtcp_interval: Duration::from_secs(5),
            dead: DeadLimits::default(),
            quality_interval: Duration::from_secs(5),
            opus: OpusEffort::default(),
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
    /// Keys of SRTP that do not have the length of their suite.
    pub keys_unusable: u64,
}

/// All legs of one media thread.
pub struct Engine {
    config: EngineConfig,
    random: Random,
    legs: Legs,
    plays: BTreeMap<PlayId, LegId>,
    /// When the next tick is due; none before the first.
    due: Option<Duration>,
    outbox: Outbox,
    reports: VecDeque<Report>,
    tapped: VecDeque<TapFrame>,
    ears_tapped: VecDeque<EarFrame>,
    counters: EngineCounters,
}

/// A tick may come so much before its time: timers are not exact.
const EARLY: Duration = Duration::from_millis(8);
/// A tick that comes further before its time than this means that the clock was set back.
const STEP_BACK_MAX: Duration = Duration::from_millis(200);
/// Ticks between two looks at who is still there.
const JUDGED_TICKS: u64 = (JUDGED_EVERY.as_millis() / FRAME_TIME.as_millis()) as u64;
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
            legs: Legs::default(),
            plays: BTreeMap::new(),
            due: None,
            outbox: Outbox::new(packets_max),
            reports: VecDeque::new(),
            tapped: VecDeque::new(),
            ears_tapped: VecDeque::new(),
            counters: EngineCounters::default(),
        }
    }

    /// Carries out an order. Orders for legs that are gone change nothing; a prompt for one ends as stopped.
    pub fn command(&mut self, now: Duration, command: Command) {
        match command {
            Command::Open { leg, codec, watched } => self.open(now, leg, codec, watched),
            Command::Remote { leg, description, signalling } => {
                if let Some(leg) = self.legs.named_mut(leg) {
                    leg.voice.remote(now, &description, signalling.map(|address| address.ip()));
                    leg.ear.remote(&description);
                    leg.control.remote(&description);
                    leg.guard.remote(&description);
                }
            }
            Command::Secure { leg, theirs, ours } => {
                let secured = self.legs.named_mut(leg).map(|leg| leg.guard.secure(now, &theirs, &ours));
                if secured.is_some_and(|secured| secured.is_err()) {
                    self.counters.keys_unusable += 1;
                }
            }
            Command::Wire(ears) => {
                for (leg, source) in ears {
                    self.legs.wire(leg, source);
                }
            }
            Command::Play { leg, play, sound } => self.play(leg, play, sound),
            Command::Stop { play } => {
                let leg = self.plays.get(&play).and_then(|leg| self.legs.named_mut(*leg));
                let stopped = leg.is_some_and(|leg| leg.ear.stop(play));
                self.ended(stopped.then_some(play), false);
            }
            Command::SendKeys { leg, keys } => {
                if let Some(leg) = self.legs.named_mut(leg) {
                    self.counters.keys_dropped += leg.ear.send_keys(keys);
                }
            }
            Command::Press { leg, key } => self.signalled(now, leg, key),
            Command::Tap { leg, on } => {
                if let Some(leg) = self.legs.named_mut(leg) {
                    leg.tapped = on;
                }
            }
            Command::TapEar { leg, on } => {
                if let Some(leg) = self.legs.named_mut(leg) {
                    leg.ear_tapped = on;
                }
            }
            Command::Watch { leg, on } => {
                if let Some(leg) = self.legs.named_mut(leg) {
                    leg.ear.watch(on);
                }
            }
            Command::Cover { leg, on } => {
                if let Some(leg) = self.legs.named_mut(leg) {
                    leg.ear.cover(on);
                }
            }
            Command::Measure { leg, mark } => {
                if let Some(open) = self.legs.named_mut(leg) {
                    self.reports.push_back(Report::Measured { leg, mark, ear: open.ear.mark() });
                }
            }
            Command::Close { leg } => self.close(now, leg),
        }
    }

    /// Takes in a packet that came to a leg's port. Any bytes are safe.
    #[expect(clippy::too_many_arguments, reason = "a datagram is when, at which port, whence and what")]
    pub fn on_packet(&mut self, now: Duration, leg: LegId, channel: Channel, from: SocketAddr, bytes: &[u8]) {
        let Some(slot) = self.legs.place(leg) else {
            self.counters.packets_unknown += 1;
            return;
        };
        let Some(open) = self.legs.at_mut(slot) else { return };
        let control = channel == Channel::Rtcp || rtp::is_rtcp(bytes);
        let opened;
        let bytes = if open.guard.is_plain() {
            bytes
        } else if let Some(plain) = open.guard.open(now, bytes, control) {
            opened = plain;
            opened.plain()
        } else {
            // What is not authentic reaches neither the source lock nor the ear.
            return open.voice.reject();
        };
        if control {
            if !open.voice.lock.admits_control(from) {
                open.voice.reject();
                return;
            }
            match open.control.read(now, from, open.ear.timeline().ssrc, bytes) {
                Ok(claimed) => open.voice.life.control(now, claimed),
                Err(Invalid) => open.voice.reject(),
            }
            return;
        }
        let Some(arrival) = open.voice.on_rtp(now, from, bytes) else { return };
        if arrival.first {
            self.reports.push_back(Report::Heard { leg });
        }
        match arrival.kind {
            Arrived::Audio(codec) => self.spoken(now, slot, codec, &arrival),
            Arrived::Event(key) => self.pressed(now, slot, key, &arrival),
            Arrived::Pause => self.paused(slot),
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
            self.legs.iter_mut().for_each(|leg| leg.ear.skip(frames));
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

    /// The next frame that a tapped ear was sent.
    pub fn poll_ear_tap(&mut self) -> Option<EarFrame> {
        self.ears_tapped.pop_front()
    }

    /// The numbers of a leg so far.
    #[must_use]
    pub fn stats(&self, leg: LegId) -> Option<LegStats> {
        let leg = self.legs.named(leg)?;
        let far = leg.control.far;
        Some(LegStats {
            sent: leg.ear.timeline().packets,
            round_trip: far.round_trip,
            far_reports: far.reports,
            far_lost: far.lost,
            far_jitter: far.jitter,
            ..leg.voice.stats()
        })
    }

    /// The legs that are open.
    #[must_use]
    pub fn legs(&self) -> usize {
        self.legs.len()
    }

    /// What was counted so far.
    #[must_use]
    pub const fn counters(&self) -> EngineCounters {
        EngineCounters { packets_untaken: self.outbox.dropped(), ..self.counters }
    }

    fn open(&mut self, now: Duration, leg: LegId, codec: Codec, watched: bool) {
        if self.legs.len() >= self.config.legs_max || self.legs.place(leg).is_some() {
            self.reports.push_back(Report::Refused { leg });
            return;
        }
        let watchdog = Watchdog::new(watched, self.config.watchdog);
        let mut voice = Voice::new(codec, self.config.jitter, self.config.telephone_event);
        voice.listen_in_band(self.config.in_band_keys);
        let ways = (self.config.forward, self.config.opus);
        let ear = Ear::new(codec, ways, watchdog, &mut self.random);
        let control = Control::new(self.config.rtcp_interval, &mut self.random);
        let assessor = Assessor::new(self.config.quality_interval, now);
        self.legs.open(Leg::new(leg, voice, ear, control, assessor));
    }

    fn close(&mut self, now: Duration, leg: LegId) {
        let (Some(slot), Some(stats)) = (self.legs.place(leg), self.stats(leg)) else { return };
        let playing = self.legs.at_mut(slot).and_then(|leg| leg.ear.silence());
        self.ended(playing, false);
        self.report(now, slot, true);
        let quality = self.legs.at(slot).map(|leg| leg.assessor.whole(&stats));
        self.legs.close(leg);
        if let Some(quality) = quality {
            self.reports.push_back(Report::Closed { leg, stats, quality });
        }
    }

    fn play(&mut self, leg: LegId, play: PlayId, sound: Sound) {
        let Some(open) = self.legs.named_mut(leg) else {
            self.reports.push_back(Report::Played { play, finished: false });
            return;
        };
        let replaced = open.ear.play(play, sound);
        self.plays.insert(play, leg);
        self.ended(replaced, false);
    }

    fn ended(&mut self, play: Option<PlayId>, finished: bool) {
        if let Some(play) = play {
            self.plays.remove(&play);
            self.reports.push_back(Report::Played { play, finished });
        }
    }

    /// A far side sent sound: forwarded to the ears that take it as it is, laid down for all others.
    fn spoken(&mut self, now: Duration, slot: Slot, codec: Codec, arrival: &Arrival<'_>) {
        let Some(leg) = self.legs.at_mut(slot) else { return };
        let frame = leg.voice.regular(codec, arrival.payload);
        let mut needed = leg.tapped || leg.voice.is_dialling();
        let mut number = 0;
        while let Some(listener) = self.legs.listener(slot, number) {
            number += 1;
            let Some(leg) = self.legs.at_mut(listener) else { continue };
            // What a tapped ear is sent has to be known: packets that would have to be decoded are not forwarded to it.
            let known = !leg.ear_tapped || codec.law().is_some();
            match (frame.filter(|_| known && leg.ear.is_like(codec)), leg.voice.lock.destination()) {
                (Some(frame), Some(to)) => {
                    let (id, tapped, law) = (leg.id, leg.ear_tapped, leg.ear.law());
                    let made = leg.ear.forward(&arrival.header, frame);
                    if let Some(sent) = made.as_ref().filter(|_| tapped).and_then(|made| made.forwarded(law))
                    {
                        self.counters.taps_dropped +=
                            keep(&mut self.ears_tapped, &self.config, (id, now), sent);
                    }
                    send(&mut self.outbox, (id, to), &mut leg.guard, made);
                }
                (Some(_), None) => {}
                (None, _) => {
                    leg.ear.release();
                    needed = true;
                }
            }
        }
        let Some(leg) = self.legs.at_mut(slot) else { return };
        if needed {
            leg.voice.lay(now, &arrival.header, (codec, arrival.payload));
        } else {
            leg.voice.pass_by();
        }
    }

    /// A far side sent a packet of a telephone event: whoever listens to it gets it, forwarded or made anew.
    /// One whose press was told by signalling before is passed over: its key is sent to them already.
    fn pressed(&mut self, now: Duration, slot: Slot, key: Option<char>, arrival: &Arrival<'_>) {
        let Some(leg) = self.legs.at_mut(slot) else { return };
        if !leg.presses.heard(now, key, arrival.header.timestamp) {
            return;
        }
        let source = Source::Leg(leg.id);
        let full = self.reports.len() >= REPORTS_MAX;
        match key {
            Some(_) if full => self.counters.keys_dropped += 1,
            Some(key) => self.reports.push_back(Report::Key { leg: leg.id, key }),
            None => {}
        }
        let mut number = 0;
        while let Some(listener) = self.legs.listener(slot, number) {
            number += 1;
            let Some(leg) = self.legs.at_mut(listener) else { continue };
            let to = leg.voice.lock.destination();
            let made = to.and_then(|_| leg.ear.forward_event(&arrival.header, arrival.payload));
            match (made, to, key) {
                (Some(made), Some(to), _) => {
                    send(&mut self.outbox, (leg.id, to), &mut leg.guard, Some(made));
                }
                (None, _, Some(key)) if !full && leg.ear.listens_to() == source => {
                    self.counters.keys_dropped += leg.ear.send_keys([key]);
                }
                (Some(_) | None, _, _) => {}
            }
        }
    }

    /// A key of a far side was told by signalling: whoever listens to it gets the key too.
    fn signalled(&mut self, now: Duration, leg: LegId, key: char) {
        let Some(slot) = self.legs.place(leg) else { return };
        let is_new = self.legs.at_mut(slot).is_some_and(|leg| leg.presses.is_new(now, key, Told::Signalling));
        if !is_new {
            return;
        }
        if self.reports.len() >= REPORTS_MAX {
            self.counters.keys_dropped += 1;
            return;
        }
        self.reports.push_back(Report::Key { leg, key });
        let mut number = 0;
        while let Some(listener) = self.legs.listener(slot, number) {
            number += 1;
            let Some(open) = self.legs.at_mut(listener) else { continue };
            if open.ear.listens_to() == Source::Leg(leg) {
                self.counters.keys_dropped += open.ear.send_keys([key]);
            }
        }
    }

    /// A far side said that it pauses: what was forwarded ends here.
    fn paused(&mut self, slot: Slot) {
        let mut number = 0;
        while let Some(listener) = self.legs.listener(slot, number) {
            number += 1;
            if let Some(leg) = self.legs.at_mut(listener) {
                leg.ear.release();
            }
        }
    }

    fn tick(&mut self, now: Duration) {
        self.counters.ticks += 1;
        for leg in self.legs.iter_mut() {
            let tapped = leg.voice.tick(now);
            // A key in the sound is heard by whoever hears the sound: it is told, not relayed.
            let dialled = leg.voice.dialled();
            match dialled.filter(|key| leg.presses.is_new(now, *key, Told::Tone)) {
                Some(_) if self.reports.len() >= REPORTS_MAX => self.counters.keys_dropped += 1,
                Some(key) => self.reports.push_back(Report::Key { leg: leg.id, key }),
                None => {}
            }
            let sounds = match tapped {
                Tapped::NotYet => continue,
                Tapped::Gap => false,
                Tapped::Sound => true,
            };
            if leg.tapped {
                if self.tapped.len() >= self.config.taps_max {
                    self.tapped.pop_front();
                    self.counters.taps_dropped += 1;
                }
                let payload = sounds.then(|| leg.voice.tapped());
                self.tapped.push_back(TapFrame { leg: leg.id, at: now, payload });
            }
        }
        for slot in self.legs.slots() {
            self.tick_ear(now, slot);
        }
        if self.counters.ticks.is_multiple_of(JUDGED_TICKS) {
            self.judge(now);
        }
    }

    /// Tells which far sides are silent for too long, and what sound was worth.
    fn judge(&mut self, now: Duration) {
        for slot in self.legs.slots() {
            let Some(open) = self.legs.at_mut(slot) else { continue };
            let leg = open.id;
            if let Some(silent) = open.voice.life.judge(now, self.config.dead) {
                self.reports.push_back(Report::Dead { leg, silent });
            }
            if !open.assessor.is_due(now) {
                continue;
            }
            if let Some(stats) = self.stats(leg)
                && let Some(open) = self.legs.at_mut(slot)
            {
                let quality = open.assessor.running(now, &stats);
                self.reports.push_back(Report::Quality { leg, quality });
            }
        }
    }

    /// Makes and sends one ear's frame where none was forwarded, and its control report if that is due.
    fn tick_ear(&mut self, now: Duration, slot: Slot) {
        let Some((leg, heard)) = self.legs.with_voice(slot) else { return };
        let due = leg.control.is_due(now, &mut self.random);
        if !leg.ear.is_covered() {
            let missing = heard.and_then(|voice| voice.life.missing(now));
            // What an ear is forwarded does not come to it a second time from the buffer; described noise is not.
            let heard = heard.filter(|voice| {
                let known = !leg.ear_tapped || voice.codec().law().is_some();
                voice.is_resting() || !(known && leg.ear.is_like(voice.codec()) && voice.is_regular())
            });
            let done = leg.ear.tick(heard, missing, &self.config.music);
            if let Some(play) = done.played {
                self.plays.remove(&play);
                self.reports.push_back(Report::Played { play, finished: true });
            }
            if done.filled {
                self.reports.push_back(Report::Filled { leg: leg.id });
            }
            if let Some(to) = leg.voice.lock.destination().filter(|_| leg.ear.wants_sound()) {
                if leg.ear_tapped {
                    let sent = leg.ear.heard(heard);
                    self.counters.taps_dropped +=
                        keep(&mut self.ears_tapped, &self.config, (leg.id, now), sent);
                }
                while let Some(made) = leg.ear.packet() {
                    send(&mut self.outbox, (leg.id, to), &mut leg.guard, Some(made));
                }
            }
        }
        if due {
            self.report(now, slot, false);
        }
        if let Some(leg) = self.legs.at_mut(slot) {
            leg.ear.advance();
        }
    }

    /// Sends one leg's control report; the last one says goodbye.
    fn report(&mut self, now: Duration, slot: Slot, last: bool) {
        let Some(leg) = self.legs.at_mut(slot) else { return };
        let destination = leg.voice.lock.destination().filter(|_| !self.config.rtcp_interval.is_zero());
        let Some(way) = destination.and_then(|to| leg.control.way(to)) else { return };
        let theirs = (leg.voice.lock.ssrc(), &mut leg.voice.reception);
        let compound = leg.control.compound(now, leg.ear.timeline(), theirs, last);
        let (channel, to) = match way {
            Way::Shared(to) => (Channel::Rtp, to),
            Way::Own(to) => (Channel::Rtcp, to),
        };
        self.outbox.push(Transmit { leg: leg.id, channel, to }, (&compound, &[]), &mut leg.guard);
    }
}

/// Keeps what an ear was sent for the outside; gives how many frames were dropped for it.
fn keep(
    frames: &mut VecDeque<EarFrame>,
    config: &EngineConfig,
    (leg, at): (LegId, Duration),
    (timestamp, payload): (u32, TapPayload),
) -> u64 {
    let full = frames.len() >= config.taps_max;
    if full {
        frames.pop_front();
    }
    frames.push_back(EarFrame { leg, at, timestamp, payload });
    u64::from(full)
}

/// The one place where RTP goes out: to which leg's far side, and what.
fn send(outbox: &mut Outbox, (leg, to): (LegId, SocketAddr), guard: &mut Guard, made: Option<Made<'_>>) {
    if let Some(made) = made {
        let transmit = Transmit { leg, channel: Channel::Rtp, to };
        outbox.push(transmit, (&made.header, made.payload.bytes()), guard);
    }
}
