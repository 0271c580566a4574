//! What was said, and what that comes to: no echo gets in here, nor what was not said to the caller.

use std::time::Duration;

use segue_acd::Language;
use segue_trigger::{Fact, Signal, Speaker, Stage, Utterance};

use super::{core::Core, ears::Judged, news::News, timers::Timer, transcript::Kept, triage::decided};
use crate::{
    action::Action,
    brief::EntityKind,
    conversation::{ConversationNews, IdentifiedBy, VoiceNews},
    entity,
    record::{Entry, Milestone},
    state::Phase,
};

/// A piece of transcript.
pub(crate) fn heard(core: &mut Core, utterance: Utterance, before_bridge: bool) -> Vec<News> {
    // The gateway puts off only what was said in a conversation.
    let late_agent = utterance.speaker == Speaker::Agent && utterance.stage == Stage::Late;
    if !late_agent && !to_the_caller(core, utterance.speaker, utterance.start, before_bridge) {
        return Vec::new();
    }
    let known_now = utterance.stage == Stage::Final && utterance.speaker != Speaker::Caller;
    let mut news = judged(core, utterance, before_bridge, true);
    // What waits for the words of somebody else has them now, or was cut short by too many others.
    news.extend(release(core, before_bridge, known_now));
    news
}

/// News of a voice.
pub(crate) fn voice(core: &mut Core, voice: VoiceNews, before_bridge: bool) -> Vec<News> {
    let known_now = matches!(voice, VoiceNews::Nothing { .. });
    let heard = match voice {
        VoiceNews::Prompted { .. } => true,
        VoiceNews::Speaks { speaker, at } => to_the_caller(core, speaker, at, before_bridge),
        VoiceNews::Nothing { speaker } => to_the_caller(core, speaker, core.now, before_bridge),
    };
    if heard {
        core.speech.ears.note(core.now, voice);
    }
    release(core, before_bridge, known_now)
}

/// Judges what has waited for somebody's words: all of it, or what has waited long enough.
pub(crate) fn release(core: &mut Core, before_bridge: bool, all: bool) -> Vec<News> {
    let released = core.speech.ears.release(core.now, all);
    let news = released.into_iter().flat_map(|said| judged(core, said, before_bridge, false)).collect();
    match core.speech.ears.release_at() {
        Some(at) => core.timers.start(Timer::Echo, at),
        None => core.timers.stop(Timer::Echo),
    }
    news
}

/// The caller's language was found out. A handoff that is under way keeps its place in the queue, and the language that
/// an agent was asked for: who waits is not sent to the end of another line. The agent is told by the brief; the
/// next ticket asks for the new language.
pub(crate) fn language(core: &mut Core, language: Language, by: IdentifiedBy) -> Vec<News> {
    if language == core.speech.language {
        return Vec::new();
    }
    core.prompts = core.policy.prompts(&language);
    core.speech.language = language.clone();
    core.triggers.speak(&language.0);
    let queued_as = core.speech.asked_for.clone().filter(|_| core.phase == Some(Phase::HandingOff));
    let prompts = core.prompts.language().clone();
    core.publish(Milestone::Conversation(ConversationNews::Language { language, by, prompts, queued_as }));
    core.known.stale = true;
    vec![News::Learned]
}

/// What was not said to the caller is no part of the conversation: a bot that talks on after it was taken off, an agent
/// who talks to the whisper.
fn to_the_caller(core: &Core, speaker: Speaker, at: Duration, before_bridge: bool) -> bool {
    match speaker {
        Speaker::Caller => true,
        Speaker::Bot => core.bot_was_heard(at),
        Speaker::Agent => !before_bridge,
    }
}

fn judged(core: &mut Core, mut said: Utterance, before_bridge: bool, may_wait: bool) -> Vec<News> {
    match core.speech.ears.judge(core.now, &said, may_wait) {
        Judged::Own => {}
        Judged::Waits => return Vec::new(),
        Judged::Echo => {
            tell_echo(core, &said, None);
            if said.stage != Stage::Partial {
                core.speech.ears.over(said.speaker);
                core.known.transcript.forget(said.id);
            }
            return Vec::new();
        }
        Judged::Partly(rest) => {
            tell_echo(core, &said, Some(&rest));
            said.text = rest;
        }
    }
    believed(core, said, before_bridge)
}

/// What is no part of the conversation is counted, and kept apart.
fn tell_echo(core: &mut Core, said: &Utterance, rest: Option<&str>) {
    if let Some(news) = core.speech.overlap.echoed(said) {
        core.act(Action::Note(Entry::Echo { utterance: said.id, rest: rest.map(str::to_owned) }));
        core.publish(Milestone::Conversation(news));
    }
}

/// Words that somebody said to somebody.
fn believed(core: &mut Core, mut utterance: Utterance, before_bridge: bool) -> Vec<News> {
    let kept = core.known.transcript.take(&mut utterance);
    if kept == Kept::Not {
        return Vec::new();
    }
    core.publish(Milestone::Heard(utterance.clone()));
    for news in core.speech.overlap.hear(&utterance, &core.speech.ears) {
        core.publish(Milestone::Conversation(news));
    }
    core.speech.ears.believe(&utterance);
    let mut news = Vec::new();
    if before_bridge && kept != Kept::Late {
        if kept == Kept::Final && utterance.speaker == Speaker::Caller {
            core.triggers.observe(Signal::Learned(&amounts(&utterance), Some(utterance.id)));
        }
        let decision = core.triggers.observe(Signal::Heard(&utterance));
        news.extend(decided(core, decision));
    }
    if kept == Kept::Final && before_bridge {
        core.known.stale = true;
        news.push(News::Learned);
    }
    news
}

/// The sums of money in an utterance.
fn amounts(utterance: &Utterance) -> Vec<Fact> {
    let entities = entity::of_utterance(utterance, None);
    let amounts = entities.iter().filter(|entity| entity.kind == EntityKind::Amount);
    amounts.filter_map(|amount| amount.value.parse().ok().map(Fact::Amount)).collect()
}
