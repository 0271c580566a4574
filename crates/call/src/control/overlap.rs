//! Who speaks over whom: barge-in (the caller begins while a prompt or the bot speaks to them) and talk-over (the caller
//! and the other side speak at once). Times are media times, of all voices on one clock.

use std::{collections::VecDeque, time::Duration};

use segue_trigger::{Speaker, Stage, Utterance, UtteranceId};

use super::ears::Ears;
use crate::{
    conversation::{Conversation, ConversationNews},
    party::Party,
};

/// What was counted, and what is needed to go on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overlap {
    sum: Conversation,
    caller: VecDeque<Turn>,
    others: VecDeque<(Party, Span)>,
}

/// A turn of the caller.
#[derive(Clone, Copy, Debug)]
struct Turn {
    id: UtteranceId,
    span: Span,
    /// It is finished.
    over: bool,
    /// It was counted as barge-in.
    barged: bool,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: Duration,
    end: Duration,
}

impl Span {
    /// How long both last at once.
    fn shared(self, other: Self) -> Duration {
        self.end.min(other.end).saturating_sub(self.start.max(other.start))
    }

    /// Whether a moment lies well within.
    fn holds(self, at: Duration) -> bool {
        self.start + MARGIN <= at && at + MARGIN <= self.end
    }
}

impl Overlap {
    /// What was counted.
    pub(crate) fn sum(&self) -> Conversation {
        self.sum
    }

    /// An echo was kept out; a piece that still grows is not counted.
    pub(crate) fn echoed(&mut self, said: &Utterance) -> Option<ConversationNews> {
        if said.stage == Stage::Partial {
            return None;
        }
        self.sum.echoes = self.sum.echoes.saturating_add(1);
        let words = u32::try_from(said.text.split_whitespace().count()).unwrap_or(u32::MAX);
        Some(ConversationNews::Echo { party: party(said.speaker), at: said.start, words })
    }

    /// Takes words that are believed, of somebody whom the other side hears.
    pub(crate) fn hear(&mut self, said: &Utterance, ears: &Ears) -> Vec<ConversationNews> {
        if !ears.live() {
            return Vec::new();
        }
        match said.speaker {
            Speaker::Caller => self.caller(said, ears),
            Speaker::Bot | Speaker::Agent if said.stage == Stage::Final => self.other(said),
            Speaker::Bot | Speaker::Agent => Vec::new(),
        }
    }

    fn caller(&mut self, said: &Utterance, ears: &Ears) -> Vec<ConversationNews> {
        let mut news = Vec::new();
        let place = match self.caller.iter().position(|turn| turn.id == said.id) {
            Some(place) => place,
            None => {
                let span = Span { start: said.start, end: said.start };
                self.caller.push_back(Turn { id: said.id, span, over: false, barged: false });
                if self.caller.len() > KEPT {
                    self.caller.pop_front();
                }
                self.caller.len() - 1
            }
        };
        let Some(turn) = self.caller.get_mut(place) else { return news };
        turn.span.end = said.end.max(said.start);
        let bot =
            |at: Duration| self.others.iter().any(|(party, span)| *party == Party::Bot && span.holds(at));
        let bot_speaks = |at| ears.speaks_since(Speaker::Bot).is_some_and(|since| since + MARGIN <= at);
        let start = turn.span.start;
        let over = if ears.prompted(Party::Caller, start, MARGIN) {
            Some(None)
        } else {
            (bot(start) || bot_speaks(start)).then_some(Some(Party::Bot))
        };
        if let Some(over) = over.filter(|_| !turn.barged) {
            turn.barged = true;
            news.push(barge_in(&mut self.sum, over, start));
        }
        if said.stage == Stage::Final && !turn.over {
            turn.over = true;
            self.sum.caller_turns = self.sum.caller_turns.saturating_add(1);
            let span = turn.span;
            for (party, other) in &self.others {
                news.extend(talk_over(&mut self.sum, *party, span, *other));
            }
        }
        news
    }

    fn other(&mut self, said: &Utterance) -> Vec<ConversationNews> {
        let (party, span) = (party(said.speaker), Span { start: said.start, end: said.end.max(said.start) });
        let mut news = Vec::new();
        for turn in &mut self.caller {
            if party == Party::Bot && !turn.barged && span.holds(turn.span.start) {
                turn.barged = true;
                news.push(barge_in(&mut self.sum, Some(party), turn.span.start));
            }
            if turn.over {
                news.extend(talk_over(&mut self.sum, party, turn.span, span));
            }
        }
        self.others.push_back((party, span));
        if self.others.len() > KEPT {
            self.others.pop_front();
        }
        news
    }
}

fn barge_in(sum: &mut Conversation, over: Option<Party>, at: Duration) -> ConversationNews {
    let count = if over.is_none() { &mut sum.prompt_barge_ins } else { &mut sum.barge_ins };
    *count = count.saturating_add(1);
    ConversationNews::BargeIn { over, at }
}

