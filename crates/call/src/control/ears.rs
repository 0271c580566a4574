//! What each party's ear was given, and what of a party's words is only an echo of it.
//!
//! Prompts are known word by word before they are heard. Another party's words are known when they have ended: what
//! sounds like an echo until then waits for them, a few seconds at most. A call whose log has no news of voices,
//! because it is older than they are, is not judged.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use segue_trigger::{Speaker, Stage, Utterance};

use crate::{
    conversation::VoiceNews,
    echo::{Loudness, Timed, Verdict, judge},
    party::{Party, PlaybackId},
};

/// What is to be done with words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// They are the party's own.
    Own,
    /// They are an echo.
    Echo,
    /// A part of them is; this is the rest.
    Partly(String),
    /// Nobody knows yet: they wait.
    Waits,
}

/// What the ears of a call were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ears {
    /// News of voices come.
    live: bool,
    prompts: VecDeque<Prompted>,
    voices: BTreeMap<Speaker, Voice>,
    held: VecDeque<(Duration, Utterance)>,
}

/// A prompt in an ear.
#[derive(Clone, Debug)]
struct Prompted {
    playback: PlaybackId,
    ear: Party,
    text: String,
    /// When it began to be heard, and its length.
    begun: Option<(Duration, Duration)>,
    ended: Option<Duration>,
}

/// What one party says.
#[derive(Clone, Debug, Default)]
struct Voice {
    /// It speaks since then, and its words are not known.
    open: Option<Duration>,
    /// Its last finished words.
    said: VecDeque<Said>,
    /// How loud it usually is, in dB.
    usual: Option<f32>,
}

#[derive(Clone, Debug)]
struct Said {
    text: String,
    start: Duration,
    end: Duration,
}

impl Ears {
    /// A prompt was ordered; it is heard from [`VoiceNews::Prompted`] on.
    pub(crate) fn ordered(&mut self, playback: PlaybackId, ear: Party, text: &str) {
        let text = text.to_owned();
        self.prompts.push_back(Prompted { playback, ear, text, begun: None, ended: None });
        if self.prompts.len() > PROMPTS_MAX {
            self.prompts.pop_front();
        }
    }

    /// A prompt has ended.
    pub(crate) fn ended(&mut self, playback: PlaybackId, now: Duration) {
        if let Some(prompt) = self.prompts.iter_mut().find(|prompt| prompt.playback == playback) {
            prompt.ended.get_or_insert(now);
        }
    }

    /// Takes news of voices; of who is not heard by the caller, nothing is to be told.
    pub(crate) fn note(&mut self, now: Duration, news: VoiceNews) {
        self.live = true;
        match news {
            VoiceNews::Prompted { playback, length } => {
                if let Some(prompt) = self.prompts.iter_mut().find(|prompt| prompt.playback == playback) {
                    prompt.begun.get_or_insert((now, length));
                }
            }
            VoiceNews::Speaks { speaker, at } => self.voice(speaker).open = Some(at),
            VoiceNews::Nothing { speaker } => self.voice(speaker).open = None,
        }
    }

    /// Whether a prompt was in an ear at a moment, a while before its end at the latest and a while after its
    /// beginning at the soonest.
    pub(crate) fn prompted(&self, ear: Party, at: Duration, margin: Duration) -> bool {
        self.prompts.iter().filter(|prompt| prompt.ear == ear).any(|prompt| {
            prompt.span().is_some_and(|(start, end)| start + margin <= at && at + margin <= end)
        })
    }

    /// Since when somebody speaks whose words are not known yet.
    pub(crate) fn speaks_since(&self, speaker: Speaker) -> Option<Duration> {
        self.voices.get(&speaker).and_then(|voice| voice.open)
    }

    /// Whether news of voices come.
    pub(crate) fn live(&self) -> bool {
        self.live
    }

    /// Judges words. Finished ones that wait are kept here; who must know now does not let them wait.
    pub(crate) fn judge(&mut self, now: Duration, said: &Utterance, may_wait: bool) -> Judged {
        if !self.live || said.speaker == Speaker::Bot {
            return Judged::Own;
        }
        let timed = Timed::new(&said.text, said.start, said.end);
        let usual = self.voices.get(&said.speaker).and_then(|voice| voice.usual);
        let loudness = Loudness::of(said.level, usual);
        let played = self.played_to(said.speaker, &timed);
        let verdict = played.as_ref().map_or(Verdict::Own, |played| judge(&timed, played, loudness));
        match verdict {
            Verdict::Echo => Judged::Echo,
            Verdict::Partly(rest) => Judged::Partly(rest),
            Verdict::Own if may_wait && self.is_doubtful(said, loudness) => {
                if said.stage == Stage::Final {
                    self.held.push_back((now, said.clone()));
                }
                Judged::Waits
            }
            Verdict::Own => Judged::Own,
        }
    }

