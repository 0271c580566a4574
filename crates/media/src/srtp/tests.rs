//! Published packets, packets that must fail, and streams that wrap, jump and change their keys.

use proptest::prelude::*;

use super::*;
use crate::security::Suite;

const LIBSRTP_KEY: &str = "e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6";
const GCM_KEY: &str = "000102030405060708090a0b0c0d0e0fa0a1a2a3a4a5a6a7a8a9aaab";
const RTP: &str = "800f1234decafbadcafebabeabababababababababababababababab";
const RTCP: &str = "81c8000bcafebabeabababababababababababababababab";

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|n| u8::from_str_radix(&text[n * 2..n * 2 + 2], 16).unwrap()).collect()
}

fn key(suite: Suite, master: &str) -> SrtpKey {
    SrtpKey { tag: 1, suite, master: hex(master), lifetime: None, mki: None, optional: false }
}

fn any_key(suite: Suite, seed: u8) -> SrtpKey {
    let length = suite.key_length() + suite.salt_length();
    let master = (0..length).map(|n| (n as u8).wrapping_mul(37) ^ seed).collect();
    SrtpKey { tag: 1, suite, master, lifetime: None, mki: None, optional: false }
}

fn packet(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let head = [&[0x80, 0][..], &sequence.to_be_bytes(), &[0; 4], &ssrc.to_be_bytes()].concat();
    [&head[..], payload].concat()
}

fn seal(sealer: &mut Sealer, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = [packet, &[0; GROWTH_MAX]].concat();
    let length = sealer.rtp(&mut buffer, packet.len())?;
    buffer.truncate(length);
    Ok(buffer)
}

fn open(opener: &mut Opener, at: u64, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut packet = packet.to_vec();
    let length = opener.rtp(Duration::from_millis(at), &mut packet)?;
    packet.truncate(length);
    Ok(packet)
}

/// A pair that agrees on a key, and a way of the sealer's stream up to an index.
fn pair(key: &SrtpKey) -> (Sealer, Opener) {
    (Sealer::new(key).unwrap(), Opener::new(key).unwrap())
}

#[test]
fn the_packets_of_the_reference_implementation_come_out_and_go_in() {
    let cases = [
        (
            key(Suite::AesCm128Sha1Tag80, LIBSRTP_KEY),
            "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb",
            "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798",
        ),
        (
            key(Suite::AeadAes128Gcm, GCM_KEY),
            "800f1234decafbadcafebabec5002ede04cfdd2eb91159e0880aa06ed2976826f796b201df3131a127e8a392",
            "81c8000bcafebabec98b8b5df0392a55852b6c21ac8e7025c52c6fbea2b3b446ea31123ba88ce61e80000001",
        ),
    ];
    for (key, rtp, rtcp) in cases {
        let (mut sealer, mut opener) = pair(&key);
        assert_eq!(seal(&mut sealer, &hex(RTP)), Ok(hex(rtp)), "{key:?}");
        assert_eq!(open(&mut opener, 0, &hex(rtp)), Ok(hex(RTP)), "{key:?}");
        let mut control = [hex(RTCP), vec![0; GROWTH_MAX]].concat();
        let length = sealer.rtcp(&mut control, 24).unwrap();
        assert_eq!(control[..length], hex(rtcp), "{key:?}");
        let length = opener.rtcp(Duration::ZERO, &mut control[..length]).unwrap();
        assert_eq!(control[..length], hex(RTCP), "{key:?}");
        assert_eq!(opener.rtcp(Duration::ZERO, &mut hex(rtcp)), Err(SrtpError::Replayed));
    }
}

