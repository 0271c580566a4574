//! Redirections (3xx) of calls that we make: none is followed unless the gateway says where to (RFC 3261 §8.1.3.4).
//!
//! Whoever is dialled could otherwise have us call a number at our cost.

use super::{Route, Stack};
use crate::{
    message::{Message, NameAddress, Uri},
    words::{SipLegId, Target},
};

impl Stack {
    /// Follows a redirection as far as the rules allow. False if it leads nowhere that we may go.
    pub(super) fn redirected(&mut self, id: SipLegId, branch: u64, response: &Message) -> bool {
        let allowed = self.redirect_targets(response);
        let Some(dial) = self.dials.get_mut(&id).filter(|dial| dial.is_calling()) else { return false };
        let limit = usize::from(self.policy.redirects_max);
        let mut fresh = Vec::new();
        for uri in allowed {
            // A place that was tried for this call is a loop.
            if dial.redirected.len() < limit && !dial.was_tried(&uri) {
                dial.redirected.push(uri.clone());
                fresh.push(uri);
            }
        }
        let Some(known) = dial.branch_mut(branch) else { return false };
        let invite = known.invite;
        let mut followed = false;
        for uri in fresh {
            let Route::Here(contacts) = self.route(&Target::Uri(uri)) else { continue };
            for contact in contacts {
                followed |= self.redirect_to(id, invite, &contact);
            }
        }
        if followed && let Some(known) = self.dials.get_mut(&id).and_then(|dial| dial.branch_mut(branch)) {
            known.over = true;
        }
        followed
    }

    /// The URIs of a redirection's contacts that may be called, the most wanted first.
    fn redirect_targets(&self, response: &Message) -> Vec<String> {
        if self.policy.redirects_max == 0 {
            return Vec::new();
        }
        let mut contacts: Vec<(u32, String)> = response
            .list("Contact")
            .filter_map(NameAddress::read)
            .filter_map(|contact| {
                let uri = contact.parsed().filter(Uri::is_sip)?;
                let allowed =
                    self.policy.redirect_hosts.iter().any(|host| host.eq_ignore_ascii_case(&uri.host));
                let weight = weight(contact.param("q"));
                allowed.then(|| (weight, super::outbound::request_uri(&contact)))
            })
            .collect();
        contacts.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        contacts.into_iter().map(|(_, uri)| uri).collect()
    }
}

/// A q-value in thousandths; 1 if it is not said (RFC 3261 §20.10).
fn weight(q: Option<&str>) -> u32 {
    let Some((whole, part)) = q.map(|q| q.split_once('.').unwrap_or((q, ""))) else { return 1_000 };
    let digits: String = part.chars().chain("000".chars()).take(3).collect();
    whole.trim().parse::<u32>().unwrap_or(0).min(1) * 1_000 + digits.parse::<u32>().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wants_are_read_in_thousandths() {
        for (text, thousandths) in [("1", 1_000), ("0.5", 500), ("0.25", 250), ("0", 0), ("0.007", 7)] {
            assert_eq!(weight(Some(text)), thousandths, "{text}");
        }
        assert_eq!(weight(None), 1_000);
    }
}
