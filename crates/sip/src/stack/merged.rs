//! Finds the same call coming by another way: a proxy that forks may send one INVITE twice, with two branches
//! (RFC 3261 §8.2.2.2). The second is answered 482, also when the first was answered long ago.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::message::Message;

/// What both ways have in common.
type Key = (String, String, u32);

/// Calls that came in lately, with the branch that each came by.
#[derive(Debug)]
pub(crate) struct Arrivals {
    branches: HashMap<Key, String>,
    by_age: VecDeque<(Duration, Key)>,
    life: Duration,
    calls_max: usize,
}

impl Arrivals {
    /// Remembers calls for `life`, and at most `calls_max` of them; at the limit the oldest is forgotten.
    pub(crate) fn new(life: Duration, calls_max: usize) -> Self {
        Self { branches: HashMap::new(), by_age: VecDeque::new(), life, calls_max }
    }

    fn key(request: &Message) -> Key {
        let number = request.cseq().map_or(0, |(number, _)| number);
        (request.call_id().to_owned(), request.sender_tag(), number)
    }

    /// Whether this call came before by another way.
    pub(crate) fn is_merged(&mut self, now: Duration, request: &Message) -> bool {
        self.forget(now);
        self.branches.get(&Self::key(request)).is_some_and(|branch| *branch != branch_of(request))
    }

    pub(crate) fn remember(&mut self, now: Duration, request: &Message) {
        self.forget(now);
        if self.by_age.len() >= self.calls_max
            && let Some((_, oldest)) = self.by_age.pop_front()
        {
            self.branches.remove(&oldest);
        }
        let key = Self::key(request);
        if self.branches.insert(key.clone(), branch_of(request)).is_none() {
            self.by_age.push_back((now, key));
        }
    }

    fn forget(&mut self, now: Duration) {
        while let Some((at, _)) = self.by_age.front()
            && now.saturating_sub(*at) > self.life
            && let Some((_, key)) = self.by_age.pop_front()
        {
            self.branches.remove(&key);
        }
    }
}

fn branch_of(request: &Message) -> String {
    request.top_via().and_then(|via| via.branch().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::parse;

    fn invite(branch: &str, call_id: &str) -> Message {
        let text = format!(
            "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch={branch}\r\nFrom: <sip:c@d>;tag=1\r\n\
             Call-ID: {call_id}\r\nCSeq: 1 INVITE\r\n\r\n"
        );
        parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn another_branch_of_the_same_call_is_merged_for_a_while() {
        let mut arrivals = Arrivals::new(Duration::from_secs(32), 2);
        let at = Duration::from_secs;
        arrivals.remember(at(1), &invite("x", "1"));
        assert!(arrivals.is_merged(at(33), &invite("y", "1")));
        assert!(!arrivals.is_merged(at(33), &invite("x", "1")), "a repetition is none");
        assert!(!arrivals.is_merged(at(33), &invite("y", "2")));
        assert!(!arrivals.is_merged(at(34), &invite("y", "1")), "forgotten");
        for call_id in ["3", "4", "5"] {
            arrivals.remember(at(40), &invite("x", call_id));
        }
        assert!(!arrivals.is_merged(at(40), &invite("y", "3")), "the oldest gives way");
        assert!(arrivals.is_merged(at(40), &invite("y", "5")));
        assert!(!arrivals.is_merged(at(100), &invite("y", "5")));
        assert!(arrivals.branches.is_empty() && arrivals.by_age.is_empty());
    }
}
