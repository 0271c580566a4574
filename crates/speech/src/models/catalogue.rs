//! The manifest, read once, and the check of files against it.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::ModelError;

/// All models that are known.
#[derive(Clone, Debug)]
pub struct ModelCatalogue {
    folder: PathBuf,
    models: Vec<Model>,
}

/// One known model.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// What the configuration calls it.
    pub name: String,
    /// Its file, below the models' folder.
    pub file: PathBuf,
    /// Bytes of the file.
    pub size: u64,
    /// Checksum of the file, 64 small hexadecimal digits.
    pub sha256: String,
    /// As its publisher states.
    pub licence: String,
    /// Where it is published; `None` for what comes with the program.
    pub source: Option<String>,
    /// `en` or `many`.
    pub languages: String,
    /// What it is good for.
    pub purpose: String,
    /// Whether it is for the demo and the tests alone.
    pub demo: bool,
    /// How it wants to be run.
    pub traits: Traits,
}

/// How a model wants to be run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traits {
    /// Whether the first token may not be the end: true for the published models, which else give up early.
    pub suppress_blank: bool,
    /// Whether it was trained with words to expect.
    pub prompt: bool,
    /// Positions of the encoder, if it knows only one number of them.
    pub audio_context: Option<i32>,
    /// The longest utterance it can take.
    pub longest: Option<Duration>,
    /// The mean token probability, 0..=1, below which its words are not told.
    pub confidence_min: f32,
}

impl Default for Traits {
    fn default() -> Self {
        Traits {
            suppress_blank: true,
            prompt: true,
            audio_context: None,
            longest: None,
            confidence_min: CONFIDENCE_MIN,
        }
    }
}

/// For a model that states none. Whisper's own decoder counts a text as failed below a mean log probability of −1,
/// a geometric mean of 0.37; the plain mean is never below that one, so Whisper itself would hardly keep what is
/// under 0.4 here. Words above it that are still shaky are weighed by the trigger rules.
const CONFIDENCE_MIN: f32 = 0.4;

/// A model whose file has the right checksum.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    model: Model,
    path: PathBuf,
}

impl Verified {
    /// What the configuration calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.model.name
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is for the demo alone.
    #[must_use]
    pub fn is_demo(&self) -> bool {
        self.model.demo
    }

    /// How it wants to be run.
    #[must_use]
    pub fn traits(&self) -> Traits {
        self.model.traits
    }
}

/// Whether a model's file is there, by its size alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// There, with the right size.
    Present,
    /// Begun by a fetch.
    Partial {
        /// Bytes that are there.
        bytes: u64,
    },
    /// There, with another size.
    WrongSize {
        /// Bytes that are there.
        bytes: u64,
    },
    /// Not there.
    Missing,
}

/// A model and its file.
#[derive(Clone, Debug)]
pub struct Listed<'a> {
    /// The model.
    pub model: &'a Model,
    /// Where its file belongs.
    pub path: PathBuf,
    /// Whether it is there.
    pub presence: Presence,
}

impl ModelCatalogue {
    /// Reads `manifest.toml` in a folder, and `manifest.local.toml` beside it if there is one; the models' files
    /// belong into the same folder.
    ///
    /// # Errors
    /// When a manifest or the card of a model is missing or wrong, or two models have one name.
    pub fn load(folder: &Path) -> Result<ModelCatalogue, ModelError> {
        let mut catalogue = ModelCatalogue { folder: folder.to_owned(), models: Vec::new() };
        catalogue.read(&folder.join("manifest.toml"))?;
        let local = folder.join(LOCAL);
        if local.exists() {
            catalogue.read(&local)?;
        }
        Ok(catalogue)
    }

