//! Plain SIP: the bot is a SIP endpoint and says in headers why it hands over.
//!
//! For developers of bots. Send one of these on the dialog that the gateway opened to you:
//! - `REFER` with `Refer-To: <sip:billing@anything>`: hand over and keep your leg; you go on talking until an agent
//!   takes the call. The user part of Refer-To names the queue if `X-Handoff-Queue` does not. You get 202 and a NOTIFY.
//! - `BYE`: hand over and leave. A BYE is a handoff only if it has at least one `X-Handoff-…` header; without one it
//!   is the end of the bot's part, and what happens then is the gateway's configuration.
//!
//! | header | meaning | example |
//! |---|---|---|
//! | `X-Handoff-Reason` | why, one word | `billing_dispute` |
//! | `X-Handoff-Queue` | where to, the name of a queue | `billing` |
//! | `X-Handoff-Confidence` | how sure you are, 0 to 1 or a percentage | `0.83` |
//! | `X-Handoff-Intent` | what the caller wants | `refund` |
//! | `X-Handoff-Summary` | one or two sentences for the agent | `Charged twice for order 4471.` |
//! | `X-Anything-Else` | kept for the agent under `anything-else` | `X-Order-Id: 4471` |
//!
//! A bot that recognises speech itself can tell the words at a gateway that does not transcribe: by HTTP,
//! `POST /v1/calls/{id}/transcript`; the call's id is in `X-Segue-Call-Id` of our INVITE.
//!
//! Values are UTF-8; `%20`-style escapes are undone in the five values above. Words are cut at 64 characters, the
//! summary at 1,000, other values at 500, and 24 other headers are kept. A header given twice counts once, the first.

use std::collections::BTreeMap;

use crate::declared::{Declared, Limits, clean, clean_some, read_confidence};

/// What a REFER declares. It is a handoff in any case; the headers say more.
#[must_use]
pub fn declared_by_refer(refer_to: &str, headers: &[(String, String)]) -> Declared {
    let mut declared = read(headers);
    if declared.queue.is_none() {
        declared.queue = user_part(refer_to);
    }
    declared
}

/// What a BYE declares; `None` if it has no `X-Handoff-…` header and so is no handoff.
#[must_use]
pub fn declared_by_bye(headers: &[(String, String)]) -> Option<Declared> {
    headers
        .iter()
        .any(|(name, _)| name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX)))
        .then(|| read(headers))
}

const PREFIX: &str = "X-Handoff-";
const LIMITS: Limits = Limits::STANDARD;

fn read(headers: &[(String, String)]) -> Declared {
    let mut known: BTreeMap<String, &str> = BTreeMap::new();
    let mut details: BTreeMap<String, String> = BTreeMap::new();
    let mut left_out = false;
    for (name, value) in headers {
        let name = name.trim().to_ascii_lowercase();
        let Some(name) = name.strip_prefix("x-") else { continue };
        match name {
            "handoff-reason" | "handoff-queue" | "handoff-confidence" | "handoff-intent"
            | "handoff-summary" => {
                known.entry(name.to_owned()).or_insert(value);
            }
            _ => {
                let (Some(name), Some(value)) =
                    (clean_some(name, LIMITS.word), clean_some(value, LIMITS.detail))
                else {
                    continue;
                };
                if details.len() < LIMITS.details || details.contains_key(&name) {
                    details.entry(name).or_insert(value);
                } else {
                    left_out = true;
                }
            }
        }
    }
    if left_out {
        details.insert("truncated".to_owned(), "some headers were left out".to_owned());
    }
    let word = |name: &str| known.get(name).and_then(|value| clean_some(&unescape(value), LIMITS.word));
    Declared {
        reason: word("handoff-reason").unwrap_or_default(),
        queue: word("handoff-queue"),
        confidence: known.get("handoff-confidence").and_then(|value| read_confidence(&unescape(value))),
        intent: word("handoff-intent"),
        summary: known.get("handoff-summary").and_then(|value| clean_some(&unescape(value), LIMITS.summary)),
        details,
    }
}

/// The user part of a `sip:` or `tel:` URI, as a queue's name.
fn user_part(uri: &str) -> Option<String> {
    let uri = uri.trim().trim_start_matches('<').trim_end_matches('>');
    let (scheme, rest) = uri.split_once(':')?;
    let user = if scheme.eq_ignore_ascii_case("tel") {
        rest.split(';').next()?
    } else if scheme.eq_ignore_ascii_case("sip") || scheme.eq_ignore_ascii_case("sips") {
        rest.split_once('@')?.0.split([';', ':']).next()?
    } else {
        return None;
    };
    clean_some(&clean(&unescape(user), LIMITS.word), LIMITS.word)
}

