//! When a rule fires: an expression of the Common Expression Language over features and limits.

use std::{collections::BTreeMap, sync::Arc};

use cel::{
    Context, Env, Program,
    common::{
        types::CelNull,
        value::{CowVal, Val},
    },
    context::VariableResolver,
};
use strsim::levenshtein;

use crate::feature::{self, FEATURES, Features, Kind, Value};

/// What expressions may name beside features.
pub(crate) struct Names {
    limits: BTreeMap<String, f64>,
    /// The same, as expressions take them.
    limits_value: Box<dyn Val>,
    /// Words that stand for themselves, so that `topic == billing` needs no quotes.
    words: Vec<String>,
    env: Arc<Env>,
}

/// A compiled expression.
pub(crate) struct Condition {
    source: String,
    program: Program,
    features: Vec<String>,
    limits: Vec<String>,
}

/// What an expression came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Holds,
    Fails,
    /// It needs what is not known yet.
    Unknown(Vec<String>),
}

impl Names {
    pub(crate) fn new(limits: BTreeMap<String, f64>, words: Vec<String>) -> Self {
        let fields: Vec<String> = limits.iter().map(|(name, limit)| format!("'{name}': {limit:?}")).collect();
        let value = Program::compile(&format!("{{{}}}", fields.join(", "))).ok();
        let value = value.and_then(|map| map.execute(&Context::default()).ok());
        let limits_value =
            value.and_then(|map| Box::<dyn Val>::try_from(map).ok()).unwrap_or_else(|| Box::new(CelNull));
        Self { limits, limits_value, words, env: Arc::new(Env::stdlib()) }
    }

    /// The value of a limit.
    pub(crate) fn limit(&self, name: &str) -> Option<f64> {
        self.limits.get(name).copied()
    }

    /// The known name nearest to a wrong one, if one is near.
    fn nearest(&self, wrong: &str) -> Option<&str> {
        let features = FEATURES.iter().map(|info| info.name);
        let names = features.chain(self.words.iter().map(String::as_str));
        nearest(wrong, names)
    }
}

impl Condition {
    /// Compiles an expression and tries it once, so that a wrong name or a comparison that makes no sense is told at
    /// the start and not in a call.
    pub(crate) fn compile(source: &str, names: &Names) -> Result<Self, String> {
        let program = Program::compile(source).map_err(|error| one_line(&error.to_string()))?;
        let mut features = Vec::new();
        let mut variables: Vec<String> =
            program.references().variables().into_iter().map(str::to_owned).collect();
        variables.sort_unstable();
        for name in variables {
            if feature::place(&name).is_some() {
                features.push(name);
            } else if name != LIMITS && !names.words.contains(&name) {
                let instead = names.nearest(&name).map(|near| format!("; did you mean `{near}`?"));
                return Err(format!("`{name}` is no feature and no topic{}", instead.unwrap_or_default()));
            }
        }
        let limits = limits_in(source);
        for limit in &limits {
            if !names.limits.contains_key(limit) {
                let near = nearest(limit, names.limits.keys().map(String::as_str));
                let instead = near.map(|near| format!("; did you mean `limits.{near}`?"));
                return Err(format!(
                    "`limits.{limit}` is not among the limits{}",
                    instead.unwrap_or_default()
                ));
            }
        }
        let condition = Self { source: source.to_owned(), program, features, limits };
        condition.try_out(names)?;
        Ok(condition)
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The features it names, in alphabetical order.
    pub(crate) fn features(&self) -> &[String] {
        &self.features
    }

    /// The limits it names, in the order in which they occur.
    pub(crate) fn limits(&self) -> &[String] {
        &self.limits
    }

    pub(crate) fn holds(&self, features: &Features, names: &Names) -> Outcome {
        let resolver = Resolver { features, names };
        let mut context = Context::with_env(Arc::clone(&names.env));
        context.set_variable_resolver(&resolver);
        match self.program.execute(&context) {
            Ok(cel::Value::Bool(true)) => Outcome::Holds,
            Ok(_) => Outcome::Fails,
            // The expression was tried at the start, so all that can be wrong now is that something is not known.
            Err(_) => Outcome::Unknown(
                self.features.iter().filter(|name| features.named(name).is_none()).cloned().collect(),
            ),
        }
    }

    fn try_out(&self, names: &Names) -> Result<(), String> {
        let sample = Features::sample();
        let resolver = Resolver { features: &sample, names };
        let mut context = Context::with_env(Arc::clone(&names.env));
        context.set_variable_resolver(&resolver);
        match self.program.execute(&context) {
            Ok(cel::Value::Bool(_)) => Ok(()),
            Ok(other) => Err(format!("gives {other:?}, not true or false")),
            Err(error) => Err(one_line(&error.to_string())),
        }
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names")
            .field("limits", &self.limits)
            .field("words", &self.words)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Condition").field(&self.source).finish()
    }
}

struct Resolver<'a> {
    features: &'a Features,
    names: &'a Names,
}