#[test]
fn the_rollover_counter_goes_on_over_two_wraps_with_loss_and_disorder() {
    for suite in Suite::ALL {
        let (mut sealer, mut opener) = pair(&any_key(suite, 1));
        let mut held = None;
        for index in 65_000..200_000_u64 {
            let plain = packet(7, index as u16, &[index as u8; 20]);
            let sealed = seal(&mut sealer, &plain).unwrap();
            if index % 50 == 0 {
                held = Some((sealed, plain));
            } else if index % 7 != 0 {
                assert_eq!(open(&mut opener, 0, &sealed), Ok(plain), "{suite:?} {index}");
            }
            if index % 50 == 30
                && let Some((sealed, plain)) = held.take()
            {
                assert_eq!(open(&mut opener, 0, &sealed), Ok(plain), "{suite:?} late at {index}");
                assert_eq!(open(&mut opener, 0, &sealed), Err(SrtpError::Replayed));
            }
        }
    }
}

#[test]
fn a_sealer_never_seals_an_index_twice() {
    let mut sealer = Sealer::new(&any_key(Suite::AeadAes256Gcm, 1)).unwrap();
    assert!(seal(&mut sealer, &packet(7, 5, b"one")).is_ok());
    assert_eq!(seal(&mut sealer, &packet(7, 5, b"two")), Err(SrtpError::Replayed));
    assert!(seal(&mut sealer, &packet(7, 9, b"later")).is_ok());
    assert!(seal(&mut sealer, &packet(7, 8, b"in disorder")).is_ok());
    assert_eq!(seal(&mut sealer, &packet(7, 8, b"again")), Err(SrtpError::Replayed));
}

#[test]
fn a_new_key_leaves_no_gap_and_the_old_one_ends() {
    for suite in Suite::ALL {
        let (old, new) = (any_key(suite, 1), any_key(Suite::AesCm128Sha1Tag80, 2));
        let (mut sealer, mut opener) = pair(&old);
        // Into the second round of sequence numbers.
        for index in 65_530..65_540_u64 {
            let sealed = seal(&mut sealer, &packet(7, index as u16, b"x")).unwrap();
            assert!(open(&mut opener, 0, &sealed).is_ok());
        }
        let [on_its_way, too_late] = [4, 5].map(|n| seal(&mut sealer, &packet(7, n, b"old")).unwrap());
        opener.rekey(Duration::ZERO, &new).unwrap();
        opener.rekey(Duration::ZERO, &SrtpKey { tag: 9, ..new.clone() }).unwrap();
        sealer.rekey(&new).unwrap();
        let under_new = seal(&mut sealer, &packet(7, 6, b"new")).unwrap();
        assert!(open(&mut opener, 10, &under_new).is_ok(), "{suite:?}: the counter goes on");
        assert_eq!(open(&mut opener, 20, &on_its_way), Ok(packet(7, 4, b"old")), "{suite:?}");
        assert!(open(&mut opener, 2000, &too_late).is_err());
        // Another far side thinks that the counter starts again.
        let (mut fresh, mut opener_again) = (Sealer::new(&new).unwrap(), Opener::new(&old).unwrap());
        let mut first = Sealer::new(&old).unwrap();
        for index in 65_530..65_540_u64 {
            let sealed = seal(&mut first, &packet(7, index as u16, b"x")).unwrap();
            assert!(open(&mut opener_again, 0, &sealed).is_ok());
        }
        opener_again.rekey(Duration::ZERO, &new).unwrap();
        for sequence in 6..300 {
            let sealed = seal(&mut fresh, &packet(7, sequence, b"fresh")).unwrap();
            assert!(open(&mut opener_again, 3000, &sealed).is_ok(), "{suite:?} {sequence}");
        }
    }
}

#[test]
fn streams_are_told_apart_and_strangers_make_none() {
    let (mut sealer, mut opener) = pair(&any_key(Suite::AesCm128Sha1Tag32, 1));
    for (ssrc, sequence) in [(1, 60_000), (2, 10), (1, 60_001), (2, 11), (3, 1)] {
        let plain = packet(ssrc, sequence, b"sound");
        let sealed = seal(&mut sealer, &plain).unwrap();
        for junk in 0..20 {
            assert!(open(&mut opener, 0, &packet(100 + junk, 5, &[junk as u8; 40])).is_err());
        }
        assert_eq!(open(&mut opener, 0, &sealed), Ok(plain));
    }
}

