//! A far side, a network and a playout in virtual time.

#[cfg(test)]
use super::*;
use crate::{g711::Law, level, random::Random, tone};

const FRAME: usize = 160;
const NARROW: Pace = Pace { clock: 8000, rate: 8000 };

/// Sixteen bits a sample, so that nothing but the playout changes the sound.
struct Linear;

impl Decode for Linear {
    fn decode(&mut self, _tag: u8, bytes: &[u8], sound: &mut Vec<i16>) {
        sound.extend(bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])));
    }
}

/// A packet on its way.
struct Sent {
    at: f64,
    packet: (u16, u32, u32),
    bytes: Vec<u8>,
}

/// Says `sound` in packets of `length` samples; packet `n` arrives `delay(n)` milliseconds after it was said, or
/// never. `drift`: parts a million by which the far side's clock is slow.
fn say(
    sound: &[i16],
    pace: Pace,
    length: usize,
    drift: f64,
    delay: impl Fn(usize) -> Option<f64>,
) -> Vec<Sent> {
    let mut sent = Vec::new();
    for (n, chunk) in sound.chunks_exact(length).enumerate() {
        let Some(delay) = delay(n) else { continue };
        let said = ((n + 1) * length) as f64 * 1000.0 / f64::from(pace.rate) * (1.0 + drift / 1e6);
        let ticks = (length as u64 * u64::from(pace.clock) / u64::from(pace.rate)) as u32;
        let timestamp = 0xFFFF_F000_u32.wrapping_add(n as u32 * ticks);
        let bytes = chunk.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        sent.push(Sent { at: said + delay, packet: (n as u16, timestamp, ticks), bytes });
    }
    sent.sort_by(|one, other| one.at.total_cmp(&other.at));
    sent
}

/// What was heard, and how.
#[derive(Default)]
struct Heard {
    sound: Vec<i16>,
    taken: Vec<Taken>,
    laid: Vec<Laid>,
    /// The delay after every frame, in milliseconds.
    delays: Vec<f64>,
}

impl Heard {
    fn count(&self, wanted: Taken) -> usize {
        self.taken.iter().filter(|taken| **taken == wanted).count()
    }

    fn late(&self) -> usize {
        self.laid.iter().filter(|laid| matches!(laid, Laid::Late | Laid::Astray)).count()
    }
}

fn hear_with(playout: &mut Playout, sent: &[Sent], seconds: f64) -> Heard {
    let mut heard = Heard::default();
    let mut waiting = sent.iter().peekable();
    let frame = playout.pace.rate as usize / 50;
    let mut out = vec![0; frame];
    for n in 0..(seconds * 50.0) as usize {
        // The ticks lie 7 ms after the packets of a network without delay.
        let now = n as f64 * 20.0 + 7.0;
        while let Some(next) = waiting.next_if(|sent| sent.at <= now) {
            let (sequence, timestamp, ticks) = next.packet;
            let packet = Packet { sequence, timestamp, ticks, tag: 0, bytes: &next.bytes };
            heard.laid.push(playout.lay(Duration::from_secs_f64(next.at / 1000.0), &packet));
        }
        heard.taken.push(playout.take(Duration::from_secs_f64(now / 1000.0), &mut Linear, &mut out));
        heard.sound.extend(&out);
        heard.delays.push(playout.delay().as_secs_f64() * 1000.0);
    }
    heard
}

fn hear(sent: &[Sent], pace: Pace, seconds: f64) -> Heard {
    hear_with(&mut Playout::new(pace, JitterLimits::default(), 1), sent, seconds)
}

fn steepest(samples: &[i16]) -> i32 {
    samples.windows(2).map(|pair| (i32::from(pair[0]) - i32::from(pair[1])).abs()).max().unwrap_or(0)
}

/// The sharpest bend: the most that a sample differs from a straight line through its neighbours.
fn sharpest(samples: &[i16]) -> i32 {
    let bend = |three: &[i16]| (i32::from(three[0]) - 2 * i32::from(three[1]) + i32::from(three[2])).abs();
    samples.windows(3).map(bend).max().unwrap_or(0)
}

#[test]
fn a_good_network_costs_at_most_40_ms_and_once_the_delay_is_settled_changes_no_sample() {
    let sound = voice(10);
    let heard = hear(&say(&sound, NARROW, FRAME, 0.0, |_| Some(30.0)), NARROW, 9.9);
    let settled = &heard.sound[8000 * 3..];
    let same = (0..2000).any(|shift| settled == &sound[8000 * 3 - shift..][..settled.len()]);
    assert!(same, "the last seven seconds are not as they were said");
    assert_eq!((heard.count(Taken::Broken), heard.late()), (0, 0));
    assert!(heard.delays.last().is_some_and(|delay| *delay <= 40.0), "{:?}", heard.delays.last());
}

