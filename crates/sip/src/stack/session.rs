//! Session timers (RFC 4028): a session that nobody refreshes is over, so a far side that vanished does not stay for ever.
//!
//! ```text
//! state      2xx with Session-Expires   2xx without   half the interval     the end of the interval is near
//! off        on                         off           –                     –
//! on, ours   on, anew                   off           refresh is sent       (a refresh that fails ends the call)
//! on, theirs on, anew                   off           –                     BYE
//! ```

use std::time::Duration;

use super::{
    Alarm, Stack, Stage, Turndown,
    extensions::names,
    leg::{EndBy, Leg},
};
use crate::{
    message::Message,
    words::{Ended, SipLegId},
};

/// How a leg's session timer stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) on: Option<On>,
    /// The Min-SE that their 422 named.
    pub(super) floor: Duration,
}

/// A session that has to be refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct On {
    pub(super) interval: Duration,
    /// We refresh it.
    pub(super) ours: bool,
}

/// What Session-Expires says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    interval: Duration,
    refresher: Option<Refresher>,
}

/// Which side of the transaction refreshes: the one that sent the request, or the one that answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refresher {
    Client,
    Server,
}

impl Asked {
    fn read(message: &Message) -> Option<Self> {
        let mut parts = message.first("Session-Expires")?.split(';');
        let seconds: u32 = parts.next()?.trim().parse().ok()?;
        let refresher = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            if !name.trim().eq_ignore_ascii_case("refresher") {
                return None;
            }
            match value.trim().to_ascii_lowercase().as_str() {
                "uac" => Some(Refresher::Client),
                "uas" => Some(Refresher::Server),
                _ => None,
            }
        });
        Some(Self { interval: Duration::from_secs(seconds.into()), refresher })
    }
}

impl Stack {
    /// A session interval that is too short for us: 422 with ours (RFC 4028 §9). Who does not know session timers could
    /// make nothing of a 422, and is let in.
    pub(super) fn judge_session(&self, request: &Message) -> Result<(), Turndown> {
        let min = self.policy.session_expires_min;
        let too_short = Asked::read(request).is_some_and(|asked| asked.interval < min);
        if self.policy.session_expires.is_zero() || !too_short || !names(request, "Supported", "timer") {
            return Ok(());
        }
        Err((422, vec![("Min-SE", min.as_secs().to_string())]))
    }

    /// Decides in a 2xx of ours who refreshes, and how often (RFC 4028 §9).
    pub(super) fn answer_session(&mut self, id: SipLegId, request: &Message, response: &mut Message) {
        let proposed = self.policy.session_expires;
        if proposed.is_zero() {
            return;
        }
        let asked = Asked::read(request);
        let knows = names(request, "Supported", "timer");
        let far_knows = self.legs.get(&id).is_some_and(|leg| leg.far.timer);
        let floor = min_se(request);
        let on = match asked {
            // The request may shorten what we propose, never be lengthened.
            Some(asked) => {
                let theirs = match asked.refresher {
                    Some(Refresher::Client) => true,
                    Some(Refresher::Server) => false,
                    None => knows,
                };
                let interval = asked.interval.min(proposed).max(floor).min(asked.interval);
                On { interval, ours: !(theirs && knows) }
            }
            None if knows || far_knows => On { interval: proposed.max(floor), ours: true },
            None => {
                self.session_runs(id, None);
                return;
            }
        };
        let refresher = if on.ours { "uas" } else { "uac" };
        response.push("Session-Expires", format!("{};refresher={refresher}", on.interval.as_secs()));
        if !on.ours {
            response.push("Require", "timer");
        }
        self.session_runs(id, Some(on));
    }

    /// What a first INVITE of ours proposes (RFC 4028 §7.1).
    pub(super) fn propose_session(&self, invite: &mut Message, floor: Duration) {
        let proposed = self.policy.session_expires;
        if !proposed.is_zero() {
            let min = self.policy.session_expires_min.max(floor);
            invite.set("Session-Expires", proposed.max(min).as_secs().to_string());
            invite.set("Min-SE", min.as_secs().to_string());
        }
    }

