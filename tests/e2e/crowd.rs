//! Twenty callers want a human at the same time and ten agents are there: each gets one, nobody gets two, and
//! nothing is left over. Everybody hums a note of their own, so that a crossed line would be heard.

use std::collections::{BTreeMap, BTreeSet};

use segue_media::tone::goertzel;

use crate::support::{
    Deadline, alone,
    api::Event,
    endpoint::Endpoint,
    gateway::{Agent, Gateway, Plan},
    installed, note,
    recording::{Packet, Recording, breaks},
    scene::{LOUD, Phone, hum},
    sipp::{self, Nudge, Sipp},
};

const CALLERS: usize = 20;
const AGENTS: usize = 10;
/// Packets that a conversation lasts from the bridge on: two seconds.
const TALK: usize = 100;
/// A note of somebody else is quieter than this, in dBov, or it is a crossed line.
const FOREIGN_MAX: f32 = -45.0;

fn agent_hertz(number: usize) -> f64 {
    400.0 + 110.0 * number as f64
}

fn caller_hertz(number: usize) -> f64 {
    1_600.0 + 75.0 * number as f64
}

/// What the crowd needs to act.
struct Crowd<'a> {
    until: Deadline,
    gateway: &'a Gateway,
    agents: &'a [Phone],
    callers: &'a [Endpoint],
    caller_phone: &'a Sipp,
}

/// Who is with whom by now.
#[derive(Default)]
struct Pairs {
    /// The agent of each call that was bridged.
    bridged: BTreeMap<String, usize>,
    /// The call that each agent is offered or in.
    busy: BTreeMap<usize, String>,
}

#[test]
fn twenty_handoffs_at_once_with_ten_agents_end_well_for_everybody() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    let until = Deadline::after(150);
    let agents: Vec<Phone> = (0..AGENTS).map(|number| Phone::plug_in(format!("agent{number}"))).collect();
    let (callers, bots): (Vec<_>, Vec<_>) =
        (0..CALLERS).map(|_| (Endpoint::open(), Endpoint::open())).unzip();
    for (number, agent) in agents.iter().enumerate() {
        agent.line.idle(hum(agent_hertz(number)));
    }
    for (number, caller) in callers.iter().enumerate() {
        caller.idle(hum(caller_hertz(number)));
    }
    let bot_phone = Sipp::answers("bot", &ports(&bots));
    let known = agents.iter().map(|phone| Agent::At(phone.name.clone(), phone.sipp.address)).collect();
    let plan = Plan { bot: bot_phone.address, agents: known, recognition: false, polite: false, more: "" };
    let gateway = Gateway::start(until, &plan);
    let caller_phone = Sipp::calls("caller", gateway.sip, &ports(&callers));
    everybody_asks(&gateway, until, &callers);
    assert!(gateway.ports_open() >= 4 * CALLERS, "{} ports for {CALLERS} calls", gateway.ports_open());
    let crowd =
        Crowd { until, gateway: &gateway, agents: &agents, callers: &callers, caller_phone: &caller_phone };
    let bridged = crowd.act();
    assert_eq!(bridged.len(), CALLERS, "calls bridged once");
    let served: BTreeSet<usize> = bridged.values().copied().collect();
    note(&format!("{CALLERS} calls bridged by {} agents", served.len()));
    assert_eq!(served.len(), AGENTS, "every agent had a call");

    caller_phone.succeeds(until);
    for caller in &callers {
        assert_eq!(breaks(&caller.ear.all()), Vec::<String>::new());
    }
    gateway.is_empty(until);
    let api = &gateway.api;
    let page = api.get("/v1/calls?limit=50");
    let ended = page["calls"].as_array().unwrap();
    assert_eq!(ended.len(), CALLERS);
    assert!(ended.iter().all(|call| call["handoffs"] == 1 && call["handoff_state"] == "completed"), "{page}");
    assert_eq!(api.get("/v1/queues")["queues"][0]["waiting"], 0);
    gateway.stop(until);
}

