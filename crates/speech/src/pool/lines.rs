//! Makes lines of a transcript out of what a listener tells: numbers utterances, finds stable prefixes, writes
//! no word twice when sound was heard twice, and says where nothing was heard. Pure: news in, news out.

use std::time::Duration;

use segue_trigger::{Speaker, Stage};

use super::{
    Gap, GapCause, Heard, Hypothesis,
    ear::agreed,
    stream::{Standing, Told, Word},
};

/// The lines of one voice.
#[derive(Debug)]
pub(super) struct Lines {
    speaker: Speaker,
    partials: bool,
    longest: Duration,
    segments: u64,
    open: Option<Open>,
    /// Words before that are written.
    settled_until: Duration,
    /// Sound before that was heard, or is told as a gap.
    heard_until: Option<Duration>,
}

/// The utterance that is being spoken.
#[derive(Debug)]
struct Open {
    number: u64,
    settled: Vec<Word>,
    growing: Vec<Word>,
    told: String,
}

impl Lines {
    pub(super) fn new(speaker: Speaker, partials: bool, longest: Duration) -> Lines {
        Lines {
            speaker,
            partials,
            longest,
            segments: 0,
            open: None,
            settled_until: Duration::ZERO,
            heard_until: None,
        }
    }

    /// Sound begins, or goes on after a hole in the line in which there was nothing to hear.
    pub(super) fn begin(&mut self, at: Duration) {
        self.heard_until = self.heard_until.or(Some(at));
    }

    /// Whether somebody is speaking.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn on(&mut self, told: Told) -> Vec<Heard> {
        let mut heard = Vec::new();
        match told {
            Told::Words { words, standing, until } => self.words(words, (standing, until), &mut heard),
            Told::Paused => self.close(&mut heard),
            Told::Silent { until } => self.heard_until = self.heard_until.max(Some(until)),
            Told::Forgotten { before } => self.forgotten(before, GapCause::EngineFailed, &mut heard),
        }
        heard
    }

    /// No news comes any more. With a cause, what was said until then and is not known is a gap.
    pub(super) fn finish(&mut self, until: Duration, cause: Option<GapCause>) -> Vec<Heard> {
        let mut heard = Vec::new();
        self.close(&mut heard);
        if let Some(cause) = cause {
            self.forgotten(until, cause, &mut heard);
        }
        heard
    }

    fn words(
        &mut self,
        mut words: Vec<Word>,
        (standing, until): (Standing, Duration),
        heard: &mut Vec<Heard>,
    ) {
        words.retain(|word| word.middle() >= self.settled_until && !word.text.is_empty());
        self.heard_until = self.heard_until.max(Some(until));
        if self.open.is_none() {
            let Some(first) = words.first() else { return };
            self.segments += 1;
            heard.push(Heard::Started { segment: self.segments, at: first.start });
        }
        let number = self.segments;
        let open = self.open.get_or_insert_with(|| Open::new(number));
        open.growing = words;
        if standing != Standing::Growing {
            open.settled.append(&mut open.growing);
            self.settled_until =
                open.settled.last().map_or(self.settled_until, |word| word.end.max(self.settled_until));
        }
        let silent = open.growing.is_empty() && until > self.settled_until + SILENCE;
        let long = open.settled.first().is_some_and(|first| self.settled_until > first.start + self.longest);
        if standing == Standing::Last || (standing == Standing::Settled && (silent || long)) {
            self.close(heard);
        } else {
            self.partial(until, heard);
        }
    }

    fn partial(&mut self, until: Duration, heard: &mut Vec<Heard>) {
        let Some(open) = self.open.as_mut().filter(|_| self.partials) else { return };
        let text = open.text();
        if text.is_empty() || text == open.told {
            return;
        }
        let stable = agreed(&open.told, &text).max(written(&open.settled).len());
        open.told.clone_from(&text);
        let confidence = open.confidence();
        let start = open.words().next().map_or(until, |word| word.start);
        heard.push(Heard::Hypothesis(Hypothesis {
            segment: open.number,
            speaker: self.speaker,
            text,
            stable,
            start,
            end: until.max(start),
            confidence,
            stage: Stage::Partial,
            language: None,
            level: None,
        }));
    }

    /// Ends the utterance with all that is known of it.
    fn close(&mut self, heard: &mut Vec<Heard>) {
        let Some(open) = self.open.take() else { return };
        let (Some(first), Some(last)) = (open.words().next(), open.words().last()) else {
            heard.push(Heard::Withdrawn { segment: open.number });
            return;
        };
        self.settled_until = self.settled_until.max(last.end);
        let text = open.text();
        heard.push(Heard::Hypothesis(Hypothesis {
            segment: open.number,
            speaker: self.speaker,
            stable: text.len(),
            text,
            start: first.start,
            end: last.end.max(first.start),
            confidence: open.confidence(),
            stage: Stage::Final,
            language: None,
            level: None,
        }));
    }

    fn forgotten(&mut self, before: Duration, cause: GapCause, heard: &mut Vec<Heard>) {
        if let Some(open) = &mut self.open {
            let kept = open.growing.partition_point(|word| word.middle() < before);
            open.settled.extend(open.growing.drain(..kept));
            self.settled_until =
                open.settled.last().map_or(self.settled_until, |word| word.end.max(self.settled_until));
        }
        let Some(from) = self.heard_until else { return };
        if before > from + GAP_MIN {
            self.close(heard);
            heard.push(Heard::Gap(Gap { segment: None, start: from, end: before, cause }));
            self.heard_until = Some(before);
        }
    }
}