fn talk_over(sum: &mut Conversation, with: Party, caller: Span, other: Span) -> Option<ConversationNews> {
    let length = caller.shared(other);
    if length < SHARED_MIN {
        return None;
    }
    sum.talk_overs = sum.talk_overs.saturating_add(1);
    sum.talk_over = sum.talk_over.saturating_add(length);
    Some(ConversationNews::TalkOver { with, at: caller.start.max(other.start), length })
}

pub(crate) fn party(speaker: Speaker) -> Party {
    match speaker {
        Speaker::Caller => Party::Caller,
        Speaker::Bot => Party::Bot,
        Speaker::Agent => Party::Agent,
    }
}

/// Who begins so soon after the other began with them, and who begins so shortly before the other's end has only
/// foreseen it.
const MARGIN: Duration = Duration::from_millis(250);
/// Turns touch by as much without anybody speaking over anybody.
const SHARED_MIN: Duration = Duration::from_millis(300);
/// Turns of each side that are remembered: both are finished within seconds.
const KEPT: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{conversation::VoiceNews, party::PlaybackId};

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn said(id: u32, speaker: Speaker, (start, end): (u64, u64), stage: Stage) -> Utterance {
        Utterance {
            id: UtteranceId(id),
            speaker,
            text: "some words".to_owned(),
            start: at(start),
            end: at(end),
            confidence: 0.9,
            stage,
            level: None,
        }
    }

    fn ears() -> Ears {
        let mut ears = Ears::default();
        ears.ordered(PlaybackId(1), Party::Caller, "Welcome, say what it is about");
        ears.note(at(1_000), VoiceNews::Prompted { playback: PlaybackId(1), length: at(3_000) });
        ears
    }

    #[test]
    fn who_begins_within_a_prompt_barges_in_once_and_is_told_at_the_first_words() {
        let (ears, mut overlap) = (ears(), Overlap::default());
        let news = overlap.hear(&said(1, Speaker::Caller, (2_000, 2_900), Stage::Partial), &ears);
        assert_eq!(news, [ConversationNews::BargeIn { over: None, at: at(2_000) }]);
        assert_eq!(overlap.hear(&said(1, Speaker::Caller, (2_000, 3_500), Stage::Final), &ears), []);
        let sum = Conversation { caller_turns: 1, prompt_barge_ins: 1, ..Conversation::default() };
        assert_eq!(overlap.sum(), sum);
    }

    #[test]
    fn who_answers_at_its_end_does_not() {
        let (ears, mut overlap) = (ears(), Overlap::default());
        for (id, start) in [(1, 1_100), (2, 3_900), (3, 4_500)] {
            assert_eq!(
                overlap.hear(&said(id, Speaker::Caller, (start, start + 500), Stage::Final), &ears),
                []
            );
        }
        assert_eq!(overlap.sum(), Conversation { caller_turns: 3, ..Conversation::default() });
    }

    #[test]
    fn barge_in_and_talk_over_are_counted_once_whoever_is_understood_first() {
        let caller = said(1, Speaker::Caller, (11_000, 13_000), Stage::Final);
        let bot = said(2, Speaker::Bot, (10_000, 11_800), Stage::Final);
        for (first, second) in [(&caller, &bot), (&bot, &caller)] {
            let (ears, mut overlap) = (ears(), Overlap::default());
            overlap.hear(first, &ears);
            overlap.hear(second, &ears);
            overlap.hear(&caller, &ears);
            let sum = overlap.sum();
            assert_eq!((sum.barge_ins, sum.talk_overs, sum.talk_over), (1, 1, at(800)));
        }
    }

    #[test]
    fn a_bot_whose_words_are_not_known_yet_is_barged_in_on_at_once() {
        let (mut ears, mut overlap) = (ears(), Overlap::default());
        ears.note(at(10_000), VoiceNews::Speaks { speaker: Speaker::Bot, at: at(9_900) });
        let news = overlap.hear(&said(1, Speaker::Caller, (11_000, 11_900), Stage::Partial), &ears);
        assert_eq!(news, [ConversationNews::BargeIn { over: Some(Party::Bot), at: at(11_000) }]);
        overlap.hear(&said(2, Speaker::Bot, (9_900, 12_000), Stage::Final), &ears);
        assert_eq!(overlap.sum().barge_ins, 1);
    }

    #[test]
    fn agent_and_caller_talk_over_each_other_without_barge_in() {
        let (ears, mut overlap) = (ears(), Overlap::default());
        overlap.hear(&said(1, Speaker::Agent, (20_000, 24_000), Stage::Final), &ears);
        let news = overlap.hear(&said(2, Speaker::Caller, (22_000, 23_000), Stage::Final), &ears);
        let with = Party::Agent;
        assert_eq!(news, [ConversationNews::TalkOver { with, at: at(22_000), length: at(1_000) }]);
        assert_eq!(overlap.sum().barge_ins, 0);
    }
}
