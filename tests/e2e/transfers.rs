//! Agents' phones whose transfer key gives the caller away: to a colleague, to a queue.

use crate::support::{
    Deadline, alone,
    api::Event,
    baresip::{self, Baresip},
    endpoint::Endpoint,
    gateway::{Agent, Gateway, Plan},
    installed,
    scene::{hears, hum},
    sipp::{self, Sipp},
};

const ANN_HERTZ: f64 = 1_000.0;
const BOB_HERTZ: f64 = 1_600.0;
/// Seconds of voice that outlast a test: the end of a file ends baresip's call.
const VOICE: usize = 150;

/// A caller and Ann, an agent with a real phone, talk; Bob is an agent with another.
struct Desk {
    until: Deadline,
    gateway: Gateway,
    caller: Endpoint,
    call: String,
    ann: Baresip,
    bob: Baresip,
    _phones: [Sipp; 2],
    _bot: Endpoint,
}

impl Desk {
    fn bridged(more: &str) -> Self {
        let until = Deadline::after(150);
        let (caller, bot) = (Endpoint::open(), Endpoint::open());
        let bot_phone = Sipp::answers("bot", &[bot.port]);
        let agents = vec![Agent::Registers("ann"), Agent::Registers("bob")];
        let plan = Plan { bot: bot_phone.address, agents, recognition: false, polite: false, more };
        let gateway = Gateway::start(until, &plan);
        let mut ann = Baresip::plug_in(until, "ann", gateway.sip, &hum(ANN_HERTZ).repeat(VOICE));
        let bob = Baresip::plug_in(until, "bob", gateway.sip, &hum(BOB_HERTZ).repeat(VOICE));
        for agent in ["ann", "bob"] {
            gateway.api.until(until, "the phone is registered", |api| {
                (api.agent(agent)["reachable"] == true).then_some(())
            });
        }
        presence(&gateway, "bob", "away");
        let phone = Sipp::calls("caller", gateway.sip, &[caller.port]);
        phone.tells(until, "up", 0);
        let call = gateway.api.call(until, 0);
        gateway.api.event(until, "the caller with the bot", |event| event.is_phase("with_bot"));
        caller.press('0');
        ann.tells(until, "CALL_INCOMING", 0);
        ann.answer();
        ann.tells(until, "CALL_ESTABLISHED", 0);
        is_briefed(&gateway, until, "ann");
        ann.press('1');
        gateway.api.event(until, "the bridge", |event| event.is_handoff("bridged"));
        hears(&caller, until, ANN_HERTZ);
        presence(&gateway, "bob", "available");
        Self { until, gateway, caller, call, ann, bob, _phones: [phone, bot_phone], _bot: bot }
    }

    /// Waits until an agent does this.
    fn does(&self, agent: &str, activity: &str) {
        self.gateway.api.until(self.until, &format!("{agent} is {activity}"), |api| {
            (api.agent(agent)["activity"] == activity).then_some(())
        });
    }

    /// Bob hangs up, and the record names both agents, each with a handoff that was completed.
    fn closes(mut self) {
        hears(&self.caller, self.until, BOB_HERTZ);
        self.does("bob", "talking");
        self.bob.hang_up();
        self.gateway.api.event(self.until, "the end of the call", |event| event.kind == "segue.call.ended");
        let kept = self.gateway.api.get(&format!("/v1/calls/{}", self.call));
        assert_eq!(kept["ended_by"], "agent", "{kept}");
        self.gateway.is_empty(self.until);
        self.gateway.stop(self.until);
    }
}

/// Waits until an agent was told which keys there are.
fn is_briefed(gateway: &Gateway, until: Deadline, agent: &str) {
    gateway.api.events.wait(until, "the keys being explained", |seen| {
        let ringing = |event: &Event| event.is_handoff("ringing") && event.text("agent") == agent;
        let from = seen.iter().position(ringing)?;
        (seen[from..].iter().filter(|event| event.is_saying("agent")).count() > 1).then_some(())
    });
}

fn presence(gateway: &Gateway, agent: &str, presence: &str) {
    let body = format!("{{\"presence\":\"{presence}\"}}");
    let (status, head) = gateway.ask("PUT", &format!("/v1/agents/{agent}/presence"), &body);
    assert_eq!(status, 200, "{head}");
}

#[test]
fn an_agent_who_transfers_to_a_colleague_is_free_and_the_colleague_busy() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM, baresip::PROGRAM]) {
        return;
    }
    let mut desk = Desk::bridged("[sip.dialogs]\nagent_transfers = true\n");
    desk.ann.transfer(&format!("sip:bob@{}", desk.gateway.sip));
    desk.bob.tells(desk.until, "CALL_INCOMING", 0);
    desk.bob.answer();
    desk.gateway.api.event(desk.until, "the second agent bridged", |event| {
        event.is_handoff("bridged") && event.text("agent") == "bob"
    });
    desk.does("ann", "idle");
    desk.closes();
}

#[test]
fn an_agent_who_transfers_to_a_queue_is_free_and_the_next_agent_is_briefed() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM, baresip::PROGRAM]) {
        return;
    }
    let mut desk = Desk::bridged("[sip.dialogs]\nagent_transfers = true\n");
    desk.ann.transfer(&format!("sip:general@{}", desk.gateway.sip));
    desk.bob.tells(desk.until, "CALL_INCOMING", 0);
    desk.bob.answer();
    desk.bob.tells(desk.until, "CALL_ESTABLISHED", 0);
    is_briefed(&desk.gateway, desk.until, "bob");
    desk.bob.press('1');
    desk.gateway.api.event(desk.until, "the second agent bridged", |event| {
        event.is_handoff("bridged") && event.text("agent") == "bob"
    });
    desk.does("ann", "idle");
    desk.closes();
}