    /// Remembers finished words that were believed.
    pub(crate) fn believe(&mut self, said: &Utterance) {
        // What is known long after is nothing that can come back any more.
        if said.stage != Stage::Final {
            return;
        }
        let voice = self.voice(said.speaker);
        voice.open = None;
        let (text, start, end) = (said.text.clone(), said.start, said.end);
        voice.said.push_back(Said { text, start, end });
        if voice.said.len() > SAID_MAX {
            voice.said.pop_front();
        }
        if let Some(level) = said.level {
            voice.usual = Some(match voice.usual {
                None => level,
                // Who once spoke up is measured by that; who is soft for a while is not lost at once.
                Some(usual) if level > usual => usual + (level - usual) * 0.7,
                Some(usual) => usual + (level - usual) * 0.15,
            });
        }
    }

    /// Takes out the words that need not wait any more: because there is news, because they waited long enough, or
    /// because there are too many.
    pub(crate) fn release(&mut self, now: Duration, all: bool) -> Vec<Utterance> {
        let mut released = Vec::new();
        while let Some((since, _)) = self.held.front() {
            if !all && self.held.len() <= HELD_MAX && now < *since + WAIT_MAX {
                break;
            }
            released.extend(self.held.pop_front().map(|(_, said)| said));
        }
        released
    }

    /// When the first of the words that wait have waited long enough.
    pub(crate) fn release_at(&self) -> Option<Duration> {
        self.held.front().map(|(since, _)| *since + WAIT_MAX)
    }

    /// An echo ends what its voice had begun.
    pub(crate) fn over(&mut self, speaker: Speaker) {
        self.voice(speaker).open = None;
    }

    fn voice(&mut self, speaker: Speaker) -> &mut Voice {
        self.voices.entry(speaker).or_default()
    }

    /// Everything that was played to a speaker's leg while something was said, or shortly before.
    fn played_to(&self, speaker: Speaker, said: &Timed) -> Option<Timed> {
        let ear = match speaker {
            Speaker::Caller => Party::Caller,
            Speaker::Bot => Party::Bot,
            Speaker::Agent => Party::Agent,
        };
        let prompts = self.prompts.iter().filter(|prompt| prompt.ear == ear).filter_map(Prompted::timed);
        let voices = self
            .voices
            .iter()
            .filter(|(other, _)| heard_by(speaker, **other))
            .flat_map(|(_, voice)| &voice.said)
            .map(|said| Timed::new(&said.text, said.start, said.end));
        Timed::joined(prompts.chain(voices).filter(|played| played.meets(said)))
    }

    /// Whether words may be an echo of somebody who speaks, and whose words are not known.
    fn is_doubtful(&self, said: &Utterance, loudness: Loudness) -> bool {
        let open = self.voices.iter().filter(|(other, _)| heard_by(said.speaker, **other));
        let since = open.filter_map(|(_, voice)| voice.open).min();
        since.is_some_and(|since| {
            let lag = said.start.saturating_sub(since);
            match loudness {
                Loudness::Usual => false,
                Loudness::Low | Loudness::VeryLow => said.start + EARLY >= since,
                Loudness::Unknown => said.start + EARLY >= since && lag <= LAG_MAX,
            }
        })
    }
}

impl Prompted {
    fn span(&self) -> Option<(Duration, Duration)> {
        let (start, length) = self.begun?;
        let end = start + length;
        Some((start, self.ended.map_or(end, |ended| ended.min(end)).max(start)))
    }

    fn timed(&self) -> Option<Timed> {
        let (start, length) = self.begun?;
        let (_, end) = self.span()?;
        Some(Timed::new(&self.text, start, start + length).until(end))
    }
}

/// Whose voice a speaker's leg may send back.
fn heard_by(speaker: Speaker, other: Speaker) -> bool {
    match speaker {
        Speaker::Caller => matches!(other, Speaker::Bot | Speaker::Agent),
        Speaker::Agent => other == Speaker::Caller,
        Speaker::Bot => false,
    }
}

/// Prompts and finished words that are remembered: an echo comes within a second.
const PROMPTS_MAX: usize = 8;
const SAID_MAX: usize = 8;
/// Words that wait at a time.
const HELD_MAX: usize = 4;
/// How long they wait. Who speaks softly over somebody else is heard so much later.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// By how much an echo may seem to begin before its cause.
const EARLY: Duration = Duration::from_millis(150);
/// How much later it begins.
const LAG_MAX: Duration = Duration::from_millis(600);

#[cfg(test)]
mod tests {
    use segue_trigger::UtteranceId;

    use super::*;

