//! Legs under SRTP: what goes out is sealed, what comes in the clear or under another key reaches nobody.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails loudly")]

mod world;

use std::time::Duration;

use segue_media::{
    Channel, Codec, Command, Engine, LegId, MediaDescription, Report, Source,
    g711::{FRAME, Law},
    rtp::{Header, is_rtcp},
    security::{SrtpKey, Suite},
    srtp::{GROWTH_MAX, Opener, Sealer},
    tone,
};
use world::{config, description};

const STEP: Duration = Duration::from_millis(20);

fn key(suite: Suite, seed: u8) -> SrtpKey {
    let master = (0..suite.key_length() + suite.salt_length()).map(|n| n as u8 ^ seed).collect();
    SrtpKey { tag: 1, suite, master, lifetime: None, mki: None, optional: false }
}

/// An engine with a plain leg 2, and leg 1 whose far side speaks SRTP. Each says its own tone.
struct Call {
    engine: Engine,
    now: Duration,
    sealer: Sealer,
    opener: Opener,
    said: u32,
    /// What each far side heard, linear; of the secure one, what it could open.
    heard: [Vec<i16>; 2],
    unreadable: usize,
    control: usize,
}

impl Call {
    fn new(suite: Suite) -> Self {
        let mut engine = Engine::new(config(), 3);
        let now = Duration::from_secs(1_700_000_000);
        let (theirs, ours) = (key(suite, 0xA5), key(suite, 0x3C));
        for number in [1, 2] {
            let leg = LegId(number);
            engine.command(now, Command::Open { leg, codec: Codec::Pcmu, watched: false });
        }
        for (number, security) in [(1, vec![theirs.clone()]), (2, Vec::new())] {
            let address = Self::address(number);
            let description = MediaDescription { security, ..description(address, Codec::Pcmu) };
            engine.command(now, Command::Remote { leg: LegId(number), description, signalling: None });
        }
        let wires = vec![(LegId(1), Source::Leg(LegId(2))), (LegId(2), Source::Leg(LegId(1)))];
        engine.command(now, Command::Wire(wires));
        let (sealer, opener) = (Sealer::new(&theirs).expect("a key"), Opener::new(&ours).expect("a key"));
        Self {
            engine,
            now,
            sealer,
            opener,
            said: 0,
            heard: [Vec::new(), Vec::new()],
            unreadable: 0,
            control: 0,
        }
    }

    fn address(number: u64) -> std::net::SocketAddr {
        ([198, 51, 100, number as u8], 4000).into()
    }

    fn secure(&mut self, theirs: SrtpKey, ours: SrtpKey) {
        self.engine.command(self.now, Command::Secure { leg: LegId(1), theirs, ours });
    }

    fn packet(&self, number: u64, hertz: f64) -> Vec<u8> {
        let sound = tone::sine(hertz, -20.0, 8000);
        let start = self.said as usize * FRAME % 8000;
        let mut payload = [0; FRAME];
        Law::Pcmu.encode_into(&sound[start..start + FRAME], &mut payload);
        let header = Header {
            marker: false,
            payload_type: 0,
            sequence: (self.said as u16).wrapping_add(65_400),
            timestamp: self.said * FRAME as u32,
            ssrc: 70 + number as u32,
        };
        [&header.write()[..], &payload].concat()
    }

    fn sealed(&mut self) -> Vec<u8> {
        let mut packet = self.packet(1, 600.0);
        let length = packet.len();
        packet.resize(length + GROWTH_MAX, 0);
        let length = self.sealer.rtp(&mut packet, length).expect("a new index");
        packet.truncate(length);
        packet
    }

