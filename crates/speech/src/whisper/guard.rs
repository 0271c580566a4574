//! What is believed of a hypothesis. Whisper writes something even where nothing was said.

/// One run of the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Attempt {
    pub(super) text: String,
    /// Mean probability of the text's tokens.
    pub(super) probability: f32,
    pub(super) tokens: usize,
}

/// What to do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// These words were said.
    Words(String),
    /// Nothing was said.
    Nothing,
    /// Words, and too little behind them.
    Unsure,
    /// The model lost its way; another attempt may help.
    Broken,
}

/// Judges a run over so many seconds of sound; `confidence_min` is the model's own ([`Traits`](crate::models::Traits)).
///
/// whisper.cpp 1.8 has no probability of silence to go by: it reads it from a row that it has not computed.
pub(super) fn judge(attempt: &Attempt, seconds: f32, confidence_min: f32) -> Verdict {
    let text = without_remarks(&attempt.text);
    if !text.chars().any(char::is_alphanumeric) {
        return Verdict::Nothing;
    }
    if attempt.probability < ARTEFACT_SURE && is_artefact(&text) {
        return Verdict::Nothing;
    }
    if repeats(&text) || too_many_words(&text, seconds) {
        return Verdict::Broken;
    }
    if attempt.probability < confidence_min {
        return Verdict::Unsure;
    }
    Verdict::Words(text)
}

/// Takes out what is in brackets or between stars and notes, and doubled spaces.
fn without_remarks(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut closing: Option<char> = None;
    for letter in text.chars() {
        match (closing, letter) {
            (Some(end), letter) if letter == end => closing = None,
            (Some(_), _) => {}
            (None, '[') => closing = Some(']'),
            (None, '(') => closing = Some(')'),
            (None, '*') => closing = Some('*'),
            (None, '♪' | '♫') => kept.push(' '),
            (None, letter) => kept.push(letter),
        }
    }
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the published models learned from subtitles and write over silence.
fn is_artefact(text: &str) -> bool {
    let plain: String = text.chars().filter(|letter| letter.is_alphanumeric() || *letter == ' ').collect();
    let plain = plain.to_lowercase();
    [
        "thank you for watching",
        "thanks for watching",
        "subtitles by",
        "please subscribe",
        "see you in the next video",
    ]
    .iter()
    .any(|artefact| plain.starts_with(artefact))
}

/// One to four words, said four times in a row, over half of the text.
fn repeats(text: &str) -> bool {
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| word.trim_matches(|letter: char| !letter.is_alphanumeric()).to_lowercase())
        .collect();
    (1..=4).any(|length| {
        let longest = longest_run(&words, length);
        longest >= 4 && longest * length * 2 > words.len() && longest * length >= 6
    })
}

/// How often a phrase of that many words follows itself at most.
fn longest_run(words: &[String], length: usize) -> usize {
    let mut longest = 0;
    let mut matched = 0;
    for (word, earlier) in words.iter().skip(length).zip(words) {
        matched = if word == earlier { matched + 1 } else { 0 };
        longest = longest.max(matched);
    }
    if longest == 0 { 1 } else { longest / length + 1 }
}

/// Nobody says more than eight words a second.
fn too_many_words(text: &str, seconds: f32) -> bool {
    text.split_whitespace().count() as f32 > 4.0 + 8.0 * seconds
}

const ARTEFACT_SURE: f32 = 0.8;

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str, probability: f32) -> Verdict {
        judge(&Attempt { text: text.to_owned(), probability, tokens: 5 }, 3.0, 0.4)
    }

    fn words(text: &str) -> Verdict {
        Verdict::Words(text.to_owned())
    }

    #[test]
    fn words_are_kept_and_spaces_put_in_order() {
        assert_eq!(heard("  I want  a human. ", 0.9), words("I want a human."));
    }

    #[test]
    fn remarks_are_taken_out_and_a_remark_alone_is_nothing() {
        for text in ["[BLANK_AUDIO]", "(music)", "*sighs*", "♪♪", " . ", "", "[Music] (applause)", "(upbeat"]
        {
            assert_eq!(heard(text, 0.9), Verdict::Nothing, "{text:?}");
        }
        assert_eq!(heard("(coughs) my order is late [noise]", 0.9), words("my order is late"));
    }

    #[test]
    fn a_text_below_the_models_own_confidence_is_unsure() {
        let cases = [
            ("agents thinks for up as soon a", 0.64, 0.75, Verdict::Unsure),
            ("i want a human", 0.89, 0.75, words("i want a human")),
            ("you", 0.75, 0.75, words("you")),
            ("you", 0.64, 0.4, words("you")),
            ("you", 0.39, 0.4, Verdict::Unsure),
            ("you", 0.01, 0.0, words("you")),
            // No word is no doubt, and what turns in circles is worth another attempt.
            ("[noise]", 0.1, 0.75, Verdict::Nothing),
            ("no no no no no no no", 0.1, 0.75, Verdict::Broken),
        ];
        for (text, probability, confidence_min, verdict) in cases {
            let attempt = Attempt { text: text.to_owned(), probability, tokens: 5 };
            assert_eq!(judge(&attempt, 3.0, confidence_min), verdict, "{text:?} at {probability}");
        }
    }

    #[test]
    fn subtitles_of_the_training_are_nothing_unless_sure() {
        assert_eq!(heard("Thanks for watching!", 0.6), Verdict::Nothing);
        assert_eq!(heard("Thanks for watching!", 0.95), words("Thanks for watching!"));
    }

    #[test]
    fn a_text_that_turns_in_circles_is_broken() {
        for text in [
            "no no no no no no no",
            "I want I want I want I want I want",
            "so so so so so so so so so",
            "thank you very much. Thank you very much, thank you very much. Thank you very much.",
        ] {
            assert_eq!(heard(text, 0.9), Verdict::Broken, "{text:?}");
        }
    }

    #[test]
    fn people_may_repeat_themselves() {
        for text in [
            "no no no",
            "nine nine nine nine",
            "agent agent agent",
            "yes yes I know I know",
            "one one two two three three",
        ] {
            assert_eq!(heard(text, 0.9), words(text), "{text:?}");
        }
    }

    #[test]
    fn more_words_than_a_mouth_can_say_are_broken() {
        let many: Vec<String> = (0..40).map(|number| format!("w{number}")).collect();
        assert_eq!(heard(&many.join(" "), 0.9), Verdict::Broken);
    }
}
