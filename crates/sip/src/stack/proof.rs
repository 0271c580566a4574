//! Who proves by digest who they are, for a call or a registration. Whoever fails learns nothing by it: a name that
//! exists and one that does not get the same answers, at the same price.

use super::{Stack, Turndown};
use crate::{
    digest::{Ask, Verdict},
    message::Message,
};

impl Stack {
    /// The user that a request proves; else what to tell its sender.
    pub(super) fn prove(&mut self, request: &Message, method: &str) -> Result<String, Turndown> {
        let now = self.effects.now;
        let source = self.seen.remote.ip().to_canonical();
        let claimed = self.guard.claimed(request.all("Authorization"));
        // A phone that is registered from there is heard in spite of its neighbours behind the same address.
        let barred = self
            .suspects
            .wait(now, source)
            .filter(|_| claimed.as_ref().is_some_and(|user| !self.registrar.is_at(user, source)));
        if let Some(wait) = barred {
            self.refused.barred += 1;
            return Err((503, vec![("Retry-After", wait.as_secs().max(1).to_string())]));
        }
        let stale = match self.guard.judge(now, source, method, request.all("Authorization")) {
            Verdict::Proven(user) => {
                self.suspects.succeeded(now, source);
                self.admission.befriend(now, source);
                return Ok(user);
            }
            Verdict::Wrong => {
                self.refused.wrong_credentials += 1;
                if let Some(failures) = self.suspects.failed(now, source) {
                    tracing::warn!(%source, failures, method, "wrong credentials");
                }
                return Err((403, Vec::new()));
            }
            Verdict::Missing => false,
            Verdict::Stale => true,
        };
        let ask = Ask { stale, agent: request.first("User-Agent") };
        let challenges = self.guard.challenges(now, source, ask);
        Err((401, challenges.into_iter().map(|value| ("WWW-Authenticate", value)).collect()))
    }
}
