//! Reasons for a handoff that no rule over the transcript finds: keys, bots, other systems, broken legs.

use segue_acd::{AgentId, QueueId};
use segue_trigger::{Advice, Decision, Reason};

use super::news::Request;
use crate::event::{Declared, HandoffOrder};

/// The bot declared it (T24).
pub(crate) fn declared(declared: &Declared) -> Request {
    let code = if declared.reason.is_empty() { "bot_declared" } else { &declared.reason };
    let evidence = declared.summary.as_deref().unwrap_or("the bot declared a handoff");
    request("T24", code, evidence, declared.queue.as_deref())
}

/// Another system asked.
pub(crate) fn asked(order: &HandoffOrder) -> Request {
    let code = if order.reason.is_empty() { "asked" } else { &order.reason };
    request("API", code, &format!("asked for by {}", order.by), order.queue.as_deref())
}

/// The bot is not there (R20).
pub(crate) fn bot_failed(how: &str) -> Request {
    request("R20", "bot_failed", how, None)
}

/// The agent's leg broke in the conversation (R20).
pub(crate) fn agent_lost(how: &str) -> Request {
    request("R20", "agent_lost", how, None)
}

/// The agent gives the caller to a queue.
pub(crate) fn referred(queue: &QueueId) -> Request {
    request("REFER", "transferred", "the agent gave the caller to a queue", Some(&queue.0))
}

/// The agent gave the call to somebody else, who has it already.
pub(crate) fn moved(agent: Option<&AgentId>) -> Request {
    let whom = agent.map_or_else(|| "somebody outside".to_owned(), AgentId::to_string);
    request("REFER", "transferred", &format!("the agent gave the call to {whom}"), None)
}

fn request(rule: &str, code: &str, evidence: &str, queue: Option<&str>) -> Request {
    let primary = Reason {
        rule: rule.to_owned(),
        code: code.to_owned(),
        evidence: evidence.to_owned(),
        value: 1.0,
        utterance: None,
    };
    let decision =
        Decision { advice: Advice::Escalate, primary, contributing: Vec::new(), evaluated: Vec::new() };
    Request { decision, queue: queue.filter(|queue| !queue.is_empty()).map(QueueId::from) }
}
