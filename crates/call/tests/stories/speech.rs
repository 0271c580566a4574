//! Stories of how people speak: echoes of what they hear, another language, one over the other.

use std::{sync::Arc, time::Duration};

use segue_acd::Language;
use segue_call::{Action, Event, IdentifiedBy, Milestone, PlaybackId, Policy, Prompts, VoiceNews};
use segue_trigger::{Speaker, Stage, Utterance};

use crate::harness::{BEGIN, Story};

/// With the product's own sentences: the greeting says how to ask for a person.
fn english(policy: &mut Policy) {
    policy.speech.prompts.insert(Language::from("en"), Arc::new(Prompts::english()));
}

/// The built-in greeting, as it comes back from a loudspeaker and is misheard a little.
fn greeting() -> String {
    let prompts = serde_json::to_value(Prompts::english()).expect("prompts have a form");
    let text = prompts.pointer("/messages/greeting").and_then(|text| text.as_str());
    let text = text.expect("there is a greeting");
    text.to_lowercase().replace(['.', ','], "")
}

fn spanish() -> Event {
    Event::Language { language: Language::from("es"), by: IdentifiedBy::Sound }
}

impl Story {
    fn prompted(&mut self, playback: u32, seconds: u64) -> &mut Self {
        let (playback, length) = (PlaybackId(playback), Duration::from_secs(seconds));
        self.on(Event::Voice(VoiceNews::Prompted { playback, length }))
    }

    fn speaks(&mut self, speaker: Speaker, at: f64) -> &mut Self {
        self.on(Event::Voice(VoiceNews::Speaks { speaker, at: BEGIN + Duration::from_secs_f64(at) }))
    }

    /// A piece of transcript of these seconds, as loud as this many dB.
    fn hears(&mut self, id: u32, speaker: Speaker, text: &str, when: (f64, f64, Stage)) -> &mut Self {
        let (start, end, stage) = when;
        let said = self.utterance(id, speaker, text, stage);
        let at = |seconds: f64| BEGIN + Duration::from_secs_f64(seconds);
        self.on(Event::Heard(Utterance { start: at(start), end: at(end), ..said }))
    }
}

#[test]
fn a_greeting_that_comes_back_asks_for_nobody_and_a_caller_who_speaks_over_it_does() {
    let mut story = Story::arrive_with(english);
    let echo = greeting();
    assert!(echo.contains("person"), "{echo}");
    story.at(1.0).prompted(1, 5).gives_nothing();
    let words: Vec<&str> = echo.split(' ').collect();
    let half = words[..words.len() / 2].join(" ");
    story.at(3.5).hears(1, Speaker::Caller, &half, (1.1, 3.4, Stage::Partial)).gives_nothing();
    let count = words.len();
    story.at(6.8).hears(1, Speaker::Caller, &echo, (1.1, 6.1, Stage::Final));
    story.gives(&["note echo 1", &format!("~ echo of {count} from caller")]);
    assert_eq!(story.call.view().transcript, []);

    let mut other = Story::arrive_with(english);
    other.at(1.0).prompted(1, 5);
    other.at(4.0).hears(1, Speaker::Caller, "i want to talk to a human", (2.0, 3.4, Stage::Final));
    let lines = other.lines();
    assert!(lines.contains(&"~ barge in over a prompt".to_owned()), "{lines:?}");
    assert!(lines.contains(&"~ decided T01 explicit_request".to_owned()), "{lines:?}");
    assert_eq!(other.call.view().conversation.prompt_barge_ins, 1);
}

