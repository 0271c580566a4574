//! Words from elsewhere: a service that hears for the gateway, and a bot that tells what it heard.

use segue_speech::Voice;

use crate::support::{
    alone,
    api::Api,
    elsewhere::{Elsewhere, Sentence},
    installed,
    listening::speech,
    scene::{BOT_HERTZ, Caller, Scene},
    sipp,
};

const MATTER: &str = "i want a refund of five hundred dollars for order one two three four";
const REQUEST: &str = "i want to talk to a human";

fn sentences() -> Vec<Sentence> {
    [MATTER, REQUEST].into_iter().map(|text| (speech(Voice::Slt, text), text)).collect()
}

fn says(caller: &Caller, scene: &Scene, text: &str) {
    caller.line.say_out(scene.until, &speech(Voice::Slt, text));
}

/// Waits until words of a caller are in the transcript for good.
fn heard(scene: &Scene, caller: &Caller, words: &str) {
    scene.api().event(scene.until, words, |event| {
        event.subject == caller.id
            && event.kind == "segue.call.heard"
            && event.data["is_final"] == true
            && event.data["utterance"]["text"].as_str().is_some_and(|text| text.contains(words))
    });
}

/// The handoff of a call that was asked for in words, with all that the agent is told of them.
fn the_card_has_the_words(scene: &Scene, caller: &Caller) {
    let call = scene.api().get(&format!("/v1/calls/{}", caller.id));
    let said: Vec<&str> =
        call["transcript"].as_array().unwrap().iter().filter_map(|line| line["text"].as_str()).collect();
    assert!(said.join(" ").contains("refund of five hundred dollars"), "{said:?}");
    let handoff = &call["handoff"];
    assert_eq!(handoff["reason"]["code"], "explicit_request", "{handoff}");
    assert!(
        handoff["card"]["goal"]["text"].as_str().is_some_and(|goal| goal.contains("refund")),
        "{handoff}"
    );
}

fn heard_elsewhere(engine: &str, scheme: &str, mut service: Elsewhere) {
    let more = format!(
        "[recognition]\nengine = \"{engine}\"\n[recognition.remote]\naddress = \"{scheme}://{}\"\n\
         model = \"of-the-test\"\ndeadline_ms = 2000\n[call.speech]\nask_for_details = false\n",
        service.address()
    );
    let scene = Scene::set(200, "bot", 1, &more);
    let first = scene.call(0);
    scene.phase(&first, "with_bot");
    says(&first, &scene, MATTER);
    heard(&scene, &first, "refund");
    says(&first, &scene, REQUEST);
    scene.handoff(&first, "requested");
    scene.agent_takes(&first, 0);
    the_card_has_the_words(&scene, &first);
    first.hang_up(&scene);

    let second = scene.call(1);
    scene.phase(&second, "with_bot");
    says(&second, &scene, MATTER);
    heard(&scene, &second, "refund");
    service.die();
    says(&second, &scene, MATTER);
    scene.api().until(scene.until, "the gap is counted", |api| {
        let metrics = api.metrics();
        metrics
            .lines()
            .any(|line| line.starts_with("segue_transcript_gaps_total{cause=\"engine_failed\"}"))
            .then_some(())
    });
    scene.gateway.logs(scene.until, "the transcript has a hole");
    second.hears(scene.until, BOT_HERTZ);
    second.line.press('0');
    scene.handoff(&second, "requested");
    scene.agent_takes(&second, 0);
    second.hang_up(&scene);
    scene.strike();
}

#[test]
fn a_service_that_is_asked_per_utterance_brings_the_words_and_its_death_harms_no_call() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    heard_elsewhere("openai", "http", Elsewhere::per_utterance(sentences()));
}

#[test]
fn a_service_that_hears_the_stream_brings_the_words_and_its_death_harms_no_call() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    heard_elsewhere("deepgram", "ws", Elsewhere::streaming(sentences()));
}

#[test]
fn a_gateway_that_does_not_transcribe_takes_the_bots_words_and_says_so_everywhere() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    let scene = Scene::set(120, "bot", 1, "");
    let health = scene.api().get("/healthz");
    assert_eq!(health["transcription"]["state"], "off", "{health}");
    let command = health["transcription"]["turn_on"].as_str().unwrap();
    assert!(command.contains("segue models fetch base.en-q8_0"), "{command}");

    let mute = scene.call_for_a_human(0);
    scene.agent_takes(&mute, 0);
    let call = scene.api().get(&format!("/v1/calls/{}", mute.id));
    assert_eq!(call["transcription"]["state"], "off", "{call}");
    let missing = call["handoff"]["card"]["missing"].to_string();
    assert!(missing.contains("does not transcribe"), "{missing}");
    mute.hang_up(&scene);

    let told = scene.call(1);
    scene.phase(&told, "with_bot");
    for text in [MATTER, REQUEST] {
        let path = format!("/v1/calls/{}/transcript", told.id);
        let body = format!("{{\"speaker\":\"caller\",\"text\":\"{text}\",\"lasted_ms\":3000}}");
        let (status, _, answer) = Api::ask(scene.api().address(), "POST", &path, &body);
        assert_eq!(status, 204, "{answer}");
    }
    scene.handoff(&told, "requested");
    scene.agent_takes(&told, 0);
    the_card_has_the_words(&scene, &told);
    told.hang_up(&scene);
    scene.strike();
}
