//! What a frame of 20 ms costs: to encode, to decode, to seal and to open.
//!
//! A transcoded direction is one decoding and one encoding 50 times a second; a second of an SDES call is 100
//! packets sealed and 100 opened where both legs are secure.

#![allow(
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a benchmark may stop where its own load is wrong"
)]

use std::{hint::black_box, time::Duration};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use segue_media::{
    security::{SrtpKey, Suite},
    srtp::{GROWTH_MAX, Opener, Sealer},
};

fn key(suite: Suite) -> SrtpKey {
    let length = suite.key_length() + suite.salt_length();
    SrtpKey { tag: 1, suite, master: (0..length as u8).collect(), lifetime: None, mki: None, optional: false }
}

fn packet(sequence: u16) -> [u8; 172 + GROWTH_MAX] {
    let mut packet = [0x55; 172 + GROWTH_MAX];
    packet[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet
}

fn srtp(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("srtp, 160 bytes");
    for suite in Suite::ALL {
        let key = key(suite);
        group.bench_function(format!("seal {}", suite.name()), |bencher| {
            let mut sealer = Sealer::new(&key).expect("a key");
            let mut sequence = 0_u16;
            bencher.iter(|| {
                sequence = sequence.wrapping_add(1);
                let mut packet = packet(sequence);
                black_box(sealer.rtp(&mut packet, 172).expect("a new index"));
                packet
            });
        });
        group.bench_function(format!("open {}", suite.name()), |bencher| {
            let mut sealer = Sealer::new(&key).expect("a key");
            let mut opener = Opener::new(&key).expect("a key");
            let mut sequence = 0_u16;
            bencher.iter_batched(
                || {
                    sequence = sequence.wrapping_add(1);
                    let mut packet = packet(sequence);
                    let length = sealer.rtp(&mut packet, 172).expect("a new index");
                    (packet, length)
                },
                |(mut packet, length)| opener.rtp(Duration::ZERO, &mut packet[..length]).expect("authentic"),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, srtp);
criterion_main!(benches);
