//! Order, account and telephone numbers: a run of spoken pieces after a word that says what it is.
//!
//! Without such a word only a telephone number in its usual written or spoken shape is believed.

use super::{
    Claim,
    number::{self, Piece},
    tokens::Token,
};
use crate::brief::EntityKind;

/// A run of pieces of an identifier.
#[derive(Clone, Debug)]
struct Run {
    pieces: Vec<Piece>,
    from: usize,
}

impl Run {
    fn text(&self) -> String {
        self.pieces.iter().map(|piece| piece.text.as_str()).collect()
    }

    fn to(&self) -> usize {
        self.from + self.pieces.iter().map(|piece| piece.length).sum::<usize>()
    }

    fn figures(&self) -> usize {
        self.text().bytes().filter(u8::is_ascii_digit).count()
    }

    fn only_figures(&self) -> bool {
        self.text().bytes().all(|byte| byte.is_ascii_digit())
    }
}

/// The order and account numbers that are named as such.
pub(super) fn named(tokens: &[Token]) -> Vec<Claim> {
    let mut claims = Vec::new();
    for at in 0..tokens.len() {
        let Some(cue) = cue(tokens, at) else { continue };
        if claims.iter().any(|claim: &Claim| claim.from <= at && at < claim.to) {
            continue;
        }
        let after = run_after(tokens, cue.to, cue.fillers_max).filter(|run| cue.accepts(run));
        let found = after.or_else(|| run_before(tokens, at).filter(|run| cue.numbered && cue.accepts(run)));
        if let Some(run) = found {
            let run = corrected(tokens, run);
            claims.push(Claim { kind: cue.kind, value: run.text(), from: run.from, to: run.to() });
        }
    }
    claims
}

/// Telephone numbers: after words such as `my number is`, or in their usual shape.
pub(super) fn phones(tokens: &[Token]) -> Vec<Claim> {
    let mut claims: Vec<Claim> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match phone(tokens, at) {
            Some(claim) => {
                at = claim.to;
                claims.push(claim);
            }
            None => at += 1,
        }
    }
    claims
}

/// The identifier in an answer to a question for one.
pub(super) fn answer(tokens: &[Token], kind: EntityKind) -> Option<Claim> {
    let figures_min = if kind == EntityKind::Phone { PHONE_MIN } else { ANSWER_MIN };
    let mut best: Option<Run> = None;
    let mut at = 0;
    while at < tokens.len() {
        let Some(run) = run_at(tokens, at) else {
            at += 1;
            continue;
        };
        at = run.to();
        if run.figures() >= figures_min && best.as_ref().is_none_or(|best| run.figures() > best.figures()) {
            best = Some(run);
        }
    }
    let run = corrected(tokens, best?);
    (run.text().len() <= LENGTH_MAX).then(|| Claim { kind, value: run.text(), from: run.from, to: run.to() })
}

/// A word that says that an identifier follows.
#[derive(Debug)]
struct Cue {
    kind: EntityKind,
    /// Where the identifier may begin.
    to: usize,
    /// Whether `number` or the like was said too.
    numbered: bool,
    /// How many words may stand between.
    fillers_max: usize,
}

impl Cue {
    fn accepts(&self, run: &Run) -> bool {
        let figures_min = match (self.kind, self.numbered) {
            (EntityKind::Account, false) => 4,
            (_, true) => 2,
            (_, false) => 3,
        };
        run.figures() >= figures_min && run.text().len() <= LENGTH_MAX
    }
}

fn cue(tokens: &[Token], at: usize) -> Option<Cue> {
    let token = tokens.get(at)?;
    let kind = match token.text.as_str() {
        "order" | "orders" | "purchase" | "booking" | "reservation" => EntityKind::Order,
        "account" | "customer" | "client" | "member" | "membership" | "policy" | "contract" => {
            EntityKind::Account
        }
        _ => return None,
    };
    let next = tokens.get(at + 1);
    let numbered = next
        .is_some_and(|next| next.is_one_of(&["number", "numbers", "no", "num", "id", "reference", "code"]));
    let ending = next.is_some_and(|next| next.is("ending"));
    let verb = at
        .checked_sub(1)
        .and_then(|before| tokens.get(before))
        .is_some_and(|before| before.is_one_of(BEFORE_A_VERB));
    if verb && !numbered {
        return None;
    }
    let to = at + 1 + usize::from(numbered || ending);
    Some(Cue { kind, to, numbered: numbered || ending, fillers_max: if numbered { 5 } else { 1 } })
}

