//! Whether words that came from a leg are what was played to it: a loudspeaker that its own microphone hears, a
//! hybrid in the network that sends part of the sound back.
//!
//! Three things tell an echo: its words are those of what was played, in order; they come as much later as sound
//! travels; and it is quieter than the party itself. Words alone do not, as people repeat what they are told, and
//! neither does time, as people interrupt. Where words within speech are an echo and others are not, the others stay.

use std::time::Duration;

use strsim::levenshtein;

/// Words with the time at which each was said, as far as that is known of speech between two moments: those with
/// more letters take longer.
#[derive(Clone, Debug)]
pub(crate) struct Timed {
    words: Vec<Word>,
    start: f64,
    end: f64,
}

#[derive(Clone, Debug)]
struct Word {
    /// As it was written.
    text: String,
    /// Letters and digits in lower case.
    plain: String,
    /// Its middle, in seconds.
    at: f64,
}

/// How loud speech was beside what its speaker is used to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loudness {
    /// Nobody measured it, or not yet.
    Unknown,
    /// As the speaker speaks.
    Usual,
    /// 6 dB or more below.
    Low,
    /// 10 dB or more below.
    VeryLow,
}

impl Loudness {
    /// Of a level beside the usual one, both in dB.
    pub(crate) fn of(level: Option<f32>, usual: Option<f32>) -> Self {
        match level.zip(usual).map(|(level, usual)| usual - level) {
            None => Self::Unknown,
            Some(below) if below >= FAR_BELOW => Self::VeryLow,
            Some(below) if below >= BELOW => Self::Low,
            Some(_) => Self::Usual,
        }
    }

    fn is_low(self) -> bool {
        matches!(self, Self::Low | Self::VeryLow)
    }
}

/// What is believed of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The party said them.
    Own,
    /// All are an echo.
    Echo,
    /// A part is an echo; this is the rest.
    Partly(String),
}

impl Timed {
    /// Words that were said between two moments.
    pub(crate) fn new(text: &str, start: Duration, end: Duration) -> Self {
        let (start, end) = (start.as_secs_f64(), end.max(start).as_secs_f64());
        let mut words = Vec::new();
        let mut letters = 0.0;
        for text in text.split_whitespace() {
            let plain: String = text.chars().filter(|letter| letter.is_alphanumeric()).collect();
            if plain.is_empty() {
                continue;
            }
            let length = plain.chars().count() as f64 + 1.0;
            words.push(Word {
                text: text.to_owned(),
                plain: plain.to_lowercase(),
                at: letters + length / 2.0,
            });
            letters += length;
        }
        for word in &mut words {
            word.at = start + (end - start) * word.at / letters.max(1.0);
        }
        Self { words, start, end }
    }

    /// Without what comes after a moment.
    pub(crate) fn until(mut self, end: Duration) -> Self {
        let end = end.as_secs_f64();
        self.words.retain(|word| word.at <= end);
        Self { end: self.end.min(end), ..self }
    }

    /// Everything together, in the order of time.
    pub(crate) fn joined(parts: impl Iterator<Item = Self>) -> Option<Self> {
        let mut all = parts.reduce(|mut one, mut other| {
            one.words.append(&mut other.words);
            Self { words: one.words, start: one.start.min(other.start), end: one.end.max(other.end) }
        })?;
        all.words.sort_by(|one, other| one.at.total_cmp(&other.at));
        Some(all)
    }

    /// Words near a moment, at most so many: nothing else can be an echo of them.
    fn near(&self, from: f64, to: f64) -> Vec<&Word> {
        let near = |word: &&Word| word.at >= from && word.at <= to;
        self.words.iter().filter(near).take(WORDS_MAX).collect()
    }

    /// Whether speech overlaps this, or what echoes of it.
    pub(crate) fn meets(&self, said: &Timed) -> bool {
        said.start < self.end + LAG_MAX && said.end > self.start
    }
}

/// Judges words by what was played meanwhile.
pub(crate) fn judge(said: &Timed, played: &Timed, loudness: Loudness) -> Verdict {
    if said.words.is_empty() || !played.meets(said) {
        return Verdict::Own;
    }
    let words: Vec<&Word> = said.words.iter().take(WORDS_MAX).collect();
    let theirs = played.near(said.start - LAG_MAX - SLACK, said.end + SLACK);
    let matched = alignment(&words, &theirs, loudness);
    let hits = matched.iter().filter(|hit| **hit).count();
    let within = said.start >= played.start - EARLY && said.end <= played.end + LAG_MAX;
    // Who speaks so softly while we speak, and all the while, is not speaking to us; a word or two may be.
    if within && words.len() > FEW && loudness == Loudness::VeryLow {
        return Verdict::Echo;
    }
    if within && loudness.is_low() && hits * 3 >= words.len() {
        return Verdict::Echo;
    }
    if words.len() <= FEW {
        let all = hits == words.len();
        return if all && loudness == Loudness::Unknown { Verdict::Echo } else { Verdict::Own };
    }
    let coincides =
        within && said.start - played.start < EARLY_ECHO && (said.end - played.end).abs() < LAG_MAX;
    if coincides && loudness != Loudness::Usual && hits * 3 >= words.len() {
        return Verdict::Echo;
    }
    without_runs(&words, &matched, played.end)
}

