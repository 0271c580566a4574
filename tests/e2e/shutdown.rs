//! How the program ends: a running call is finished first, a new one is sent elsewhere, and there is an end.

use rustix::process::Signal;

use crate::support::{
    alone, installed,
    scene::{Scene, hears, hum},
    sipp::{self, Sipp},
};

const AGENT_HERTZ: f64 = 1_000.0;
const CALLER_HERTZ: f64 = 1_300.0;

#[test]
fn sigterm_lets_the_running_call_go_on_and_sigint_ends_it() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    let scene = Scene::set(90, "bot", 1, "");
    let until = scene.until;
    let caller = scene.call_for_a_human(0);
    let phone = scene.agent_takes(&caller, 0);
    phone.line.idle(hum(AGENT_HERTZ));
    caller.line.idle(hum(CALLER_HERTZ));
    caller.hears(until, AGENT_HERTZ);

    scene.gateway.signal(Signal::TERM);
    scene.gateway.logs(until, "draining");
    assert_eq!(scene.api().ready(), 503);
    let refused = Sipp::calls("refused", scene.gateway.sip, &[9]);
    refused.tells(until, "refused", 0);
    refused.succeeds(until);
    caller.line.hears_more(until, 50);
    caller.hears(until, AGENT_HERTZ);
    hears(&phone.line, until, CALLER_HERTZ);
    assert_eq!(scene.api().metric("segue_calls"), 1.0);

    scene.gateway.signal(Signal::INT);
    caller.sipp.tells(until, "over", 0);
    phone.sipp.tells(until, "over", 0);
    caller.sipp.succeeds(until);
    scene.gateway.ended_well(until);
}

#[test]
fn sigterm_without_calls_ends_at_once() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    Scene::set(30, "bot", 1, "").strike();
}
