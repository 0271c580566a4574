//! Twenty callers and their bots say a sentence at the same time, and one thread recognises: it steps up its ladder,
//! tells so, comes down again, loses no caller's words, and nobody's sound suffers.

use segue_speech::Voice;

use crate::support::{
    Deadline, alone,
    endpoint::Endpoint,
    gateway::{Gateway, Plan},
    installed,
    listening::speech,
    note,
    recording::breaks,
    sipp::{self, Nudge, Sipp},
};

const CALLERS: usize = 20;
const SENTENCE: &str = "i want a refund of five hundred dollars for order one two three four";
/// Other words than the callers', which would be taken for an echo of it.
const WELCOME: &str = "welcome to the help line how can i help you today";

#[test]
fn recognition_that_is_swamped_steps_up_and_down_and_loses_no_callers_words() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    let until = Deadline::after(120);
    let (callers, bots): (Vec<_>, Vec<_>) =
        (0..CALLERS).map(|_| (Endpoint::open(), Endpoint::open())).unzip();
    let ports = |lines: &[Endpoint]| lines.iter().map(|line| line.port).collect::<Vec<_>>();
    let bot_phone = Sipp::answers("bot", &ports(&bots));
    let plan =
        Plan { bot: bot_phone.address, agents: Vec::new(), recognition: true, polite: false, more: "" };
    let gateway = Gateway::start(until, &plan);
    let api = &gateway.api;
    let caller_phone = Sipp::calls("caller", gateway.sip, &ports(&callers));
    api.events.wait(until, "all calls with the bot", |seen| {
        (seen.iter().filter(|event| event.is_phase("with_bot")).count() == CALLERS).then_some(())
    });
    let (asked, welcome) = (speech(Voice::Slt, SENTENCE), speech(Voice::Kal, WELCOME));
    for (caller, bot) in callers.iter().zip(&bots) {
        caller.say(&asked);
        bot.say(&welcome);
    }
    let finals = api.events.wait(until, "everybody's words", |seen| {
        let finals = seen.iter().filter(|event| {
            event.kind == "segue.call.heard"
                && event.data["is_final"] == true
                && event.data["utterance"]["speaker"] == "caller"
        });
        let texts: Vec<String> =
            finals.filter_map(|event| event.data["utterance"]["text"].as_str()).map(str::to_owned).collect();
        (texts.len() >= CALLERS).then_some(texts)
    });
    assert!(finals.iter().all(|text| text.contains("refund") || text.contains("order")), "{finals:?}");
    let up = api.event(until, "a step up", |event| {
        event.kind == "segue.recognition.rung" && event.data["from"] == "full"
    });
    assert!(up.data["wait_ms"].as_u64().is_some_and(|wait| wait > 300), "{:?}", up.data);
    api.event(until, "all the way down again", |event| {
        event.kind == "segue.recognition.rung" && event.data["to"] == "full"
    });
    let gaps = api
        .events
        .all()
        .into_iter()
        .filter(|event| event.kind == "segue.transcript.gap" && event.data["gap"]["speaker"] == "caller");
    assert_eq!(gaps.count(), 0, "no caller is given up");
    the_metrics_tell_it(&gateway);
    for caller in &callers {
        assert_eq!(breaks(&caller.ear.all()), Vec::<String>::new());
        let dialog = caller_phone.call_at(until, caller.port);
        caller_phone.nudge(&dialog, Nudge::GoOn);
    }
    caller_phone.succeeds(until);
    gateway.is_empty(until);
    gateway.stop(until);
}

fn the_metrics_tell_it(gateway: &Gateway) {
    let page = gateway.api.metrics();
    let told = |name: &str| {
        let lines = page.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    assert_eq!(told("segue_recognition_rung "), 0.0, "{page}");
    assert!(told("segue_recognition_steps_total") >= 2.0, "{page}");
    assert!(told("segue_recognition_finals_total{by=\"model\"}") >= CALLERS as f64, "{page}");
    assert!(told("segue_recognition_wait_seconds_count") >= 1.0, "{page}");
    let up: f64 = told("segue_recognition_rung_seconds_total")
        - told("segue_recognition_rung_seconds_total{rung=\"full\"}");
    assert!(up >= 2.0, "{page}");
    note(&format!(
        "{CALLERS} callers and bots at once on one worker: {} steps, {up} s above the ground, {} partials stopped for \
         finals",
        told("segue_recognition_steps_total"),
        told("segue_recognition_partials_total{end=\"stopped\"}")
    ));
}
