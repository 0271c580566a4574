//! Callers, bots and agents, played: what they say, press and do, and when. They react to what the call tells.

use std::{collections::BTreeMap, time::Duration};

use segue_acd::Language;
use segue_call::{
    AgentChoice, AttemptId, Declared, Event, HandoffOrder, HandoffState, LegEnd, Milestone, Party, Phase,
};
use segue_trigger::{Speaker, Stage, Utterance, UtteranceId};

use crate::{
    edge::LegStep,
    random::Random,
    scenario::{AgentHabit, BotFate, CLOSED_QUEUE, Numbers, PhoneFate, QUEUE, SKILLED_QUEUE, UNKNOWN_QUEUE},
    world::{Thing, World},
};

/// The caller of one call, and the chance of everybody who deals with them.
#[derive(Debug)]
pub(crate) struct Person {
    random: Random,
    language: &'static str,
    utterances: u32,
    /// The handoff that was told last.
    handoff: u32,
    /// How often the caller came to the bot.
    visits: u32,
    /// Counts what the call has told: plans made before are dropped.
    mood: u32,
}

impl Person {
    pub(crate) fn new(mut random: Random, numbers: &Numbers) -> Self {
        let spanish = numbers.agents > 4 && random.chance(0.1);
        let language = if spanish { "es-MX" } else { "en" };
        Self { random, language, utterances: 0, handoff: 0, visits: 0, mood: 0 }
    }

    pub(crate) fn language(&self) -> Language {
        self.language.into()
    }

    /// The next piece of transcript: its growing form and its final one.
    fn says(&mut self, speaker: Speaker, text: &str, at: Duration) -> [Utterance; 2] {
        self.utterances += 1;
        let heard = |text: &str, stage, end| Utterance {
            id: UtteranceId(self.utterances),
            speaker,
            text: text.to_owned(),
            start: at,
            end,
            confidence: 0.9,
            stage,
            level: None,
        };
        let half = text.split_inclusive(' ').take(text.split(' ').count().div_ceil(2)).collect::<String>();
        [
            heard(&half, Stage::Partial, at + Duration::from_millis(900)),
            heard(text, Stage::Final, at + Duration::from_millis(1900)),
        ]
    }
}

/// Sentences that ask for a human.
const REQUESTS: [&str; 4] = [
    "I want to talk to a human please",
    "can you connect me with an agent",
    "let me speak to a real person",
    "get me a representative now",
];

/// Sentences that do not.
const MATTERS: [&str; 6] = [
    "my order number is 4 7 1 1 and it has not arrived",
    "there is a charge of 59 dollars on my bill",
    "you can write to anna at example dot com",
    "I already tried to restart it twice",
    "it was supposed to come on monday",
    "that is not what I asked",
];

/// What a bot says.
const ANSWERS: [&str; 3] = [
    "How can I help you today?",
    "I have restarted your device. Does it work now?",
    "Could you say that again?",
];

impl World {
    fn random(&mut self, number: usize) -> &mut Random {
        match self.lines.get_mut(number) {
            Some(line) => &mut line.person.random,
            None => &mut self.chance,
        }
    }

    fn roll(&mut self, number: usize, probability: f64) -> bool {
        self.random(number).chance(probability)
    }

    fn millis(&mut self, number: usize, least: u64, most: u64) -> Duration {
        self.random(number).millis(least, most)
    }

    fn one<T: Clone>(&mut self, number: usize, choices: &[(u32, T)]) -> Option<T> {
        self.random(number).pick(choices)
    }

    /// What surrounds a call from its beginning.
    pub(crate) fn begin(&mut self, number: usize) {
        if self.roll(number, self.numbers.callers.shutdown) {
            let at = self.millis(number, 0, 150_000);
            self.timeline.after(at, Thing::Tell(number, Event::Shutdown));
        }
        if self.roll(number, 0.3) {
            let found = BTreeMap::from([("name".to_owned(), "Anna".to_owned())]);
            let at = self.millis(number, 200, 20_000);
            self.send(number, at, Event::Customer(found));
        }
        if self.roll(number, self.numbers.callers.quit) {
            self.caller_leaves_within(number, 6_000);
        }
        if self.roll(number, self.numbers.callers.insist) {
            let at = self.millis(number, 0, 5_000);
            self.timeline.after(at, Thing::Leg(number, AttemptId::CALLER, LegStep::Press('0')));
        }
    }