/// Undoes `%20`-style escapes. What is no escape, or would be no UTF-8, stays as it is.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let value = (byte == b'%')
            .then(|| after.get(..2))
            .flatten()
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(value.unwrap_or(byte));
        rest = if value.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn all_headers_are_read() {
        let declared = declared_by_refer(
            "sip:ignored@segue",
            &headers(&[
                ("X-Handoff-Reason", "billing_dispute"),
                ("x-handoff-queue", " billing "),
                ("X-HANDOFF-CONFIDENCE", "83%"),
                ("X-Handoff-Intent", "refund"),
                ("X-Handoff-Summary", "Charged twice%2C order 4471"),
                ("X-Order-Id", "4471"),
                ("Referred-By", "<sip:bot@x>"),
            ]),
        );
        let wanted = Declared {
            reason: "billing_dispute".into(),
            queue: Some("billing".into()),
            confidence: Some(0.83),
            intent: Some("refund".into()),
            summary: Some("Charged twice, order 4471".into()),
            details: BTreeMap::from([("order-id".to_owned(), "4471".to_owned())]),
        };
        assert_eq!(declared, wanted);
    }

    #[test]
    fn the_queue_of_a_refer_is_its_user_part_if_no_header_names_one() {
        for (refer_to, queue) in [
            ("sip:billing@segue", Some("billing")),
            ("<sips:tech%20support@segue;transport=tcp>", Some("tech support")),
            ("sip:billing;x=1:pw@segue", Some("billing")),
            ("tel:+4930;phone-context=x", Some("+4930")),
            ("sip:segue", None),
            ("sip:@segue", None),
            ("mailto:a@b", None),
            ("", None),
        ] {
            assert_eq!(declared_by_refer(refer_to, &[]).queue.as_deref(), queue, "{refer_to}");
        }
    }

    #[test]
    fn a_bye_is_a_handoff_only_if_it_says_so() {
        assert_eq!(declared_by_bye(&[]), None);
        assert_eq!(declared_by_bye(&headers(&[("Reason", "Q.850;cause=16"), ("X-Order", "1")])), None);
        let declared = declared_by_bye(&headers(&[("X-Handoff-Reason", ""), ("X-Order", "1")])).unwrap();
        assert_eq!((declared.reason.as_str(), declared.queue), ("", None));
        assert_eq!(declared.details.get("order").map(String::as_str), Some("1"));
    }

    #[test]
    fn a_header_given_twice_counts_once() {
        let twice =
            headers(&[("X-Handoff-Queue", "a"), ("X-Handoff-Queue", "b"), ("X-Z", "1"), ("x-z", "2")]);
        let declared = declared_by_bye(&twice).unwrap();
        assert_eq!(
            (declared.queue.as_deref(), declared.details.get("z").map(String::as_str)),
            (Some("a"), Some("1"))
        );
    }

    #[test]
    fn hostile_values_are_cut_and_made_harmless() {
        let long = "x".repeat(5_000);
        let mut many = headers(&[
            ("X-Handoff-Reason", &long),
            ("X-Handoff-Summary", &long),
            ("X-Handoff-Confidence", "NaN"),
            ("X-Handoff-Intent", "%0d%0aBye: now\u{202E}"),
            ("X-Handoff-Queue", "%ff%fe"),
        ]);
        many.extend((0..100).map(|n| (format!("X-{n}-{long}"), long.clone())));
        let declared = declared_by_bye(&many).unwrap();
        assert_eq!(declared.reason.len(), 64);
        assert_eq!(declared.summary.unwrap().len(), 1_000);
        assert_eq!(declared.confidence, None);
        assert_eq!(declared.intent.as_deref(), Some("Bye: now"));
        assert_eq!(declared.queue.as_deref(), Some("%ff%fe"));
        assert_eq!(declared.details.len(), 25);
        assert!(declared.details.contains_key("truncated"));
        assert!(declared.details.iter().all(|(name, value)| name.len() <= 64 && value.len() <= 500));
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_is_sent_gets_out_of_bounds(
            refer_to in "\\PC{0,80}",
            pairs in proptest::collection::vec(("(X-Handoff-(Reason|Queue|Summary|Confidence)|X-\\PC{0,90})", "(?s).{0,1200}"), 0..40),
        ) {
            let declared = declared_by_refer(&refer_to, &pairs);
            let words = [Some(&declared.reason), declared.queue.as_ref(), declared.intent.as_ref()];
            for word in words.into_iter().flatten() {
                proptest::prop_assert!(word.chars().count() <= 64 && !word.contains(char::is_control));
            }
            proptest::prop_assert!(declared.confidence.is_none_or(|value| (0.0..=1.0).contains(&value)));
            proptest::prop_assert!(declared.details.len() <= 25);
            for (name, value) in &declared.details {
                proptest::prop_assert!(name.chars().count() <= 64 && value.chars().count() <= 500);
                proptest::prop_assert!(!value.contains(char::is_control));
            }
        }
    }
}
