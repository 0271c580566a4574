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

use audio_codec::{
    Decoder as _, Encoder as _,
    g722::{G722Decoder, G722Encoder},
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use opus::Bandwidth;
use segue_media::{
    security::{SrtpKey, Suite},
    srtp::{GROWTH_MAX, Opener, Sealer},
    tone,
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

/// Speech would be fairer than a chord, but a chord is here: it keeps every band busy.
fn chord(rate: usize) -> Vec<i16> {
    let tones =
        [310.0, 740.0, 1250.0, 2300.0].map(|hertz| tone::sine(hertz * 8000.0 / rate as f64, -26.0, rate));
    (0..rate).map(|n| tones.iter().map(|tone| tone[n]).sum()).collect()
}

fn codecs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec, 20 ms");
    let sound = chord(16_000);
    for (complexity, band) in [(0, Bandwidth::Narrowband), (0, Bandwidth::Wideband), (3, Bandwidth::Wideband)]
    {
        let mut encoder =
            opus::Encoder::new(16_000, opus::Channels::Mono, opus::Application::Voip).expect("memory");
        encoder.set_complexity(complexity).expect("a setting");
        encoder.set_bitrate(opus::Bitrate::Bits(24_000)).expect("a setting");
        encoder.set_max_bandwidth(band).expect("a setting");
        let mut decoder = opus::Decoder::new(16_000, opus::Channels::Mono).expect("memory");
        let (mut out, mut back, mut place) = ([0; 640], [0; 1920], 0);
        let mut length = 0;
        group.bench_function(format!("encode opus {band:?} complexity {complexity}"), |bencher| {
            bencher.iter(|| {
                place = (place + 320) % 16_000;
                length = encoder.encode(&sound[place..place + 320], &mut out).expect("a packet");
                length
            });
        });
        group.bench_function(format!("decode opus {band:?} complexity {complexity}"), |bencher| {
            bencher.iter(|| decoder.decode(&out[..length], &mut back, false).expect("sound"));
        });
    }
    let (mut encoder, mut decoder) = (G722Encoder::new(), G722Decoder::new());
    let (mut out, mut back) = ([0; 160], [0; 320]);
    group.bench_function("encode G.722", |bencher| {
        bencher.iter(|| encoder.encode_into(&sound[..320], &mut out).expect("a packet"));
    });
    group.bench_function("decode G.722", |bencher| {
        bencher.iter(|| decoder.decode_into(&out, &mut back).expect("sound"));
    });
    group.finish();
}

criterion_group!(benches, srtp, codecs);
criterion_main!(benches);