    fn read(&mut self, path: &Path) -> Result<(), ModelError> {
        let wrong = |reason: String| ModelError::Manifest { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let manifest: Manifest = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        for entry in manifest.model {
            if self.models.iter().any(|model| model.name == entry.name) {
                return Err(wrong(format!("model {}: there is one of that name already", entry.name)));
            }
            // A model that comes with the program may be left out of an installation, card and all.
            if let Some(model) = entry.read(&self.folder, path)? {
                self.models.push(model);
            }
        }
        Ok(())
    }

    /// All models with the state of their files.
    #[must_use]
    pub fn list(&self) -> Vec<Listed<'_>> {
        self.models
            .iter()
            .map(|model| {
                let path = self.folder.join(&model.file);
                let size = |path: &Path| std::fs::metadata(path).map(|file| file.len()).ok();
                let presence = match (size(&path), size(&part(&path))) {
                    (Some(bytes), _) if bytes == model.size => Presence::Present,
                    (Some(bytes), _) => Presence::WrongSize { bytes },
                    (None, Some(bytes)) => Presence::Partial { bytes },
                    (None, None) => Presence::Missing,
                };
                Listed { model, path, presence }
            })
            .collect()
    }

    /// Finds a model by name.
    ///
    /// # Errors
    /// When there is none; the text names all.
    pub fn find(&self, name: &str) -> Result<&Model, ModelError> {
        self.models.iter().find(|model| model.name == name).ok_or_else(|| ModelError::Unknown {
            name: name.to_owned(),
            known: self.models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// Reads a model's file and compares its checksum (about a second for each 500 MB).
    ///
    /// # Errors
    /// When it is missing (the text says where to put what) or wrong (the text has both checksums).
    pub fn verify(&self, name: &str) -> Result<Verified, ModelError> {
        let model = self.find(name)?;
        let path = self.folder.join(&model.file);
        check(model, &path, &path)?;
        Ok(Verified { model: model.clone(), path })
    }

    /// Where a model's file belongs.
    pub(super) fn path(&self, model: &Model) -> PathBuf {
        self.folder.join(&model.file)
    }
}

/// Compares a file with a model; `shown` is the name it will have.
pub(super) fn check(model: &Model, file: &Path, shown: &Path) -> Result<(), ModelError> {
    let disk = |error| ModelError::Disk { path: file.to_owned(), error };
    let found_size = match std::fs::metadata(file) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(ModelError::Missing {
                name: model.name.clone(),
                path: shown.to_owned(),
                source_address: model
                    .source
                    .clone()
                    .unwrap_or_else(|| "the program's own package".to_owned()),
                size: model.size,
                sha256: model.sha256.clone(),
            });
        }
        Err(error) => return Err(disk(error)),
    };
    let wrong = |found: String| ModelError::Wrong {
        name: model.name.clone(),
        path: shown.to_owned(),
        found_size,
        found,
        size: model.size,
        sha256: model.sha256.clone(),
    };
    if found_size != model.size {
        return Err(wrong("not computed".to_owned()));
    }
    let found = checksum(file).map_err(disk)?;
    if found == model.sha256 { Ok(()) } else { Err(wrong(found)) }
}

/// SHA-256 of a file, in hexadecimal digits.
pub(super) fn checksum(file: &Path) -> std::io::Result<String> {
    let mut file = File::open(file)?;
    let mut digest = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut block)?;
        let Some(bytes) = block.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        digest.update(bytes);
    }
    Ok(hex::encode(digest.finalize()))
}

/// The name of a file while it is fetched.
pub(super) fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

/// Models of the user's own; never part of the program.
pub(super) const LOCAL: &str = "manifest.local.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(default)]
    model: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    file: PathBuf,
    size: Option<u64>,
    sha256: Option<String>,
    licence: String,
    source: Option<String>,
    languages: String,
    purpose: String,
    #[serde(default)]
    demo: bool,
    confidence_min: Option<f32>,
    card: Option<PathBuf>,
}

/// What the training of our own model writes beside it; it may hold more.
#[derive(Deserialize)]
struct Card {
    size: u64,
    sha256: String,
    suppress_blank: Option<bool>,
    prompt: Option<bool>,
    audio_ctx: Option<i32>,
    max_seconds: Option<f32>,
    confidence_min: Option<f32>,
}