    /// People hear what the call tells.
    pub(crate) fn react(&mut self, number: usize, milestone: &Milestone) {
        match milestone {
            Milestone::Phase { phase } => {
                self.mood(number);
                match phase {
                    Phase::WithBot => self.with_bot(number),
                    Phase::WithAgent => self.with_agent(number),
                    Phase::Ending => {
                        if self.roll(number, 0.2) {
                            self.caller_leaves_within(number, 4_000);
                        }
                    }
                    Phase::Connecting => {
                        if self.roll(number, self.numbers.callers.quit) {
                            self.caller_leaves_within(number, 8_000);
                        }
                    }
                    Phase::HandingOff | Phase::Ended => {}
                }
            }
            Milestone::Handoff { handoff, state, .. } => {
                self.mood(number);
                if let Some(line) = self.lines.get_mut(number) {
                    line.person.handoff = *handoff;
                }
                self.in_handoff(number, *state);
            }
            Milestone::Heard(_)
            | Milestone::Decided(_)
            | Milestone::Waiting { .. }
            | Milestone::Saying { .. }
            | Milestone::Leg { .. }
            | Milestone::Quality { .. }
            | Milestone::Recording(_)
            | Milestone::Conversation(_)
            | Milestone::TranscriptGap(_)
            | Milestone::Brief(_)
            | Milestone::Ended { .. } => {}
        }
    }

    fn with_bot(&mut self, number: usize) {
        let visits = match self.lines.get_mut(number) {
            Some(line) => {
                line.person.visits += 1;
                line.person.visits
            }
            None => 1,
        };
        let turns = self.random(number).below(3);
        let mut at = self.millis(number, 500, 2_000);
        for _ in 0..turns {
            self.speak(number, Speaker::Bot, &ANSWERS, at);
            at += self.millis(number, 2_500, 4_000);
            self.speak(number, Speaker::Caller, &MATTERS, at);
            at += self.millis(number, 2_500, 4_000);
        }
        let mean = self.numbers.callers.talk;
        let patience = self.random(number).around(mean);
        // 0 asks in words, 1 by key, 2 through the API, 3 leaves, 4 talks on.
        match self.one(number, &[(6, 0), (3, 1), (1, 2), (visits * visits, 3), (1, 4)]) {
            Some(0) => self.speak(number, Speaker::Caller, &REQUESTS, at),
            Some(1) => self.timeline.after(at, Thing::Leg(number, AttemptId::CALLER, LegStep::Press('0'))),
            Some(2) => {
                let order = HandoffOrder {
                    by: "desk".to_owned(),
                    reason: "vip".to_owned(),
                    queue: self.queue(number),
                };
                self.send(number, at, Event::Asked(order));
            }
            Some(3) => self.caller_leaves(number, at),
            Some(_) | None => {}
        }
        self.caller_leaves(number, at + patience * 2);
    }

    /// In each state of a handoff the caller may leave or insist, and others may interfere.
    fn in_handoff(&mut self, number: usize, state: HandoffState) {
        let callers = self.numbers.callers.clone();
        if self.roll(number, callers.quit) {
            let within = if state == HandoffState::Queued { 40_000 } else { 6_000 };
            self.caller_leaves_within(number, within);
        }
        if self.roll(number, callers.recall) {
            let at = self.millis(number, 0, 8_000);
            let handoff = self.lines.get(number).map_or(0, |line| line.person.handoff);
            // Now and then the order is for a handoff that is over or not yet there.
            let handoff = handoff + u32::try_from(self.random(number).below(5) / 4).unwrap_or(0);
            self.send(number, at, Event::Recalled { handoff });
        }
        if self.roll(number, callers.insist) {
            let at = self.millis(number, 0, 6_000);
            self.timeline.after(at, Thing::Leg(number, AttemptId::CALLER, LegStep::Press('0')));
            self.speak(number, Speaker::Caller, &REQUESTS, at);
        }
        if state == HandoffState::Announced && self.roll(number, 0.5) {
            let at = self.millis(number, 4_000, 12_000);
            self.speak(number, Speaker::Caller, &MATTERS, at);
        }
        if self.roll(number, 0.02) {
            let found = BTreeMap::from([("account_type".to_owned(), "premium".to_owned())]);
            let at = self.millis(number, 0, 3_000);
            self.send(number, at, Event::Customer(found));
        }
    }

