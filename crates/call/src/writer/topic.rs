//! What a call is about, from a table of words; the table also says what to do about it (B04).
//!
//! The word that was said is the word that is repeated: a caller who wants "money back" is not told about a
//! "refund".

use super::text;

/// A subject of calls.
#[derive(Debug)]
pub(super) struct Topic {
    /// The words that speak of it, each as it is named in a sentence: `refund`, `a refund`.
    words: &'static [(&'static str, &'static str)],
    /// What an agent would do next.
    pub(super) actions: &'static [&'static str],
    /// Whether an order number would help.
    pub(super) needs_order: bool,
    /// Whether an account number would help.
    pub(super) needs_account: bool,
    /// Whether it cannot wait.
    pub(super) urgent: bool,
    /// How much a word of it says about the goal of a call: `order` says little.
    pub(super) weight: f32,
}

/// A topic that was spoken of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mention {
    /// Which.
    pub(super) topic: &'static Topic,
    /// As it is told in a few words: `refund`.
    pub(super) label: &'static str,
    /// As it stands after "asking about": `a refund`.
    pub(super) named: &'static str,
}

/// The topics of a text, the weightiest first.
pub(super) fn mentions(said: &str) -> Vec<Mention> {
    let words = text::words(said);
    let mut found: Vec<Mention> = TOPICS
        .iter()
        .filter_map(|topic| {
            let (label, named) = topic.words.iter().find(|(phrase, _)| wanted(&words, phrase))?;
            Some(Mention { topic, label, named })
        })
        .collect();
    found.sort_by(|left, right| right.topic.weight.total_cmp(&left.topic.weight));
    found
}

/// Whether a phrase is said, other than as something that is not wanted.
fn wanted(words: &[String], phrase: &str) -> bool {
    let Some(at) = text::position(words, phrase) else { return false };
    let before = words.get(at.saturating_sub(4)..at).unwrap_or_default();
    let unwanted = ["dont want", "not want", "dont need", "not need", "never wanted"];
    !unwanted.iter().any(|denial| text::says(before, denial))
}

