//! Everything that can go another way: agents who do not take the call, bots that leave, callers who hang up.

use std::time::Duration;

use segue_media::{level, tone::goertzel};
use serde_json::Value;

use crate::support::{
    alone, installed,
    listening::{loudest, silence_longest},
    recording::{Recording, breaks},
    scene::{BOT_HERTZ, Caller, LOUD, Phone, SETTLED, Scene, hears, hum},
    sipp::{self, Nudge},
};

const SILENCE_MAX: Duration = Duration::from_secs(2);
/// The time that a test may take.
const SECONDS: u64 = 120;
const AGENT_HERTZ: f64 = 1_000.0;
const CALLER_HERTZ: f64 = 1_300.0;

fn other<'a>(scene: &'a Scene, phone: &Phone) -> &'a Phone {
    scene.agents.iter().find(|other| other.name != phone.name).unwrap()
}

/// Whoever is bridged hears the other, and the caller was never left alone on the way.
fn they_talk(scene: &Scene, caller: &Caller, phone: &Phone) {
    phone.line.idle(hum(AGENT_HERTZ));
    caller.line.idle(hum(CALLER_HERTZ));
    caller.hears(scene.until, AGENT_HERTZ);
    hears(&phone.line, scene.until, CALLER_HERTZ);
    let requested = scene.handoff(caller, "requested").at;
    let bridged = scene.handoff(caller, "bridged").at;
    let heard = Recording::of(&caller.line.ear.all());
    let silence = silence_longest(heard.between(requested, bridged));
    assert!(silence <= SILENCE_MAX, "the caller was left in silence for {silence:?}");
    assert_eq!(breaks(&caller.line.ear.all()), Vec::<String>::new());
}

fn kept(scene: &Scene, caller: &Caller) -> Value {
    scene.api().get(&format!("/v1/calls/{}", caller.id))
}

#[test]
fn an_agent_who_declines_is_followed_by_the_next_and_the_caller_stays_first() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    let scene = Scene::set(SECONDS, "bot", 2, "");
    // One agent talks; the other is held for the first of three callers who want one.
    let before = scene.call_for_a_human(0);
    let busy = scene.agent_takes(&before, 0);
    let first = scene.call_for_a_human(1);
    let decliner = scene.handoff_again(&first, "ringing", 0);
    assert_eq!(decliner.name, other(&scene, busy).name);
    let (second, third) = (scene.call_for_a_human(2), scene.call_for_a_human(3));
    scene.handoff(&third, "queued");
    let declined = decliner.answer(scene.until);
    scene.whispered(&first);
    decliner.line.press('2');
    assert_eq!(decliner.sipp.tells(scene.until, "over", 0), declined);
    // Who declined one call may be asked for another; whose call was declined waits before all the others.
    assert_eq!(scene.handoff_again(&second, "ringing", 0).name, decliner.name);
    before.hang_up(&scene);
    let taker = scene.agent_takes(&first, 1);
    assert_eq!(taker.name, busy.name);
    they_talk(&scene, &first, taker);
    assert_eq!(kept(&scene, &first)["handoff"]["refused"][0], decliner.name);
    assert_eq!(kept(&scene, &third)["handoff_state"], "queued");
    for caller in [third, second, first] {
        caller.hang_up(&scene);
    }
    scene.strike();
}

#[test]
fn an_agent_who_does_not_answer_is_marked_away_and_the_next_gets_the_call() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    let scene = Scene::set(SECONDS, "bot", 2, "[call.times]\nring_max = 3\n");
    let caller = scene.call_for_a_human(0);
    let silent = scene.handoff_again(&caller, "ringing", 0);
    silent.sipp.tells(scene.until, "canceled", 0);
    let taker = scene.agent_takes(&caller, 1);
    assert_eq!(taker.name, other(&scene, silent).name);
    they_talk(&scene, &caller, taker);
    let away = scene.api().agent(&silent.name);
    assert_eq!(away["presence"], "away", "{away}");
    assert_eq!(kept(&scene, &caller)["handoff"]["refused"][0], silent.name);
    caller.hang_up(&scene);
    scene.strike();
}

#[test]
fn an_agent_who_hangs_up_in_the_whisper_is_followed_by_the_next() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    let scene = Scene::set(SECONDS, "bot", 2, "");
    let caller = scene.call_for_a_human(0);
    let phone = scene.handoff_again(&caller, "ringing", 0);
    let dialog = phone.answer(scene.until);
    scene.whispered(&caller);
    phone.sipp.nudge(&dialog, Nudge::GoOn);
    phone.sipp.tells(scene.until, "over", 0);
    let taker = scene.agent_takes(&caller, 1);
    assert_eq!(taker.name, other(&scene, phone).name);
    they_talk(&scene, &caller, taker);
    caller.hang_up(&scene);
    scene.strike();
}

#[test]
fn a_caller_may_hang_up_while_the_bot_is_being_reached() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    // This bot rings and rings.
    let scene = Scene::set(SECONDS, "agent", 0, "");
    let caller = scene.call(0);
    scene.bot_phone.tells(scene.until, "rings", 0);
    caller.hang_up(&scene);
    scene.bot_phone.tells(scene.until, "canceled", 0);
    scene.strike();
}