#[test]
fn what_comes_back_of_the_bots_voice_asks_for_nobody_although_its_words_are_known_later() {
    let mut story = Story::with_bot();
    story.speaks(Speaker::Bot, 9.0).gives_nothing();
    story.at(11.0).hears(1, Speaker::Caller, "you can talk to a human", (9.1, 10.6, Stage::Partial));
    story.gives_nothing();
    story.at(11.2).hears(1, Speaker::Caller, "you can talk to a human agent", (9.1, 10.9, Stage::Final));
    story.gives_nothing();
    story.at(11.3).hears(2, Speaker::Bot, "You can talk to a human agent.", (9.0, 10.8, Stage::Final));
    let lines = story.lines();
    assert!(lines.contains(&"note echo 1".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("decided")), "{lines:?}");
    assert_eq!(story.call.view().transcript.len(), 1);
}

#[test]
fn a_soft_request_over_the_bot_is_heard_three_seconds_later_at_the_latest() {
    let mut story = Story::with_bot();
    story.speaks(Speaker::Bot, 9.0);
    story.at(11.2).hears(1, Speaker::Caller, "i want to talk to a human", (9.3, 10.9, Stage::Final));
    story.gives_nothing();
    story.alarm_at(14.2);
    let lines = story.lines();
    assert!(lines.contains(&"~ decided T01 explicit_request".to_owned()), "{lines:?}");
}

#[test]
fn both_at_once_are_two_lines_each_with_its_speaker_and_counted() {
    let mut story = Story::bridged();
    story.speaks(Speaker::Agent, 50.0).speaks(Speaker::Caller, 51.0);
    story.at(53.0).hears(7, Speaker::Caller, "no that is not my order", (51.0, 52.8, Stage::Final));
    story.at(54.0).hears(
        8,
        Speaker::Agent,
        "so you ordered two chairs last week",
        (50.0, 53.5, Stage::Final),
    );
    assert!(story.lines().contains(&"~ talk over with agent for 1800 ms".to_owned()), "{:?}", story.lines());
    let view = story.call.view();
    let spoken: Vec<Speaker> = view.transcript.iter().map(|said| said.speaker).collect();
    assert!(spoken.ends_with(&[Speaker::Caller, Speaker::Agent]), "{spoken:?}");
    assert_eq!(view.conversation.talk_over, Duration::from_millis(1_800));
}

#[test]
fn another_language_goes_with_the_ticket_the_brief_and_the_prompts() {
    let mut story = Story::with_bot_and(|policy| {
        let mut prompts = serde_json::to_value(Prompts::english()).expect("prompts have a form");
        prompts["language"] = "es".into();
        prompts["messages"]["announcement"] = "Le paso con {queue}, {why}.".into();
        let spanish: Prompts = serde_json::from_value(prompts).expect("they are right");
        policy.speech.prompts.insert(Language::from("es"), Arc::new(spanish));
    });
    story.on(spanish());
    assert!(story.lines().contains(&"~ language es, prompts es".to_owned()), "{:?}", story.lines());
    story.on(spanish()).gives_nothing();
    story.key(0, '0');
    let asked = story.all.iter().find_map(|action| {
        let Action::Enqueue { ticket } = action else { return None };
        Some(ticket.language.clone())
    });
    assert_eq!(asked, Some(Language::from("es")));
    let said = story.all.iter().rev().find_map(|action| {
        let Action::Play { prompt, .. } = action else { return None };
        Some((prompt.language.clone(), prompt.text.starts_with("Le paso")))
    });
    assert_eq!(said, Some(("es".to_owned(), true)));
    let brief = story.call.view().brief.expect("there is a brief");
    assert_eq!(brief.language.as_deref(), Some("es"));
    assert_eq!(story.call.handoff_request().map(|request| request.language), Some("es".to_owned()));
}

#[test]
fn a_language_found_while_the_call_waits_moves_nobody_in_the_queue() {
    let mut story = Story::queued();
    story.on(spanish());
    let lines = story.lines();
    assert!(lines.contains(&"~ language es, prompts en, queued as en-US".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("queue ") || line.contains("withdraw")), "{lines:?}");
    let told = story.all.iter().rev().find_map(|action| {
        let Action::Publish(Milestone::Brief(brief)) = action else { return None };
        brief.language.clone()
    });
    assert_eq!(told.as_deref(), Some("es"));
}
