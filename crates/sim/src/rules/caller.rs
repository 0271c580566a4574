//! Rules about what the caller is told: at once when they ask, and again and again while they wait.

use std::time::Duration;

use segue_call::{AttemptId, Event, Phase, Times};

use super::{SLACK, Verdict, must};

/// The caller's side of a call.
#[derive(Debug, Default)]
pub(crate) struct Informed {
    /// When the caller was last told something.
    told: Option<Duration>,
    /// Somebody asked for a human and has not been answered.
    asked: Option<&'static str>,
}

impl Informed {
    pub(crate) fn event(&mut self, event: &Event, phase: Option<Phase>, bot: Option<AttemptId>) {
        if !matches!(phase, Some(Phase::Connecting | Phase::WithBot)) {
            return;
        }
        self.asked = match event {
            Event::Key { attempt: AttemptId::CALLER, key: '0' } => Some("the caller pressed 0"),
            Event::Asked(_) => Some("another system asked for a human"),
            Event::BotDeclared(_) => Some("the bot declared a handoff"),
            Event::Ended { attempt, declared: Some(_), .. } if bot == Some(*attempt) => {
                Some("the bot left with a handoff")
            }
            Event::Alarm
            | Event::Ringing { .. }
            | Event::Answered { .. }
            | Event::Failed { .. }
            | Event::Dead { .. }
            | Event::Ended { .. }
            | Event::Key { .. }
            | Event::Held { .. }
            | Event::Referred { .. }
            | Event::Transferred { .. }
            | Event::Heard(_)
            | Event::Voice(_)
            | Event::Language { .. }
            | Event::Played { .. }
            | Event::Notice(_)
            | Event::Recalled { .. }
            | Event::AgentChose { .. }
            | Event::Customer(_)
            | Event::Shutdown => None,
        };
    }

    pub(crate) fn told(&mut self, now: Duration) {
        self.told = Some(now);
    }

    /// What must hold while the call waits. `more` tells whether another handoff is allowed.
    pub(crate) fn settled(
        &mut self,
        now: Duration,
        phase: Option<Phase>,
        more: bool,
        times: &Times,
    ) -> Verdict {
        let asked = self.asked.take();
        let waiting = phase == Some(Phase::HandingOff);
        must!(asked.is_none() || waiting || !more, "{} and nothing came of it", asked.unwrap_or_default());
        // An interval after a prompt, whose end may be told late, and another one if it is told at the last moment.
        let pause =
            times.update_interval * 2 + times.announcement_deadline.max(times.prompt_deadline) + SLACK;
        let told_lately = self.told.is_some_and(|told| now <= told + pause);
        must!(!waiting || told_lately, "the caller was told nothing since {:?}", self.told);
        Ok(())
    }
}
