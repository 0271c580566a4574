//! Whether a recognised word may be another word that the recogniser got slightly wrong.
//!
//! Two measures, each cheap: the number of letters to change, and a rough key of the consonants as they sound.

/// A word made ready to be compared: its letters, which of them occur, and its sound.
#[derive(Clone, Debug)]
pub(crate) struct Sound {
    letters: Vec<char>,
    /// One bit for each letter that occurs, to leave out most comparisons.
    occurring: u32,
    key: String,
}

impl Sound {
    /// Makes a word ready.
    pub(crate) fn of(word: &str) -> Self {
        let letters: Vec<char> = word.chars().collect();
        let bit = |letter: &char| 1_u32 << (u32::from(*letter) % 32);
        Self {
            occurring: letters.iter().map(bit).fold(0, |all, bit| all | bit),
            key: sound_key(&letters),
            letters,
        }
    }

    /// Whether this word, as it was heard, may stand for the other one.
    pub(crate) fn may_be(&self, meant: &Self) -> bool {
        let length = meant.letters.len();
        if length < SHORTEST || self.letters.len() < 3 || self.letters.len().abs_diff(length) > 3 {
            return false;
        }
        let same_sound = self.key.len() >= 2 && self.key == meant.key;
        let allowed = if same_sound { changes_by_sound(length) } else { changes_allowed(length) };
        // A change touches at most two letters' bits.
        let differing =
            usize::try_from((self.occurring ^ meant.occurring).count_ones()).unwrap_or(usize::MAX);
        differing <= 2 * allowed && distance(&self.letters, &meant.letters) <= allowed
    }
}

/// Shorter words are only ever themselves: one letter makes another word of them.
const SHORTEST: usize = 4;

fn changes_allowed(length: usize) -> usize {
    match length {
        0..=4 => 0,
        5..=6 => 1,
        7..=10 => 2,
        _ => 3,
    }
}

fn changes_by_sound(length: usize) -> usize {
    if length <= 6 { 2 } else { 4 }
}

/// Letters inserted, dropped, exchanged or swapped with their neighbour (optimal string alignment).
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut left_before: Option<char> = None;
    for (row, &from) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        let mut right_before: Option<char> = None;
        for (column, &to) in right.iter().enumerate() {
            let at = |line: &[usize], place: usize| line.get(place).copied().unwrap_or(usize::MAX / 2);
            let exchanged = at(&last, column) + usize::from(from != to);
            let dropped = at(&last, column + 1) + 1;
            let inserted = at(&current, column) + 1;
            let mut best = exchanged.min(dropped).min(inserted);
            if column > 0 && left_before == Some(to) && right_before == Some(from) {
                best = best.min(at(&before_last, column - 1) + 1);
            }
            current.push(best);
            right_before = Some(to);
        }
        before_last = std::mem::replace(&mut last, current);
        left_before = Some(from);
    }
    last.last().copied().unwrap_or(0)
}

/// The consonants of a word as they sound, vowels only where the word begins with one.
fn sound_key(letters: &[char]) -> String {
    let mut key = String::with_capacity(letters.len());
    let mut at = 0;
    while let Some(&letter) = letters.get(at) {
        let next = letters.get(at + 1).copied();
        let (sound, taken) = sound_of(letter, next, at == 0);
        if let Some(sound) = sound
            && !key.ends_with(sound)
        {
            key.push(sound);
        }
        at += taken;
    }
    key
}

fn sound_of(letter: char, next: Option<char>, first: bool) -> (Option<char>, usize) {
    let soft = matches!(next, Some('e' | 'i' | 'y'));
    match (letter, next) {
        ('p', Some('h')) => (Some('f'), 2),
        ('s' | 'c', Some('h')) => (Some('x'), 2),
        ('t', Some('h')) => (Some('t'), 2),
        ('g', Some('h')) => (None, 2),
        ('c', Some('k')) => (Some('k'), 2),
        ('k', Some('n')) if first => (Some('n'), 2),
        ('w', Some('r')) if first => (Some('r'), 2),
        ('c' | 'z', _) if soft || letter == 'z' => (Some('s'), 1),
        ('c' | 'q', _) => (Some('k'), 1),
        ('g', _) if soft => (Some('j'), 1),
        ('v', _) => (Some('f'), 1),
        ('d', _) => (Some('t'), 1),
        ('x', _) => (Some('s'), 1),
        ('a' | 'e' | 'i' | 'o' | 'u', _) => (first.then_some('a'), 1),
        ('h' | 'w' | 'y', _) => (first.then_some(letter), 1),
        (other, _) => (Some(other), 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(heard: &str, meant: &str, alike: bool) {
        assert_eq!(Sound::of(heard).may_be(&Sound::of(meant)), alike, "{heard} for {meant}");
    }

    #[test]
    fn a_word_with_a_few_wrong_letters_is_recognised() {
        check("hyuman", "human", true);
        check("reel", "real", true);
        check("representive", "representative", true);
        check("reprazentativ", "representative", true);
        check("ajent", "agent", true);
        check("oparator", "operator", true);
        check("menager", "manager", true);
        check("supavisor", "supervisor", true);
        check("purson", "person", true);
        check("conect", "connect", true);
        check("persno", "person", true);
    }

    #[test]
    fn another_word_is_not() {
        check("urgent", "agent", false);
        check("event", "agent", false);
        check("woman", "human", false);
        check("reason", "person", false);
        check("walk", "talk", false);
        check("an", "agent", false);
        check("management", "manager", false);
        check("", "human", false);
    }

    #[test]
    fn the_distance_counts_a_swap_of_neighbours_once() {
        let count = |left: &str, right: &str| {
            distance(&left.chars().collect::<Vec<_>>(), &right.chars().collect::<Vec<_>>())
        };
        assert_eq!(count("abcd", "abdc"), 1);
        assert_eq!(count("", "abc"), 3);
        assert_eq!(count("abc", "abc"), 0);
        assert_eq!(count("kitten", "sitting"), 3);
    }
}
