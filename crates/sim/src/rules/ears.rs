//! Rules about legs and ears: who is there, who hears what, and that nobody hears what is not for them.

use std::collections::{BTreeMap, BTreeSet};

use segue_call::{
    AgentChoice, AttemptId, Destination, Event, Party, Phase, PlaybackId, Prompt, Source, Style,
};

use super::{Verdict, must};

/// Legs and ears of one call, as the call must believe them to be.
#[derive(Debug)]
pub(crate) struct Ears {
    legs: BTreeMap<AttemptId, Leg>,
    ears: BTreeMap<Party, Ear>,
    playbacks: BTreeSet<PlaybackId>,
    /// Sentences that were given to be rendered before they are needed.
    prepared: BTreeSet<String>,
    /// Legs that answered after they were hung up: they may be hung up once more.
    answered_late: BTreeSet<AttemptId>,
    caller: Caller,
}

#[derive(Debug)]
struct Leg {
    party: Party,
    stage: Stage,
    /// A whisper was given to this leg.
    whispered: bool,
    /// Its agent chose to take the call, after the whisper began.
    accepted: bool,
    /// Its agent chose not to, before that.
    declined: bool,
    /// Nothing is heard of it any more.
    silent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Dialling,
    Up,
    Down,
}

#[derive(Debug, Default)]
struct Ear {
    source: Option<Source>,
    playing: Option<PlaybackId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    AtTheDoor,
    Answered,
    Gone,
}

