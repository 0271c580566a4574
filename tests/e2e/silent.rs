//! Far sides whose sound stops while their signalling looks alive; and what a recording of such a call holds.

use std::time::Duration;

use serde_json::Value;

use crate::support::{
    alone, installed,
    listening::silence_longest,
    now,
    recording::Recording,
    scene::{BOT_HERTZ, LOUD, Scene, hum},
    sipp,
    tapes::Tapes,
};

/// The limit, and what news takes on a busy machine.
const FOUND_MAX: Duration = Duration::from_millis(6_700);
/// Before people hear music in place of somebody who is gone.
const QUIET_MAX: Duration = Duration::from_millis(2_500);
/// Everybody is heard for so many packets before they fall silent: a whole second, wherever seconds begin.
const HEARD_PACKETS: usize = 120;
const AGENT_HERTZ: [f64; 2] = [1_000.0, 1_300.0];

#[test]
fn a_bot_an_agent_and_a_caller_who_fall_silent_are_each_found_in_six_seconds() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    let tapes = Tapes::new();
    let recording = format!("[recording]\nmode = \"all\"\nfolder = {:?}\n", tapes.folder());
    let scene = Scene::set(120, "bot", 2, &recording);
    let caller = scene.call(0);
    scene.phase(&caller, "with_bot");
    caller.hears(scene.until, BOT_HERTZ);
    caller.line.hears_more(scene.until, HEARD_PACKETS);

    let silent = now();
    scene.bot.fall_silent();
    let lost = scene.handoff(&caller, "requested").at;
    assert!(
        lost.saturating_sub(silent) < FOUND_MAX,
        "the bot was found after {:?}",
        lost.saturating_sub(silent)
    );
    for (offer, hertz) in AGENT_HERTZ.into_iter().enumerate() {
        let phone = scene.agent_takes(&caller, offer);
        phone.line.idle(hum(hertz));
        caller.hears(scene.until, hertz);
        caller.line.hears_more(scene.until, HEARD_PACKETS);
        if offer == 0 {
            let silent = now();
            phone.line.fall_silent();
            let over = scene.api().event(scene.until, "the agent's loss", |event| {
                event.is_handoff("failed") && event.subject == caller.id
            });
            let found = over.at.saturating_sub(silent);
            assert!(found < FOUND_MAX, "the agent was found after {found:?}");
            phone.sipp.tells(scene.until, "over", 0);
        }
    }
    let silent = now();
    caller.line.fall_silent();
    let ended = scene.api().event(scene.until, "the end of the call", |event| {
        event.kind == "segue.call.ended" && event.subject == caller.id
    });
    let found = ended.at.saturating_sub(silent);
    assert!(found < FOUND_MAX, "the caller was found after {found:?}");
    scene.gateway.is_empty(scene.until);
    let heard = Recording::of(&caller.line.ear.all());
    let quiet = silence_longest(heard.between(lost.saturating_sub(FOUND_MAX), ended.at));
    assert!(quiet <= QUIET_MAX, "the caller heard nothing for {quiet:?}");
    the_record_tells_it(&scene.api().get(&format!("/v1/calls/{}", caller.id)));
    let id = caller.id.clone();
    scene.strike();
    the_tapes_hold_it(&tapes, &id);
}

/// Who ended it, and what each leg's sound was worth.
fn the_record_tells_it(kept: &Value) {
    assert_eq!(kept["ended_by"], "lost", "{kept}");
    let legs = kept["legs"].as_array().unwrap();
    let parties: Vec<&str> = legs.iter().filter_map(|leg| leg["party"].as_str()).collect();
    assert_eq!(parties, ["caller", "bot", "agent", "agent"], "{kept}");
    for leg in legs {
        let mos = leg["quality"]["heard"]["mos"].as_f64().unwrap();
        assert!(mos > 4.0, "loopback sounds well: {leg}");
        assert!(leg["packets"]["received"].as_u64().unwrap() > 100, "{leg}");
    }
}

/// What the caller's ear was sent has the bot's and both agents' tones, and theirs have nobody else's.
fn the_tapes_hold_it(tapes: &Tapes, call: &str) {
    let heard = tapes.read(call, "0-caller-heard");
    for hertz in [BOT_HERTZ, AGENT_HERTZ[0], AGENT_HERTZ[1]] {
        let seconds = heard.seconds_of(hertz, LOUD);
        assert!(seconds >= 1, "the caller's tape has {hertz} Hz in {seconds} seconds");
    }
    assert!(heard.silence_longest() <= QUIET_MAX, "{:?}", heard.silence_longest());
    let said = tapes.read(call, "1-bot-said");
    assert!(said.seconds_of(BOT_HERTZ, LOUD) >= 1 && said.seconds_of(AGENT_HERTZ[0], LOUD) == 0);
    assert_eq!(said.sidecar["party"], "bot");
    assert!(said.sidecar["ended_ms"].as_u64() > said.sidecar["started_ms"].as_u64());
    assert_eq!(tapes.unfinished(), 0);
}
