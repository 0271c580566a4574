//! Alone in its program, because it counts threads: a stopped pool leaves none behind, and soon.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "test code fails by panicking"
)]

mod support;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use segue_speech::Speech;
use segue_trigger::Speaker;
use support::{Counting, Line, config, instant, said, script, until};

fn speech_threads() -> Vec<String> {
    let names = std::fs::read_dir("/proc/self/task").unwrap().filter_map(|task| {
        // A thread may end between the listing and the reading.
        std::fs::read_to_string(task.unwrap().path().join("comm")).ok()
    });
    let mut names: Vec<String> =
        names.map(|name| name.trim().to_owned()).filter(|name| name.starts_with("segue-")).collect();
    names.sort();
    names
}

/// A thread takes its name after it was started, and leaves the list a little after it was joined.
fn are_soon(names: &[&str]) {
    until(&format!("the threads are {names:?}"), || speech_threads() == names);
}

#[test]
fn no_thread_is_left_after_a_stop_in_the_middle_of_decodes() {
    assert_eq!(speech_threads(), Vec::<String>::new());
    let engine = Counting::default();
    let (shut, decodes) = (Arc::clone(&engine.shut), Arc::clone(&engine.decodes));
    let mut config = config();
    config.workers = 3;
    let mut speech = Speech::start(config, Some(Arc::new(engine))).unwrap();
    are_soon(&["segue-asr-0", "segue-asr-1", "segue-asr-2", "segue-hear"]);
    shut.store(true, Ordering::Relaxed);
    let mut lines: Vec<Line> = (0..5).map(|_| Line::open(&speech, Speaker::Caller, false)).collect();
    let sound = script(&[said("My parcel is late")]);
    lines.iter_mut().for_each(|line| line.feed(&speech, &sound));
    until("all workers are busy", || decodes.load(Ordering::Relaxed) >= 3);
    let began = instant();
    speech.stop();
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    are_soon(&[]);
    drop(lines);
    // Once more, by dropping it.
    drop(Speech::start(support::config(), Some(Arc::new(Counting::default()))).unwrap());
    are_soon(&[]);
}
