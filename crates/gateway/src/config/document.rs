//! Reads one TOML file into a type and reports everything that is wrong with it at once.
//!
//! serde stops at its first error. So the document is read again and again, each time without the part
//! that was just reported, until what is left can be read or nothing is left to remove.

use std::{ops::Range, path::Path};

use serde::de::DeserializeOwned;
use strsim::levenshtein;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

/// One thing that is wrong, where it is, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// The file, or `environment`.
    pub(crate) file: String,
    /// Counted from 1; 0 if the problem is not on a line of its own.
    pub(crate) line: usize,
    /// The key, such as `sip.udp`; empty for a syntax error.
    pub(crate) key: String,
    /// What is wrong.
    pub(crate) what: String,
    /// What to do.
    pub(crate) remedy: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.what)?;
        if !self.remedy.is_empty() {
            write!(f, "\n    {}", self.remedy)?;
        }
        Ok(())
    }
}

/// One file with its text, so that later checks can name the line of a key.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    name: String,
    text: String,
    /// TOML that wins over the text, pushed behind the text's end by blanks so that spans tell them apart.
    overrides: String,
}

impl Document {
    /// Wraps a text; `overrides` is TOML that wins over it, such as the environment's.
    pub(crate) fn new(file: &Path, text: String, overrides: &str) -> Self {
        let overrides = format!("{}{overrides}", " ".repeat(text.len()));
        Self { name: file.display().to_string(), text, overrides }
    }

    /// Reads the document into a type and adds every syntax error, unknown key and unfit value to the problems.
    ///
    /// What is wrong is left out of the value, so that later checks can look at the rest; `None` if even the rest
    /// cannot be read.
    pub(crate) fn read<T: DeserializeOwned>(&self, problems: &mut Vec<Problem>) -> Option<T> {
        let (whole, mut found) = self.table();
        let mut table = whole.clone();
        let mut value = None;
        // Each round removes one part, and a document has fewer parts than characters.
        for _ in 0..=self.overrides.len() {
            match T::deserialize(toml::Deserializer::from(table.clone())) {
                Ok(read) => {
                    value = Some(read);
                    break;
                }
                Err(error) => {
                    let key = error.span().and_then(|span| name(whole.get_ref(), &span));
                    found.push(self.problem(&error, key.as_deref()));
                    if !error.span().is_some_and(|span| remove(table.get_mut(), &span)) {
                        break;
                    }
                }
            }
        }
        found.sort();
        found.dedup();
        problems.extend(found);
        value
    }

    /// A problem that a later check found with a key such as `sip.udp`.
    pub(crate) fn complain(&self, key: &str, what: impl Into<String>, remedy: impl Into<String>) -> Problem {
        let (table, _) = self.table();
        let (file, line) = self.place(find(table.get_ref(), key));
        Problem { file, line, key: key.to_owned(), what: what.into(), remedy: remedy.into() }
    }

    fn table(&self) -> (Spanned<DeTable<'_>>, Vec<Problem>) {
        let (mut table, errors) = DeTable::parse_recoverable(&self.text);
        let (overrides, more) = DeTable::parse_recoverable(&self.overrides);
        merge(table.get_mut(), overrides.into_inner());
        let problems = errors.iter().chain(&more).map(|error| self.problem(error, None)).collect();
        (table, problems)
    }

    fn place(&self, at: Option<usize>) -> (String, usize) {
        match at {
            Some(at) if at > self.text.len() => ("environment".to_owned(), 0),
            Some(at) => {
                let before = self.text.get(..at).unwrap_or(&self.text);
                (self.name.clone(), before.matches('\n').count() + 1)
            }
            None => (self.name.clone(), 0),
        }
    }

    fn problem(&self, error: &toml::de::Error, key: Option<&str>) -> Problem {
        let (file, line) = self.place(error.span().map(|span| span.start));
        let what = error.message().trim().replace('\n', " ");
        let remedy = suggestion(&what).unwrap_or_else(|| {
            "config/segue.toml shows every key with its default and what it is for".to_owned()
        });
        Problem { file, line, key: key.unwrap_or_default().to_owned(), what, remedy }
    }
}

/// Puts every value of `from` into `into`, table by table.
fn merge<'text>(into: &mut DeTable<'text>, from: DeTable<'text>) {
    for (key, value) in from {
        let span = value.span();
        match (into.get_mut(&key).map(Spanned::get_mut), value.into_inner()) {
            (Some(DeValue::Table(old)), DeValue::Table(new)) => merge(old, new),
            (Some(old), new) => {
                *old = new;
                // The old span stays on the key, so the value carries where it really came from.
                if let Some(entry) = into.get_mut(&key) {
                    let value = std::mem::replace(entry.get_mut(), DeValue::Boolean(false));
                    *entry = Spanned::new(span, value);
                }
            }
            (None, new) => {
                into.insert(key, Spanned::new(span, new));
            }
        }
    }
}

/// The name of the innermost key or list element that a span lies in.
fn name(table: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    let (key, value) = table.iter().find(|(key, value)| holds(&key.span(), span) || reaches(value, span))?;
    Some(format!("{}{}", key.get_ref(), name_within(value, span)))
}

