//! The edges of the house, played: legs that ring, answer and break, prompts that end, news that is late.

use std::{collections::BTreeMap, time::Duration};

use segue_call::{
    Action, AgentChoice, AttemptId, Declared, Destination, DialFailure, Event, LegEnd, Party, PlaybackId,
    PlayedHow,
};

use crate::{
    switchboard::Request,
    world::{Thing, World},
};

/// Legs and prompts of one call, as they really are.
#[derive(Debug)]
pub(crate) struct Edge {
    legs: BTreeMap<AttemptId, Leg>,
    playing: BTreeMap<Party, PlaybackId>,
}

#[derive(Clone, Copy, Debug)]
struct Leg {
    party: Party,
    up: bool,
}

/// What becomes of a leg.
#[derive(Clone, Debug)]
pub(crate) enum LegStep {
    Ring,
    Answer,
    Fail(DialFailure),
    End(LegEnd, Option<Declared>),
    /// Our hang-up arrives.
    HungUp,
    Press(char),
    Choose(AgentChoice),
    Refer(Declared),
}

impl Edge {
    pub(crate) fn new() -> Self {
        let caller = Leg { party: Party::Caller, up: true };
        Self { legs: BTreeMap::from([(AttemptId::CALLER, caller)]), playing: BTreeMap::new() }
    }

    /// The leg of a party that is up.
    pub(crate) fn up(&self, party: Party) -> Option<AttemptId> {
        self.legs.iter().find(|(_, leg)| leg.party == party && leg.up).map(|(attempt, _)| *attempt)
    }
}

impl World {
    /// Sends a call news, which may be lost, doubled or late where such things happen.
    pub(crate) fn send(&mut self, number: usize, delay: Duration, event: Event) {
        let trouble = self.numbers.trouble;
        if self.chance.chance(trouble.early_alarm) {
            let early = self.chance.millis(0, 5000);
            self.timeline.after(early, Thing::Tell(number, Event::Alarm));
        }
        if self.chance.chance(trouble.doubled) {
            let again = delay + self.chance.millis(1, 60_000);
            self.timeline.after(again, Thing::Tell(number, event.clone()));
        }
        let late =
            if self.chance.chance(trouble.late) { self.chance.millis(50, 3000) } else { Duration::ZERO };
        if self.chance.chance(trouble.lost) {
            self.lose(number, event);
            return;
        }
        self.timeline.after(delay + late, Thing::Tell(number, event));
    }

    /// The end of a leg is noticed later, by its silence or by its session timer; other news is gone for good.
    fn lose(&mut self, number: usize, event: Event) {
        if let Event::Ended { attempt, .. } = event {
            let silent = Duration::from_secs(6);
            if self.chance.chance(0.7) {
                self.timeline.after(silent, Thing::Tell(number, Event::Dead { attempt, silent }));
            } else {
                let ended = Event::Ended { attempt, cause: LegEnd::Lost, declared: None };
                self.timeline.after(Duration::from_secs(30), Thing::Tell(number, ended));
            }
        }
    }

    /// Does what a call commands.
    pub(crate) fn carry_out(&mut self, number: usize, action: Action) {
        let soon = Duration::from_millis(1);
        match action {
            Action::Dial { attempt, to } => self.dial(number, attempt, &to),
            Action::HangUp { attempt, .. } => {
                let crossing = self.chance.millis(1, 60);
                self.timeline.after(crossing, Thing::Leg(number, attempt, LegStep::HungUp));
            }
            Action::Play { playback, ear, prompt } => self.play(number, playback, ear, prompt.text.len()),
            Action::StopPlay { playback } => self.prompt_stopped(number, playback),
            Action::Enqueue { ticket } => {
                self.timeline.after(soon, Thing::Ask(number, Request::Enqueue(ticket)));
            }
            Action::Withdraw { ticket } => {
                self.timeline.after(soon, Thing::Ask(number, Request::Withdraw(ticket)));
            }
            Action::AgentRefused { reservation, refusal } => {
                self.timeline.after(soon, Thing::Ask(number, Request::Refused(reservation, refusal)));
            }
            Action::AgentTook { reservation } => {
                self.timeline.after(soon, Thing::Ask(number, Request::Took(reservation)));
            }
            Action::AgentFree { reservation } => {
                self.timeline.after(soon, Thing::Ask(number, Request::Freed(reservation)));
            }
            Action::AgentMoved { reservation, to } => {
                self.timeline.after(soon, Thing::Ask(number, Request::Moved(reservation, to)));
            }
            Action::Publish(milestone) => self.react(number, &milestone),
            Action::AnswerCaller
            | Action::RefuseCaller { .. }
            | Action::Wire { .. }
            | Action::Prepare { .. }
            | Action::ShowBrief { .. }
            | Action::Promise(_)
            | Action::Note(_)
            | Action::Finished => {}
        }
    }

