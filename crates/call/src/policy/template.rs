//! A sentence with `{variables}`, taken apart once and filled in many times.

use serde::{Deserialize, Serialize};

/// A sentence taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(String),
}

impl Template {
    /// Takes a sentence apart; the error says what is wrong with its braces.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text.trim();
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, behind)) = after.split_once('}') else {
                return Err("a `{` has no `}`".to_owned());
            };
            if name.is_empty() || !name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_') {
                return Err(format!("`{{{name}}}` is not a variable's name (small letters and `_`)"));
            }
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Variable(name.to_owned()));
            rest = behind;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        let stray = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains('}'));
        if pieces.iter().any(stray) {
            return Err("a `}` has no `{`".to_owned());
        }
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        Ok(Self { pieces })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The names of the variables, in order, each as often as it stands there.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The sentence with its variables filled in. A variable without a value leaves nothing behind.
    pub(crate) fn fill(&self, values: &[(&str, &str)]) -> String {
        let value_of =
            |name: &str| values.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| *value);
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                Piece::Variable(name) => value_of(name),
            })
            .collect()
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        let piece = |piece: Piece| match piece {
            Piece::Text(text) => text,
            Piece::Variable(name) => format!("{{{name}}}"),
        };
        template.pieces.into_iter().map(piece).collect()
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_in() {
        let template = Template::parse(" You are number {position}, {wait}. ").unwrap();
        assert_eq!(template.fill(&[("position", "2"), ("wait", "soon")]), "You are number 2, soon.");
        assert_eq!(template.variables().collect::<Vec<_>>(), ["position", "wait"]);
    }

    #[test]
    fn a_template_is_printed_as_it_was_read() {
        for text in ["", "{a}", "{a}{b}", "Hello {a}!", "no variable"] {
            assert_eq!(String::from(Template::parse(text).unwrap()), text);
        }
    }

    #[test]
    fn crooked_braces_are_refused_with_a_reason() {
        let check = |text: &str, says: &str| {
            let error = Template::parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        };
        check("Hello {name", "no `}`");
        check("Hello name}", "no `{`");
        check("Hello {na me}", "not a variable's name");
        check("Hello {}", "not a variable's name");
    }
}