fn name_within(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> String {
    match value.get_ref() {
        DeValue::Table(table) => name(table, span).map(|inner| format!(".{inner}")).unwrap_or_default(),
        DeValue::Array(items) => match items.iter().enumerate().find(|(_, item)| reaches(item, span)) {
            Some((at, item)) => format!("[{at}]{}", name_within(item, span)),
            None => String::new(),
        },
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => String::new(),
    }
}

/// Removes the innermost key or list element that a span lies in; false if there is none.
fn remove(table: &mut DeTable<'_>, span: &Range<usize>) -> bool {
    let found = table.iter().find(|(key, value)| holds(&key.span(), span) || reaches(value, span));
    let Some(key) = found.map(|(key, _)| key.clone()) else { return false };
    if !table.get_mut(&key).is_some_and(|value| remove_within(value, span)) {
        table.remove(&key);
    }
    true
}

fn remove_within(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    match value.get_mut() {
        DeValue::Table(table) => remove(table, span),
        DeValue::Array(items) => {
            let Some(at) = items.iter().position(|item| reaches(item, span)) else { return false };
            if !items.get_mut(at).is_some_and(|item| remove_within(item, span)) {
                let all = std::mem::replace(items, DeArray::new()).into_iter().enumerate();
                for (_, item) in all.filter(|(place, _)| *place != at) {
                    items.push(item);
                }
            }
            true
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => false,
    }
}

/// Whether a span lies in a value. A table's own span is only its header, so its parts are asked too.
fn reaches(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    if holds(&value.span(), span) {
        return true;
    }
    match value.get_ref() {
        DeValue::Table(table) => {
            table.iter().any(|(key, value)| holds(&key.span(), span) || reaches(value, span))
        }
        DeValue::Array(items) => items.iter().any(|item| reaches(item, span)),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => false,
    }
}

fn holds(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end && !outer.is_empty()
}

/// Where a key such as `sip.trunks[1].name` stands, or the nearest table around it.
fn find(table: &DeTable<'_>, key: &str) -> Option<usize> {
    let (first, rest) = key.split_once('.').unwrap_or((key, ""));
    let (name, index) = match first.split_once('[') {
        Some((name, index)) => (name, index.trim_end_matches(']').parse::<usize>().ok()),
        None => (first, None),
    };
    let (found, mut value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
    let mut place = if holds(&value.span(), &found.span()) { found.span().start } else { value.span().start };
    if let (Some(index), DeValue::Array(items)) = (index, value.get_ref()) {
        value = items.get(index)?;
        place = value.span().start;
    }
    match value.get_ref() {
        DeValue::Table(inner) if !rest.is_empty() => find(inner, rest).or(Some(place)),
        DeValue::Table(_)
        | DeValue::Array(_)
        | DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => Some(place),
    }
}

/// For an unknown key: the known one that it looks like, or all of them.
fn suggestion(what: &str) -> Option<String> {
    let names: Vec<&str> = what.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2).collect();
    let (unknown, known) = names.split_first()?;
    let nearest = known.iter().min_by_key(|name| levenshtein(unknown, name))?;
    if levenshtein(unknown, nearest) <= 3 {
        return Some(format!("did you mean `{nearest}`?"));
    }
    Some(format!("known here: {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct House {
        rooms: u32,
        kitchen: Kitchen,
        guests: Vec<Guest>,
        extra: BTreeMap<String, u32>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Kitchen {
        stove: String,
        pots: u8,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only reading is under test")]
    struct Guest {
        name: String,
    }

    fn problems(text: &str, overrides: &str) -> Vec<(usize, String)> {
        let document = Document::new(Path::new("house.toml"), text.to_owned(), overrides);
        let mut problems = Vec::new();
        assert!(document.read::<House>(&mut problems).is_some(), "the rest is still read");
        problems.into_iter().map(|p| (p.line, p.key)).collect()
    }

    fn at(line: usize, key: &str) -> (usize, String) {
        (line, key.to_owned())
    }

    #[test]
    fn a_sound_document_is_read() {
        assert_eq!(problems("rooms = 3\n[kitchen]\nstove = \"gas\"\n", ""), []);
    }

    #[test]
    fn every_error_is_reported_at_once_with_its_line_and_key() {
        let text = "rooms = \"three\"\n[kitchen]\nstvoe = \"gas\"\npots = 900\n[[guests]]\nname = 1\n[[guests]]\nname = \"a\"\nage = 3\n";
        assert_eq!(
            problems(text, ""),
            [
                at(1, "rooms"),
                at(3, "kitchen.stvoe"),
                at(4, "kitchen.pots"),
                at(5, "guests[0]"),
                at(6, "guests[0].name"),
                at(9, "guests[1].age"),
            ]
        );
    }

    #[test]
    fn a_mistyped_table_is_an_error() {
        assert_eq!(problems("[kitchn]\npots = 1\n", ""), [at(1, "kitchn")]);
    }

    #[test]
    fn an_override_wins_and_its_errors_name_the_environment() {
        assert_eq!(problems("rooms = \"three\"\n", "rooms = 4"), []);
        let document = Document::new(Path::new("h"), "rooms = 1\n".to_owned(), "rooms = \"x\"");
        let mut problems = Vec::new();
        document.read::<House>(&mut problems);
        assert_eq!(problems[0].file, "environment");
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_nearest_known_one() {
        let document = Document::new(Path::new("h"), "[kitchen]\nstvoe = \"gas\"\n".to_owned(), "");
        let mut problems = Vec::new();
        document.read::<House>(&mut problems);
        assert_eq!(problems[0].remedy, "did you mean `stove`?");
    }

    #[test]
    fn a_later_check_can_name_the_line_of_a_key() {
        let text = "rooms = 1\n[kitchen]\n# a comment\npots = 3\n[[guests]]\nname = \"a\"\n";
        let document = Document::new(Path::new("h"), text.to_owned(), "");
        let check = |key: &str, line: usize| assert_eq!(document.complain(key, "", "").line, line, "{key}");
        check("kitchen.pots", 4);
        check("kitchen.missing", 2);
        check("guests[0].name", 6);
        check("rooms", 1);
    }
}
