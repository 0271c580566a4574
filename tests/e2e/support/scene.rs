//! What most tests begin with: a gateway that hears keys and no words, a bot that hums, and agents with sipp phones.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use segue_media::tone::sine;

use super::{
    Deadline,
    api::{Api, Event},
    endpoint::Endpoint,
    gateway::{Agent, Gateway, Plan},
    sipp::{Nudge, Sipp},
};

/// What the bot hums.
pub(crate) const BOT_HERTZ: f64 = 700.0;
/// How loud everybody hums.
pub(crate) const LOUD: f32 = -24.0;

/// A tone that can be repeated without a click: a second of whole periods.
pub(crate) fn hum(hertz: f64) -> Vec<i16> {
    sine(hertz, LOUD, 8_000)
}

/// The set of a test.
pub(crate) struct Scene {
    pub(crate) until: Deadline,
    pub(crate) gateway: Gateway,
    pub(crate) bot: Endpoint,
    pub(crate) bot_phone: Sipp,
    pub(crate) agents: Vec<Phone>,
}

/// An agent's phone at a fixed address.
pub(crate) struct Phone {
    pub(crate) name: String,
    pub(crate) line: Endpoint,
    pub(crate) sipp: Sipp,
    /// How often it rang for somebody who looked.
    rung: AtomicUsize,
}

/// A caller in a call.
pub(crate) struct Caller {
    pub(crate) line: Endpoint,
    pub(crate) sipp: Sipp,
    /// The Call-ID.
    pub(crate) dialog: String,
    /// The call's id at the gateway.
    pub(crate) id: String,
}

impl Phone {
    pub(crate) fn plug_in(name: String) -> Self {
        let line = Endpoint::open();
        let sipp = Sipp::answers("agent", &[line.port]);
        Self { name, line, sipp, rung: AtomicUsize::new(0) }
    }

    /// Waits for its next ring; gives the Call-ID.
    pub(crate) fn rings(&self, until: Deadline) -> String {
        self.sipp.tells(until, "rings", self.rung.fetch_add(1, Ordering::Relaxed))
    }

    /// Waits for its next ring, and answers.
    pub(crate) fn answer(&self, until: Deadline) -> String {
        let dialog = self.rings(until);
        self.sipp.nudge(&dialog, Nudge::GoOn);
        dialog
    }
}

impl Scene {
    /// Starts everything; `bot` is the scenario of the bot, `more` further tables of segue.toml.
    pub(crate) fn set(seconds: u64, bot: &str, agents: usize, more: &str) -> Self {
        let until = Deadline::after(seconds);
        let line = Endpoint::open();
        line.idle(hum(BOT_HERTZ));
        let bot_phone = Sipp::answers(bot, &[line.port]);
        let agents: Vec<Phone> =
            (1..=agents).map(|number| Phone::plug_in(format!("agent{number}"))).collect();
        let known = agents.iter().map(|phone| Agent::At(phone.name.clone(), phone.sipp.address)).collect();
        let plan = Plan { bot: bot_phone.address, agents: known, recognition: false, polite: false, more };
        let gateway = Gateway::start(until, &plan);
        Self { until, gateway, bot: line, bot_phone, agents }
    }

    pub(crate) fn api(&self) -> &Api {
        &self.gateway.api
    }

    /// The `number`th caller, from 0, calls and is answered.
    pub(crate) fn call(&self, number: usize) -> Caller {
        let line = Endpoint::open();
        let sipp = Sipp::calls("caller", self.gateway.sip, &[line.port]);
        let dialog = sipp.tells(self.until, "up", 0);
        let id = self.api().call(self.until, number);
        line.hears_more(self.until, 1);
        Caller { line, sipp, dialog, id }
    }

    /// A caller reaches the bot and presses 0.
    pub(crate) fn call_for_a_human(&self, number: usize) -> Caller {
        let caller = self.call(number);
        self.phase(&caller, "with_bot");
        caller.line.press('0');
        self.handoff(&caller, "requested");
        caller
    }