    const GREETING: &str = "Welcome. Say agent at any time to talk to a person.";

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn said(speaker: Speaker, text: &str, (start, end): (u64, u64), level: Option<f32>) -> Utterance {
        Utterance {
            id: UtteranceId(1),
            speaker,
            text: text.to_owned(),
            start: at(start),
            end: at(end),
            confidence: 0.9,
            stage: Stage::Final,
            level,
        }
    }

    fn greeted() -> Ears {
        let mut ears = Ears::default();
        ears.ordered(PlaybackId(1), Party::Caller, GREETING);
        ears.note(at(1_000), VoiceNews::Prompted { playback: PlaybackId(1), length: at(4_000) });
        ears
    }

    #[test]
    fn a_prompt_comes_back_and_is_known_while_it_is_played_and_after() {
        let echo = said(Speaker::Caller, "welcome say agent at any time", (1_150, 3_500), None);
        assert_eq!(greeted().judge(at(3_000), &echo, true), Judged::Echo);
        let mut other = greeted();
        other.ended(PlaybackId(1), at(5_000));
        assert_eq!(other.judge(at(5_500), &echo, true), Judged::Echo);
    }

    #[test]
    fn a_prompt_that_was_stopped_has_no_echo_of_what_it_did_not_say() {
        let mut ears = greeted();
        ears.ended(PlaybackId(1), at(1_600));
        let own = said(Speaker::Caller, "talk to a person", (3_900, 5_000), None);
        assert_eq!(ears.judge(at(5_500), &own, true), Judged::Own);
    }

    #[test]
    fn a_call_without_news_of_voices_is_not_judged() {
        let mut ears = Ears::default();
        ears.ordered(PlaybackId(1), Party::Caller, GREETING);
        let own = said(Speaker::Caller, "say agent at any time", (1_150, 3_500), None);
        assert_eq!(ears.judge(at(3_000), &own, true), Judged::Own);
    }

    #[test]
    fn what_began_with_the_bots_voice_waits_for_its_words_and_is_then_an_echo_of_them() {
        let mut ears = greeted();
        ears.note(at(9_000), VoiceNews::Speaks { speaker: Speaker::Bot, at: at(8_900) });
        let echo = said(Speaker::Caller, "i can connect you to a human agent", (9_050, 11_000), None);
        assert_eq!(ears.judge(at(11_300), &echo, true), Judged::Waits);
        assert_eq!(ears.release(at(11_400), false), []);
        assert_eq!(ears.release_at(), Some(at(14_300)));
        let bot = said(Speaker::Bot, "I can connect you to a human agent.", (8_900, 10_900), None);
        ears.believe(&bot);
        let released = ears.release(at(11_500), true);
        assert_eq!(released, [echo]);
        assert_eq!(ears.judge(at(11_500), &released[0], false), Judged::Echo);
    }

    #[test]
    fn a_caller_as_loud_as_ever_is_not_kept_waiting_and_a_soft_one_for_three_seconds() {
        let mut ears = greeted();
        ears.believe(&said(Speaker::Caller, "hello there", (6_000, 7_000), Some(-20.0)));
        ears.note(at(9_000), VoiceNews::Speaks { speaker: Speaker::Bot, at: at(8_900) });
        let loud = said(Speaker::Caller, "i want a human", (9_300, 10_500), Some(-21.0));
        assert_eq!(ears.judge(at(10_800), &loud, true), Judged::Own);
        let soft = Utterance { level: Some(-31.0), ..loud };
        assert_eq!(ears.judge(at(10_800), &soft, true), Judged::Waits);
        assert_eq!(ears.release(at(13_700), false), []);
        let released = ears.release(at(13_800), false);
        assert_eq!(ears.judge(at(13_800), &released[0], false), Judged::Own);
    }

    #[test]
    fn an_agents_loudspeaker_sends_the_caller_back() {
        let mut ears = greeted();
        ears.believe(&said(
            Speaker::Caller,
            "my order number is one two three",
            (9_000, 11_000),
            Some(-20.0),
        ));
        let echo = said(Speaker::Agent, "my order number is one two tree", (9_200, 11_200), None);
        assert_eq!(ears.judge(at(11_600), &echo, true), Judged::Echo);
        let own = said(Speaker::Agent, "thank you one moment", (11_400, 12_200), None);
        assert_eq!(ears.judge(at(12_600), &own, true), Judged::Own);
    }

    #[test]
    fn too_many_words_do_not_wait() {
        let mut ears = greeted();
        ears.note(at(9_000), VoiceNews::Speaks { speaker: Speaker::Bot, at: at(8_900) });
        for _ in 0..=HELD_MAX {
            let soft = said(Speaker::Caller, "hm and so on", (9_000, 9_400), None);
            assert_eq!(ears.judge(at(9_500), &soft, true), Judged::Waits);
        }
        assert_eq!(ears.release(at(9_500), false).len(), 1);
    }
}
