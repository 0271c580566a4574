//! Rules about handoffs: the order of their states, their deadlines, and the announcement that comes at once.

use std::time::Duration;

use segue_call::{Event, HandoffState, Party, Phase, PlaybackId, Prompt, Times};

use super::{SLACK, Verdict, must};

/// The handoffs of one call.
#[derive(Debug)]
pub(crate) struct Handoffs {
    open: Option<Open>,
    closed: u32,
}

/// The handoff that is under way.
#[derive(Debug)]
struct Open {
    number: u32,
    state: HandoffState,
    requested: Duration,
    entered: Duration,
    announcement: Announcement,
    enqueued: bool,
    /// The last state, once it is promised.
    closing: Option<HandoffState>,
}

/// The first words after the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Announcement {
    Missing,
    Playing(PlaybackId, Duration),
    Over,
}

/// The longest that a handoff may take from the request to the bridge.
pub(crate) fn longest(times: &Times) -> Duration {
    times.queue_max
        + times.ring_max
        + times.accept_max
        + times.announcement_deadline
        + times.introduction_deadline
}

impl Handoffs {
    pub(crate) fn new() -> Self {
        Self { open: None, closed: 0 }
    }

    /// The number of the handoff that is under way; 0 for none.
    pub(crate) fn number(&self) -> u32 {
        self.open.as_ref().map_or(0, |open| open.number)
    }

    /// How many are over.
    pub(crate) fn closed(&self) -> u32 {
        self.closed
    }

    pub(crate) fn state(&self) -> Option<HandoffState> {
        self.open.as_ref().map(|open| open.state)
    }

    pub(crate) fn requested(&self) -> Option<Duration> {
        self.open.as_ref().map(|open| open.requested)
    }

    pub(crate) fn event(&mut self, _now: Duration, event: &Event) {
        if let Event::Played { playback, .. } = event
            && let Some(open) = &mut self.open
            && matches!(open.announcement, Announcement::Playing(playing, _) if playing == *playback)
        {
            open.announcement = Announcement::Over;
        }
    }

    pub(crate) fn play(&mut self, now: Duration, playback: PlaybackId, ear: Party, _prompt: &Prompt) {
        if let Some(open) = &mut self.open
            && ear == Party::Caller
            && open.announcement == Announcement::Missing
        {
            open.announcement = Announcement::Playing(playback, now);
        }
    }

    pub(crate) fn enqueued(&mut self) {
        if let Some(open) = &mut self.open {
            open.enqueued = true;
        }
    }

    pub(crate) fn announcement_done(&self, now: Duration, times: &Times) -> bool {
        self.open.as_ref().is_some_and(|open| match open.announcement {
            Announcement::Missing => false,
            Announcement::Playing(_, since) => now >= since + times.announcement_deadline,
            Announcement::Over => true,
        })
    }

    /// A last state is promised.
    pub(crate) fn closes(&mut self, number: u32, state: HandoffState) -> Verdict {
        let Some(open) = self.open.as_mut().filter(|open| open.number == number) else {
            return Err(format!("handoff {number} is closed, which is not open"));
        };
        must!(open.closing.is_none(), "handoff {number} is closed twice");
        must!(terminal(state), "handoff {number} is closed in {state:?}");
        let bridged = open.state == HandoffState::Bridged;
        let ends_a_conversation = matches!(state, HandoffState::Completed | HandoffState::Failed);
        must!(bridged == ends_a_conversation, "handoff {number} goes from {:?} to {state:?}", open.state);
        open.closing = Some(state);
        Ok(())
    }

