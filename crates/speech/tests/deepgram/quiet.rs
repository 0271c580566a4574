//! Voices that are silent: not sent, not connected, no gap; and connections that live through the silence.

use std::{
    io::ErrorKind,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::channel,
    },
    time::Duration,
};

use segue_media::g711::Law;
use segue_speech::{Clock, SpeechConfig, pool::Frame};
use segue_trigger::{Speaker, Stage};
use tungstenite::Message;

use crate::{
    guest::{
        GROWING, LAST, SETTLED, accept, after, is_final, listen_with, options, result, serve, texts, until,
    },
    support::{self, BEGIN, Line, gaps, hypotheses},
};

/// A clock that a test winds.
#[derive(Clone, Default)]
struct Wound(Arc<AtomicU64>);

impl Wound {
    fn to(&self, millis: u64) {
        self.0.store(millis, Ordering::Relaxed);
    }

    fn config(&self) -> SpeechConfig {
        let wound = Arc::clone(&self.0);
        let clock: Clock = Arc::new(move || BEGIN + Duration::from_millis(wound.load(Ordering::Relaxed)));
        SpeechConfig::new(clock)
    }
}

/// No service is too slow for it, however the clock is wound.
const PATIENT: Duration = Duration::from_secs(100_000);

fn silence(frames: usize) -> Vec<u8> {
    vec![Law::Pcmu.encode(6); frames * 160]
}

fn voice(frames: usize) -> Vec<u8> {
    vec![Law::Pcmu.encode(2_000); frames * 160]
}

#[test]
fn who_never_speaks_has_no_connection_and_no_gap() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    nobody.set_nonblocking(true).unwrap();
    let address = format!("ws://{}", nobody.local_addr().unwrap());
    let speech = listen_with(options(&address, PATIENT), support::config());
    let mut line = Line::open(&speech, Speaker::Bot, false);
    line.feed_mulaw(&speech, &silence(1_500));
    line.push(Frame::Lost);
    assert_eq!(line.end(), vec![]);
    assert_eq!(nobody.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_connection_is_kept_for_a_minute_of_silence_and_made_again_for_the_next_word() {
    let clock = Wound::default();
    let (tell, told) = channel();
    let (address, server) = serve(move |listener: &TcpListener| {
        let mut guest = accept(listener);
        guest.hear(50);
        guest.say(result(&[("one", 100, 900)], 1_000, LAST));
        while !guest.texts.iter().any(|text| text.contains("KeepAlive")) {
            guest.take();
        }
        tell.send(()).unwrap();
        let first = guest.part(None).sound;
        tell.send(()).unwrap();
        let mut guest = accept(listener);
        guest.hear(50);
        guest.say(result(&[("two", 300, 900)], 1_000, LAST));
        (first, guest.part(None).sound)
    });
    let speech = listen_with(options(&address, PATIENT), clock.config());
    let mut line = Line::open(&speech, Speaker::Caller, false);
    line.feed_mulaw(&speech, &voice(50));
    let mut heard = until(&line, is_final);
    clock.to(7_000);
    told.recv().unwrap();
    clock.to(61_500);
    told.recv().unwrap();
    line.at = after(80_000);
    line.feed_mulaw(&speech, &silence(100));
    line.feed_mulaw(&speech, &voice(50));
    heard.extend(until(&line, is_final));
    heard.extend(line.end());
    let (first, second) = server.join().unwrap();
    assert_eq!((texts(&heard), gaps(&heard)), (vec!["one".to_owned(), "two".to_owned()], vec![]));
    assert!(first == voice(50), "silence is not sent");
    assert!(second == [silence(25), voice(50)].concat(), "half a second before the voice");
    let words = hypotheses(&heard, Stage::Final);
    assert_eq!(words[1].start, after(80_000 + 2_000 - 500 + 300), "the times of the call");
}

#[test]
fn a_ping_is_answered_and_a_pause_that_the_service_tells_ends_a_line() {
    let (address, server) = serve(|listener| {
        let mut guest = accept(listener);
        guest.hear(50);
        guest.socket.send(Message::Ping(vec![7, 7].into())).unwrap();
        while !matches!(guest.socket.read().unwrap(), Message::Pong(same) if same[..] == [7, 7]) {}
        guest.say(result(&[("well", 100, 400)], 500, SETTLED));
        guest.say(result(&[("then", 500, 900)], 1_000, GROWING));
        guest.say(r#"{"type":"UtteranceEnd","channel":[0,1],"last_word_end":0.9}"#);
        guest.part(None);
    });
    let speech = listen_with(options(&address, PATIENT), support::config());
    let mut line = Line::open(&speech, Speaker::Caller, true);
    line.feed_mulaw(&speech, &voice(50));
    let heard = until(&line, is_final);
    assert_eq!(texts(&heard), ["well then"]);
    line.end();
    server.join().unwrap();
}

#[test]
fn a_service_that_lives_and_tells_nothing_is_left_and_the_next_connection_hears_it_all() {
    let clock = Wound::default();
    let (tell, told) = channel();
    let (address, server) = serve(move |listener: &TcpListener| {
        let mut mute = accept(listener);
        mute.hear(50);
        tell.send(()).unwrap();
        while mute.socket.read().is_ok() {}
        let mut guest = accept(listener);
        guest.hear(50);
        guest.say(result(&[("hello", 100, 900)], 1_000, LAST));
        guest.part(None).sound
    });
    let speech = listen_with(options(&address, PATIENT), clock.config());
    let mut line = Line::open(&speech, Speaker::Caller, false);
    line.feed_mulaw(&speech, &voice(50));
    told.recv().unwrap();
    clock.to(20_000);
    let mut heard = until(&line, is_final);
    heard.extend(line.end());
    assert_eq!((texts(&heard), gaps(&heard)), (vec!["hello".to_owned()], vec![]));
    assert!(server.join().unwrap() == voice(50));
}