impl VariableResolver for Resolver<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        if variable == LIMITS {
            return Some(CowVal::Borrowed(&*self.names.limits_value));
        }
        let value = if let Some((value, _)) = self.features.named(variable) {
            match value {
                Value::Number(number) => cel::Value::Float(*number),
                Value::Word(word) => cel::Value::from(word.as_str()),
                Value::Words(words) => cel::Value::from(
                    words.iter().map(|word| cel::Value::from(word.as_str())).collect::<Vec<_>>(),
                ),
            }
        } else if self.names.words.iter().any(|word| word == variable) && feature::place(variable).is_none() {
            cel::Value::from(variable)
        } else {
            return None;
        };
        Box::<dyn Val>::try_from(value).ok().map(CowVal::Owned)
    }
}

impl Features {
    /// Something of each kind, to try an expression out.
    fn sample() -> Self {
        let mut features = Self::new();
        for (at, info) in FEATURES.iter().enumerate() {
            features.set_at(
                at,
                match info.kind {
                    Kind::Number => Value::Number(0.5),
                    Kind::Word => Value::Word("word".to_owned()),
                    Kind::Words => Value::Words(vec!["word".to_owned()]),
                },
            );
        }
        features
    }
}

/// The names behind `limits.`, each once.
fn limits_in(source: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for rest in source.split("limits.").skip(1) {
        let name: String =
            rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
        if !name.is_empty() && !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// At most a third of the letters may be wrong.
pub(crate) fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let far = wrong.chars().count() / 3 + 1;
    names
        .map(|name| (levenshtein(wrong, name), name))
        .filter(|(distance, _)| *distance <= far)
        .min()
        .map(|(_, name)| name)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The name that all limits are fields of.
const LIMITS: &str = "limits";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::{Evidence, Feature};

    fn names() -> Names {
        Names::new(
            BTreeMap::from([("negative_sentiment".to_owned(), 0.7), ("topic_switches".to_owned(), 4.0)]),
            vec!["billing".to_owned(), "pricing".to_owned()],
        )
    }

    fn check(source: &str, features: &Features, expected: Outcome) {
        let names = names();
        let condition = Condition::compile(source, &names).unwrap();
        assert_eq!(condition.holds(features, &names), expected, "{source}");
    }

    fn features() -> Features {
        let mut features = Features::new();
        features.number(Feature::Negativity, 0.8, Evidence::default());
        features.number(Feature::Strikes, 2.0, Evidence::default());
        features.set(Feature::Topic, Value::Word("pricing".to_owned()), Evidence::default());
        features.set(Feature::Topics, Value::Words(vec!["enterprise".to_owned()]), Evidence::default());
        features
    }

    #[test]
    fn an_expression_is_held_against_features_and_limits() {
        let features = features();
        check("negativity >= limits.negative_sentiment", &features, Outcome::Holds);
        check("negativity > 0.8", &features, Outcome::Fails);
        check("strikes >= 2 && topic == pricing", &features, Outcome::Holds);
        check("topic == 'billing' || negativity * 2.0 > 1.5", &features, Outcome::Holds);
        check("'enterprise' in topics && !(topic in [billing])", &features, Outcome::Holds);
    }

    #[test]
    fn what_is_not_known_makes_no_rule_fire_unless_it_does_not_matter() {
        let features = features();
        let unknown = Outcome::Unknown(vec!["negativity_forecast".to_owned()]);
        check("negativity_forecast > 0.4", &features, unknown);
        check("negativity_forecast > 0.4 || strikes >= 2", &features, Outcome::Holds);
        check("negativity_forecast > 0.4 && strikes > 2", &features, Outcome::Fails);
    }

    fn refuse(source: &str, words: &[&str]) {
        let error = Condition::compile(source, &names()).unwrap_err();
        assert!(words.iter().all(|word| error.contains(word)), "{source}: {error}");
    }

    #[test]
    fn wrong_names_and_comparisons_that_make_no_sense_are_refused_with_a_suggestion() {
        refuse("negativty >= 0.7", &["`negativty`", "did you mean `negativity`?"]);
        refuse("topic == biling", &["`biling`", "did you mean `billing`?"]);
        refuse(
            "strikes > limits.topic_switch",
            &["limits.topic_switch", "did you mean `limits.topic_switches`?"],
        );
        refuse("negativity >= 'high'", &[]);
        refuse("negativity", &["not true or false"]);
        refuse("negativity >=", &["Syntax error"]);
    }
}
