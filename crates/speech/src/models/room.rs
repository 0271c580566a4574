//! Room for what an utterance needs and no more: a whisper.cpp file, in memory, with its last positions cut off.
//!
//! A published model has positions for 30 s of sound and 448 tokens, and each decoder holds memory for all of them.
//! Utterances end after 12 s. A position that is not used changes nothing: the embeddings of the others, and all
//! weights, stay as they are.

use super::{
    shapes::MAGIC,
    tensors::{block, rows},
};

/// Positions that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Of the encoder, 50 a second.
    pub(crate) sound: u32,
    /// Of the decoder, one a token.
    pub(crate) text: u32,
}

impl Room {
    /// Cuts the file. One that is smaller already, or that is not understood, stays as it is: whether it is a model
    /// is for the loader to say.
    pub(crate) fn make(self, file: &mut Vec<u8>) {
        let Some([sound, text]) = places(file) else { return };
        // The later one first, so that the other's place stays true.
        let mut both = [(sound, self.sound, SOUND_AT), (text, self.text, TEXT_AT)];
        both.sort_by_key(|(embedding, ..)| std::cmp::Reverse(embedding.rows_at));
        for (embedding, kept, header) in both {
            if kept < embedding.rows {
                embedding.cut(file, kept, header);
            }
        }
    }
}

/// A table with a row for each position.
#[derive(Clone, Copy)]
struct Embedding {
    /// Where in the file the number of rows is.
    rows_at: usize,
    rows: u32,
    /// Where its first row is, and how many bytes one has.
    data_at: usize,
    row: usize,
}

impl Embedding {
    fn cut(&self, file: &mut Vec<u8>, kept: u32, header: usize) {
        let row = |number: u32| self.data_at + number as usize * self.row;
        file.drain(row(kept)..row(self.rows));
        for at in [self.rows_at, header] {
            if let Some(number) = file.get_mut(at..at + 4) {
                number.copy_from_slice(&kept.to_le_bytes());
            }
        }
    }
}

/// The positions of sound and of text.
fn places(file: &[u8]) -> Option<[Embedding; 2]> {
    let mut walk = Walk { file, place: 0 };
    if walk.number()? != MAGIC {
        return None;
    }
    let header: Vec<u32> = (0..11).map_while(|_| walk.number()).collect();
    let (words, sound, text) = (*header.first()?, *header.get(1)?, *header.get(5)?);
    let filters = (walk.number()? as usize).checked_mul(walk.number()? as usize)?;
    walk.skip(filters.checked_mul(4)?)?;
    for _ in 0..walk.number()?.min(words) {
        let length = walk.number()?;
        walk.skip(length as usize)?;
    }
    let (mut of_sound, mut of_text) = (None, None);
    while of_sound.is_none() || of_text.is_none() {
        let (name, found) = walk.tensor()?;
        match name {
            b"encoder.positional_embedding" => of_sound = found.filter(|found| found.rows == sound),
            b"decoder.positional_embedding" => of_text = found.filter(|found| found.rows == text),
            _ => {}
        }
    }
    Some([of_sound?, of_text?])
}

struct Walk<'a> {
    file: &'a [u8],
    place: usize,
}

impl<'a> Walk<'a> {
    /// The name of the next tensor, and where it is if it has two dimensions and whole blocks a row.
    fn tensor(&mut self) -> Option<(&'a [u8], Option<Embedding>)> {
        let (dimensions, length, kind) = (self.number()?, self.number()?, self.number()?);
        if !(1..=4).contains(&dimensions) {
            return None;
        }
        let sizes_at = self.place;
        let sizes: Vec<u32> = (0..dimensions).map_while(|_| self.number()).collect();
        let name = self.file.get(self.place..self.place.checked_add(length as usize)?)?;
        self.place += name.len();
        let (bytes, elements) = block(kind)?;
        let row = usize::try_from(u64::from(*sizes.first()?) / elements * bytes).ok()?;
        let all = rows(&sizes)?;
        let data_at = self.place;
        self.skip(row.checked_mul(usize::try_from(all).ok()?)?)?;
        let found = (sizes.len() == 2).then_some(Embedding {
            rows_at: sizes_at + 4,
            rows: u32::try_from(all).ok()?,
            data_at,
            row,
        });
        Some((name, found))
    }

    fn number(&mut self) -> Option<u32> {
        let bytes = self.file.get(self.place..)?.first_chunk::<4>()?;
        self.place += 4;
        Some(u32::from_le_bytes(*bytes))
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        let place = self.place.checked_add(bytes)?;
        self.place = (place <= self.file.len()).then_some(place)?;
        Some(())
    }
}

/// Where the header has `n_audio_ctx` and `n_text_ctx`.
const SOUND_AT: usize = 8;
const TEXT_AT: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Shape;

    const ROOM: Room = Room { sound: 768, text: 256 };

    #[test]
    fn what_is_cut_off_is_the_last_positions_and_nothing_else() {
        let whole = Shape::SMALLEST.random_model(1);
        let mut cut = whole.clone();
        ROOM.make(&mut cut);
        let row = 64 * 4;
        assert_eq!(whole.len() - cut.len(), (1_500 - 768) * row + (448 - 256) * row);
        let [sound, text] = places(&cut).unwrap();
        assert_eq!((sound.rows, text.rows), (768, 256));
        let [sound_before, text_before] = places(&whole).unwrap();
        for (before, after) in [(sound_before, sound), (text_before, text)] {
            let bytes = after.rows as usize * row;
            assert!(whole[before.data_at..][..bytes] == cut[after.data_at..][..bytes]);
        }
        assert!(whole.ends_with(&cut[text.data_at + 256 * row..]));
    }

    #[test]
    fn a_file_that_has_no_more_and_one_that_is_none_stay_as_they_are() {
        let mut cut = Shape::SMALLEST.random_model(1);
        ROOM.make(&mut cut);
        for file in [cut.clone(), cut[..cut.len() / 2].to_vec(), b"hello".to_vec(), Vec::new()] {
            let mut again = file.clone();
            ROOM.make(&mut again);
            assert!(again == file, "{} bytes", file.len());
        }
        let whole = Shape::SMALLEST.random_model(1);
        let mut short = whole[..100_000].to_vec();
        ROOM.make(&mut short);
        assert!(whole.starts_with(&short));
    }
}