/// Takes out what is an echo: runs of the other's words.
fn without_runs(words: &[&Word], matched: &[bool], played_until: f64) -> Verdict {
    let mut echo = vec![false; words.len()];
    for (from, to, hits) in runs(matched) {
        if hits >= RUN_MIN {
            echo.iter_mut().take(to).skip(from).for_each(|word| *word = true);
        }
    }
    let echoed = echo.iter().filter(|word| **word).count();
    if echoed == 0 {
        return Verdict::Own;
    }
    // Words that were said while the other still spoke are its own words misheard, if most are its words.
    let inside = |word: &Word| word.at <= played_until + SLACK;
    let meanwhile = words.iter().filter(|word| inside(word)).count();
    let mostly = echoed * 10 >= meanwhile * 7;
    let rest: Vec<&str> = words
        .iter()
        .zip(&echo)
        .filter(|(word, echo)| !(**echo || mostly && inside(word)))
        .map(|(word, _)| word.text.as_str())
        .collect();
    if rest.is_empty() { Verdict::Echo } else { Verdict::Partly(rest.join(" ")) }
}

/// Stretches of matched words, as first, one past the last, and how many of them match. One word between two such
/// stretches was misheard; a single word behind a gap may be anybody's.
fn runs(matched: &[bool]) -> Vec<(usize, usize, usize)> {
    let mut stretches: Vec<(usize, usize)> = Vec::new();
    for (place, _) in matched.iter().enumerate().filter(|(_, hit)| **hit) {
        match stretches.last_mut() {
            Some((_, end)) if place == *end => *end += 1,
            Some(_) | None => stretches.push((place, place + 1)),
        }
    }
    let mut runs: Vec<(usize, usize, usize)> = Vec::new();
    for (from, to) in stretches {
        match runs.last_mut() {
            Some((_, end, hits)) if from == *end + 1 && to - from > 1 => {
                (*end, *hits) = (to, *hits + to - from)
            }
            Some(_) | None => runs.push((from, to, to - from)),
        }
    }
    runs
}

/// Which of the words stand in the longest common sequence with the played ones, each as much later as an echo is.
fn alignment(words: &[&Word], played: &[&Word], loudness: Loudness) -> Vec<bool> {
    let few = words.len() <= FEW;
    let (soonest, latest) = match loudness {
        Loudness::Low | Loudness::VeryLow => (-SLACK, LAG_MAX + SLACK),
        Loudness::Unknown | Loudness::Usual if few => (-SLACK / 2.0, LAG_MAX),
        Loudness::Unknown | Loudness::Usual => (-SLACK, LAG_MAX + SLACK / 2.0),
    };
    let same = |one: &Word, other: &Word| {
        let lag = one.at - other.at;
        lag >= soonest && lag <= latest && alike(&one.plain, &other.plain, few)
    };
    let width = played.len() + 1;
    let mut longest = vec![0_u16; (words.len() + 1) * width];
    let at =
        |longest: &[u16], row: usize, column: usize| longest.get(row * width + column).copied().unwrap_or(0);
    for (row, word) in words.iter().enumerate().rev() {
        for (column, other) in played.iter().enumerate().rev() {
            let best = if same(word, other) {
                at(&longest, row + 1, column + 1) + 1
            } else {
                at(&longest, row + 1, column).max(at(&longest, row, column + 1))
            };
            if let Some(cell) = longest.get_mut(row * width + column) {
                *cell = best;
            }
        }
    }
    let mut matched = vec![false; words.len()];
    let (mut row, mut column) = (0, 0);
    while let (Some(word), Some(other)) = (words.get(row), played.get(column)) {
        if same(word, other) {
            if let Some(hit) = matched.get_mut(row) {
                *hit = true;
            }
            (row, column) = (row + 1, column + 1);
        } else if at(&longest, row + 1, column) >= at(&longest, row, column + 1) {
            row += 1;
        } else {
            column += 1;
        }
    }
    matched
}

/// Whether a word may be the other, heard by a recogniser. Where there are few words, each has to be right.
fn alike(one: &str, other: &str, exactly: bool) -> bool {
    if one == other {
        return true;
    }
    let shorter = one.chars().count().min(other.chars().count());
    !exactly && shorter >= 4 && levenshtein(one, other) * 3 <= shorter
}