    fn with_agent(&mut self, number: usize) {
        let mean = self.numbers.callers.talk;
        let talk = self.random(number).around(mean);
        for (speaker, words) in [
            (Speaker::Agent, &ANSWERS[..]),
            (Speaker::Caller, &MATTERS[..]),
            (Speaker::Caller, &REQUESTS[..]),
        ] {
            if self.roll(number, 0.3) {
                let at = self.millis(number, 500, 10_000);
                self.speak(number, speaker, words, at);
            }
        }
        let Some(agent) = self.lines.get(number).and_then(|line| line.edge.up(Party::Agent)) else {
            return self.caller_leaves(number, talk);
        };
        if self.roll(number, 0.1) {
            for (attempt, key) in [(agent, '2'), (AttemptId::CALLER, '0'), (agent, '*')] {
                let at = self.millis(number, 0, 5_000);
                self.timeline.after(at, Thing::Leg(number, attempt, LegStep::Press(key)));
            }
        }
        if self.roll(number, self.numbers.trouble.talk_breaks) {
            let cause = self.one(number, &[(1, LegEnd::Lost), (1, LegEnd::Error)]).unwrap_or(LegEnd::Lost);
            self.timeline.after(talk, Thing::Leg(number, agent, LegStep::End(cause, None)));
        } else if self.roll(number, 0.5) {
            self.timeline.after(talk, Thing::Leg(number, agent, LegStep::End(LegEnd::HungUp, None)));
        }
        self.caller_leaves(number, talk + Duration::from_secs(2));
    }

    pub(crate) fn bot_is_dialled(&mut self, number: usize, attempt: AttemptId) {
        let fates = self.numbers.bot.clone();
        let fate = self.one(number, &fates).unwrap_or(BotFate::Stays);
        let rings = self.millis(number, 20, 200);
        let answers = rings + self.millis(number, 20, 1_500);
        let then = answers + self.millis(number, 3_000, 40_000);
        let mut leg = |at, step| self.timeline.after(at, Thing::Leg(number, attempt, step));
        leg(rings, LegStep::Ring);
        match fate {
            BotFate::Silent => return,
            BotFate::Fails(failure) => return leg(answers, LegStep::Fail(failure)),
            BotFate::Stays | BotFate::Dies(_) => leg(answers, LegStep::Answer),
            BotFate::Finishes => {
                leg(answers, LegStep::Answer);
                leg(then, LegStep::End(LegEnd::HungUp, None));
            }
            BotFate::Refers | BotFate::DeclaresAndLeaves => leg(answers, LegStep::Answer),
        }
        if let BotFate::Dies(cause) = fate {
            // Half of them in the first two seconds.
            let at = if self.roll(number, 0.5) { answers + self.millis(number, 0, 2_000) } else { then };
            self.timeline.after(at, Thing::Leg(number, attempt, LegStep::End(cause, None)));
        }
        let declared = Declared {
            reason: "billing_dispute".to_owned(),
            queue: self.queue(number),
            confidence: Some(0.4),
            summary: Some("The caller disputes a charge.".to_owned()),
            ..Declared::default()
        };
        if fate == BotFate::Refers {
            self.timeline.after(then, Thing::Leg(number, attempt, LegStep::Refer(declared)));
        } else if fate == BotFate::DeclaresAndLeaves {
            let end = LegStep::End(LegEnd::HungUp, Some(declared));
            self.timeline.after(then, Thing::Leg(number, attempt, end));
        }
    }