    /// A state is published.
    pub(crate) fn enter(
        &mut self,
        now: Duration,
        (number, state): (u32, HandoffState),
        has_agent: bool,
        times: &Times,
    ) -> Verdict {
        if state == HandoffState::Requested {
            must!(self.open.is_none(), "a handoff is requested while one is under way");
            must!(number == self.closed + 1, "handoff {number} comes after {}", self.closed);
            self.open = Some(Open {
                number,
                state,
                requested: now,
                entered: now,
                announcement: Announcement::Missing,
                enqueued: false,
                closing: None,
            });
            return Ok(());
        }
        self.in_time(now, times)?;
        let Some(open) = self.open.as_mut().filter(|open| open.number == number) else {
            return Err(format!("handoff {number} is {state:?} without a request"));
        };
        if terminal(state) {
            must!(
                open.closing == Some(state),
                "the end {state:?} of handoff {number} is told before it is promised"
            );
            self.open = None;
            self.closed = number;
            return Ok(());
        }
        must!(follows(open.state, state), "handoff {number} goes from {:?} to {state:?}", open.state);
        let needs_agent = matches!(
            state,
            HandoffState::Offered
                | HandoffState::Ringing
                | HandoffState::Briefing
                | HandoffState::Accepted
                | HandoffState::Bridged
        );
        must!(!needs_agent || has_agent, "handoff {number} is {state:?} with nobody");
        (open.state, open.entered) = (state, now);
        Ok(())
    }

    /// What must hold while the call waits.
    pub(crate) fn settled(&self, now: Duration, phase: Option<Phase>, times: &Times) -> Verdict {
        let Some(open) = &self.open else {
            must!(
                !matches!(phase, Some(Phase::HandingOff | Phase::WithAgent)),
                "phase {phase:?} without a handoff"
            );
            return Ok(());
        };
        let expected = if open.state == HandoffState::Bridged { Phase::WithAgent } else { Phase::HandingOff };
        must!(phase == Some(expected), "handoff is {:?} in phase {phase:?}", open.state);
        must!(open.state != HandoffState::Requested, "the caller was not told at once");
        must!(open.announcement != Announcement::Missing, "nothing was announced at once");
        must!(open.enqueued, "the search for an agent did not begin at once");
        self.in_time(now, times)
    }

    pub(crate) fn nothing_left(&self) -> Verdict {
        must!(self.open.is_none(), "a handoff is left open: {:?}", self.open);
        Ok(())
    }

    fn in_time(&self, now: Duration, times: &Times) -> Verdict {
        let Some(open) = &self.open else { return Ok(()) };
        let limit = match open.state {
            HandoffState::Requested => Duration::ZERO,
            HandoffState::Announced | HandoffState::Queued => times.queue_max,
            HandoffState::Offered | HandoffState::Ringing => times.ring_max,
            HandoffState::Briefing => times.accept_max,
            HandoffState::Accepted => times.announcement_deadline + times.introduction_deadline,
            HandoffState::Bridged => times.talk_max,
            HandoffState::Completed
            | HandoffState::Rejected
            | HandoffState::Failed
            | HandoffState::Canceled
            | HandoffState::CallbackScheduled => return Ok(()),
        };
        must!(
            now <= open.entered + limit + SLACK,
            "handoff {} is {:?} since {:?}, longer than {limit:?}",
            open.number,
            open.state,
            open.entered
        );
        let before_bridge = open.state != HandoffState::Bridged;
        must!(
            !before_bridge || now <= open.requested + longest(times) + SLACK,
            "handoff {} was requested at {:?} and is still {:?}",
            open.number,
            open.requested,
            open.state
        );
        Ok(())
    }
}

fn terminal(state: HandoffState) -> bool {
    match state {
        HandoffState::Completed
        | HandoffState::Rejected
        | HandoffState::Failed
        | HandoffState::Canceled
        | HandoffState::CallbackScheduled => true,
        HandoffState::Requested
        | HandoffState::Announced
        | HandoffState::Queued
        | HandoffState::Offered
        | HandoffState::Ringing
        | HandoffState::Briefing
        | HandoffState::Accepted
        | HandoffState::Bridged => false,
    }
}

/// The arrows of SPEC §7 between states that are not the last.
fn follows(from: HandoffState, to: HandoffState) -> bool {
    use HandoffState as S;
    match to {
        S::Announced => from == S::Requested,
        S::Queued => matches!(from, S::Announced | S::Offered | S::Ringing | S::Briefing | S::Accepted),
        S::Offered => matches!(from, S::Announced | S::Queued),
        S::Ringing => from == S::Offered,
        S::Briefing => matches!(from, S::Offered | S::Ringing),
        S::Accepted => from == S::Briefing,
        S::Bridged => from == S::Accepted,
        S::Requested | S::Completed | S::Rejected | S::Failed | S::Canceled | S::CallbackScheduled => false,
    }
}