#[test]
fn a_key_identifier_is_written_and_has_to_be_there() {
    for suite in Suite::ALL {
        let named = SrtpKey { mki: Some((0x0102, 4)), ..any_key(suite, 1) };
        let (mut sealer, mut opener) = pair(&named);
        let plain = packet(7, 5, b"sound");
        let sealed = seal(&mut sealer, &plain).unwrap();
        assert!(sealed.windows(4).any(|four| four == [0, 0, 1, 2]), "{suite:?}");
        assert_eq!(open(&mut opener, 0, &sealed), Ok(plain), "{suite:?}");
        let mut control = [hex(RTCP), vec![0; GROWTH_MAX]].concat();
        let length = sealer.rtcp(&mut control, 24).unwrap();
        let opened = opener.rtcp(Duration::ZERO, &mut control[..length]).unwrap();
        assert_eq!(control[..opened], hex(RTCP), "{suite:?}");
        let mut other = Sealer::new(&SrtpKey { mki: Some((0x0103, 4)), ..named }).unwrap();
        let sealed = seal(&mut other, &packet(7, 6, b"sound")).unwrap();
        assert_eq!(open(&mut opener, 0, &sealed), Err(SrtpError::NotAuthentic), "{suite:?}");
    }
}

#[test]
fn a_key_that_is_used_up_seals_and_opens_no_more() {
    let short = SrtpKey { lifetime: Some(3), ..any_key(Suite::AesCm128Sha1Tag80, 1) };
    let mut sealer = Sealer::new(&short).unwrap();
    let done: Vec<bool> = (1..6).map(|n| seal(&mut sealer, &packet(7, n, b"x")).is_ok()).collect();
    assert_eq!(done, [true, true, true, false, false]);
    let wrong = SrtpKey { master: vec![0; 29], ..any_key(Suite::AesCm128Sha1Tag80, 1) };
    assert!(matches!(Sealer::new(&wrong), Err(SrtpError::Key)));
}

proptest! {
    #[test]
    fn what_is_sealed_is_opened_and_any_flipped_bit_is_noticed(
        (suite, sequence, payload, flip) in
            (0_usize..4, any::<u16>(), prop::collection::vec(any::<u8>(), 0..400), any::<prop::sample::Index>())
    ) {
        let (mut sealer, mut opener) = pair(&any_key(Suite::ALL[suite], 3));
        let plain = packet(9, sequence, &payload);
        let sealed = seal(&mut sealer, &plain).unwrap();
        prop_assert!(sealed.len() <= plain.len() + GROWTH_MAX);
        let mut spoilt = sealed.clone();
        let bit = flip.index(sealed.len() * 8);
        spoilt[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(open(&mut opener, 0, &spoilt).is_err());
        prop_assert_eq!(open(&mut opener, 0, &sealed), Ok(plain));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), suite in 0_usize..4) {
        let key = SrtpKey { mki: Some((1, 2)), ..any_key(Suite::ALL[suite], 3) };
        let (mut sealer, mut opener) = pair(&key);
        let now = Duration::ZERO;
        opener.rekey(now, &any_key(Suite::AesCm128Sha1Tag80, 4)).unwrap();
        prop_assert!(opener.rtp(now, &mut bytes.clone()).is_err());
        prop_assert!(opener.rtcp(now, &mut bytes.clone()).is_err());
        let mut buffer = [bytes.as_slice(), &[0; GROWTH_MAX]].concat();
        for length in 0..=bytes.len() {
            let grown = sealer.rtp(&mut buffer.clone(), length).unwrap_or(length);
            prop_assert!(grown <= length + GROWTH_MAX);
        }
        let beyond = buffer.len() + 1;
        prop_assert!(sealer.rtcp(&mut buffer, beyond).is_err());
    }
}