    /// Waits until a call is in a phase.
    pub(crate) fn phase(&self, caller: &Caller, phase: &str) -> Event {
        self.api().event(self.until, phase, |event| event.subject == caller.id && event.is_phase(phase))
    }

    /// Waits until a call's handoff was in a state.
    pub(crate) fn handoff(&self, caller: &Caller, state: &str) -> Event {
        self.api().event(self.until, state, |event| event.subject == caller.id && event.is_handoff(state))
    }

    /// Waits for the `number`th time, from 0, that a call's handoff comes to a state; gives the agent's phone.
    pub(crate) fn handoff_again(&self, caller: &Caller, state: &str, number: usize) -> &Phone {
        let agent = self.api().events.wait(self.until, state, |seen| {
            let mut times = seen.iter().filter(|event| event.subject == caller.id && event.is_handoff(state));
            times.nth(number).map(|event| event.text("agent").to_owned())
        });
        self.agents.iter().find(|phone| phone.name == agent).unwrap_or_else(|| panic!("{agent} has no phone"))
    }

    /// Waits until the agent hears the whisper of a call.
    pub(crate) fn whispered(&self, caller: &Caller) {
        self.api()
            .event(self.until, "the whisper", |event| event.subject == caller.id && event.is_saying("agent"));
    }

    /// The agent whose phone rings takes the call; gives the phone.
    pub(crate) fn agent_takes(&self, caller: &Caller, offer: usize) -> &Phone {
        let phone = self.handoff_again(caller, "ringing", offer);
        phone.answer(self.until);
        self.api().event(self.until, "the agent being briefed", |event| {
            event.subject == caller.id && event.is_handoff("briefing") && event.text("agent") == phone.name
        });
        phone.line.press('1');
        self.handoff(caller, "bridged");
        phone
    }

    /// Waits until so many calls live.
    pub(crate) fn only(&self, calls: u32) {
        self.api().until(self.until, "what is over is gone", |api| {
            (api.metric("segue_calls") == f64::from(calls)).then_some(())
        });
    }

    /// Sets an agent's presence.
    pub(crate) fn presence(&self, agent: &str, presence: &str) {
        let body = format!("{{\"presence\":\"{presence}\"}}");
        let (status, head) = self.gateway.ask("PUT", &format!("/v1/agents/{agent}/presence"), &body);
        assert_eq!(status, 200, "{head}");
    }

    /// Proves that nothing is left, and ends the gateway.
    pub(crate) fn strike(self) {
        self.gateway.is_empty(self.until);
        self.gateway.stop(self.until);
    }
}

impl Caller {
    /// Hangs up, and waits until that is known everywhere.
    pub(crate) fn hang_up(self, scene: &Scene) {
        self.sipp.nudge(&self.dialog, Nudge::GoOn);
        self.sipp.succeeds(scene.until);
        scene.api().event(scene.until, "the end of the call", |event| {
            event.subject == self.id && event.kind == "segue.call.ended"
        });
        let kept = scene.api().get(&format!("/v1/calls/{}", self.id));
        assert_eq!((kept["phase"].as_str(), kept["ended_by"].as_str()), (Some("ended"), Some("caller")));
    }

    /// Waits until the newest half second has a tone of this frequency as loud as it was sent.
    pub(crate) fn hears(&self, until: Deadline, hertz: f64) {
        hears(&self.line, until, hertz);
    }
}

/// Waits until the newest half second at an ear has a tone of this frequency as loud as it was sent.
pub(crate) fn hears(line: &Endpoint, until: Deadline, hertz: f64) {
    line.ear.wait(until, &format!("a tone of {hertz} Hz"), |heard| {
        let newest = heard.get(heard.len().checked_sub(25)?..)?;
        let sound = super::recording::Recording::of(newest);
        let level = segue_media::tone::goertzel(&sound.samples, hertz);
        ((level - LOUD).abs() < 3.0 && sound.samples.len() == 4_000).then_some(())
    });
}

/// Half a second of packets, and a little more than a jitter buffer holds.
pub(crate) const SETTLED: Duration = Duration::from_millis(500);