/// dB below the usual level from which speech may be an echo.
const BELOW: f32 = 6.0;
/// And from which it hardly is anything else.
const FAR_BELOW: f32 = 10.0;
/// Seconds that sound takes to the far side and back at most, buffers on both ways included.
const LAG_MAX: f64 = 0.8;
/// Seconds by which the place of a word within speech is guessed wrong at most.
const SLACK: f64 = 1.0;
/// Seconds by which speech may seem to begin before its cause.
const EARLY: f64 = 0.15;
/// Seconds within which an echo of the beginning begins.
const EARLY_ECHO: f64 = 0.6;
/// So many words, or fewer, are judged one by one.
const FEW: usize = 2;
/// Words in a row that nobody repeats by chance at the same time.
const RUN_MIN: usize = 3;
/// Words that are looked at: half a minute of speech.
const WORDS_MAX: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    const PROMPT: &str =
        "Welcome. You can ask for a person at any time, say agent or press zero. I am connecting you now.";

    fn timed(text: &str, start: u64, end: u64) -> Timed {
        Timed::new(text, Duration::from_millis(start), Duration::from_millis(end))
    }

    /// The prompt is played from second 10 to second 16.
    fn check(text: &str, (start, end): (u64, u64), loudness: Loudness, expected: &Verdict) {
        let played = timed(PROMPT, 10_000, 16_000);
        assert_eq!(&judge(&timed(text, start, end), &played, loudness), expected, "{text:?} {loudness:?}");
    }

    #[test]
    fn the_prompt_itself_is_an_echo_however_loud_it_comes_back_and_badly_it_is_heard() {
        let heard =
            "welcome you can ask for a parson at any time say agent or dress zero i am connecting you now";
        for loudness in [Loudness::Unknown, Loudness::Usual, Loudness::Low, Loudness::VeryLow] {
            check(heard, (10_120, 16_120), loudness, &Verdict::Echo);
        }
        // As far as it was heard by then.
        check("you can ask for", (10_800, 12_000), Loudness::Unknown, &Verdict::Echo);
        check("any time say agent or", (12_400, 14_000), Loudness::Unknown, &Verdict::Echo);
    }

    #[test]
    fn a_request_over_the_prompt_is_the_callers() {
        for loudness in [Loudness::Unknown, Loudness::Usual] {
            check("i want to talk to a human", (11_500, 13_500), loudness, &Verdict::Own);
            check("can i talk to a person please", (10_800, 12_500), loudness, &Verdict::Own);
        }
        check("agent", (13_300, 13_700), Loudness::Usual, &Verdict::Own);
        check("a person", (11_800, 12_300), Loudness::Usual, &Verdict::Own);
        // Before the prompt says it.
        check("agent", (10_400, 10_800), Loudness::Unknown, &Verdict::Own);
        // After it, in answer.
        check("agent", (16_900, 17_300), Loudness::Unknown, &Verdict::Own);
        check("agent", (16_900, 17_300), Loudness::Low, &Verdict::Own);
    }

    #[test]
    fn a_single_word_is_an_echo_where_the_prompt_says_it_and_it_is_low_or_nobody_spoke_yet() {
        check("agent", (13_500, 13_900), Loudness::Low, &Verdict::Echo);
        check("agent", (13_500, 13_900), Loudness::Unknown, &Verdict::Echo);
        check("human", (13_500, 13_900), Loudness::Unknown, &Verdict::Own);
        check("no", (13_500, 13_900), Loudness::VeryLow, &Verdict::Own);
    }

    #[test]
    fn what_the_caller_says_behind_an_echo_stays() {
        check(
            "you can ask for a person at any time say agent no i want my money back",
            (10_700, 16_500),
            Loudness::Usual,
            &Verdict::Partly("no i want my money back".to_owned()),
        );
        check(
            "or press zero i am connecting you now wait i need my password",
            (14_000, 19_000),
            Loudness::Unknown,
            &Verdict::Partly("wait i need my password".to_owned()),
        );
    }

    #[test]
    fn soft_nonsense_all_the_while_is_an_echo_that_nobody_understood() {
        check("well come to canister per sun", (10_200, 12_700), Loudness::VeryLow, &Verdict::Echo);
        check("well come to canister per sun", (10_200, 12_700), Loudness::Usual, &Verdict::Own);
    }

    #[test]
    fn repeating_afterwards_is_no_echo() {
        let played = timed("would you like to cancel your order or track your order", 10_000, 13_000);
        let said = timed("track my order", 13_900, 14_700);
        assert_eq!(judge(&said, &played, Loudness::Usual), Verdict::Own);
        assert_eq!(judge(&said, &played, Loudness::Unknown), Verdict::Own);
    }

    #[test]
    fn loudness_is_told_by_the_distance_from_the_usual() {
        assert_eq!(Loudness::of(Some(-34.0), Some(-20.0)), Loudness::VeryLow);
        assert_eq!(Loudness::of(Some(-26.5), Some(-20.0)), Loudness::Low);
        assert_eq!(Loudness::of(Some(-22.0), Some(-20.0)), Loudness::Usual);
        assert_eq!(Loudness::of(None, Some(-20.0)), Loudness::Unknown);
    }
}
