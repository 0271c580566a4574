//! Words, their times and their gaps, over connections good and bad.

use std::{net::TcpListener, sync::mpsc::channel, time::Duration};

use segue_media::g711::Law;
use segue_speech::{GapCause, Heard, Recognizer, StreamOptions, pool::Frame};
use segue_trigger::{Speaker, Stage};
use tungstenite::handshake::server::{ErrorResponse, Request, Response};

use crate::{
    guest::{
        GROWING, Guest, LAST, LONG, SETTLED, accept, after, frames, is_final, listen, missing, result, serve,
        texts, until,
    },
    support::{self, BEGIN, Line, assert_whole, gaps, hypotheses},
};

#[test]
fn sound_goes_out_as_it_came_and_words_come_back_at_their_times() {
    let (address, server) = serve(|listener| {
        let mut guest = accept(listener);
        guest.hear(100);
        guest.say(r#"{"type":"SpeechStarted","timestamp":0.3}"#);
        guest.say(result(&[("i", 300, 400), ("wan", 500, 700)], 1_000, GROWING));
        guest.say(result(&[("i", 300, 400), ("want", 500, 700)], 1_100, GROWING));
        guest.say(result(&[("i", 300, 400), ("want", 500, 700), ("help", 800, 1_200)], 1_600, LAST));
        guest.part(Some(result(&[("thanks", 1_800, 1_900)], 2_000, SETTLED)))
    });
    let speech = listen(&address, LONG);
    let mut line = Line::open(&speech, Speaker::Caller, true);
    line.feed_mulaw(&speech, &frames(0, 100));
    let mut heard = until(&line, is_final);
    heard.extend(line.end());
    let guest = server.join().unwrap();
    assert_whole(&heard);
    assert_eq!((texts(&heard), gaps(&heard)), (vec!["i want help".to_owned(), "thanks".to_owned()], vec![]));
    let partials = hypotheses(&heard, Stage::Partial);
    let told: Vec<(&str, &str)> =
        partials.iter().map(|words| (words.text.as_str(), words.stable_prefix())).collect();
    assert_eq!(told, [("i wan", ""), ("i want", "i"), ("thanks", "thanks")]);
    let first = &hypotheses(&heard, Stage::Final)[0];
    assert_eq!((first.start, first.end), (after(300), after(1_200)));
    assert!((first.confidence - 0.9).abs() < 0.001, "{}", first.confidence);
    assert!(guest.sound == frames(0, 100), "the bytes of RTP, and no others");
    let asked = guest.request.uri().to_string();
    for wanted in ["/v1/listen?", "encoding=mulaw&sample_rate=8000&channels=1", "model=nova-2%20phone"] {
        assert!(asked.contains(wanted), "{asked}");
    }
    assert!(asked.contains("interim_results=true") && asked.contains("endpointing=400"), "{asked}");
    assert_eq!(guest.request.headers()["authorization"], "Token secret-of-ours");
    support::until("its place is free again", || speech.stats().streams == 0);
}

#[test]
fn every_kind_of_sound_becomes_mulaw_and_what_never_came_is_silence() {
    let (address, server) = serve(|listener| accept(listener).part(None));
    let speech = listen(&address, LONG);
    let mut line = Line::open(&speech, Speaker::Agent, false);
    line.push(Frame::G711(&[0xD5; 160], Law::Pcma));
    line.push(Frame::Linear(&[8_000; 160]));
    line.push(Frame::Lost);
    line.at += Duration::from_millis(100);
    line.push(Frame::Wide(&[8_000; 320]));
    line.push(Frame::Wide(&[8_000; 320]));
    line.end();
    let sound = server.join().unwrap().sound;
    let loud = Law::Pcmu.encode(8_000);
    let frame = |place: usize| &sound[place * 160..][..160];
    assert_eq!(sound.len(), 10 * 160, "a hole of 100 ms takes as long there");
    assert!(Law::Pcmu.decode(frame(0)[0]).abs() < 16);
    assert_eq!(frame(1), [loud; 160]);
    assert!((2..8).all(|place| frame(place) == [Law::Pcmu.silence(); 160]));
    assert!(frame(9)[40..].iter().all(|byte| Law::Pcmu.decode(*byte).abs_diff(8_000) < 500));
}

#[test]
fn a_connection_that_is_cut_is_made_again_and_no_word_is_lost_or_doubled() {
    let (back, is_back) = channel();
    let (address, server) = serve(move |listener: &TcpListener| {
        let mut guest = accept(listener);
        guest.hear(200);
        guest.say(result(
            &[("one", 500, 900), ("two", 1_500, 1_900), ("three", 2_100, 2_400)],
            2_500,
            SETTLED,
        ));
        guest.say(result(&[("four", 2_600, 2_900), ("fi", 3_700, 4_000)], 4_000, GROWING));
        drop(guest);
        let mut guest = accept(listener);
        back.send(()).unwrap();
        guest.hear(150);
        let again = [("tree", 120, 380), ("four", 600, 900), ("five", 1_700, 2_100), ("six", 2_500, 2_900)];
        guest.say(result(&again, 3_000, LAST));
        guest.part(None)
    });
    let speech = listen(&address, LONG);
    let mut line = Line::open(&speech, Speaker::Caller, true);
    line.feed_mulaw(&speech, &frames(0, 200));
    let growing = |heard: &Heard| matches!(heard, Heard::Hypothesis(words) if words.text.contains("fi"));
    let mut heard = until(&line, growing);
    is_back.recv().unwrap();
    line.feed_mulaw(&speech, &frames(200, 50));
    heard.extend(until(&line, is_final));
    heard.extend(line.end());
    assert_whole(&heard);
    assert_eq!((texts(&heard), gaps(&heard)), (vec!["one two three four five six".to_owned()], vec![]));
    let line = &hypotheses(&heard, Stage::Final)[0];
    assert_eq!(
        (line.start, line.end),
        (after(500), after(4_900)),
        "the times of the call, not of a connection"
    );
    let again = server.join().unwrap().sound;
    assert!(again == frames(100, 150), "the last two seconds and what came since");
}

#[test]
fn a_service_that_never_answers_makes_gaps_over_all_that_was_said() {
    // Its system takes the connections, and nobody greets.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let speech = listen(&format!("ws://{}", silent.local_addr().unwrap()), Duration::from_millis(200));
    let mut line = Line::open(&speech, Speaker::Caller, true);
    line.feed_mulaw(&speech, &frames(0, 600));
    let heard = line.end();
    assert_eq!(heard.len(), missing(&heard).len(), "{heard:?}");
    let mut reached = BEGIN;
    for gap in missing(&heard) {
        assert_eq!((gap.start, gap.cause), (reached, GapCause::EngineFailed));
        reached = gap.end;
    }
    assert_eq!(reached, after(12_000));
}

#[test]
fn a_service_that_is_late_gets_the_last_five_seconds_and_the_rest_is_a_gap() {
    let (open, opens) = channel();
    let (address, server) = serve(move |listener: &TcpListener| {
        let (stream, _) = listener.accept().unwrap();
        opens.recv().unwrap();
        let mut guest = Guest::greet(stream);
        guest.hear(250);
        guest.say(result(&[("late", 500, 1_000)], 5_000, LAST));
        guest.part(None)
    });
    let speech = listen(&address, LONG);
    let mut line = Line::open(&speech, Speaker::Caller, false);
    line.feed_mulaw(&speech, &frames(0, 300));
    open.send(()).unwrap();
    let mut heard = until(&line, is_final);
    heard.extend(line.end());
    assert_whole(&heard);
    let words = hypotheses(&heard, Stage::Final).remove(0);
    assert_eq!((words.text.as_str(), words.start), ("late", after(1_500)));
    let lost = missing(&heard);
    assert_eq!((lost.first().unwrap().start, lost.last().unwrap().end), (BEGIN, after(1_000)));
    assert!(server.join().unwrap().sound == frames(50, 250));
}

#[test]
fn a_service_that_takes_no_sound_any_more_is_left_and_the_next_connection_is_used() {
    let (address, server) = serve(|listener| {
        let stuck = accept(listener);
        let mut guest = accept(listener);
        drop(stuck);
        guest.hear(100);
        guest.say(result(&[("back", 1_000, 1_500)], 2_000, LAST));
        guest.part(None);
    });
    let speech = listen(&address, Duration::from_millis(300));
    let mut line = Line::open(&speech, Speaker::Caller, false);
    // More than the systems on both ends keep for a reader that does not read.
    let sound = frames(0, 40);
    let mut heard = Vec::new();
    while !heard.iter().any(is_final) {
        line.feed_mulaw(&speech, &sound);
        heard.extend(line.heard.try_iter());
    }
    heard.extend(line.end());
    assert_whole(&heard);
    assert_eq!(texts(&heard), ["back"]);
    assert!(gaps(&heard).contains(&GapCause::EngineFailed), "{heard:?}");
    server.join().unwrap();
}

#[test]
fn a_refusal_is_tried_again_and_what_is_no_result_ends_a_connection() {
    let (address, server) = serve(|listener| {
        let refuse = |_: &Request, _: Response| -> Result<Response, ErrorResponse> {
            Err(tungstenite::http::Response::builder().status(500).body(Some("no disk".to_owned())).unwrap())
        };
        assert!(tungstenite::accept_hdr(listener.accept().unwrap().0, refuse).is_err());
        accept(listener).say("<html>busy</html>");
        accept(listener).say(r#"{"type":"Error","description":"out of credit"}"#);
        let mut guest = accept(listener);
        guest.hear(50);
        guest.say(result(&[("yes", 100, 400)], 1_000, LAST));
        guest.part(None);
    });
    let speech = listen(&address, LONG);
    let mut line = Line::open(&speech, Speaker::Caller, false);
    line.feed_mulaw(&speech, &frames(0, 50));
    let mut heard = until(&line, is_final);
    heard.extend(line.end());
    assert_eq!((texts(&heard), gaps(&heard)), (vec!["yes".to_owned()], vec![]));
    server.join().unwrap();
}

#[test]
fn a_pool_that_stops_ends_its_connections_and_tells_what_is_not_known() {
    let (address, server) = serve(|listener| {
        let mut guest = accept(listener);
        guest.hear(100);
        guest.say(result(&[("half", 500, 900)], 1_000, GROWING));
        while guest.socket.read().is_ok() {}
    });
    let mut speech = listen(&address, LONG);
    let mut line = Line::open(&speech, Speaker::Caller, true);
    line.feed_mulaw(&speech, &frames(0, 100));
    let mut heard = until(&line, |heard| matches!(heard, Heard::Hypothesis(_)));
    speech.stop();
    server.join().unwrap();
    heard.extend(line.heard.try_iter());
    assert_whole(&heard);
    assert_eq!((texts(&heard), gaps(&heard)), (vec!["half".to_owned()], vec![GapCause::Stopped]));
    let options =
        StreamOptions { speaker: Speaker::Bot, language: None, partials: false, sink: Box::new(|_| {}) };
    assert!(speech.open(options).is_err(), "nobody listens any more");
    line.stream.push(line.at, Frame::Lost);
}