impl Open {
    fn new(number: u64) -> Open {
        Open { number, settled: Vec::new(), growing: Vec::new(), told: String::new() }
    }

    fn words(&self) -> impl Iterator<Item = &Word> {
        self.settled.iter().chain(&self.growing)
    }

    fn text(&self) -> String {
        written(self.words())
    }

    fn confidence(&self) -> f32 {
        let (sum, count) =
            self.words().fold((0.0, 0.0), |(sum, count), word| (sum + word.confidence, count + 1.0));
        if count > 0.0 { (sum / count).clamp(0.0, 1.0) } else { 0.0 }
    }
}

fn written<'a>(words: impl IntoIterator<Item = &'a Word>) -> String {
    words.into_iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// Silence after the last settled word that ends an utterance, should the engine not say so.
const SILENCE: Duration = Duration::from_secs(1);
/// A shorter hole holds no word; engines tell how far they heard in steps of about as much.
const GAP_MIN: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f32) -> Duration {
        Duration::from_secs(1_000) + Duration::from_millis((seconds * 1_000.0) as u64)
    }

    /// Words of 400 ms, one every 500 ms.
    fn told(text: &str, from: f32, standing: Standing) -> Told {
        let words: Vec<Word> = text
            .split_whitespace()
            .enumerate()
            .map(|(place, text)| {
                let start = at(from + place as f32 * 0.5);
                let end = start + Duration::from_millis(400);
                Word { text: text.to_owned(), start, end, confidence: 0.8 }
            })
            .collect();
        let until = words.last().map_or(at(from), |word| word.end);
        Told::Words { words, standing, until }
    }

    fn lines() -> Lines {
        let mut lines = Lines::new(Speaker::Caller, true, Duration::from_secs(12));
        lines.begin(at(0.0));
        lines
    }

    fn brief(heard: &[Heard]) -> Vec<String> {
        let one = |news: &Heard| match news {
            Heard::Started { segment, .. } => format!("{segment} started"),
            Heard::Hypothesis(words) if words.stage == Stage::Final => {
                format!("{} {}.", words.segment, words.text)
            }
            Heard::Hypothesis(words) => {
                let (stable, rest) = words.text.split_at(words.stable);
                format!("{} {stable}|{rest}", words.segment)
            }
            Heard::Withdrawn { segment } => format!("{segment} withdrawn"),
            Heard::PutOff { segment, .. } => format!("{segment} put off"),
            Heard::Gap(gap) => format!("gap {}..{}", gap.start.as_millis(), gap.end.as_millis()),
        };
        heard.iter().map(one).collect()
    }

    fn all(news: Vec<Told>) -> Vec<String> {
        let mut lines = lines();
        brief(&news.into_iter().flat_map(|told| lines.on(told)).collect::<Vec<_>>())
    }

    #[test]
    fn interim_words_become_stable_by_agreement_and_settled_pieces_join_into_one_line() {
        use Standing::{Growing, Last, Settled};
        let news = vec![
            told("i", 0.0, Growing),
            told("i want", 0.0, Growing),
            told("i want", 0.0, Settled),
            told("a hum", 1.0, Growing),
            told("a human", 1.0, Last),
            told("thanks", 4.0, Last),
        ];
        let wanted = [
            "1 started",
            "1 |i",
            "1 i| want",
            "1 i want| a hum",
            "1 i want a human.",
            "2 started",
            "2 thanks.",
        ];
        assert_eq!(all(news), wanted);
    }

    #[test]
    fn sound_heard_again_writes_no_word_twice_and_keeps_words_that_are_not_heard_again() {
        use Standing::{Growing, Last, Settled};
        let news = vec![
            told("one two", 0.0, Settled),
            told("three four five six", 1.0, Growing),
            Told::Forgotten { before: at(2.1) },
            told("to three five six seven", 1.1, Growing),
            told("five six seven", 2.0, Last),
        ];
        assert_eq!(all(news).last().map(String::as_str), Some("1 one two three four five six seven."));
    }

    #[test]
    fn sound_that_was_never_heard_is_a_gap_and_the_line_before_it_is_ended() {
        use Standing::{Growing, Last};
        let news = vec![
            told("one two", 0.0, Growing),
            Told::Forgotten { before: at(6.0) },
            Told::Forgotten { before: at(6.1) },
            told("three", 6.0, Last),
        ];
        let wanted =
            ["1 started", "1 |one two", "1 one two.", "gap 1000900..1006000", "2 started", "2 three."];
        assert_eq!(all(news), wanted);
    }

    #[test]
    fn silence_that_was_never_heard_is_no_gap() {
        let news = vec![
            told("one", 0.0, Standing::Last),
            Told::Silent { until: at(60.0) },
            Told::Forgotten { before: at(60.1) },
            Told::Silent { until: at(70.0) },
            Told::Forgotten { before: at(71.0) },
        ];
        assert_eq!(all(news), ["1 started", "1 one.", "gap 1070000..1071000"]);
    }

    #[test]
    fn words_taken_back_are_withdrawn_and_silence_ends_a_line() {
        use Standing::{Growing, Settled};
        let news = vec![
            told("uh", 0.0, Growing),
            told("", 0.5, Growing),
            Told::Paused,
            told("yes", 1.0, Settled),
            told("", 2.0, Settled),
            told("", 3.0, Settled),
        ];
        assert_eq!(all(news), ["1 started", "1 |uh", "1 withdrawn", "2 started", "2 yes|", "2 yes."]);
    }

    #[test]
    fn a_speech_without_a_pause_is_cut_at_the_longest_line() {
        let mut lines = Lines::new(Speaker::Agent, false, Duration::from_secs(2));
        let mut heard = Vec::new();
        for piece in 0_u8..4 {
            heard.extend(lines.on(told("and so", f32::from(piece), Standing::Settled)));
        }
        heard.extend(lines.finish(at(4.0), None));
        assert_eq!(brief(&heard), ["1 started", "1 and so and so and so.", "2 started", "2 and so."]);
    }

    #[test]
    fn what_is_open_at_the_end_is_told_and_what_was_not_heard_is_a_gap() {
        let mut lines = lines();
        lines.on(told("one two", 0.0, Standing::Growing));
        let heard = lines.finish(at(3.0), Some(GapCause::Stopped));
        assert_eq!(brief(&heard), ["1 one two.", "gap 1000900..1003000"]);
    }
}