fn ports(lines: &[Endpoint]) -> Vec<u16> {
    lines.iter().map(|line| line.port).collect()
}

/// Everybody talks to the bot; then all press 0 at once.
fn everybody_asks(gateway: &Gateway, until: Deadline, callers: &[Endpoint]) {
    gateway.api.events.wait(until, "twenty calls with the bot", |seen| {
        (seen.iter().filter(|event| event.is_phase("with_bot")).count() == CALLERS).then_some(())
    });
    for caller in callers {
        caller.press('0');
    }
    gateway.api.events.wait(until, "twenty requests", |seen| {
        (seen.iter().filter(|event| event.is_handoff("requested")).count() == CALLERS).then_some(())
    });
}

impl Crowd<'_> {
    /// Follows the gateway's news: whoever rings answers, whoever is briefed accepts, whoever is bridged talks for
    /// a while and hangs up. Gives the agent of each call.
    fn act(&self) -> BTreeMap<String, usize> {
        let mut pairs = Pairs::default();
        std::thread::scope(|talks| {
            let (mut seen, mut over) = (0, 0);
            while over < CALLERS {
                let news = self.gateway.api.events.wait(self.until, "news of the crowd", |events| {
                    events.get(seen..).filter(|news| !news.is_empty()).map(<[Event]>::to_vec)
                });
                seen += news.len();
                for event in news {
                    over += usize::from(event.kind == "segue.call.ended");
                    if let Some(agent) = self.take(&event, &mut pairs) {
                        talks.spawn(move || self.talk_and_hang_up(&event.subject, agent));
                    }
                }
            }
        });
        pairs.bridged
    }

    /// Gives the agent who has just been bridged.
    fn take(&self, event: &Event, pairs: &mut Pairs) -> Option<usize> {
        // An agent is free again once the handoff is told as over, and not before.
        if event.is_handoff("completed") {
            pairs.busy.retain(|_, call| *call != event.subject);
        }
        let agent = self.agents.iter().position(|phone| phone.name == event.text("agent"))?;
        let phone = &self.agents[agent];
        if event.is_handoff("offered") {
            let before = pairs.busy.insert(agent, event.subject.clone());
            assert_eq!(before, None, "{} is offered a second call", phone.name);
        } else if event.is_handoff("ringing") {
            phone.answer(self.until);
        } else if event.is_handoff("briefing") {
            phone.line.press('1');
        } else if event.is_handoff("bridged") {
            assert_eq!(pairs.busy.get(&agent), Some(&event.subject));
            let before = pairs.bridged.insert(event.subject.clone(), agent);
            assert_eq!(before, None, "call {} is bridged twice", event.subject);
            return Some(agent);
        }
        None
    }

    fn talk_and_hang_up(&self, call: &str, agent: usize) {
        let number =
            self.gateway.api.get(&format!("/v1/calls/{call}"))["caller"].as_str().unwrap().to_owned();
        let caller = self.callers.iter().position(|line| number.ends_with(&line.port.to_string())).unwrap();
        let line = &self.callers[caller];
        line.hears_more(self.until, TALK);
        let (to_caller, to_agent) = (&line.ear.all(), &self.agents[agent].line.ear.all());
        only_one_is_heard(to_caller, agent_hertz, AGENTS, agent);
        only_one_is_heard(to_agent, caller_hertz, CALLERS, caller);
        let dialog = self.caller_phone.call_at(self.until, line.port);
        self.caller_phone.nudge(&dialog, Nudge::GoOn);
    }
}

/// In the newest second, one note of all is as loud as it was hummed, and no other is there.
fn only_one_is_heard(packets: &[Packet], hertz: fn(usize) -> f64, notes: usize, wanted: usize) {
    let newest = &packets[packets.len().saturating_sub(50)..];
    let heard = Recording::of(newest);
    for note in 0..notes {
        let level = goertzel(&heard.samples, hertz(note));
        let right = if note == wanted { (level - LOUD).abs() < 3.0 } else { level < FOREIGN_MAX };
        assert!(right, "note {note} at {level} dBov where {wanted} should be heard alone");
    }
}