/// A voice of a kind: a buzz whose pitch wanders, in words with pauses between them.
fn voice(seconds: usize) -> Vec<i16> {
    let mut phase = 0.0_f64;
    let sample = |n: usize| {
        let t = n as f64 / 8000.0;
        phase += (120.0 + 25.0 * (t * 2.1).sin()) / 8000.0;
        let word = ((t * 1.3).sin() + 0.6).clamp(0.0, 0.25) * 4.0;
        let buzz: f64 =
            (1..8).map(|k| (phase * std::f64::consts::TAU * f64::from(k)).sin() / f64::from(k)).sum();
        (buzz * word * 3000.0) as i16
    };
    (0..seconds * 8000).map(sample).collect()
}

#[test]
fn clocks_that_drift_by_200_parts_a_million_for_half_an_hour_are_followed_without_a_glitch() {
    const MINUTES: usize = 30;
    for (what, sound) in [("tone", tone::sine(613.0, -20.0, 8000 * 60)), ("voice", voice(60))] {
        let sound: Vec<i16> = sound.iter().copied().cycle().take(8000 * 60 * MINUTES).collect();
        for drift in [-200.0, 200.0] {
            let sent = say(&sound, NARROW, FRAME, drift, |_| Some(40.0));
            let heard = hear(&sent, NARROW, 60.0 * MINUTES as f64 - 2.0);
            assert_eq!((heard.count(Taken::Broken), heard.late()), (0, 0), "{what} {drift}");
            let most = heard.delays.iter().skip(500).fold(0.0_f64, |most, delay| most.max(*delay));
            assert!(most <= 60.0, "{what} {drift}: {most} ms");
            let body = &heard.sound[8000..];
            assert!(steepest(body) <= steepest(&sound) * 11 / 10, "{what} {drift}: {}", steepest(body));
            assert!(sharpest(body) <= sharpest(&sound) * 3 / 2, "{what} {drift}: {}", sharpest(body));
            let doubled = body
                .chunks_exact(FRAME)
                .collect::<Vec<_>>()
                .windows(2)
                .filter(|pair| pair[0] == pair[1] && level::dbov(pair[0]) > -50.0)
                .count();
            assert_eq!(doubled, 0, "{what} {drift}");
            if what == "tone" {
                let levels = body.chunks_exact(8000).map(|second| tone::goertzel(second, 613.0));
                let weakest = levels.fold(0.0_f32, f32::min);
                assert!(weakest > -21.0, "{drift}: {weakest}");
            }
        }
    }
}

#[test]
fn jitter_is_learnt_and_forgotten_and_reordering_is_not_heard() {
    let sound = voice(60);
    let jitter = |n: usize| match n {
        500..2000 => Some(30.0 + Random::new(n as u64).below(90) as f64),
        _ => Some(30.0),
    };
    let heard = hear(&say(&sound, NARROW, FRAME, 0.0, jitter), NARROW, 58.0);
    let settled = &heard.taken[1000..];
    let broken = settled.iter().filter(|taken| **taken == Taken::Broken).count();
    assert!(broken <= 5, "{broken}");
    assert!((80.0..=140.0).contains(&heard.delays[1900]), "{}", heard.delays[1900]);
    assert!(*heard.delays.last().unwrap() <= 50.0, "{:?}", heard.delays.last());
    assert!(steepest(&heard.sound) <= steepest(&sound) * 11 / 10);
}

#[test]
fn a_spike_of_the_delay_costs_one_concealment_and_the_delay_comes_back() {
    let sound = voice(40);
    let spike = |n: usize| Some(if (600..605).contains(&n) { 130.0 - (n - 600) as f64 * 20.0 } else { 30.0 });
    let heard = hear(&say(&sound, NARROW, FRAME, 0.0, spike), NARROW, 38.0);
    assert!((1..=6).contains(&heard.count(Taken::Broken)), "{}", heard.count(Taken::Broken));
    assert_eq!(heard.late(), 0);
    assert!(heard.delays[620] > 80.0, "{}", heard.delays[620]);
    assert!(*heard.delays.last().unwrap() <= 50.0, "{:?}", heard.delays.last());
}

