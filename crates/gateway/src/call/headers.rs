//! Which headers of one party go on to another: those that the configuration names, within its limit.

use segue_sip::Headers;

use crate::config::SipHeaders;

/// Headers that came with this call and may be passed on.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// Of the caller's INVITE.
    pub(super) caller: Headers,
    /// Of the bot's REFER or BYE, the latest.
    pub(super) bot: Headers,
}

impl Carried {
    /// What the bot is told.
    pub(super) fn to_bot(&self, rules: &SipHeaders) -> Headers {
        pick([(&self.caller, &rules.caller_to_bot)], rules.bytes_max)
    }

    /// What the agent is told; what the bot says comes before what the caller's side says.
    pub(super) fn to_agent(&self, rules: &SipHeaders) -> Headers {
        let sides = [(&self.bot, &rules.bot_to_agent), (&self.caller, &rules.caller_to_agent)];
        pick(sides, rules.bytes_max)
    }
}

/// The headers that are named, in their order; one that does not fit into the rest of the limit is left out whole.
fn pick<'a>(sides: impl IntoIterator<Item = (&'a Headers, &'a Vec<String>)>, bytes_max: usize) -> Headers {
    let mut left = bytes_max;
    let mut picked = Headers::new();
    for (headers, named) in sides {
        for (name, value) in headers.iter().filter(|(name, _)| is_named(name, named)) {
            let bytes = name.len() + value.len() + ": \r\n".len();
            match left.checked_sub(bytes) {
                Some(rest) => {
                    left = rest;
                    picked.push((name.clone(), value.clone()));
                }
                None => tracing::debug!(name, bytes, "a header is not passed on: the limit is reached"),
            }
        }
    }
    picked
}

/// Whether the configuration names a header: as it is, or by its beginning with a star behind. Ours are never carried.
fn is_named(name: &str, named: &[String]) -> bool {
    let begins = |start: &str| name.get(..start.len()).is_some_and(|own| own.eq_ignore_ascii_case(start));
    !begins("X-Segue-")
        && named.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => begins(start),
            None => name.eq_ignore_ascii_case(pattern),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(names: &[&str]) -> Headers {
        names.iter().map(|name| ((*name).to_owned(), "value".to_owned())).collect()
    }

    fn names(headers: &Headers) -> Vec<&str> {
        headers.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn rules() -> SipHeaders {
        SipHeaders {
            caller_to_bot: vec!["user-to-user".into(), "X-Tenant".into()],
            caller_to_agent: vec!["X-*".into()],
            bot_to_agent: vec!["User-to-User".into()],
            bytes_max: 1_000,
        }
    }

    #[test]
    fn only_what_is_named_is_passed_on_and_never_what_is_ours() {
        let carried = Carried {
            caller: headers(&["User-to-User", "X-Tenant", "x-other", "Diversion", "X-Segue-Call-Id"]),
            bot: headers(&["User-to-User", "X-Reason"]),
        };
        assert_eq!(names(&carried.to_bot(&rules())), ["User-to-User", "X-Tenant"]);
        assert_eq!(names(&carried.to_agent(&rules())), ["User-to-User", "X-Tenant", "x-other"]);
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        let long = ("X-Long".to_owned(), "y".repeat(rules().bytes_max));
        let carried =
            Carried { caller: vec![long, ("X-Short".to_owned(), "1".to_owned())], ..Carried::default() };
        assert_eq!(names(&carried.to_agent(&rules())), ["X-Short"]);
    }
}