    /// What a re-INVITE or UPDATE of ours says: the interval and the refresher stay as they are (RFC 4028 §7.4).
    pub(super) fn repeat_session(&self, id: SipLegId, request: &mut Message) {
        let Some(leg) = self.legs.get(&id) else { return };
        let min = self.policy.session_expires_min.max(leg.session.floor);
        if let Some(on) = leg.session.on {
            let refresher = if on.ours { "uac" } else { "uas" };
            let interval = on.interval.max(leg.session.floor).as_secs();
            request.push("Session-Expires", format!("{interval};refresher={refresher}"));
            request.push("Min-SE", min.as_secs().to_string());
        }
    }

    /// What their 2xx to our INVITE or UPDATE decides (RFC 4028 §7.2).
    pub(super) fn session_agreed(&mut self, id: SipLegId, response: &Message) {
        if self.policy.session_expires.is_zero() {
            return;
        }
        let on = Asked::read(response)
            .map(|asked| On { interval: asked.interval, ours: asked.refresher != Some(Refresher::Server) });
        self.session_runs(id, on);
    }

    pub(super) fn session_runs(&mut self, id: SipLegId, on: Option<On>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.session.on = on;
        self.effects.clear(Alarm::Refresh(id));
        self.effects.clear(Alarm::SessionOver(id));
        let Some(On { interval, ours }) = on else { return };
        let interval = interval.max(INTERVAL_FLOOR);
        if ours {
            self.effects.set(Alarm::Refresh(id), interval / 2);
        }
        let grace = Duration::from_secs(32).min(interval / 3);
        // Who refreshes has the whole interval (RFC 4028 §10).
        self.effects.set(Alarm::SessionOver(id), if ours { interval } else { interval - grace });
    }

    /// Half of the interval is over.
    pub(super) fn refresh_due(&mut self, id: SipLegId) {
        self.want_refresh(id);
        // Should this one be refused for now, the next try comes before the end.
        if let Some(Leg { session: Session { on: Some(on), .. }, .. }) = self.legs.get(&id) {
            self.effects.set(Alarm::Refresh(id), (on.interval / 6).max(INTERVAL_FLOOR / 6));
        }
    }

    /// Nobody refreshed.
    pub(super) fn session_over(&mut self, id: SipLegId) {
        if let Some(Leg { stage: Stage::Up { .. }, .. }) = self.legs.get(&id) {
            tracing::info!(leg = %id, "the session was not refreshed in time");
            self.end(id, EndBy::Fault(Ended::Timeout));
        }
    }

    /// Sends the INVITE of a branch again with a longer interval, after their 422 (RFC 4028 §7.3). Twice at most.
    pub(super) fn lengthen_session(&mut self, id: SipLegId, branch: u64, response: &Message) -> bool {
        let floor = min_se(response);
        let Some(dial) = self.dials.get_mut(&id).filter(|dial| dial.is_calling()) else { return false };
        let Some(known) = dial.branch_mut(branch) else { return false };
        let raised = floor > known.session_floor && floor <= INTERVAL_CEILING && known.lengthened < 2;
        if !raised {
            return false;
        }
        known.session_floor = floor;
        known.lengthened += 1;
        let Some((invite, hop)) = self.transactions.request(known.invite) else { return false };
        let mut invite = invite.clone();
        self.propose_session(&mut invite, floor);
        self.invite_again(id, branch, invite, hop);
        true
    }
}

/// The Min-SE of a message.
pub(super) fn min_se(message: &Message) -> Duration {
    let seconds: u32 = message
        .first("Min-SE")
        .and_then(|value| value.split(';').next())
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or(0);
    Duration::from_secs(seconds.into())
}

/// However short an interval somebody without session timers was given, we do not refresh more often than this allows.
const INTERVAL_FLOOR: Duration = Duration::from_secs(30);
/// A far side that wants longer ones than this wants no session timer.
const INTERVAL_CEILING: Duration = Duration::from_secs(24 * 3_600);