#[test]
fn a_slower_route_is_followed_up_to_the_limit_and_beyond_it_after_400_ms() {
    let sound = voice(30);
    let route = |step: f64| move |n: usize| Some(if n < 500 { 20.0 } else { 20.0 + step });
    let heard = hear(&say(&sound, NARROW, FRAME, 0.0, route(120.0)), NARROW, 28.0);
    assert!((3..=8).contains(&heard.count(Taken::Broken)), "{}", heard.count(Taken::Broken));
    assert_eq!(heard.late(), 0);
    let heard = hear(&say(&sound, NARROW, FRAME, 0.0, route(320.0)), NARROW, 28.0);
    assert!((10..=25).contains(&heard.late()), "{}", heard.late());
    assert!(heard.delays.iter().all(|delay| *delay <= 220.0));
    assert_eq!(heard.taken.last(), Some(&Taken::Whole));
}

#[test]
fn packets_of_any_length_and_clock_come_out_whole() {
    for (clock, rate) in [(8000, 8000), (8000, 16_000), (16_000, 16_000), (48_000, 16_000), (48_000, 8000)] {
        for milliseconds in [10, 20, 30, 40, 60] {
            let pace = Pace { clock, rate };
            let sound = tone::sine(613.0, -20.0, rate as usize * 8);
            let length = rate as usize / 1000 * milliseconds;
            let heard = hear(&say(&sound, pace, length, 0.0, |_| Some(10.0)), pace, 7.5);
            assert_eq!((heard.count(Taken::Broken), heard.late()), (0, 0), "{pace:?} {milliseconds} ms");
            let begin = heard.taken.iter().position(|taken| *taken == Taken::Whole).unwrap();
            assert!(begin <= 9, "{pace:?} {milliseconds} ms: {begin}");
            let body = &heard.sound[(begin + 4) * rate as usize / 50..];
            assert!(steepest(body) <= steepest(&sound) * 11 / 10, "{pace:?} {milliseconds} ms");
        }
    }
}

#[test]
fn a_pause_of_the_far_side_is_no_loss_whether_its_timestamps_go_on_or_not() {
    for frozen in [false, true] {
        let sound = voice(20);
        let mut sent = say(&sound, NARROW, FRAME, 0.0, |n| (!(300..450).contains(&n)).then_some(20.0));
        for sent in sent.iter_mut().skip(300) {
            sent.packet.0 -= 150;
            if frozen {
                sent.packet.1 = sent.packet.1.wrapping_sub(150 * 160);
            }
        }
        let heard = hear(&sent, NARROW, 18.0);
        assert!(heard.count(Taken::Broken) <= 4, "{frozen}: {}", heard.count(Taken::Broken));
        assert!(heard.count(Taken::Idle) >= 140, "{frozen}");
        assert_eq!(heard.late(), 0, "{frozen}");
        assert!(heard.delays.iter().all(|delay| *delay <= 45.0), "{frozen}");
    }
}

#[test]
fn a_described_pause_is_filled_with_noise_of_its_level_and_is_no_loss() {
    let sound = tone::sine(400.0, -20.0, 8000 * 4);
    let sent = say(&sound, NARROW, FRAME, 0.0, |n| (n < 100).then_some(0.0));
    let mut playout = Playout::new(NARROW, JitterLimits::default(), 1);
    hear_with(&mut playout, &sent, 1.96);
    playout.rest(Duration::from_millis(1967), 100, sent[99].packet.1.wrapping_add(160), &[48]);
    let mut sound = Vec::new();
    for n in 98..250_u64 {
        let mut out = [0; FRAME];
        let taken = playout.take(Duration::from_millis(n * 20 + 7), &mut Linear, &mut out);
        let expected = if n < 102 { Taken::Whole } else { Taken::Resting };
        assert!(taken == expected || n == 101 || n == 102, "{n}: {taken:?}");
        sound.extend(out);
    }
    assert!((level::dbov(&sound[8000..]) + 48.0).abs() < 1.5, "{}", level::dbov(&sound[8000..]));
}

#[test]
fn timestamps_that_jump_are_followed_at_once() {
    for jump in [1_000_000_u32, 3_000_000_000, 4000, 2000, 0_u32.wrapping_sub(4000)] {
        let mut sent = say(&voice(10), NARROW, FRAME, 0.0, |_| Some(20.0));
        for sent in sent.iter_mut().skip(200) {
            sent.packet.1 = sent.packet.1.wrapping_add(jump);
        }
        let heard = hear(&sent, NARROW, 9.0);
        assert!(heard.late() == 0 && heard.count(Taken::Broken) <= 3, "{jump}");
        assert!(heard.delays.iter().all(|delay| *delay <= 60.0), "{jump}");
    }
}