fn run_after(tokens: &[Token], from: usize, fillers_max: usize) -> Option<Run> {
    for skipped in 0..=fillers_max {
        let at = from + skipped;
        if let Some(run) = run_at(tokens, at).filter(|run| run.figures() > 0) {
            return Some(run);
        }
        if !tokens.get(at)?.is_one_of(FILLERS) {
            return None;
        }
    }
    None
}

/// `one two three four is my order number`.
fn run_before(tokens: &[Token], cue: usize) -> Option<Run> {
    let mut end = cue;
    while end > 0 && tokens.get(end - 1)?.is_one_of(&["is", "my", "the", "thats", "its", "as", "for"]) {
        end -= 1;
    }
    if end == cue {
        return None;
    }
    let first = end.saturating_sub(LENGTH_MAX);
    (first..end).filter_map(|from| run_at(tokens, from)).find(|run| run.to() == end)
}

/// The longest run of pieces from a token on. What belongs to money or to a time of day is left to it.
fn run_at(tokens: &[Token], from: usize) -> Option<Run> {
    let mut run = Run { pieces: Vec::new(), from };
    while let Some(piece) = number::piece(tokens, run.to()) {
        let lonely_word = piece.length == 1
            && tokens.get(run.to()).is_some_and(|token| token.is_one_of(&["a", "i", "o"]))
            && number::piece(tokens, run.to() + 1).is_none();
        if lonely_word || run.pieces.len() >= PIECES_MAX {
            break;
        }
        run.pieces.push(piece);
    }
    let unit = tokens.get(run.to());
    if unit.is_some_and(|token| super::money::is_unit(&token.text) || token.is_one_of(TIMES)) {
        run.pieces.pop();
    }
    (!run.pieces.is_empty()).then_some(run)
}

/// `one two three four, no sorry, one two three five`: the second one counts if it is as long.
fn corrected(tokens: &[Token], run: Run) -> Run {
    let mut at = run.to();
    let mut words = 0;
    while tokens.get(at).is_some_and(|token| token.is_one_of(CORRECTIONS)) && words < 5 {
        at += 1;
        words += 1;
    }
    if words == 0 {
        return run;
    }
    run_at(tokens, at).filter(|again| again.text().len() == run.text().len()).unwrap_or(run)
}

fn phone(tokens: &[Token], at: usize) -> Option<Claim> {
    if let Some(to) = phone_cue(tokens, at)
        && let Some((run, plus)) = phone_after(tokens, to)
    {
        return Some(phone_claim(&run, plus));
    }
    let token = tokens.get(at)?;
    if let Some(value) = written_phone(tokens, at) {
        return Some(value);
    }
    let plus = token.is("plus");
    let run = run_at(tokens, at + usize::from(plus)).filter(Run::only_figures)?;
    let after_other = at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|before| {
        number::digit(&before.text).is_some() || before.is_one_of(&["number", "plus", "card"])
    });
    let spoken = plus && (PHONE_MIN..=PHONE_MAX).contains(&run.figures()) || run.figures() == 10;
    (spoken && run.pieces.len() > 1 && !after_other).then(|| {
        let mut claim = phone_claim(&run, plus);
        claim.from = at;
        claim
    })
}

fn phone_claim(run: &Run, plus: bool) -> Claim {
    let value = if plus { format!("+{}", run.text()) } else { run.text() };
    Claim { kind: EntityKind::Phone, value, from: run.from, to: run.to() }
}

/// Where a telephone number may begin after words that announce one.
fn phone_cue(tokens: &[Token], at: usize) -> Option<usize> {
    const CUES: &[&[&str]] = &[
        &["phone", "number"],
        &["telephone", "number"],
        &["mobile", "number"],
        &["cell", "number"],
        &["cell", "phone"],
        &["callback", "number"],
        &["my", "phone"],
        &["my", "cell"],
        &["my", "mobile"],
        &["my", "number"],
        &["reach", "me"],
        &["call", "me"],
        &["ring", "me"],
        &["text", "me"],
    ];
    CUES.iter()
        .find(|cue| {
            cue.iter().enumerate().all(|(place, word)| tokens.get(at + place).is_some_and(|t| t.is(word)))
        })
        .map(|cue| at + cue.len())
}