impl Entry {
    fn read(self, folder: &Path, manifest: &Path) -> Result<Option<Model>, ModelError> {
        let card = match &self.card {
            None => None,
            Some(card) if !folder.join(card).exists() => return Ok(None),
            Some(card) => Some(read_card(&folder.join(card))?),
        };
        let path = manifest.to_owned();
        let wrong =
            |reason: &str| ModelError::Manifest { path, reason: format!("model {}: {reason}", self.name) };
        let (size, sha256) = match (&card, self.size, &self.sha256) {
            (Some(card), None, None) => (card.size, card.sha256.clone()),
            (None, Some(size), Some(sha256)) => (size, sha256.clone()),
            _ => return Err(wrong("size and sha256 stand either here or in its card")),
        };
        if sha256.len() != 64 || hex::decode(&sha256).is_err() {
            return Err(wrong("sha256 is not 64 hexadecimal digits"));
        }
        if self.file.components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
            return Err(wrong("file must lie below the models' folder"));
        }
        let mut traits = card.map(|card| card.traits()).unwrap_or_default();
        traits.confidence_min = self.confidence_min.unwrap_or(traits.confidence_min);
        if !(0.0..=1.0).contains(&traits.confidence_min) {
            return Err(wrong("confidence_min is a mean token probability, 0 to 1"));
        }
        Ok(Some(Model {
            name: self.name,
            file: self.file,
            size,
            sha256: sha256.to_lowercase(),
            licence: self.licence,
            source: self.source,
            languages: self.languages,
            purpose: self.purpose,
            demo: self.demo,
            traits,
        }))
    }
}

impl Card {
    fn traits(&self) -> Traits {
        Traits {
            suppress_blank: self.suppress_blank.unwrap_or(false),
            prompt: self.prompt.unwrap_or(false),
            audio_context: self.audio_ctx.filter(|context| *context > 0),
            longest: self.max_seconds.and_then(|seconds| Duration::try_from_secs_f32(seconds).ok()),
            confidence_min: self.confidence_min.unwrap_or(CONFIDENCE_MIN),
        }
    }
}