#[test]
fn a_caller_may_hang_up_in_every_state_of_a_handoff() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    let scene = Scene::set(SECONDS, "bot", 1, "");
    let agent = &scene.agents[0];

    let with_bot = scene.call(0);
    scene.phase(&with_bot, "with_bot");
    with_bot.hears(scene.until, BOT_HERTZ);
    with_bot.hang_up(&scene);
    scene.bot_phone.tells(scene.until, "over", 0);
    scene.gateway.is_empty(scene.until);

    let ringing = scene.call_for_a_human(1);
    agent.rings(scene.until);
    ringing.hang_up(&scene);
    agent.sipp.tells(scene.until, "canceled", 0);
    scene.gateway.is_empty(scene.until);

    let briefing = scene.call_for_a_human(2);
    agent.answer(scene.until);
    scene.whispered(&briefing);
    briefing.hang_up(&scene);
    agent.sipp.tells(scene.until, "over", 1);
    scene.gateway.is_empty(scene.until);

    let bridged = scene.call_for_a_human(3);
    let phone = scene.agent_takes(&bridged, 0);
    they_talk(&scene, &bridged, phone);
    let queued = scene.call_for_a_human(4);
    scene.handoff(&queued, "queued");
    queued.hang_up(&scene);
    scene.only(1);
    assert_eq!(scene.api().get("/v1/queues")["queues"][0]["waiting"], 0);
    bridged.hang_up(&scene);
    agent.sipp.tells(scene.until, "over", 2);
    scene.strike();
}

#[test]
fn a_bot_that_dies_after_the_request_does_not_stop_the_handoff() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    let scene = Scene::set(SECONDS, "bot", 1, "");
    let caller = scene.call_for_a_human(0);
    let agent = &scene.agents[0];
    agent.sipp.tells(scene.until, "rings", 0);
    let bot = scene.bot_phone.tells(scene.until, "up", 0);
    scene.bot_phone.nudge(&bot, Nudge::GoOn);
    scene.bot_phone.tells(scene.until, "over", 0);
    let phone = scene.agent_takes(&caller, 0);
    they_talk(&scene, &caller, phone);
    caller.hang_up(&scene);
    scene.strike();
}

#[test]
fn a_bot_hands_over_by_bye_and_its_words_reach_the_card() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    let scene = Scene::set(SECONDS, "bot", 1, "");
    let caller = scene.call(0);
    scene.phase(&caller, "with_bot");
    caller.hears(scene.until, BOT_HERTZ);
    let bot = scene.bot_phone.tells(scene.until, "up", 0);
    scene.bot_phone.nudge(&bot, Nudge::DeclareByBye);
    let phone = scene.agent_takes(&caller, 0);
    they_talk(&scene, &caller, phone);
    let handoff = &kept(&scene, &caller)["handoff"];
    assert_eq!(handoff["reason"]["code"], "billing_dispute", "{handoff}");
    assert_eq!(handoff["card"]["bot_summary"], "Charged twice for order 4471.", "{handoff}");
    caller.hang_up(&scene);
    scene.strike();
}

#[test]
fn a_bot_hands_over_by_refer_and_stays_until_the_bridge() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    let scene = Scene::set(SECONDS, "bot", 1, "");
    let caller = scene.call(0);
    scene.phase(&caller, "with_bot");
    let bot = scene.bot_phone.tells(scene.until, "up", 0);
    scene.bot_phone.nudge(&bot, Nudge::DeclareByRefer);
    scene.bot_phone.tells(scene.until, "referred", 0);
    scene.bot_phone.tells(scene.until, "notified", 0);
    scene.handoff(&caller, "requested");
    let phone = scene.agent_takes(&caller, 0);
    scene.bot_phone.tells(scene.until, "over", 0);
    they_talk(&scene, &caller, phone);
    caller.hang_up(&scene);
    scene.strike();
}

#[test]
fn when_everybody_is_away_the_caller_is_told_so_and_talks_to_the_bot_again() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    let scene = Scene::set(SECONDS, "bot", 1, "");
    scene.presence("agent1", "away");
    let caller = scene.call(0);
    caller.line.idle(hum(CALLER_HERTZ));
    scene.phase(&caller, "with_bot");
    caller.hears(scene.until, BOT_HERTZ);
    hears(&scene.bot, scene.until, CALLER_HERTZ);
    caller.line.press('0');
    let requested = scene.handoff(&caller, "requested").at;
    scene.handoff(&caller, "rejected");
    scene.api().event(scene.until, "the apology", |event| {
        event.is_saying("caller") && event.text("text").contains("away")
    });
    // The tone was there before; what counts is the second time that caller and bot talk.
    let again = scene.api().events.wait(scene.until, "the bot's second turn", |seen| {
        seen.iter().filter(|event| event.is_phase("with_bot")).nth(1).map(|event| event.at)
    });
    caller.line.hears_more(scene.until, 50);
    let heard = Recording::of(&caller.line.ear.all());
    let tone = goertzel(&heard.since(again + SETTLED)[..2_000], BOT_HERTZ);
    assert!((tone - LOUD).abs() < 3.0, "the bot's tone at {tone} dBov");
    let silence = silence_longest(heard.between(requested, again));
    assert!(silence <= SILENCE_MAX, "{silence:?}");
    // The bot heard neither hold music nor the apology in between.
    let bot = Recording::of(&scene.bot.ear.all());
    let between = loudest(bot.between(requested + SETTLED, again.saturating_sub(SETTLED)));
    assert!(between < level::SILENCE, "the bot heard something at {between} dBov");
    assert_eq!(kept(&scene, &caller)["handoff"]["reason"]["code"], "dtmf_zero");
    caller.hang_up(&scene);
    scene.strike();
}
