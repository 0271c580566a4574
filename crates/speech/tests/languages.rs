//! The language that whisper hears. No weights of many languages are here, so the mechanics are shown with random ones of
//! the true shape: which language it is, is chance then, and the same chance each time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code fails by panicking"
)]

mod support;

use std::time::Duration;

use segue_speech::{
    WhisperEngine,
    models::Shape,
    pool::{Decoded, Engine, Stop},
};
use support::{clock, noise};

const MANY: Shape = Shape { multilingual: true, ..Shape::SMALLEST };

fn decoded(shape: &Shape, allowed: &[&str], language: Option<&str>) -> Vec<Decoded> {
    let allowed: Vec<String> = allowed.iter().map(|code| (*code).to_owned()).collect();
    let engine = WhisperEngine::random("random", *shape, 7).unwrap().for_languages(&allowed);
    let mut decoder = engine.decoder().unwrap();
    let mut decode = |seconds: f32| {
        let stop = Stop::at(Duration::MAX, clock());
        decoder.decode(&noise(seconds * 2.0, 3_000.0), language, &stop).unwrap()
    };
    [1.0, 4.0, 2.0].map(&mut decode).to_vec()
}

#[test]
fn a_model_of_many_languages_tells_which_of_the_allowed_ones_it_heard() {
    for allowed in [["en", "es"], ["de", "fr"]] {
        for told in decoded(&MANY, &allowed, None) {
            let spoken = told.language.unwrap();
            assert!(allowed.contains(&spoken.language.as_str()), "{spoken:?}");
            assert!((0.5..=1.0).contains(&spoken.probability), "the likelier of two: {spoken:?}");
        }
    }
}

#[test]
fn what_was_heard_does_not_depend_on_the_language_that_a_voice_is_decoded_in() {
    let heard = |language| -> Vec<_> {
        decoded(&MANY, &["en", "es", "de"], language).into_iter().map(|told| told.language.unwrap()).collect()
    };
    let free = heard(None);
    for language in ["en", "es", "de"] {
        for (one, other) in free.iter().zip(heard(Some(language))) {
            assert_eq!(one.language, other.language);
            assert!((one.probability - other.probability).abs() < 1e-3, "{one:?} {other:?}");
        }
    }
}

#[test]
fn a_voice_without_a_language_is_decoded_in_the_one_that_was_heard() {
    let free = decoded(&MANY, &["es", "en", "de", "fr", "nl", "pl"], None);
    for (place, told) in free.iter().enumerate() {
        let spoken = told.language.clone().unwrap();
        let within = if spoken.probability >= 0.7 { spoken.language.as_str() } else { "es" };
        let fixed = &decoded(&MANY, &["es", "en", "de", "fr", "nl", "pl"], Some(within))[place];
        assert_eq!(told.text, fixed.text, "{spoken:?}");
    }
}

#[test]
fn where_there_is_one_language_nothing_is_told() {
    for told in decoded(&MANY, &["es"], None) {
        assert_eq!(told.language, None);
    }
    for told in decoded(&Shape::SMALLEST, &["en", "es"], None) {
        assert_eq!(told.language, None, "a model of English hears English");
    }
    for told in decoded(&MANY, &["en", "no such", ""], None) {
        assert_eq!(told.language, None, "one of them is a language");
    }
}
