//! A caller whose phone sends back what it hears, and people who speak over each other: what the transcript says of them.

use segue_speech::Voice;
use serde_json::Value;

use crate::support::{
    Deadline, alone,
    api::Event,
    endpoint::Endpoint,
    gateway::{Agent, Gateway, Plan},
    installed,
    listening::speech,
    scene::Phone,
    sipp::{self, Nudge, Sipp},
};

/// A caller, a bot, an agent, and the gateway between them.
struct Set {
    until: Deadline,
    gateway: Gateway,
    bot: Endpoint,
    _bot_phone: Sipp,
    agent: Phone,
    caller: Endpoint,
    caller_phone: Sipp,
    dialog: String,
    id: String,
}

impl Set {
    fn new(sends_back: bool) -> Self {
        let until = Deadline::after(170);
        let (bot, caller) = (Endpoint::open(), Endpoint::open());
        let bot_phone = Sipp::answers("bot", &[bot.port]);
        let agent = Phone::plug_in("alex".to_owned());
        let plan = Plan {
            bot: bot_phone.address,
            agents: vec![Agent::At(agent.name.clone(), agent.sipp.address)],
            recognition: true,
            polite: true,
            more: "",
        };
        let gateway = Gateway::start(until, &plan);
        if sends_back {
            caller.send_back();
        }
        let caller_phone = Sipp::calls("caller", gateway.sip, &[caller.port]);
        let dialog = caller_phone.tells(until, "up", 0);
        let id = gateway.api.call(until, 0);
        Self { until, gateway, bot, _bot_phone: bot_phone, agent, caller, caller_phone, dialog, id }
    }

    fn event(&self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        self.gateway.api.event(self.until, what, wanted)
    }

    /// Waits until somebody's finished words hold a word.
    fn heard(&self, speaker: &str, word: &str) {
        self.event(&format!("{word} of the {speaker}"), |event| {
            event.kind == "segue.call.heard"
                && event.data["is_final"] == true
                && event.data["utterance"]["speaker"] == speaker
                && event.data["utterance"]["text"].as_str().is_some_and(|text| text.contains(word))
        });
    }

    /// Waits for the `number`th echo, from 1, that was kept out of the transcript.
    fn echo_kept_out(&self, number: usize) {
        self.gateway.api.events.wait(self.until, "an echo", |seen| {
            let echoes = seen.iter().filter(|event| event.kind == "segue.call.echo").count();
            (echoes >= number).then_some(())
        });
    }

    fn caller_says(&self, text: &str) {
        self.caller.say_out(self.until, &speech(Voice::Slt, text));
    }

    fn bridge(&self) {
        self.agent.answer(self.until);
        self.event("the agent being briefed", |event| event.is_handoff("briefing"));
        self.agent.line.press('1');
        self.event("the bridge", |event| event.is_handoff("bridged"));
    }

    fn end(self) -> Value {
        let Self { until, gateway, caller_phone, .. } = self;
        caller_phone.nudge(&self.dialog, Nudge::GoOn);
        caller_phone.succeeds(until);
        gateway.api.event(until, "the end of the call", |event| event.kind == "segue.call.ended");
        gateway.is_empty(until);
        let kept = gateway.api.get(&format!("/v1/calls/{}", self.id));
        gateway.stop(until);
        kept
    }
}

/// What one party said, by the record of the call.
fn lines(call: &Value, speaker: &str) -> Vec<String> {
    let said = call["transcript"].as_array().unwrap().iter().filter(|line| line["speaker"] == speaker);
    said.map(|line| line["text"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn what_a_caller_s_phone_sends_back_is_no_line_and_no_request_and_the_caller_s_own_request_is() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    let set = Set::new(true);
    // The greeting says how to ask for a person.
    set.event("the caller with the bot", |event| event.is_phase("with_bot"));
    set.echo_kept_out(1);
    set.caller_says("where is my order");
    set.heard("caller", "order");
    set.bot.say_out(set.until, &speech(Voice::Kal, "you can speak to an agent or talk to a human"));
    set.heard("bot", "human");
    set.echo_kept_out(2);
    let before = set.gateway.api.get(&format!("/v1/calls/{}", set.id));
    assert_eq!(before["handoffs"], 0, "an echo asked for a human: {before}");

    set.caller_says("i want to talk to a human");
    set.event("a handoff", |event| event.is_handoff("requested"));
    set.bridge();
    set.agent.line.say_out(set.until, &speech(Voice::Rms, "thank you for calling how can i help you today"));
    set.heard("agent", "help");
    set.caller_says("my order is late");
    set.heard("caller", "late");
    let kept = set.end();
    let said = lines(&kept, "caller");
    assert_eq!(said, ["where is my order", "i want to talk to a human", "my order is late"], "{kept}");
    assert!(kept["conversation"]["echoes"].as_u64() >= Some(3), "{}", kept["conversation"]);
    assert_eq!(kept["handoffs"], 1, "{kept}");
}

#[test]
fn who_speaks_over_a_prompt_or_a_person_keeps_the_words_and_is_counted() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    let set = Set::new(false);
    set.event("the greeting", |event| event.is_saying("caller"));
    set.caller.hears_more(set.until, 60);
    set.caller_says("i want to talk to a human");
    let barged = set.event("barge-in", |event| event.kind == "segue.call.barge_in");
    assert!(barged.data.get("over").is_none(), "over the greeting: {:?}", barged.data);
    set.event("a handoff", |event| event.is_handoff("requested"));
    set.bridge();
    set.agent.line.say(&speech(Voice::Rms, "thank you for calling how can i help you today"));
    set.caller.hears_more(set.until, 60);
    set.caller_says("my order is late and i want a refund");
    set.heard("agent", "help");
    set.heard("caller", "refund");
    let over = set.event("talk-over", |event| event.kind == "segue.call.talk_over");
    assert_eq!(over.text("with"), "agent");
    let live = set.gateway.api.get(&format!("/v1/calls/{}", set.id));
    let kept = set.end();
    for call in [&live, &kept] {
        let sum = &call["conversation"];
        assert_eq!(
            (sum["prompt_barge_ins"].as_u64(), sum["talk_overs"].as_u64()),
            (Some(1), Some(1)),
            "{call}"
        );
        assert!(sum["talk_over_ms"].as_u64() > Some(500), "{call}");
    }
    assert_eq!(lines(&kept, "agent"), ["thank you for calling how can i help you today"], "{kept}");
    let said = lines(&kept, "caller");
    assert_eq!(said.len(), 2, "{kept}");
    assert!(said[0] == "i want to talk to a human" && said[1].contains("refund"), "{kept}");
    assert!(!said[1].contains("thank") && !said[1].contains("help"), "the agent's words: {kept}");
}