    pub(crate) fn agent_is_dialled(&mut self, number: usize, attempt: AttemptId) {
        let fates = self.numbers.phones.clone();
        let fate = self.one(number, &fates).unwrap_or(PhoneFate::Answers);
        let rings = self.millis(number, 50, 400);
        let answers = rings + self.millis(number, 500, 9_000);
        let too_late = self.policy.times.ring_max.saturating_sub(Duration::from_millis(40));
        let too_late = too_late + self.millis(number, 0, 80);
        let mut leg = |at, step| self.timeline.after(at, Thing::Leg(number, attempt, step));
        match fate {
            PhoneFate::Answers => {
                leg(rings, LegStep::Ring);
                leg(answers, LegStep::Answer);
            }
            PhoneFate::AnswersAtOnce => leg(rings, LegStep::Answer),
            PhoneFate::AnswersTooLate => {
                leg(rings, LegStep::Ring);
                leg(too_late, LegStep::Answer);
            }
            PhoneFate::RingsOut => leg(rings, LegStep::Ring),
            PhoneFate::DeclinedOnScreen => {
                leg(rings, LegStep::Ring);
                leg(answers, LegStep::Choose(AgentChoice::Decline));
            }
            PhoneFate::Silent => {}
            PhoneFate::Fails(failure) => leg(answers, LegStep::Fail(failure)),
        }
    }

    /// A leg answered: its people act.
    pub(crate) fn leg_is_up(&mut self, number: usize, attempt: AttemptId, party: Party) {
        if party != Party::Agent {
            return;
        }
        let habits = self.numbers.choices.clone();
        let habit = self.one(number, &habits).unwrap_or(AgentHabit::Accepts);
        let first = self.millis(number, 300, 12_000);
        let second = first + self.millis(number, 100, 8_000);
        let mut leg = |at, step| self.timeline.after(at, Thing::Leg(number, attempt, step));
        match habit {
            AgentHabit::Accepts => leg(first, LegStep::Press('1')),
            AgentHabit::AcceptsOnScreen => leg(first, LegStep::Choose(AgentChoice::Accept)),
            AgentHabit::RepeatsAndAccepts => {
                leg(first, LegStep::Press('*'));
                leg(first, LegStep::Press('5'));
                leg(first, LegStep::Choose(AgentChoice::Repeat));
                leg(second, LegStep::Press('1'));
                leg(second, LegStep::Press('1'));
            }
            AgentHabit::Declines => leg(first, LegStep::Press('2')),
            AgentHabit::DeclinesOnScreen => leg(first, LegStep::Choose(AgentChoice::Decline)),
            AgentHabit::Ignores => {}
            AgentHabit::Leaves(cause) => leg(first, LegStep::End(cause, None)),
            AgentHabit::AcceptsAndLeaves(cause) => {
                leg(first, LegStep::Press('1'));
                leg(second, LegStep::End(cause, None));
            }
        }
    }

    /// The caller does something they planned, if nothing has come between.
    pub(crate) fn caller_acts(&mut self, number: usize, mood: u32) {
        if self.lines.get(number).is_some_and(|line| line.person.mood == mood) {
            self.leg_step(number, AttemptId::CALLER, LegStep::End(LegEnd::HungUp, None));
        }
    }

    fn mood(&mut self, number: usize) {
        if let Some(line) = self.lines.get_mut(number) {
            line.person.mood += 1;
        }
    }

    fn caller_leaves(&mut self, number: usize, after: Duration) {
        let mood = self.lines.get(number).map_or(0, |line| line.person.mood);
        self.timeline.after(after, Thing::CallerLeaves(number, mood));
    }

    fn caller_leaves_within(&mut self, number: usize, millis: u64) {
        let at = self.millis(number, 0, millis);
        self.caller_leaves(number, at);
    }

    /// The queue that somebody names with a request, if they name one.
    fn queue(&mut self, number: usize) -> Option<String> {
        if !self.roll(number, self.numbers.callers.odd_queue) {
            return None;
        }
        self.one(number, &[(2, SKILLED_QUEUE), (1, CLOSED_QUEUE), (1, UNKNOWN_QUEUE), (1, QUEUE)])
            .map(str::to_owned)
    }

    fn speak(&mut self, number: usize, speaker: Speaker, words: &[&'static str], after: Duration) {
        let at = self.timeline.now() + after;
        let choice = usize::try_from(self.random(number).below(words.len() as u64)).unwrap_or(0);
        let text = words.get(choice).copied().unwrap_or("yes");
        let Some(line) = self.lines.get_mut(number) else { return };
        for utterance in line.person.says(speaker, text, at) {
            let delay = utterance.end.saturating_sub(self.timeline.now()) + Duration::from_millis(250);
            self.send(number, delay, Event::Heard(utterance));
        }
    }
}