fn phone_after(tokens: &[Token], from: usize) -> Option<(Run, bool)> {
    for skipped in 0..=5 {
        let at = from + skipped;
        let token = tokens.get(at)?;
        let plus = token.is("plus");
        if let Some(claim) = written_phone(tokens, at) {
            let piece = Piece { text: claim.value, length: claim.to - at };
            return Some((Run { pieces: vec![piece], from: at }, false));
        }
        let fits = |run: &Run| run.only_figures() && (PHONE_MIN..=PHONE_MAX).contains(&run.figures());
        if let Some(run) = run_at(tokens, at + usize::from(plus)).filter(fits) {
            return Some((run, plus));
        }
        if !plus && !token.is_one_of(FILLERS) && !token.is_one_of(&["back", "on", "at", "under", "number"]) {
            return None;
        }
    }
    None
}

/// A telephone number in figures with its usual marks, such as `+49 89 123456` or `(555) 123-4567`.
fn written_phone(tokens: &[Token], at: usize) -> Option<Claim> {
    // The tail of a longer number, such as a payment card's, is no telephone number.
    if at
        .checked_sub(1)
        .and_then(|before| tokens.get(before))
        .is_some_and(|t| number::literal(&t.text).is_some())
    {
        return None;
    }
    let mut digits = String::new();
    let mut marks = 0;
    let mut plus = false;
    let mut to = at;
    while let Some(token) = tokens.get(to) {
        let text = token.text.as_str();
        let written = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.()/".contains(&byte));
        let figures = text.bytes().filter(u8::is_ascii_digit).count();
        if !written || figures == 0 {
            break;
        }
        if digits.len() + figures > PHONE_MAX {
            return None;
        }
        plus |= to == at && text.starts_with('+');
        marks += text.bytes().filter(|byte| b"-()".contains(byte)).count();
        digits.extend(text.chars().filter(char::is_ascii_digit));
        to += 1;
    }
    let blanks = to.saturating_sub(at + 1);
    let shaped = plus || (marks + blanks >= 2 && digits.len() >= 10) || (marks >= 1 && digits.len() == 10);
    let enough = digits.len() >= PHONE_MIN;
    let date = marks == 2 && blanks == 0 && digits.len() == 8;
    (shaped && enough && !date).then(|| Claim {
        kind: EntityKind::Phone,
        value: if plus { format!("+{digits}") } else { digits },
        from: at,
        to,
    })
}

/// E.164 allows 15 figures; the shortest national numbers worth calling back have 7.
const PHONE_MAX: usize = 15;
const PHONE_MIN: usize = 7;
/// Longer than any order number in use; a payment card (16) is left out on purpose.
const LENGTH_MAX: usize = 15;
/// So many spoken pieces are put together; what is longer is cut here and then refused for its length.
const PIECES_MAX: usize = 40;
/// So many figures make an answer to "what is your order number" one.
const ANSWER_MIN: usize = 3;

const FILLERS: &[&str] = &[
    "is", "was", "its", "it", "thats", "that", "which", "um", "uh", "er", "let", "me", "see", "the", "here",
    "would", "be", "of", "yes", "okay", "so", "number", "my", "in",
];
const BEFORE_A_VERB: &[&str] =
    &["to", "i", "we", "you", "they", "can", "could", "please", "ill", "id", "lets", "wanna", "would", "in"];
const TIMES: &[&str] = &[
    "am", "pm", "oclock", "days", "day", "weeks", "week", "months", "month", "years", "year", "times",
    "hours", "hour", "minutes", "minute", "percent", "items", "pieces", "people",
];
const CORRECTIONS: &[&str] = &[
    "no",
    "sorry",
    "wait",
    "i",
    "mean",
    "actually",
    "correction",
    "not",
    "that",
    "was",
    "wrong",
    "um",
    "uh",
];