    fn dial(&mut self, number: usize, attempt: AttemptId, to: &Destination) {
        let party = match to {
            Destination::Bot => Party::Bot,
            Destination::Agent(_) => Party::Agent,
        };
        if let Some(line) = self.lines.get_mut(number) {
            line.edge.legs.insert(attempt, Leg { party, up: false });
        }
        match party {
            Party::Agent => self.agent_is_dialled(number, attempt),
            Party::Bot | Party::Caller => self.bot_is_dialled(number, attempt),
        }
    }

    fn play(&mut self, number: usize, playback: PlaybackId, ear: Party, letters: usize) {
        let trouble = self.numbers.trouble;
        let Some(line) = self.lines.get_mut(number) else { return };
        let replaced = line.edge.playing.insert(ear, playback);
        let (fails, endless) =
            (self.chance.chance(trouble.prompt_fails), self.chance.chance(trouble.prompt_endless));
        if let Some(replaced) = replaced {
            self.played(number, replaced, PlayedHow::Stopped);
        }
        if fails {
            self.lines.get_mut(number).and_then(|line| line.edge.playing.remove(&ear));
            self.played(number, playback, PlayedHow::Failed);
        } else if !endless {
            // Fifteen letters a second.
            let spoken = Duration::from_millis(200 + 66 * letters as u64);
            self.timeline.after(spoken, Thing::PromptOver(number, playback));
        }
    }

    pub(crate) fn prompt_over(&mut self, number: usize, playback: PlaybackId) {
        if self.silence(number, playback) {
            self.played(number, playback, PlayedHow::Finished);
        }
    }

    fn prompt_stopped(&mut self, number: usize, playback: PlaybackId) {
        if self.silence(number, playback) {
            self.played(number, playback, PlayedHow::Stopped);
        }
    }

    /// Whether the prompt still played; it does not any more.
    fn silence(&mut self, number: usize, playback: PlaybackId) -> bool {
        let Some(line) = self.lines.get_mut(number) else { return false };
        let before = line.edge.playing.len();
        line.edge.playing.retain(|_, playing| *playing != playback);
        line.edge.playing.len() < before
    }

    fn played(&mut self, number: usize, playback: PlaybackId, how: PlayedHow) {
        let delay = self.chance.millis(1, 20);
        self.send(number, delay, Event::Played { playback, how });
    }

    /// Something becomes of a leg that is still there.
    pub(crate) fn leg_step(&mut self, number: usize, attempt: AttemptId, step: LegStep) {
        let Some(line) = self.lines.get_mut(number) else { return };
        let Some(leg) = line.edge.legs.get_mut(&attempt) else { return };
        let party = leg.party;
        let event = match step {
            LegStep::Ring if !leg.up => Event::Ringing { attempt },
            LegStep::Answer if !leg.up => {
                leg.up = true;
                Event::Answered { attempt }
            }
            LegStep::Fail(failure) if !leg.up => Event::Failed { attempt, failure },
            LegStep::End(cause, declared) if leg.up => Event::Ended { attempt, cause, declared },
            LegStep::Press(key) if leg.up => Event::Key { attempt, key },
            LegStep::Choose(choice) if leg.party == Party::Agent => Event::AgentChose { attempt, choice },
            LegStep::Refer(declared) if leg.up => Event::BotDeclared(declared),
            LegStep::HungUp => {
                self.leg_is_gone(number, attempt, party);
                return;
            }
            LegStep::Ring
            | LegStep::Answer
            | LegStep::Fail(_)
            | LegStep::End(..)
            | LegStep::Press(_)
            | LegStep::Choose(_)
            | LegStep::Refer(_) => return,
        };
        let gone = matches!(event, Event::Failed { .. } | Event::Ended { .. });
        let answered = matches!(event, Event::Answered { .. });
        let delay = self.chance.millis(1, 15);
        self.send(number, delay, event);
        if gone {
            self.leg_is_gone(number, attempt, party);
        } else if answered {
            self.leg_is_up(number, attempt, party);
        }
    }

    fn leg_is_gone(&mut self, number: usize, attempt: AttemptId, party: Party) {
        let Some(line) = self.lines.get_mut(number) else { return };
        line.edge.legs.remove(&attempt);
        let playing = line.edge.playing.remove(&party);
        self.phone_free(number, attempt);
        if let Some(playback) = playing {
            self.played(number, playback, PlayedHow::Stopped);
        }
    }
}
