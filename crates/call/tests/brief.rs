//! Whole calls and the briefs that are written from them (B01 to B12, C07, C13).

use std::{collections::BTreeMap, time::Duration};

use segue_call::{
    Brief, BriefInput, Declared, WhisperLimit,
    writer::{spoken_length, write},
};
use segue_trigger::{
    Reason,
    Speaker::{self, Bot, Caller},
    Stage, Utterance, UtteranceId,
};

struct Situation {
    lines: Vec<(Speaker, &'static str)>,
    code: &'static str,
    rule: &'static str,
    declared: Option<Declared>,
    customer: BTreeMap<String, String>,
    name: Option<&'static str>,
    limit: WhisperLimit,
}

impl Situation {
    fn new(lines: &[(Speaker, &'static str)]) -> Self {
        Self {
            lines: lines.to_vec(),
            code: "explicit_request",
            rule: "T01",
            declared: None,
            customer: BTreeMap::new(),
            name: None,
            limit: WhisperLimit::default(),
        }
    }

    fn customer(mut self, fields: &[(&str, &str)]) -> Self {
        self.customer = fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self
    }

    fn transcript(&self) -> Vec<Utterance> {
        self.lines
            .iter()
            .zip(1..)
            .map(|((speaker, text), id)| Utterance {
                id: UtteranceId(id),
                speaker: *speaker,
                text: (*text).to_owned(),
                start: Duration::from_secs(u64::from(id) * 5),
                end: Duration::from_secs(u64::from(id) * 5 + 3),
                confidence: 0.9,
                stage: Stage::Final,
                level: None,
            })
            .collect()
    }

    fn brief(&self) -> Brief {
        let transcript = self.transcript();
        let reason = Reason {
            rule: self.rule.to_owned(),
            code: self.code.to_owned(),
            evidence: "talk to a human".to_owned(),
            value: 1.0,
            utterance: None,
        };
        let brief = write(&BriefInput {
            transcribed: true,
            handoff: 1,
            revision: 4,
            transcript: &transcript,
            reason: &reason,
            declared: self.declared.as_ref(),
            customer: &self.customer,
            priority: 70,
            priority_because: &["base 50".to_owned(), "premium +20".to_owned()],
            caller_name: self.name,
            language: "en",
            whisper: self.limit,
        });
        assert_eq!((brief.handoff, brief.revision, brief.priority), (1, 4, 70));
        assert_eq!(brief.priority_because, ["base 50", "premium +20"]);
        assert!(spoken_length(&brief.whisper) <= self.limit.length_max.mul_f64(1.5), "{}", brief.whisper);
        hold_to_what_was_said(&brief, &transcript, self);
        brief
    }
}

/// Every word of substance is quoted from what the statement cites, or from the bot's or the customer's data.
fn hold_to_what_was_said(brief: &Brief, transcript: &[Utterance], situation: &Situation) {
    let declared: Vec<String> = situation
        .declared
        .iter()
        .flat_map(|declared| {
            let told = [declared.reason.clone(), declared.intent.clone().unwrap_or_default()];
            told.into_iter().chain(declared.details.values().cloned())
        })
        .collect();
    let record =
        situation.customer.values().cloned().chain(situation.name.map(str::to_owned)).chain(declared);
    let known: String = record.collect::<Vec<_>>().join(" ");
    let cited = |cites: &[UtteranceId]| -> String {
        let said = transcript.iter().filter(|utterance| cites.contains(&utterance.id));
        let entities = brief.entities.iter().filter(|entity| cites.contains(&entity.utterance));
        said.map(|utterance| utterance.text.clone())
            .chain(entities.map(|entity| entity.value.clone()))
            .collect::<Vec<_>>()
            .join(" ")
    };
    for fact in brief.tried.iter().chain(std::iter::once(&brief.goal)) {
        let counted =
            if fact.text.ends_with(" times") { fact.cites.len().to_string() } else { String::new() };
        assert_quoted(&fact.text, &format!("{} {known} {counted}", cited(&fact.cites)));
        for cite in &fact.cites {
            assert!(transcript.iter().any(|utterance| utterance.id == *cite), "{cite:?} does not exist");
        }
    }
    let mut sources: Vec<UtteranceId> = brief.entities.iter().map(|entity| entity.utterance).collect();
    sources.extend(brief.goal.cites.iter().chain(brief.tried.iter().flat_map(|fact| &fact.cites)));
    let reason = brief.reason.code.replace('_', " ");
    assert_quoted(&brief.whisper, &format!("{} {known} {reason}", cited(&sources)));
    assert_quoted(&brief.opening, &format!("{} {known}", cited(&sources)));
}

/// Words of the templates, which state nothing about the call.
const TEMPLATE: &str = "according to the bot caller reports order account asked for a human pressed zero says did not \
    understand times nothing is known of goal said very upset customer you failed was cut off from an agent hi hello \
    i see you've been asking about let me take it here i'm sorry trouble care have read what told our assistant are \
    through person now can do something that being getting wish problems matter closing threat";

fn assert_quoted(statement: &str, sources: &str) {
    let plain = |text: &str| -> Vec<String> {
        text.split(|letter: char| letter.is_whitespace() || letter == '_')
            .map(|word| word.trim_matches(|letter: char| !letter.is_alphanumeric()).to_lowercase())
            .filter(|word| !word.is_empty())
            .collect()
    };
    let (sources, template) = (plain(sources), plain(TEMPLATE));
    for word in plain(statement) {
        let stem: String = word.chars().take(4).collect();
        let said =
            sources.iter().any(|source| *source == word || (stem.len() == 4 && source.starts_with(&stem)));
        assert!(said || template.contains(&word), "`{word}` of `{statement}` was never said");
    }
}

#[test]
fn a_refund_is_told_with_order_amount_and_what_the_bot_could_not_do() {
    let brief = Situation::new(&[
        (Bot, "Hello, how can I help you?"),
        (Caller, "Hi, I want a refund for order one two three four, it was five hundred dollars."),
        (Bot, "I'm sorry, I could not find that order."),
        (Caller, "I want to talk to a human."),
    ])
    .customer(&[("name", "Sarah Miller"), ("account_type", "premium")])
    .brief();
    assert_eq!(brief.goal.text, "I want a refund for order one two three four, it was five hundred dollars.");
    assert_eq!(brief.goal.cites, [UtteranceId(2)]);
    assert_eq!(brief.tried.len(), 1);
    assert_eq!(brief.tried[0].text, "Bot: I could not find that order");
    assert_eq!(brief.tried[0].cites, [UtteranceId(3)]);
    assert_eq!(
        brief.whisper,
        "Sarah, refund for order 1234, five hundred dollars. Bot could not find it. Asked for a human."
    );
    assert_eq!(
        brief.opening,
        "Hi Sarah, I see you've been asking about a refund for order 1234. Let me take it from here."
    );
    assert_eq!(brief.next[0], "Look up order 1234.");
    assert_eq!(brief.missing, [] as [&str; 0]);
}

#[test]
fn a_whisper_with_room_tells_everything() {
    let mut situation = Situation::new(&[
        (Caller, "I want a refund for order one two three four, it was five hundred dollars."),
        (Bot, "I'm sorry, I could not find that order."),
        (Caller, "This is ridiculous, let me talk to a human."),
    ])
    .customer(&[("name", "Dr. Sarah Miller"), ("account_type", "premium")]);
    situation.limit = WhisperLimit { words_max: 60, length_max: Duration::from_secs(30) };
    assert_eq!(
        situation.brief().whisper,
        "Sarah, refund for order 1234, five hundred dollars. Bot could not find it. Asked for a human. \
         Upset. Premium customer."
    );
}

#[test]
fn a_whisper_without_room_keeps_the_goal() {
    let mut situation = Situation::new(&[(Caller, "I want a refund for order one two three four please")]);
    situation.limit = WhisperLimit { words_max: 2, length_max: Duration::from_secs(1) };
    assert_eq!(situation.brief().whisper, "Refund.");
    situation.limit = WhisperLimit { words_max: 0, length_max: Duration::ZERO };
    assert_eq!(situation.brief().whisper, "");
}

#[test]
fn an_empty_transcript_says_that_nothing_is_known() {
    let brief = Situation::new(&[]).brief();
    assert_eq!(brief.goal.text, "Nothing is known: the caller said nothing.");
    assert_eq!(brief.goal.cites, []);
    assert_eq!(brief.tried, []);
    assert_eq!(brief.sentiment, 0.0);
    assert_eq!(brief.whisper, "Nothing is known: the caller said nothing. Asked for a human.");
    assert_eq!(brief.next, ["Ask what the call is about."]);
    assert_eq!(brief.opening, "Hello, you are through to a person now. What can I do for you?");
    assert!(brief.missing[0].starts_with("a transcript"));
    assert!(brief.missing.iter().any(|missing| missing == "the question"));
    assert!(brief.missing.iter().any(|missing| missing == "the caller's name"));
}

#[test]
fn a_bare_request_for_a_human_is_no_goal() {
    for plea in
        ["agent", "I want to talk to a human", "Representative, please.", "hello can I speak to somebody"]
    {
        let brief = Situation::new(&[(Bot, "How can I help?"), (Caller, plea)]).brief();
        assert_eq!(brief.goal.text, "Nothing is known of the goal.", "{plea}");
        assert!(brief.goal.cites.is_empty());
    }
}

#[test]
fn the_plea_is_left_out_of_a_goal_that_shares_its_sentence() {
    let brief =
        Situation::new(&[(Caller, "My internet is not working and I want to talk to a human")]).brief();
    assert_eq!(brief.goal.text, "My internet is not working.");
    assert_eq!(brief.whisper, "Not working. Asked for a human.");
    let other = Situation::new(&[(Caller, "I need to speak to someone because I was charged twice")]).brief();
    assert_eq!(other.goal.text, "I was charged twice.");
}

#[test]
fn an_order_number_given_later_completes_the_goal() {
    let brief = Situation::new(&[
        (Caller, "um, where is my package?"),
        (Bot, "What is your order number?"),
        (Caller, "nine nine eight one"),
        (Bot, "Your order was shipped on Monday and will arrive tomorrow."),
        (Caller, "it still has not arrived, get me a person"),
    ])
    .brief();
    assert_eq!(brief.entities[0].value, "9981");
    assert_eq!(brief.tried[0].cites, [UtteranceId(4), UtteranceId(5)]);
    assert!(brief.goal.text.contains("(order 9981)"), "{}", brief.goal.text);
    assert!(brief.goal.cites.contains(&UtteranceId(3)));
    assert!(brief.whisper.contains("order 9981"), "{}", brief.whisper);
}

#[test]
fn what_the_caller_tried_and_what_did_not_help_is_told() {
    let brief = Situation::new(&[
        (Caller, "My router is not working. I already restarted it."),
        (Bot, "Please try to unplug the router for ten seconds."),
        (Caller, "I did that, it didn't work."),
        (Bot, "I don't have any other steps for you."),
        (Caller, "operator"),
    ])
    .brief();
    let tried: Vec<&str> = brief.tried.iter().map(|fact| fact.text.as_str()).collect();
    assert_eq!(
        tried,
        [
            "Caller: I already restarted it",
            "Bot: Try to unplug the router for ten seconds. Caller: I did that, it didn't work",
            "Bot: I don't have any other steps for you",
        ]
    );
    assert_eq!(brief.tried[1].cites, [UtteranceId(2), UtteranceId(3)]);
    assert!(brief.tone.contains("Do not ask again"));
    assert!(brief.next.iter().any(|step| step.contains("Repeat no step")));
}

#[test]
fn a_bot_that_does_not_understand_is_counted() {
    let brief = Situation::new(&[
        (Caller, "I have a question about my invoice"),
        (Bot, "Sorry, I did not understand that."),
        (Caller, "my invoice is wrong"),
        (Bot, "Could you say that again?"),
        (Caller, "human"),
    ])
    .brief();
    assert_eq!(brief.tried[0].text, "Bot did not understand the caller, 2 times");
    assert_eq!(brief.tried[0].cites, [UtteranceId(2), UtteranceId(4)]);
    assert_eq!(brief.goal.text, "I have a question about my invoice.");
}

#[test]
fn what_the_bot_declares_is_marked_as_its_word() {
    let mut situation = Situation::new(&[]);
    (situation.rule, situation.code) = ("T24", "billing_dispute");
    situation.declared = Some(Declared {
        reason: "billing_dispute".to_owned(),
        summary: Some("Caller disputes the March invoice".to_owned()),
        details: BTreeMap::from([(
            "attempted_solutions".to_owned(),
            "explained the tariff; sent a copy".to_owned(),
        )]),
        ..Declared::default()
    });
    let brief = situation.brief();
    assert_eq!(brief.goal.text, "According to the bot: billing dispute");
    assert_eq!(brief.bot_summary.as_deref(), Some("Caller disputes the March invoice"));
    let tried: Vec<&str> = brief.tried.iter().map(|fact| fact.text.as_str()).collect();
    assert_eq!(tried, ["Bot reports: explained the tariff", "Bot reports: sent a copy"]);
    assert_eq!(brief.whisper, "Billing. The bot says: billing dispute.");
    assert_eq!(brief.next[0], "Ask for the account number.");
}

#[test]
fn the_callers_own_words_come_before_the_bots() {
    let mut situation = Situation::new(&[(Caller, "I want to cancel my contract")]);
    situation.declared = Some(Declared { reason: "general".to_owned(), ..Declared::default() });
    let brief = situation.brief();
    assert_eq!(brief.goal.text, "I want to cancel my contract.");
    assert!(brief.opening.contains("asking about cancelling"), "{}", brief.opening);
}

#[test]
fn an_upset_caller_is_told_of_and_met_with_empathy() {
    let brief = Situation::new(&[
        (Caller, "This is ridiculous, I was charged twice and nobody helps, I am so angry"),
        (Bot, "I cannot process refunds."),
        (Caller, "This is unacceptable, give me a manager"),
    ])
    .brief();
    assert!(brief.sentiment < -0.5, "{}", brief.sentiment);
    assert_eq!(brief.tone, "Empathy first, solution second.");
    assert!(brief.opening.contains("I'm sorry for the trouble"));
    assert!(brief.whisper.starts_with("Charged twice. Bot cannot process refunds. Asked for a human."));
}

#[test]
fn an_urgent_matter_is_met_quickly() {
    let brief =
        Situation::new(&[(Caller, "Somebody hacked my account and took two hundred dollars")]).brief();
    assert_eq!(brief.tone, "Quick and reassuring: say at once what you will do.");
    assert!(brief.next.contains(&"Verify the caller's identity.".to_owned()));
    assert_eq!(brief.whisper, "Hacked, two hundred dollars. Asked for a human.");
    assert!(brief.missing.contains(&"the account number".to_owned()));
}

#[test]
fn a_goal_outside_the_table_is_quoted() {
    let brief = Situation::new(&[
        (Bot, "How can I help you?"),
        (Caller, "Hello, do you know whether the swimming pool opens on Sunday?"),
        (Bot, "I'm sorry, I don't have that information."),
    ])
    .brief();
    assert_eq!(brief.goal.text, "Do you know whether the swimming pool opens on Sunday?");
    assert!(
        brief.whisper.starts_with("Do you know whether the swimming pool opens on Sunday"),
        "{}",
        brief.whisper
    );
}

#[test]
fn a_long_story_is_cut_at_its_most_telling_sentence() {
    let brief = Situation::new(&[(
        Caller,
        "Well so I bought this washing machine in your shop with my wife and we were both very sure about the colour. \
         It was a nice day. Then on the way home it rained a lot. Now I want a refund because it leaks.",
    )])
    .brief();
    assert_eq!(brief.goal.text, "Now I want a refund because it leaks.");
}

#[test]
fn words_that_were_hard_to_hear_are_named_as_missing() {
    let situation = Situation::new(&[(Caller, "I want to return my shoes")]);
    let mut transcript = situation.transcript();
    transcript[0].confidence = 0.31;
    let reason = Reason {
        rule: "T01".to_owned(),
        code: "dtmf_zero".to_owned(),
        evidence: "0".to_owned(),
        value: 1.0,
        utterance: None,
    };
    let brief = write(&BriefInput {
        transcribed: true,
        handoff: 2,
        revision: 1,
        transcript: &transcript,
        reason: &reason,
        declared: None,
        customer: &BTreeMap::new(),
        priority: 50,
        priority_because: &[],
        caller_name: Some("Alex"),
        language: "en",
        whisper: WhisperLimit::default(),
    });
    assert!(brief.missing.contains(&"sure words in utterance 1: heard with confidence 0.31".to_owned()));
    assert_eq!(brief.whisper, "Alex, return. Pressed zero.");
}

#[test]
fn partials_change_nothing() {
    let situation = Situation::new(&[(Caller, "I want to return my shoes")]);
    let mut transcript = situation.transcript();
    transcript.push(Utterance {
        id: UtteranceId(2),
        stage: Stage::Partial,
        text: "my order number is 1234".to_owned(),
        ..transcript.first().unwrap().clone()
    });
    let brief = situation.brief();
    assert_eq!(brief.entities, []);
    assert_eq!(brief.goal.cites, [UtteranceId(1)]);
}

#[test]
fn a_brief_of_any_call_states_only_what_was_said() {
    use proptest::prelude::*;

    const BOT: &[&str] = &[
        "How can I help you?",
        "I'm sorry, I could not find that order.",
        "What is your order number?",
        "Please try to restart the router.",
        "Sorry, I did not understand that.",
        "Your order will arrive on Monday, it costs $12.50.",
        "I can't change the delivery address.",
    ];
    const CALLER: &[&str] = &[
        "I want a refund for order one two three four",
        "five hundred dollars and thirty cents",
        "my e-mail is anna at example dot com",
        "This is ridiculous! I already tried that, it did not work.",
        "nine nine eight one",
        "My package has not arrived; cancel it, and let me talk to a human",
        "agent",
        "",
        "\u{1f600} ??? \u{2026}",
        "Ich möchte mein Geld zurück",
        "Account number 44556 was charged twice on March 3rd, call me at 555-123-4567",
    ];
    const CODES: &[&str] = &["explicit_request", "dtmf_zero", "no_handoff", "billing_dispute", "bot_failed"];
    let line = prop_oneof![
        proptest::sample::select(BOT).prop_map(|text| (Bot, text)),
        proptest::sample::select(CALLER).prop_map(|text| (Caller, text)),
        proptest::sample::select(CALLER).prop_map(|text| (Speaker::Agent, text)),
    ];
    let call = (
        proptest::collection::vec(line, 0..14),
        proptest::sample::select(CODES),
        0_u32..30,
        0_u64..12,
        proptest::option::of(proptest::sample::select(&["Sarah", "Mr. van Dyk", "+49 89"])),
    );
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |((lines, code, words_max, seconds, name) in call)| {
        let mut situation = Situation::new(&lines);
        situation.code = code;
        situation.name = name;
        situation.limit = WhisperLimit { words_max, length_max: Duration::from_secs(seconds) };
        let brief = situation.brief();
        prop_assert!(!brief.goal.text.is_empty() && !brief.opening.is_empty() && !brief.tone.is_empty());
        prop_assert!((-1.0..=1.0).contains(&brief.sentiment));
        prop_assert!(brief.tried.len() <= 6 && brief.next.len() <= 4);
        prop_assert!(brief.goal.cites.is_empty() == brief.goal.text.starts_with("Nothing is known"));
        prop_assert!(brief.whisper.split_whitespace().count() <= words_max as usize * 3 / 2);
    });
}