fn read_card(path: &Path) -> Result<Card, ModelError> {
    let wrong = |reason: String| ModelError::Manifest { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(manifest: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("manifest.toml"), manifest).unwrap();
        folder
    }

    fn manifest(sha256: &str) -> String {
        format!(
            "[[model]]\nname = 'tiny'\nfile = 'tiny.bin'\nsize = 5\nsha256 = '{sha256}'\nlicence = 'MIT'\n\
             source = 'https://models.example/tiny.bin'\nlanguages = 'en'\npurpose = 'tests'\n"
        )
    }

    /// SHA-256 of `hello`.
    const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    #[test]
    fn the_manifest_of_the_product_is_right() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
        let catalogue = ModelCatalogue::load(&folder).unwrap();
        for name in ["tiny.en-q8_0", "base.en-q8_0", "small.en-q8_0", "base-q8_0", "small-q8_0"] {
            let model = catalogue.find(name).unwrap();
            assert!(!model.demo && model.source.as_ref().unwrap().ends_with(model.file.to_str().unwrap()));
        }
        assert!(catalogue.models.iter().filter(|model| model.demo).all(|model| model.source.is_none()));
    }

    #[test]
    fn a_right_file_is_verified() {
        let folder = folder(&manifest(HELLO));
        std::fs::write(folder.path().join("tiny.bin"), "hello").unwrap();
        let catalogue = ModelCatalogue::load(folder.path()).unwrap();
        let verified = catalogue.verify("tiny").unwrap();
        assert_eq!((verified.name(), verified.is_demo()), ("tiny", false));
        assert_eq!(catalogue.list()[0].presence, Presence::Present);
    }

    #[test]
    fn a_missing_file_tells_what_to_copy_where() {
        let folder = folder(&manifest(HELLO));
        let text = ModelCatalogue::load(folder.path()).unwrap().verify("tiny").unwrap_err().to_string();
        let path = folder.path().join("tiny.bin").display().to_string();
        for part in
            [path.as_str(), "https://models.example/tiny.bin", "5 bytes", HELLO, "segue models fetch tiny"]
        {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_wrong_checksum_is_told_with_the_right_one() {
        let folder = folder(&manifest(&"ab".repeat(32)));
        std::fs::write(folder.path().join("tiny.bin"), "hello").unwrap();
        let text = ModelCatalogue::load(folder.path()).unwrap().verify("tiny").unwrap_err().to_string();
        assert!(text.contains(HELLO) && text.contains(&"ab".repeat(32)), "{text}");
    }

    #[test]
    fn a_wrong_size_is_seen_without_reading() {
        let folder = folder(&manifest(HELLO));
        std::fs::write(folder.path().join("tiny.bin"), "hello there").unwrap();
        let catalogue = ModelCatalogue::load(folder.path()).unwrap();
        assert_eq!(catalogue.list()[0].presence, Presence::WrongSize { bytes: 11 });
        assert!(matches!(catalogue.verify("tiny"), Err(ModelError::Wrong { found_size: 11, .. })));
    }

    #[test]
    fn an_unknown_model_is_told_with_all_names() {
        let folder = folder(&manifest(HELLO));
        let error = ModelCatalogue::load(folder.path()).unwrap().verify("huge").unwrap_err();
        assert_eq!(error.to_string(), "there is no model huge; the manifest knows tiny");
    }

    #[test]
    fn mistakes_in_a_manifest_are_told() {
        let outside = manifest(HELLO).replace("tiny.bin'\nsize", "../tiny.bin'\nsize");
        let cases = [
            (manifest("short"), "64 hexadecimal digits"),
            (outside, "below the models' folder"),
            (manifest(HELLO).replace("size = 5\n", ""), "either here or in its card"),
            (manifest(HELLO).replace("size = 5", "sise = 5"), "sise"),
            (manifest(HELLO) + "confidence_min = 75\n", "0 to 1"),
            (manifest(HELLO) + "confidence_min = nan\n", "0 to 1"),
        ];
        for (text, told) in cases {
            let error = ModelCatalogue::load(folder(&text).path()).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn models_of_the_users_own_stand_beside_and_never_in_place_of_others() {
        let folder = folder(&manifest(HELLO));
        let local = folder.path().join(LOCAL);
        std::fs::write(&local, manifest(HELLO).replace("name = 'tiny'", "name = 'mine'")).unwrap();
        assert_eq!(ModelCatalogue::load(folder.path()).unwrap().models.len(), 2);
        std::fs::write(&local, manifest(HELLO)).unwrap();
        let error = ModelCatalogue::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains(LOCAL) && error.contains("model tiny: there is one"), "{error}");
    }

    #[test]
    fn a_card_gives_size_checksum_and_traits() {
        let text = "[[model]]\nname = 'demo'\nfile = 'd.bin'\ncard = 'card.json'\nlicence = 'Apache-2.0'\n\
                    languages = 'en'\npurpose = 'tests'\ndemo = true\n";
        let folder = folder(text);
        assert!(ModelCatalogue::load(folder.path()).unwrap().models.is_empty());
        let card = format!(
            "{{\"size\": 5, \"sha256\": \"{HELLO}\", \"suppress_blank\": false, \"audio_ctx\": 192, \"max_seconds\": 3.5, \"confidence_min\": 0.75, \"more\": 1}}"
        );
        std::fs::write(folder.path().join("card.json"), card).unwrap();
        std::fs::write(folder.path().join("d.bin"), "hello").unwrap();
        let verified = ModelCatalogue::load(folder.path()).unwrap().verify("demo").unwrap();
        assert!(verified.is_demo());
        let traits = Traits {
            suppress_blank: false,
            prompt: false,
            audio_context: Some(192),
            longest: Some(Duration::from_secs_f32(3.5)),
            confidence_min: 0.75,
        };
        assert_eq!(verified.traits(), traits);
    }

    #[test]
    fn a_manifest_may_set_the_confidence_of_a_model_without_a_card() {
        for (line, confidence_min) in [("", CONFIDENCE_MIN), ("confidence_min = 0.6\n", 0.6)] {
            let folder = folder(&(manifest(HELLO) + line));
            std::fs::write(folder.path().join("tiny.bin"), "hello").unwrap();
            let verified = ModelCatalogue::load(folder.path()).unwrap().verify("tiny").unwrap();
            assert_eq!(verified.traits(), Traits { confidence_min, ..Traits::default() });
        }
    }
}
