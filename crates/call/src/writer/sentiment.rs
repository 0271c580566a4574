//! How the caller feels, from their words: a small lexicon with negation and strengtheners, −1 to 1.
//!
//! Later utterances weigh more, since an agent meets the caller as they are now.

use super::text;

/// The caller's sentiment over the call from that of each of their utterances, −1..=1; 0 if nothing was said with
/// feeling.
pub(super) fn over(scores: impl Iterator<Item = f32>) -> f32 {
    let mut total = 0.0;
    let mut weights = 0.0;
    for score in scores {
        total = total * FADE + score;
        weights = weights * FADE + if score == 0.0 { NEUTRAL_WEIGHT } else { 1.0 };
    }
    if weights > 0.0 { (total / weights).clamp(-1.0, 1.0) } else { 0.0 }
}

/// The sentiment of one text, −1..=1.
pub(super) fn of_text(text: &str) -> f32 {
    let words: Vec<String> = text
        .split(|letter: char| !letter.is_alphanumeric() && letter != '\'' && letter != '\u{2019}')
        .map(|word| word.chars().filter(|letter| letter.is_alphanumeric()).collect::<String>().to_lowercase())
        .filter(|word| !word.is_empty())
        .collect();
    let mut sum = 0.0;
    for (at, word) in words.iter().enumerate() {
        let Some(value) = value_of(word) else { continue };
        let before = words.get(at.saturating_sub(3)..at).unwrap_or_default();
        let stronger = before.last().is_some_and(|word| STRENGTHENERS.contains(&word.as_str()));
        let negated = before.iter().any(|word| NEGATIONS.contains(&word.as_str()));
        let felt = if stronger { value * 1.3 } else { value };
        sum += if negated { -felt * 0.6 } else { felt };
    }
    sum / (1.0 + sum * sum).sqrt()
}

fn value_of(word: &str) -> Option<f32> {
    let has = |list: &str| text::listed(list, word);
    if has(VERY_BAD) {
        Some(-1.2)
    } else if has(BAD) {
        Some(-0.6)
    } else if has(TROUBLE) {
        Some(-0.2)
    } else if has(VERY_GOOD) {
        Some(1.0)
    } else if has(GOOD) {
        Some(0.5)
    } else {
        None
    }
}

/// How much of an utterance's weight is left one utterance later.
const FADE: f32 = 0.7;
/// An utterance without feeling pulls towards the middle, but less than one with feeling pulls away.
const NEUTRAL_WEIGHT: f32 = 0.35;

const NEGATIONS: &[&str] = &[
    "not", "no", "never", "dont", "doesnt", "didnt", "isnt", "wasnt", "cant", "cannot", "couldnt", "wont",
    "wouldnt", "arent", "aint", "without", "hardly",
];
const STRENGTHENERS: &[&str] =
    &["very", "really", "so", "extremely", "absolutely", "totally", "completely", "too", "pretty", "such"];

const VERY_BAD: &str = "ridiculous unacceptable furious outrageous disgusting terrible horrible awful worst hate \
    useless pathetic scam fuck fucking shit bullshit livid appalling disgrace nightmare incompetent idiot idiots \
    liar liars stole robbed garbage lawsuit sue";
const BAD: &str = "angry upset annoyed annoying frustrated frustrating disappointed disappointing bad complain unhappy \
    poor unfair confused confusing worried fails sick tired waste wasted wasting stupid damn dammit crap rude ignored \
    unfortunately fed cheated lied joke crazy sad afraid scared mess ripped";
/// Words for the matter rather than for the feeling about it.
const TROUBLE: &str = "wrong broken problem problems issue issues complaint slow late missing lost damaged concerned \
    stuck fail failed fault faulty error waiting overcharged expensive never difficult impossible fraud stolen hacked \
    unauthorized";
const VERY_GOOD: &str =
    "excellent wonderful amazing fantastic perfect brilliant love awesome delighted superb";
const GOOD: &str = "good great thanks thank nice helpful happy pleased fine glad appreciate appreciated kind clear \
    easy fast works resolved solved lovely";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, sign: i8) {
        let score = of_text(text);
        assert!((-1.0..=1.0).contains(&score), "{text}: {score}");
        let found = if score < -0.1 {
            -1
        } else if score > 0.1 {
            1
        } else {
            0
        };
        assert_eq!(found, sign, "{text}: {score}");
    }

    #[test]
    fn words_of_feeling_decide_and_negation_turns_them() {
        check("This is ridiculous, I am so angry", -1);
        check("Great, thank you very much", 1);
        check("My order number is 1234", 0);
        check("That's not good at all", -1);
        check("no problem", 1);
        check("It isn't helpful", -1);
        check("", 0);
        check("I want a refund", 0);
    }
}
