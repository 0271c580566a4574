//! What is believed of a hypothesis. Whisper writes something even where nothing was said.

/// One run of the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Attempt {
    pub(super) text: String,
    /// Mean probability of the text's tokens.
    pub(super) probability: f32,
    /// Probability that nothing was said.
    pub(super) no_speech: f32,
    pub(super) tokens: usize,
}

/// What to do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// These words were said.
    Words(String),
    /// Nothing was said.
    Nothing,
    /// The model lost its way; another attempt may help.
    Broken,
}

/// Judges a run over so many seconds of sound.
pub(super) fn judge(attempt: &Attempt, seconds: f32) -> Verdict {
    let text = without_remarks(&attempt.text);
    if !text.chars().any(char::is_alphanumeric) {
        return Verdict::Nothing;
    }
    if attempt.no_speech > NO_SPEECH_MAX && attempt.probability < PROBABILITY_MIN {
        return Verdict::Nothing;
    }
    if attempt.probability < ARTEFACT_SURE && is_artefact(&text) {
        return Verdict::Nothing;
    }
    if repeats(&text) || too_many_words(&text, seconds) {
        return Verdict::Broken;
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

const NO_SPEECH_MAX: f32 = 0.6;
const PROBABILITY_MIN: f32 = 0.4;
const ARTEFACT_SURE: f32 = 0.8;

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str, probability: f32, no_speech: f32) -> Verdict {
        judge(&Attempt { text: text.to_owned(), probability, no_speech, tokens: 5 }, 3.0)
    }

    fn words(text: &str) -> Verdict {
        Verdict::Words(text.to_owned())
    }

    #[test]
    fn words_are_kept_and_spaces_put_in_order() {
        assert_eq!(heard("  I want  a human. ", 0.9, 0.1), words("I want a human."));
    }

    #[test]
    fn remarks_are_taken_out_and_a_remark_alone_is_nothing() {
        for text in ["[BLANK_AUDIO]", "(music)", "*sighs*", "♪♪", " . ", "", "[Music] (applause)", "(upbeat"]
        {
            assert_eq!(heard(text, 0.9, 0.1), Verdict::Nothing, "{text:?}");
        }
        assert_eq!(heard("(coughs) my order is late [noise]", 0.9, 0.1), words("my order is late"));
    }

    #[test]
    fn an_unsure_text_over_likely_silence_is_nothing() {
        assert_eq!(heard("you", 0.3, 0.7), Verdict::Nothing);
        assert_eq!(heard("you", 0.3, 0.5), words("you"));
        assert_eq!(heard("you", 0.5, 0.7), words("you"));
    }

    #[test]
    fn subtitles_of_the_training_are_nothing_unless_sure() {
        assert_eq!(heard("Thanks for watching!", 0.6, 0.1), Verdict::Nothing);
        assert_eq!(heard("Thanks for watching!", 0.95, 0.1), words("Thanks for watching!"));
    }

    #[test]
    fn a_text_that_turns_in_circles_is_broken() {
        for text in [
            "no no no no no no no",
            "I want I want I want I want I want",
            "so so so so so so so so so",
            "thank you very much. Thank you very much, thank you very much. Thank you very much.",
        ] {
            assert_eq!(heard(text, 0.9, 0.1), Verdict::Broken, "{text:?}");
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
            assert_eq!(heard(text, 0.9, 0.1), words(text), "{text:?}");
        }
    }

    #[test]
    fn more_words_than_a_mouth_can_say_are_broken() {
        let many: Vec<String> = (0..40).map(|number| format!("w{number}")).collect();
        assert_eq!(heard(&many.join(" "), 0.9, 0.1), Verdict::Broken);
    }
}
