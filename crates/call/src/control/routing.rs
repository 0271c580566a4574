//! Which queue a handoff goes to, and what the caller is told about it.

use segue_acd::QueueId;
use segue_trigger::{Speaker, Utterance};

use super::news::Request;
use crate::policy::Routes;

/// The queue for a request: the one that was named, the one for its reason, the one for the words said last, or the
/// default one.
pub(crate) fn queue<'a>(
    routes: &Routes,
    request: &Request,
    words: impl DoubleEndedIterator<Item = &'a Utterance>,
) -> QueueId {
    if let Some(named) = &request.queue {
        return named.clone();
    }
    let reasons = std::iter::once(&request.decision.primary).chain(&request.decision.contributing);
    let by_reason = reasons.filter_map(|reason| routes.reasons.get(&reason.code)).next();
    by_reason.cloned().or_else(|| by_words(routes, words)).unwrap_or_else(|| routes.default_queue.clone())
}

/// How many utterances back a keyword still counts: what was said long ago is about something else.
const WORDS_BACK: usize = 12;

fn by_words<'a>(routes: &Routes, words: impl DoubleEndedIterator<Item = &'a Utterance>) -> Option<QueueId> {
    if routes.keywords.is_empty() {
        return None;
    }
    let recent = words.rev().filter(|utterance| utterance.speaker == Speaker::Caller).take(WORDS_BACK);
    recent.filter_map(|utterance| last_keyword(routes, &utterance.text)).next()
}

/// The keyword that ends last in a text, whole words only.
fn last_keyword(routes: &Routes, text: &str) -> Option<QueueId> {
    let spaced: String = std::iter::once(' ')
        .chain(text.to_lowercase().chars().map(|letter| if letter.is_alphanumeric() { letter } else { ' ' }))
        .chain(std::iter::once(' '))
        .collect();
    let place = |keyword: &str| {
        let wanted = format!(" {keyword} ");
        spaced.rfind(&wanted).map(|start| (start + wanted.len(), wanted.len()))
    };
    let found = routes.keywords.iter().filter_map(|(keyword, queue)| Some((place(keyword)?, queue)));
    found.max_by_key(|(place, _)| *place).map(|(_, queue)| queue.clone())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use segue_trigger::{Stage, UtteranceId};

    use super::*;
    use crate::control::reasons;

    fn zero() -> Request {
        let mut request = reasons::bot_failed("0");
        request.decision.primary.code = "dtmf_zero".into();
        request
    }

    fn routes() -> Routes {
        let mut routes = Routes::default();
        routes.reasons.insert("dtmf_zero".into(), "desk".into());
        for (word, queue) in [("bill", "billing"), ("order", "sales"), ("change order", "technical")] {
            routes.keywords.insert(word.into(), queue.into());
        }
        routes
    }

    fn check(request: &Request, said: &[&str], expected: &str) {
        let utterance = |(text, id): (&&str, u32)| Utterance {
            id: UtteranceId(id),
            speaker: Speaker::Caller,
            text: (*text).into(),
            start: Duration::ZERO,
            end: Duration::ZERO,
            confidence: 1.0,
            stage: Stage::Final,
            level: None,
        };
        let words: Vec<Utterance> = said.iter().zip(1..).map(utterance).collect();
        assert_eq!(queue(&routes(), request, words.iter()), QueueId::from(expected), "{said:?}");
    }

    #[test]
    fn a_named_queue_wins_over_a_reason_and_a_reason_over_words() {
        let mut named = zero();
        named.queue = Some("vip".into());
        check(&named, &["my bill"], "vip");
        check(&zero(), &["my bill"], "desk");
    }

    #[test]
    fn the_phrase_said_last_decides() {
        let lost = reasons::bot_failed("gone");
        check(&lost, &["my bill", "and my order"], "sales");
        check(&lost, &["my order, no, my bill."], "billing");
        check(&lost, &["a change order"], "technical");
        check(&lost, &["the billboard"], "general");
        check(&lost, &[], "general");
    }
}