impl Ears {
    pub(crate) fn new() -> Self {
        let caller = Leg {
            party: Party::Caller,
            stage: Stage::Up,
            whispered: false,
            accepted: false,
            declined: false,
            silent: false,
        };
        Self {
            legs: BTreeMap::from([(AttemptId::CALLER, caller)]),
            ears: BTreeMap::new(),
            playbacks: BTreeSet::new(),
            prepared: BTreeSet::new(),
            answered_late: BTreeSet::new(),
            caller: Caller::AtTheDoor,
        }
    }

    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::Answered { attempt } => match self.legs.get_mut(attempt) {
                Some(leg) if leg.stage == Stage::Dialling => leg.stage = Stage::Up,
                Some(leg) if leg.stage == Stage::Down => {
                    self.answered_late.insert(*attempt);
                }
                Some(_) | None => {}
            },
            Event::Failed { attempt, .. } | Event::Ended { attempt, .. } => self.down(*attempt),
            Event::Dead { attempt, .. } => {
                if let Some(leg) = self.legs.get_mut(attempt) {
                    leg.silent |= leg.stage == Stage::Up;
                }
            }
            Event::Played { playback, .. } => self.silence(*playback),
            Event::Key { attempt, key: '1' } | Event::AgentChose { attempt, choice: AgentChoice::Accept } => {
                if let Some(leg) = self.legs.get_mut(attempt) {
                    leg.accepted |= leg.whispered && leg.party == Party::Agent && leg.stage == Stage::Up;
                }
            }
            Event::Key { attempt, key: '2' } => self.declines(*attempt, |stage| stage == Stage::Up),
            Event::AgentChose { attempt, choice: AgentChoice::Decline } => {
                self.declines(*attempt, |stage| stage != Stage::Down);
            }
            Event::Alarm
            | Event::Ringing { .. }
            | Event::BotDeclared(_)
            | Event::Key { .. }
            | Event::Held { .. }
            | Event::Referred { .. }
            | Event::Transferred { .. }
            | Event::Heard(_)
            | Event::Voice(_)
            | Event::Language { .. }
            | Event::Notice(_)
            | Event::Asked(_)
            | Event::Recalled { .. }
            | Event::AgentChose { .. }
            | Event::Customer(_)
            | Event::Shutdown => {}
        }
    }

    pub(crate) fn answer_caller(&mut self) -> Verdict {
        must!(self.caller == Caller::AtTheDoor, "the caller is answered twice, or after they left");
        self.caller = Caller::Answered;
        Ok(())
    }

    pub(crate) fn refuse_caller(&mut self) -> Verdict {
        must!(self.caller == Caller::AtTheDoor, "a caller is refused who was answered or has left");
        self.down(AttemptId::CALLER);
        Ok(())
    }

    pub(crate) fn dial(&mut self, attempt: AttemptId, to: &Destination) -> Verdict {
        let party = match to {
            Destination::Bot => Party::Bot,
            Destination::Agent(_) => Party::Agent,
        };
        let newest = self.legs.last_key_value().map(|(attempt, _)| *attempt);
        must!(Some(attempt) > newest, "attempt {attempt:?} was used before");
        must!(self.live(party).is_none(), "{party:?} is dialled while {:?} lives", self.live(party));
        self.legs.insert(
            attempt,
            Leg {
                party,
                stage: Stage::Dialling,
                whispered: false,
                accepted: false,
                declined: false,
                silent: false,
            },
        );
        self.ears.insert(party, Ear { source: Some(Source::Quiet), playing: None });
        Ok(())
    }

    pub(crate) fn hang_up(&mut self, attempt: AttemptId) -> Verdict {
        let Some(leg) = self.legs.get(&attempt) else {
            return Err(format!("{attempt:?} is hung up, which was never dialled"));
        };
        let late = self.answered_late.remove(&attempt);
        must!(leg.stage != Stage::Down || late, "{attempt:?} is hung up, which is down already");
        self.down(attempt);
        Ok(())
    }

    pub(crate) fn wire(&mut self, ears: &[(Party, Source)], bridged: bool) -> Verdict {
        for (party, source) in ears {
            must!(self.up(*party), "the ear of {party:?} is wired, who is not there");
            match (party, source) {
                (Party::Bot, Source::Quiet | Source::Voice(Party::Caller))
                | (Party::Caller | Party::Agent, Source::Quiet)
                | (Party::Caller, Source::Hold) => {}
                (Party::Caller, Source::Voice(Party::Bot)) => {
                    must!(self.up(Party::Bot), "the caller is to hear a bot that is not there");
                }
                (Party::Caller, Source::Voice(Party::Agent))
                | (Party::Agent, Source::Voice(Party::Caller)) => {
                    must!(bridged, "{party:?} is to hear {source:?} before a bridge was promised");
                    must!(self.both_up(), "{party:?} is bridged to nobody");
                }
                (Party::Bot | Party::Caller | Party::Agent, _) => {
                    return Err(format!("{party:?} must never hear {source:?}"));
                }
            }
            self.ears.entry(*party).or_default().source = Some(*source);
        }
        Ok(())
    }

    pub(crate) fn play(&mut self, playback: PlaybackId, ear: Party, prompt: &Prompt) -> Verdict {
        must!(self.playbacks.insert(playback), "{playback:?} was used before");
        must!(!prompt.text.trim().is_empty(), "an empty prompt is played");
        must!(self.up(ear), "a prompt is played to {ear:?}, who is not there");
        match (ear, prompt.style) {
            (Party::Caller, Style::Announcement) => {}
            (Party::Agent, Style::Whisper) => {
                let prepared = self.prepared.contains(&prompt.text);
                if let Some((_, leg)) = self.live_leg(Party::Agent) {
                    must!(leg.whispered || prepared, "the whisper is rendered only when it is needed");
                    leg.whispered = true;
                }
            }
            (Party::Caller | Party::Bot | Party::Agent, style) => {
                return Err(format!("{ear:?} must never be played a prompt of style {style:?}"));
            }
        }
        self.ears.entry(ear).or_default().playing = Some(playback);
        Ok(())
    }

    pub(crate) fn prepare(&mut self, prompt: &Prompt) {
        self.prepared.insert(prompt.text.clone());
    }

    pub(crate) fn stop_play(&mut self, playback: PlaybackId) -> Verdict {
        must!(self.playbacks.contains(&playback), "{playback:?} is stopped, which never began");
        self.silence(playback);
        Ok(())
    }

    /// Whether a leg was there once and is not any more.
    pub(crate) fn was_hung_up(&self, attempt: AttemptId) -> bool {
        self.legs.get(&attempt).is_some_and(|leg| leg.stage == Stage::Down)
    }

    /// Whose leg it is or was.
    pub(crate) fn party(&self, attempt: AttemptId) -> Option<Party> {
        self.legs.get(&attempt).map(|leg| leg.party)
    }

    pub(crate) fn is_up(&self, attempt: AttemptId) -> bool {
        self.legs.get(&attempt).is_some_and(|leg| leg.stage == Stage::Up)
    }

    /// Whether a prompt plays.
    pub(crate) fn plays(&self, playback: PlaybackId) -> bool {
        self.ears.values().any(|ear| ear.playing == Some(playback))
    }

    /// Caller and agent are there.
    pub(crate) fn both_up(&self) -> bool {
        self.up(Party::Caller) && self.up(Party::Agent)
    }

    /// The bot's leg, if it lives.
    pub(crate) fn bot(&self) -> Option<AttemptId> {
        self.live(Party::Bot)
    }

    pub(crate) fn agent_live(&self) -> bool {
        self.live(Party::Agent).is_some()
    }

    pub(crate) fn caller_gone(&self) -> bool {
        self.caller == Caller::Gone
    }

    /// Whether nothing was heard of a party any more while its leg was up.
    pub(crate) fn fell_silent(&self, party: Party) -> bool {
        self.legs.values().any(|leg| leg.party == party && leg.silent)
    }

    pub(crate) fn agent_chose_after_whisper(&self) -> bool {
        let mut legs = self.legs.values();
        legs.any(|leg| leg.party == Party::Agent && leg.stage == Stage::Up && leg.accepted)
    }

    /// Whether the agent who was dialled last chose not to take the call.
    pub(crate) fn agent_declined(&self) -> bool {
        let mut legs = self.legs.values().rev();
        legs.find(|leg| leg.party == Party::Agent).is_some_and(|leg| leg.declined)
    }

    /// What must be heard while the call waits.
    pub(crate) fn settled(&self, phase: Option<Phase>) -> Verdict {
        let source = |party| self.ears.get(&party).and_then(|ear| ear.source);
        let caller = self.ears.get(&Party::Caller);
        let prompt = caller.is_some_and(|ear| ear.playing.is_some());
        let sound = match source(Party::Caller) {
            Some(Source::Hold) => true,
            Some(Source::Voice(party)) => self.up(party),
            Some(Source::Quiet) | None => false,
        };
        let kept = self.legs.iter().find(|(_, leg)| leg.silent && leg.stage == Stage::Up);
        must!(kept.is_none(), "a leg is kept that nothing is heard of: {kept:?}");
        must!(prompt || sound, "the caller hears nothing: {caller:?}");
        match phase {
            Some(Phase::WithBot) => {
                must!(
                    source(Party::Caller) == Some(Source::Voice(Party::Bot)),
                    "the caller does not hear the bot"
                );
                must!(
                    source(Party::Bot) == Some(Source::Voice(Party::Caller)),
                    "the bot does not hear the caller"
                );
                must!(self.up(Party::Bot), "the caller talks to a bot that is not there");
            }
            Some(Phase::WithAgent) => {
                must!(
                    source(Party::Caller) == Some(Source::Voice(Party::Agent)),
                    "the caller does not hear the agent"
                );
                must!(
                    source(Party::Agent) == Some(Source::Voice(Party::Caller)),
                    "the agent does not hear the caller"
                );
                must!(self.up(Party::Agent), "the caller talks to an agent who is not there");
                must!(!prompt, "a prompt goes on over the conversation");
                must!(self.live(Party::Bot).is_none(), "the bot listens to a conversation with an agent");
            }
            Some(Phase::HandingOff | Phase::Connecting) => {
                must!(
                    source(Party::Caller) == Some(Source::Hold),
                    "no hold under the prompts of a waiting caller"
                );
                if self.up(Party::Bot) {
                    must!(source(Party::Bot) == Some(Source::Quiet), "the bot listens to a waiting caller");
                }
                if self.up(Party::Agent) {
                    must!(source(Party::Agent) == Some(Source::Quiet), "the agent listens before the bridge");
                    must!(self.agent_was_briefed(), "the agent answered and hears no brief");
                }
            }
            Some(Phase::Ending) => {
                let alone = self.live(Party::Bot).is_none() && !self.agent_live();
                must!(alone, "somebody is left in the line of a call that says goodbye");
            }
            Some(Phase::Ended) | None => return Err(format!("the call waits in phase {phase:?}")),
        }
        Ok(())
    }

    fn agent_was_briefed(&self) -> bool {
        let mut legs = self.legs.values();
        legs.all(|leg| leg.party != Party::Agent || leg.stage != Stage::Up || leg.whispered)
    }

    pub(crate) fn nothing_left(&self) -> Verdict {
        let left = self.legs.iter().find(|(_, leg)| leg.stage != Stage::Down);
        must!(left.is_none(), "a leg is left: {left:?}");
        Ok(())
    }

    fn declines(&mut self, attempt: AttemptId, may: impl Fn(Stage) -> bool) {
        if let Some(leg) = self.legs.get_mut(&attempt) {
            leg.declined |= leg.party == Party::Agent && may(leg.stage) && !leg.accepted;
        }
    }

    fn live(&self, party: Party) -> Option<AttemptId> {
        let mut legs = self.legs.iter();
        legs.find(|(_, leg)| leg.party == party && leg.stage != Stage::Down).map(|(attempt, _)| *attempt)
    }

    fn live_leg(&mut self, party: Party) -> Option<(&AttemptId, &mut Leg)> {
        self.legs.iter_mut().find(|(_, leg)| leg.party == party && leg.stage != Stage::Down)
    }

    fn up(&self, party: Party) -> bool {
        self.legs.values().any(|leg| leg.party == party && leg.stage == Stage::Up)
    }

    fn down(&mut self, attempt: AttemptId) {
        let Some(leg) = self.legs.get_mut(&attempt).filter(|leg| leg.stage != Stage::Down) else { return };
        leg.stage = Stage::Down;
        if let Some(ear) = self.ears.get_mut(&leg.party) {
            ear.playing = None;
        }
        if leg.party == Party::Caller {
            self.caller = Caller::Gone;
        }
    }

    fn silence(&mut self, playback: PlaybackId) {
        for ear in self.ears.values_mut() {
            ear.playing.take_if(|playing| *playing == playback);
        }
    }
}
