//! A recording as another system works it over the API: started, paused, resumed and stopped in the middle of a call.

use serde_json::Value;

use crate::support::{
    alone,
    api::Api,
    installed,
    scene::{BOT_HERTZ, Caller, LOUD, Scene, hears, hum},
    sipp,
    tapes::Tapes,
};

const CALLER_HERTZ: f64 = 1_300.0;
/// What bot and caller hum while nobody may listen.
const SECRET_HERTZ: [f64; 2] = [1_000.0, 1_600.0];
/// What they hum when the recording is over.
const LATER_HERTZ: [f64; 2] = [550.0, 1_900.0];
/// Whole seconds of a tape, wherever seconds begin: two, and what is between two ticks.
const SPOKEN_PACKETS: usize = 150;
/// What is on no tape is quieter, in dBov.
const NOTHING: f32 = -50.0;

/// Bot and caller hum, and hear each other do so for a while.
fn hum_to_each_other(scene: &Scene, caller: &Caller, [bot, theirs]: [f64; 2]) {
    scene.bot.idle(hum(bot));
    caller.line.idle(hum(theirs));
    caller.hears(scene.until, bot);
    hears(&scene.bot, scene.until, theirs);
    caller.line.hears_more(scene.until, SPOKEN_PACKETS);
}

fn order(scene: &Scene, caller: &Caller, action: &str) -> (u16, Value) {
    let path = format!("/v1/calls/{}/recording", caller.id);
    let body = format!("{{\"action\":\"{action}\"}}");
    let (status, _, answer) = Api::ask(scene.api().address(), "POST", &path, &body);
    (status, serde_json::from_str(&answer).unwrap())
}

fn becomes(scene: &Scene, caller: &Caller, action: &str, state: &str) {
    let (status, answer) = order(scene, caller, action);
    assert_eq!((status, answer["state"].as_str()), (200, Some(state)), "{action}: {answer}");
}

#[test]
fn a_recording_holds_what_each_ear_heard_while_it_ran_and_nothing_of_the_pause() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    let tapes = Tapes::new();
    let more = format!("[recording]\nmode = \"on_request\"\nfolder = {:?}\n", tapes.folder());
    let scene = Scene::set(120, "bot", 0, &more);
    let caller = scene.call(0);
    scene.phase(&caller, "with_bot");
    assert_eq!(order(&scene, &caller, "pause").0, 409, "there is none yet");
    let aloud = [BOT_HERTZ, CALLER_HERTZ];
    becomes(&scene, &caller, "start", "running");
    hum_to_each_other(&scene, &caller, aloud);
    becomes(&scene, &caller, "pause", "paused");
    hum_to_each_other(&scene, &caller, SECRET_HERTZ);
    hum_to_each_other(&scene, &caller, aloud);
    becomes(&scene, &caller, "resume", "running");
    hum_to_each_other(&scene, &caller, aloud);
    becomes(&scene, &caller, "stop", "off");
    hum_to_each_other(&scene, &caller, LATER_HERTZ);

    let id = caller.id.clone();
    caller.hang_up(&scene);
    scene.strike();
    assert_eq!(tapes.unfinished(), 0);
    for (which, hertz) in [
        ("0-caller-heard", BOT_HERTZ),
        ("0-caller-said", CALLER_HERTZ),
        ("1-bot-heard", CALLER_HERTZ),
        ("1-bot-said", BOT_HERTZ),
    ] {
        let tape = tapes.read(&id, which);
        let seconds = tape.seconds_of(hertz, LOUD);
        assert!(seconds >= 4, "{which} has {hertz} Hz in {seconds} seconds");
        for never in [SECRET_HERTZ, LATER_HERTZ].concat() {
            let level = tape.loudest(never);
            assert!(level < NOTHING, "{which} has {never} Hz at {level} dBov");
        }
    }
}
