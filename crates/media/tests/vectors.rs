//! The SRTP vectors that lie beside the repository, where they do: RFC 3711 B.3, and packets that must fail.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails loudly")]

use std::time::Duration;

use segue_media::{
    security::{SrtpKey, Suite},
    srtp::{GROWTH_MAX, Opener, Sealer, SrtpError},
};

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|n| u8::from_str_radix(&text[n * 2..n * 2 + 2], 16).unwrap()).collect()
}

fn open(opener: &mut Opener, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut packet = packet.to_vec();
    let length = opener.rtp(Duration::ZERO, &mut packet)?;
    packet.truncate(length);
    Ok(packet)
}

#[test]
fn the_vectors_of_the_kit_hold() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/kit/srtp_vectors.json");
    let Ok(text) = std::fs::read_to_string(path) else { return };
    let vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
    let field = |name: &str| hex(vectors[name].as_str().unwrap());
    let master = [field("master_key"), field("master_salt")].concat();
    let suite = Suite::AesCm128Sha1Tag80;
    let key = SrtpKey { tag: 1, suite, master, lifetime: None, mki: None, optional: false };
    let (mut sealer, mut opener) = (Sealer::new(&key).unwrap(), Opener::new(&key).unwrap());
    let (plain, protected) = (field("plaintext"), field("protected"));
    let mut buffer = [plain.as_slice(), &[0; GROWTH_MAX]].concat();
    let length = sealer.rtp(&mut buffer, plain.len()).unwrap();
    assert_eq!(buffer[..length], protected);
    let wrong = vectors["must_fail"].as_array().unwrap();
    assert_eq!(wrong.len(), 7);
    for case in wrong {
        let packet = hex(case["packet"].as_str().unwrap());
        assert!(open(&mut opener, &packet).is_err(), "{}", case["why"]);
    }
    assert_eq!(open(&mut opener, &protected), Ok(plain));
    assert_eq!(open(&mut opener, &protected), Err(SrtpError::Replayed));
}