#[test]
fn after_a_stall_the_newest_sound_is_played_within_the_limit() {
    let sent = say(&voice(40), NARROW, FRAME, 0.0, |n| {
        Some(if (300..325).contains(&n) { 520.0 - (n - 300) as f64 * 20.0 } else { 20.0 })
    });
    let heard = hear(&sent, NARROW, 38.0);
    assert!(heard.delays.iter().all(|delay| *delay <= 220.0));
    assert!(*heard.delays.last().unwrap() <= 50.0, "{:?}", heard.delays.last());
    assert!(heard.count(Taken::Broken) <= 5, "{}", heard.count(Taken::Broken));
}

/// PESQ (P.862, raw) of what is heard at a loss of so many percent, against what was said.
fn score(said: &[i16], percent: u64, seed: u64, limits: JitterLimits, silence: bool) -> f32 {
    let coded: Vec<i16> = said.iter().map(|&sample| Law::Pcmu.decode(Law::Pcmu.encode(sample))).collect();
    let mut random = Random::new(seed);
    let lost: Vec<bool> = (0..said.len() / FRAME).map(|n| random.below(100) < percent && n > 5).collect();
    let sent = say(&coded, NARROW, FRAME, 0.0, |n| (silence || !lost[n]).then_some(15.0));
    let mut playout = Playout::new(NARROW, limits, 1);
    let mut heard = hear_with(&mut playout, &sent, said.len() as f64 / 8000.0 + 0.1);
    let begin = heard.taken.iter().position(|taken| *taken == Taken::Whole).unwrap();
    if silence {
        for (frame, lost) in heard.sound.chunks_mut(FRAME).skip(begin).zip(&lost) {
            frame.iter_mut().filter(|_| *lost).for_each(|sample| *sample = 0);
        }
    }
    let end = (begin * FRAME + said.len()).min(heard.sound.len());
    pesq::pesq_8k(said, &heard.sound[begin * FRAME..end]).unwrap()
}

/// The mean PESQ of some recordings: only coded, at a loss of 3 % and at one of 10 %.
fn scores(recordings: &[Vec<i16>], limits: JitterLimits, silence: bool) -> [f32; 3] {
    let coded = |said: &[i16]| -> Vec<i16> {
        said.iter().map(|&sample| Law::Pcmu.decode(Law::Pcmu.encode(sample))).collect()
    };
    let whole = recordings.iter().map(|said| pesq::pesq_8k(said, &coded(said)).unwrap()).sum::<f32>();
    let [few, many] = [3, 10].map(|percent| {
        let seeds = |said| (0..3).map(move |seed| (said, seed));
        let each = recordings.iter().flat_map(seeds);
        each.map(|(said, seed): (&Vec<i16>, u64)| score(said, percent, seed, limits, silence)).sum::<f32>()
    });
    let count = recordings.len() as f32;
    [whole / count, few / count / 3.0, many / count / 3.0]
}

#[test]
fn loss_costs_little_of_a_made_up_voice_and_much_of_it_with_silence_put_in() {
    let recordings = [voice(8)];
    // PESQ takes a correction of the delay in a voice that is all pitch for another voice: none is made here.
    let minimum = Duration::from_millis(60);
    let limits = JitterLimits { start: minimum, min: minimum, ..JitterLimits::default() };
    let [whole, few, many] = scores(&recordings, limits, false);
    eprintln!("made-up voice: {whole:.3}, 3 %: {few:.3}, 10 %: {many:.3}");
    assert!(whole - few <= 0.5 && whole - many <= 1.1, "{whole} {few} {many}");
    let [whole, few, many] = scores(&recordings, limits, true);
    eprintln!("with silence: {whole:.3}, 3 %: {few:.3}, 10 %: {many:.3}");
    assert!(whole - few > 0.5 && whole - many > 1.1, "{whole} {few} {many}");
}

#[test]
fn loss_costs_at_most_half_a_point_at_3_percent_and_1_1_at_10_of_real_speech() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/speech/wav16");
    let Ok(files) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: no recordings of real speech in {}", folder.display());
        return;
    };
    let read = |path: std::path::PathBuf| {
        let (rate, sound) = crate::wav::decode(&std::fs::read(path).ok()?).ok()?;
        (rate == 16_000).then(|| crate::resample::down(&sound))
    };
    let mut recordings: Vec<Vec<i16>> = files.filter_map(|file| read(file.ok()?.path())).collect();
    recordings.retain(|sound| (8000 * 3..8000 * 15).contains(&sound.len()));
    let [whole, few, many] = scores(&recordings, JitterLimits::default(), false);
    eprintln!("{} recordings: {whole:.3}, 3 %: {few:.3}, 10 %: {many:.3}", recordings.len());
    assert!(whole - few <= 0.5, "at 3 %: {whole} to {few}");
    assert!(whole - many <= 1.1, "at 10 %: {whole} to {many}");
}