/// More telling words come first: the first that occurs names the topic.
const TOPICS: &[Topic] = &[
    Topic {
        words: &[
            ("identity theft", "identity theft"),
            ("fraud", "fraud"),
            ("fraudulent", "something fraudulent"),
            ("hacked", "being hacked"),
            ("stolen", "something stolen"),
            ("unauthorized", "something unauthorized"),
            ("scam", "a scam"),
            ("scammed", "being scammed"),
            ("phishing", "phishing"),
        ],
        actions: &["Verify the caller's identity.", "Secure the account before anything else."],
        needs_order: false,
        needs_account: true,
        urgent: true,
        weight: 4.0,
    },
    Topic {
        words: &[
            ("lawyer", "a lawyer"),
            ("attorney", "an attorney"),
            ("lawsuit", "a lawsuit"),
            ("sue", "a threat to sue"),
            ("gdpr", "GDPR"),
            ("legal", "a legal matter"),
        ],
        actions: &["Make no promises; note the facts.", "Involve compliance."],
        needs_order: false,
        needs_account: false,
        urgent: true,
        weight: 3.6,
    },
    Topic {
        words: &[
            ("refund", "a refund"),
            ("refunds", "refunds"),
            ("refunded", "being refunded"),
            ("money back", "getting money back"),
            ("reimbursement", "a reimbursement"),
            ("return", "a return"),
        ],
        actions: &[
            "Check whether the refund was already issued.",
            "Confirm the amount and how it is paid back.",
        ],
        needs_order: true,
        needs_account: false,
        urgent: false,
        weight: 3.4,
    },
    Topic {
        words: &[
            ("cancel", "cancelling"),
            ("cancelled", "something cancelled"),
            ("canceled", "something canceled"),
            ("cancellation", "a cancellation"),
            ("close my account", "closing an account"),
            ("unsubscribe", "an unsubscribe"),
            ("terminate", "terminating a contract"),
        ],
        actions: &["Ask why before processing it.", "Offer what retention allows."],
        needs_order: false,
        needs_account: true,
        urgent: false,
        weight: 3.3,
    },
    Topic {
        words: &[
            ("overcharged", "being overcharged"),
            ("charged twice", "being charged twice"),
            ("double charged", "being double charged"),
            ("charged", "being charged"),
            ("charge", "a charge"),
            ("bill", "a bill"),
            ("billing", "billing"),
            ("invoice", "an invoice"),
            ("payment", "a payment"),
            ("subscription", "a subscription"),
        ],
        actions: &["Open the last invoices and compare the charges.", "Correct the charge or explain it."],
        needs_order: false,
        needs_account: true,
        urgent: false,
        weight: 3.2,
    },
    Topic {
        words: &[
            ("not arrived", "something not arrived"),
            ("never arrived", "something that never arrived"),
            ("hasnt arrived", "something that hasn't arrived"),
            ("didnt arrive", "something that didn't arrive"),
            ("delivery", "a delivery"),
            ("delivered", "something delivered"),
            ("package", "a package"),
            ("parcel", "a parcel"),
            ("shipment", "a shipment"),
            ("shipping", "shipping"),
            ("tracking", "tracking"),
            ("damaged", "something damaged"),
            ("wrong item", "a wrong item"),
        ],
        actions: &["Check the carrier's tracking.", "Offer a replacement or a new delivery date."],
        needs_order: true,
        needs_account: false,
        urgent: false,
        weight: 3.1,
    },
    Topic {
        words: &[
            ("password", "a password"),
            ("log in", "problems to log in"),
            ("login", "a login"),
            ("sign in", "problems to sign in"),
            ("locked out", "being locked out"),
            ("username", "a username"),
            ("verification code", "a verification code"),
        ],
        actions: &["Verify the caller's identity.", "Reset the access and stay until it works."],
        needs_order: false,
        needs_account: true,
        urgent: false,
        weight: 3.0,
    },
    Topic {
        words: &[
            ("not working", "something not working"),
            ("doesnt work", "something that doesn't work"),
            ("stopped working", "something that stopped working"),
            ("outage", "an outage"),
            ("internet", "the internet"),
            ("router", "a router"),
            ("wifi", "the wifi"),
            ("broken", "something broken"),
            ("error", "an error"),
            ("crashes", "crashes"),
            ("app", "an app"),
            ("website", "a website"),
            ("connection", "a connection"),
        ],
        actions: &["Check for known faults.", "Repeat no step that is listed as tried."],
        needs_order: false,
        needs_account: false,
        urgent: false,
        weight: 2.8,
    },
    Topic {
        words: &[
            ("appointment", "an appointment"),
            ("reschedule", "a wish to reschedule"),
            ("technician", "a technician"),
        ],
        actions: &["Offer the next free dates."],
        needs_order: false,
        needs_account: false,
        urgent: false,
        weight: 2.8,
    },
    Topic {
        words: &[
            ("quote", "a quote"),
            ("pricing", "pricing"),
            ("price", "a price"),
            ("upgrade", "an upgrade"),
            ("demo", "a demo"),
            ("enterprise", "enterprise"),
            ("discount", "a discount"),
            ("plan", "a plan"),
            ("buy", "something to buy"),
        ],
        actions: &["Ask for size and time frame.", "Offer a quote."],
        needs_order: false,
        needs_account: false,
        urgent: false,
        weight: 2.6,
    },
    Topic {
        words: &[("complaint", "a complaint"), ("complain", "a wish to complain")],
        actions: &["Listen first, then record the complaint."],
        needs_order: false,
        needs_account: false,
        urgent: false,
        weight: 2.4,
    },
    Topic {
        words: &[("order", "an order"), ("orders", "orders"), ("ordered", "something ordered")],
        actions: &["Open the order and tell its state."],
        needs_order: true,
        needs_account: false,
        urgent: false,
        weight: 1.4,
    },
    Topic {
        words: &[("account", "an account"), ("contract", "a contract"), ("address", "an address")],
        actions: &["Open the customer's record."],
        needs_order: false,
        needs_account: true,
        urgent: false,
        weight: 1.2,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &str, expected: &[&str]) {
        let labels: Vec<&str> = mentions(said).iter().map(|mention| mention.label).collect();
        assert_eq!(labels, expected, "{said}");
    }

    #[test]
    fn topics_are_named_by_the_word_that_was_said() {
        check("I want my money back for the order", &["money back", "order"]);
        check("Please cancel it", &["cancel"]);
        check("My package has not arrived.", &["not arrived"]);
        check("I don't want a refund, I want a new delivery", &["delivery"]);
        check("hello", &[]);
        check("I was charged twice and someone hacked my account", &["hacked", "charged twice", "account"]);
    }
}
