//! Rules over features: which of them hold after an utterance, and which began to.

use std::collections::BTreeSet;

use crate::{
    condition::{Condition, Names, Outcome},
    decision::{Advice, Evaluation, Reason},
    feature::{Evidence, Feature, Features, Value},
    rules::{Rule, Rules, RulesProblem},
};

/// The compiled rules.
#[derive(Debug)]
pub(crate) struct Contextual {
    names: Names,
    rules: Vec<(Rule, Condition)>,
}

/// What the rules came to.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Began to hold, strongest advice first.
    pub(crate) fired: Vec<(Advice, Reason)>,
    /// Hold on, or are weak.
    pub(crate) others: Vec<Reason>,
    pub(crate) evaluated: Vec<Evaluation>,
}

impl Contextual {
    /// Compiles the rules, or adds to `problems`.
    pub(crate) fn compile(rules: &Rules, problems: &mut Vec<RulesProblem>) -> Self {
        let mut limits = rules.profile.limits();
        for (name, limit) in &rules.limits {
            if limit.is_finite() {
                limits.insert(name.clone(), *limit);
            } else {
                let problem = format!("is {limit}; a limit is a number that can be reached");
                problems.push(RulesProblem { key: format!("limits.{name}"), problem });
            }
        }
        let mut words: Vec<String> =
            rules.languages.values().flat_map(|language| language.topics.keys().cloned()).collect();
        words.sort_unstable();
        words.dedup();
        let names = Names::new(limits, words);
        let mut compiled = Vec::new();
        for (at, rule) in rules.rules.iter().enumerate() {
            match Condition::compile(&rule.when, &names) {
                Ok(condition) => compiled.push((rule.clone(), condition)),
                Err(problem) => problems.push(RulesProblem { key: format!("rules[{at}].when"), problem }),
            }
        }
        // What weak rules add up to is known before the others are asked.
        compiled.sort_by_key(|(rule, _)| rule.weight == 0.0);
        Self { names, rules: compiled }
    }

    /// Holds every rule against the features. `before` is what held the last time, and is brought up to date.
    pub(crate) fn look(&self, features: &mut Features, before: &mut BTreeSet<usize>) -> Held {
        let mut held = Held::default();
        let mut score = 0.0;
        for (at, (rule, condition)) in self.rules.iter().enumerate() {
            if rule.weight == 0.0 {
                features.number(Feature::Score, score, Evidence::default());
            }
            let outcome = condition.holds(features, &self.names);
            let holds = outcome == Outcome::Holds;
            held.evaluated.push(self.evaluation(rule, condition, &outcome, features));
            let began = holds && !before.contains(&at);
            if !holds {
                before.remove(&at);
                continue;
            }
            before.insert(at);
            score += rule.weight;
            let reason = reason(rule, condition, features);
            if began && rule.then > Advice::None {
                held.fired.push((rule.then, reason));
            } else {
                held.others.push(reason);
            }
        }
        features.number(Feature::Score, score, Evidence::default());
        held.fired.sort_by_key(|(advice, _)| std::cmp::Reverse(*advice));
        held
    }

    fn evaluation(
        &self,
        rule: &Rule,
        condition: &Condition,
        outcome: &Outcome,
        features: &Features,
    ) -> Evaluation {
        let because = match outcome {
            Outcome::Holds | Outcome::Fails => {
                format!("{}: {}", self.values(condition, features), condition.source())
            }
            Outcome::Unknown(names) => {
                let verb = if names.len() == 1 { "is" } else { "are" };
                format!("{} {verb} not known: {}", names.join(", "), condition.source())
            }
        };
        Evaluation {
            rule: rule.id.clone(),
            value: first_number(condition, features).unwrap_or(f64::from(*outcome == Outcome::Holds)),
            threshold: condition.limits().first().and_then(|name| self.names.limit(name)).unwrap_or(1.0),
            fired: *outcome == Outcome::Holds,
            because,
        }
    }

    fn values(&self, condition: &Condition, features: &Features) -> String {
        let features = condition.features().iter().map(|name| match features.named(name) {
            Some((value, _)) => format!("{name} is {value}"),
            None => format!("{name} is not known"),
        });
        let limits = condition
            .limits()
            .iter()
            .filter_map(|name| self.names.limit(name).map(|limit| format!("limits.{name} is {limit}")));
        features.chain(limits).collect::<Vec<_>>().join(", ")
    }
}

fn first_number(condition: &Condition, features: &Features) -> Option<f64> {
    condition.features().iter().find_map(|name| match features.named(name)?.0 {
        Value::Number(number) => Some(*number),
        Value::Word(_) | Value::Words(_) => None,
    })
}

fn reason(rule: &Rule, condition: &Condition, features: &Features) -> Reason {
    let seen: Vec<&Evidence> =
        condition.features().iter().filter_map(|name| Some(features.named(name)?.1)).collect();
    let texts: Vec<&str> =
        seen.iter().map(|evidence| evidence.text.as_str()).filter(|text| !text.is_empty()).collect();
    Reason {
        rule: rule.id.clone(),
        code: rule.code.clone(),
        evidence: if texts.is_empty() { rule.when.clone() } else { texts.join("; ") },
        value: first_number(condition, features).unwrap_or(1.0),
        utterance: seen.iter().find_map(|evidence| evidence.utterance),
    }
}
