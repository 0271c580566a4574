//! Adding a model of the user's own: is the file one, from its first byte to its last, and an entry for it in
//! `manifest.local.toml`, which an update of the program leaves alone.

use std::{
    fs::{File, OpenOptions},
    io::{BufReader, ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::{
    ModelCatalogue, ModelError, Verified,
    catalogue::{LOCAL, checksum, part},
    shapes::MAGIC,
    tensors::block,
};

impl ModelCatalogue {
    /// Takes a file of whisper.cpp's format into the folder, under `name`. The file is copied unless it lies there
    /// already.
    ///
    /// # Errors
    /// The name is taken or is none, the file is no model or is cut off, or the disk fails.
    pub fn add(folder: &Path, file: &Path, name: &str) -> Result<Verified, ModelError> {
        let many = ModelCatalogue::look_at(folder, file, name)?;
        let place = put(folder, file, name)?;
        let disk = |path: &Path, error| ModelError::Disk { path: path.to_owned(), error };
        let size = std::fs::metadata(&place).map_err(|error| disk(&place, error))?.len();
        let sha256 = checksum(&place).map_err(|error| disk(&place, error))?;
        let file_name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let languages = if many { "many" } else { "en" };
        let entry = format!(
            "\n[[model]]\nname = {name:?}\nfile = {file_name:?}\nsize = {size}\nsha256 = \"{sha256}\"\n\
             licence = \"see where it is from\"\nlanguages = \"{languages}\"\npurpose = \"added here\"\n"
        );
        let local = folder.join(LOCAL);
        let mut out =
            OpenOptions::new().create(true).append(true).open(&local).map_err(|error| disk(&local, error))?;
        out.write_all(entry.as_bytes()).and_then(|()| out.sync_all()).map_err(|error| disk(&local, error))?;
        ModelCatalogue::load(folder)?.verify(name)
    }

    /// Whether `add` would take a file under a name, as far as can be said without whisper; nothing is written. True
    /// if the model knows languages other than English.
    ///
    /// # Errors
    /// The name is taken or is none, the file is no model or is cut off, or the disk fails.
    pub fn look_at(folder: &Path, file: &Path, name: &str) -> Result<bool, ModelError> {
        let letters = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
        if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(letters) {
            return Err(ModelError::Name { name: name.to_owned() });
        }
        let catalogue = ModelCatalogue::load(folder)?;
        if catalogue.find(name).is_ok() {
            return Err(ModelError::Taken { name: name.to_owned() });
        }
        multilingual(file)
    }
}

/// Copies a file into the folder and gives the place; one that lies there already stays.
fn put(folder: &Path, file: &Path, name: &str) -> Result<PathBuf, ModelError> {
    let disk = |path: &Path, error| ModelError::Disk { path: path.to_owned(), error };
    let real = |path: &Path| std::fs::canonicalize(path).map_err(|error| disk(path, error));
    let (from, folder) = (real(file)?, real(folder)?);
    let plain = file.file_name().and_then(|name| name.to_str()).is_some_and(|name| !name.contains('\\'));
    if from.parent() == Some(folder.as_path()) && plain {
        return Ok(from);
    }
    let place = folder.join(format!("{name}.bin"));
    if place.exists() {
        return Err(disk(&place, std::io::Error::from(ErrorKind::AlreadyExists)));
    }
    let partial = part(&place);
    std::fs::copy(&from, &partial).map_err(|error| disk(&partial, error))?;
    std::fs::rename(&partial, &place).map_err(|error| disk(&place, error))?;
    Ok(place)
}

/// Goes through a file and tells whether it knows languages other than English.
fn multilingual(path: &Path) -> Result<bool, ModelError> {
    let disk = |error| ModelError::Disk { path: path.to_owned(), error };
    let file = File::open(path).map_err(disk)?;
    let size = file.metadata().map_err(disk)?.len();
    let mut walk = Walk { file: BufReader::new(file), place: 0, size };
    walk.whole().map_err(|error| match error {
        Flaw::Disk(error) if error.kind() != ErrorKind::UnexpectedEof => disk(error),
        Flaw::Disk(_) => walk.wrong(path, "it is cut off"),
        Flaw::Format(reason) => walk.wrong(path, reason),
    })
}

enum Flaw {
    Disk(std::io::Error),
    Format(&'static str),
}

impl From<std::io::Error> for Flaw {
    fn from(error: std::io::Error) -> Flaw {
        Flaw::Disk(error)
    }
}

struct Walk {
    file: BufReader<File>,
    place: u64,
    size: u64,
}

impl Walk {
    fn wrong(&self, path: &Path, reason: &str) -> ModelError {
        ModelError::NoModel { path: path.to_owned(), place: self.place, reason: reason.to_owned() }
    }

    fn whole(&mut self) -> Result<bool, Flaw> {
        if self.number()? != MAGIC {
            return Err(Flaw::Format(
                "it does not begin with the mark of a ggml file (a GGUF file is another)",
            ));
        }
        let mut header = [0; 11];
        for number in &mut header {
            *number = self.number()?;
        }
        let [words, sound, state, _, layers, _, text_state, _, text_layers, bands, _] = header;
        let sane = (WORDS_MIN..100_000).contains(&words)
            && (1..=10_000).contains(&sound)
            && (1..=8_192).contains(&state)
            && state == text_state
            && (1..=128).contains(&layers)
            && (1..=128).contains(&text_layers)
            && matches!(bands, 80 | 128);
        if !sane {
            return Err(Flaw::Format("its header is not that of a whisper model"));
        }
        let filters = u64::from(self.number()?) * u64::from(self.number()?);
        self.skip(filters * 4)?;
        for _ in 0..self.number()?.min(words) {
            let length = self.number()?;
            self.skip(length.into())?;
        }
        let mut tensors = 0;
        while self.place < self.size {
            self.tensor()?;
            tensors += 1;
        }
        if tensors < (layers + text_layers) * 15 {
            return Err(Flaw::Format(
                "weights are missing: it is cut off, or made for whisper.cpp's own tests",
            ));
        }
        Ok(words >= MANY_WORDS_MIN)
    }

    fn tensor(&mut self) -> Result<(), Flaw> {
        let (dimensions, length, kind) = (self.number()?, self.number()?, self.number()?);
        if !(1..=4).contains(&dimensions) || length > 256 {
            return Err(Flaw::Format("a tensor has no sensible head"));
        }
        let mut elements = 1_u64;
        for _ in 0..dimensions {
            elements = elements.saturating_mul(self.number()?.into());
        }
        let Some((bytes, block)) = block(kind) else {
            return Err(Flaw::Format("a tensor is stored in a way that is not known here"));
        };
        self.skip(u64::from(length) + (elements / block).saturating_mul(bytes))
    }

    fn number(&mut self) -> Result<u32, Flaw> {
        let mut bytes = [0; 4];
        self.file.read_exact(&mut bytes)?;
        self.place += 4;
        Ok(u32::from_le_bytes(bytes))
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Flaw> {
        if bytes > self.size.saturating_sub(self.place) {
            return Err(Flaw::Format("it is cut off"));
        }
        self.place += bytes;
        self.file.seek(SeekFrom::Start(self.place))?;
        Ok(())
    }
}

/// Tokens of the English models.
const WORDS_MIN: u32 = 51_864;
/// Tokens of those that know more languages.
const MANY_WORDS_MIN: u32 = 51_865;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Shape;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("manifest.toml"), "").unwrap();
        folder
    }

    fn own(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.bin");
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn a_model_of_ones_own_is_copied_and_known_from_then_on() {
        let (folder, (_kept, file)) = (folder(), own(&Shape::SMALLEST.random_model(1)));
        let added = ModelCatalogue::add(folder.path(), &file, "ours-2").unwrap();
        assert!(added.path().ends_with("ours-2.bin") && !added.is_demo());
        let catalogue = ModelCatalogue::load(folder.path()).unwrap();
        assert_eq!(catalogue.find("ours-2").unwrap().languages, "en");
        assert!(catalogue.verify("ours-2").is_ok());
        let again = ModelCatalogue::add(folder.path(), &file, "ours-2").unwrap_err();
        assert!(matches!(again, ModelError::Taken { .. }), "{again}");
    }

    #[test]
    fn a_file_that_lies_in_the_folder_stays_where_it_is() {
        let folder = folder();
        let file = folder.path().join("mine \"1\".bin");
        std::fs::write(&file, Shape::SMALLEST.random_model(1)).unwrap();
        let added = ModelCatalogue::add(folder.path(), &file, "mine").unwrap();
        assert_eq!(added.path().file_name(), file.file_name());
        assert!(!folder.path().join("mine.bin").exists());
    }

    #[test]
    fn what_is_no_model_is_refused_and_nothing_is_written() {
        let whole = Shape::SMALLEST.random_model(1);
        let mut other = whole.clone();
        other[12] = 1;
        let (half, start) = (&whole[..whole.len() / 2], &whole[..100_000]);
        for (bytes, told) in [
            (b"GGUF, hello".as_slice(), "does not begin with the mark"),
            (b"lmg", "it is cut off"),
            (half, "cut off"),
            (start, "cut off"),
            (&other, "not that of a whisper model"),
        ] {
            let (folder, (_kept, file)) = (folder(), own(bytes));
            let error = ModelCatalogue::add(folder.path(), &file, "ours").unwrap_err().to_string();
            assert!(error.contains(told) && error.contains("own.bin"), "{error}");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_name_is_a_short_word() {
        let (folder, (_kept, file)) = (folder(), own(b""));
        for name in ["", "two words", "../up", ".hidden", "a\"b", &"n".repeat(65)] {
            let error = ModelCatalogue::add(folder.path(), &file, name).unwrap_err();
            assert!(matches!(error, ModelError::Name { .. }), "{error}");
        }
    }
}
