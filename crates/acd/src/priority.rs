//! Priority scoring (R13): who is served first, and the reasons that are shown beside the number.

use std::time::Duration;

/// What is known about a caller when the score is made. The default knows nothing and scores the base.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The account is a premium one.
    pub premium: bool,
    /// What the customer is worth over the years, in whole units of the house's currency.
    pub lifetime_value: f64,
    /// Somebody or something says that the customer may leave.
    pub at_risk_of_churn: bool,
    /// Negative −1 to positive 1.
    pub sentiment: f32,
    /// How long the call has lasted.
    pub duration: Duration,
    /// The caller wants to cancel.
    pub cancellation: bool,
    /// Turns of caller and bot so far.
    pub messages: u32,
    /// How long the caller has waited for a human. Leave it at zero for a ticket: the distributor adds
    /// [`waiting_bonus`] itself while the ticket waits.
    pub waiting: Duration,
}

/// Scores a call. The number is raw: order by it, and show it through [`shown`].
/// The second part names each rule that added something, such as `premium +20`.
#[must_use]
pub fn score(facts: &Facts) -> (u32, Vec<String>) {
    let rules = [
        (facts.premium, "premium", 20),
        (facts.lifetime_value > 5_000.0, "lifetime value over 5000", 15),
        (facts.at_risk_of_churn, "at risk of churn", 25),
        (facts.sentiment < -0.5, "negative sentiment", 20),
        (facts.duration > Duration::from_secs(600), "call longer than 10 minutes", 10),
        (facts.cancellation, "cancellation", 15),
        (facts.messages > 10, "more than 10 messages", 10),
        (facts.waiting > WAITING_LONG, "waiting longer than 2 minutes", WAITING_BONUS),
    ];
    let held = rules.iter().filter(|(holds, ..)| *holds);
    let total = held.clone().map(|(.., points)| points).sum::<u32>();
    (BASE + total, held.map(|(_, name, points)| format!("{name} +{points}")).collect())
}

/// What waiting adds to a ticket's score by itself, so that nobody starves behind newer callers of the same kind.
#[must_use]
pub fn waiting_bonus(waited: Duration) -> u32 {
    if waited > WAITING_LONG { WAITING_BONUS } else { 0 }
}

/// The score as people see it: capped at 100. Order never uses it.
#[must_use]
pub fn shown(raw: u32) -> u32 {
    raw.min(100)
}

/// From here on waiting counts as long.
pub(crate) const WAITING_LONG: Duration = Duration::from_secs(120);

const BASE: u32 = 50;
const WAITING_BONUS: u32 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(facts: &Facts, expected: u32, because: &[&str]) {
        assert_eq!(score(facts), (expected, because.iter().map(|b| (*b).to_owned()).collect()), "{facts:?}");
    }

    #[test]
    fn nothing_known_scores_the_base() {
        check(&Facts::default(), 50, &[]);
    }

    #[test]
    fn each_rule_adds_its_own_points() {
        let none = Facts::default();
        check(&Facts { premium: true, ..none.clone() }, 70, &["premium +20"]);
        check(&Facts { lifetime_value: 5_000.5, ..none.clone() }, 65, &["lifetime value over 5000 +15"]);
        check(&Facts { at_risk_of_churn: true, ..none.clone() }, 75, &["at risk of churn +25"]);
        check(&Facts { sentiment: -0.6, ..none.clone() }, 70, &["negative sentiment +20"]);
        let long = Duration::from_secs(601);
        check(&Facts { duration: long, ..none.clone() }, 60, &["call longer than 10 minutes +10"]);
        check(&Facts { cancellation: true, ..none.clone() }, 65, &["cancellation +15"]);
        check(&Facts { messages: 11, ..none.clone() }, 60, &["more than 10 messages +10"]);
        let waiting = Duration::from_secs(121);
        check(&Facts { waiting, ..none }, 65, &["waiting longer than 2 minutes +15"]);
    }

    #[test]
    fn a_limit_itself_adds_nothing() {
        let at_the_limits = Facts {
            lifetime_value: 5_000.0,
            sentiment: -0.5,
            duration: Duration::from_secs(600),
            messages: 10,
            waiting: Duration::from_secs(120),
            ..Facts::default()
        };
        check(&at_the_limits, 50, &[]);
    }

    #[test]
    fn the_raw_score_passes_one_hundred_and_only_the_shown_one_is_capped() {
        let everything = Facts {
            premium: true,
            lifetime_value: 10_000.0,
            at_risk_of_churn: true,
            sentiment: -1.0,
            duration: Duration::from_secs(700),
            cancellation: true,
            messages: 20,
            waiting: Duration::from_secs(200),
        };
        let (raw, because) = score(&everything);
        assert_eq!((raw, shown(raw), because.len()), (180, 100, 8));
        assert_eq!(shown(99), 99);
    }

    #[test]
    fn waiting_adds_its_points_after_two_minutes() {
        assert_eq!(waiting_bonus(Duration::from_secs(120)), 0);
        assert_eq!(waiting_bonus(Duration::from_millis(120_001)), 15);
    }
}