    fn step(&mut self) {
        let (secure, plain) = (self.sealed(), self.packet(2, 900.0));
        for (number, packet) in [(1, secure), (2, plain)] {
            self.engine.on_packet(self.now, LegId(number), Channel::Rtp, Self::address(number), &packet);
        }
        self.said += 1;
        self.now += STEP;
        self.engine.on_tick(self.now);
        while let Some((transmit, bytes)) = self.engine.poll_transmit() {
            let mut bytes = bytes.to_vec();
            let mut length = bytes.len();
            let control = is_rtcp(&bytes);
            if transmit.leg == LegId(1) {
                let opened = if control {
                    self.opener.rtcp(self.now, &mut bytes)
                } else {
                    self.opener.rtp(self.now, &mut bytes)
                };
                let Ok(opened) = opened else {
                    self.unreadable += 1;
                    continue;
                };
                length = opened;
            }
            if control {
                self.control += 1;
                continue;
            }
            let (_, payload) = Header::read(&bytes[..length]).expect("RTP");
            let heard = &mut self.heard[transmit.leg.0 as usize - 1];
            heard.extend(payload.iter().map(|&byte| Law::Pcmu.decode(byte)));
        }
    }

    fn level(&self, far: usize, hertz: f64) -> f32 {
        let heard = &self.heard[far - 1];
        tone::goertzel(&heard[heard.len().saturating_sub(8000)..], hertz)
    }
}

#[test]
fn both_sides_hear_each_other_under_every_suite_over_a_wrap_of_the_sequence() {
    for suite in Suite::ALL {
        let mut call = Call::new(suite);
        call.secure(key(suite, 0xA5), key(suite, 0x3C));
        (0..500).for_each(|_| call.step());
        assert!(call.level(1, 900.0) > -22.0 && call.level(2, 600.0) > -22.0, "{suite:?}");
        assert_eq!(call.unreadable, 0, "{suite:?}");
        assert!(call.control > 0, "{suite:?}: reports go both ways, sealed");
    }
}

#[test]
fn nothing_leaves_and_nothing_is_heard_before_the_keys_are_known() {
    let mut call = Call::new(Suite::AesCm128Sha1Tag80);
    (0..100).for_each(|_| call.step());
    assert_eq!((call.heard[0].len(), call.unreadable), (0, 0));
    assert!(call.heard[1].is_empty() || call.level(2, 600.0) < -60.0);
    while let Some(report) = call.engine.poll_report() {
        assert_ne!(report, Report::Heard { leg: LegId(1) });
    }
}

#[test]
fn packets_in_the_clear_or_under_another_key_are_rejected_and_leave_the_lock_alone() {
    let suite = Suite::AesCm128Sha1Tag80;
    let mut call = Call::new(suite);
    call.secure(key(suite, 0xA5), key(suite, 0x3C));
    let stranger: std::net::SocketAddr = ([198, 51, 100, 1], 4000).into();
    let mut other = Sealer::new(&key(suite, 0x77)).expect("a key");
    for round in 0..200_u32 {
        let mut attack = call.packet(9, 1700.0);
        if round % 2 == 0 {
            let length = attack.len();
            attack.resize(length + GROWTH_MAX, 0);
            let length = other.rtp(&mut attack, length).expect("a new index");
            attack.truncate(length);
        }
        call.engine.on_packet(call.now, LegId(1), Channel::Rtp, stranger, &attack);
        call.step();
    }
    assert!(call.level(2, 600.0) > -22.0, "the caller is heard");
    assert!(call.level(2, 1700.0) < -60.0, "nobody else is");
    assert_eq!(call.engine.stats(LegId(1)).expect("a leg").rejected, 200);
}

#[test]
fn a_change_of_keys_leaves_no_gap() {
    let suite = Suite::AeadAes128Gcm;
    let mut call = Call::new(suite);
    call.secure(key(suite, 0xA5), key(suite, 0x3C));
    (0..100).for_each(|_| call.step());
    let (theirs, ours) = (key(suite, 0x11), key(suite, 0x22));
    call.opener.rekey(call.now, &ours).expect("a key");
    call.secure(theirs.clone(), ours);
    // The far side needs a moment to take up its own new key.
    (0..20).for_each(|_| call.step());
    call.sealer.rekey(&theirs).expect("a key");
    (0..100).for_each(|_| call.step());
    assert_eq!(call.unreadable, 0);
    assert_eq!(call.engine.stats(LegId(1)).expect("a leg").rejected, 0);
    assert!(call.level(1, 900.0) > -22.0 && call.level(2, 600.0) > -22.0);
}
