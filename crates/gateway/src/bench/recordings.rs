//! Recordings with their true texts, from a folder: NAME.wav beside NAME.txt, or a `manifest.json`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;

/// One recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recording {
    pub(super) name: String,
    pub(super) sound: PathBuf,
    /// What was said.
    pub(super) text: String,
}

/// Mono sound.
pub(super) struct Sound {
    /// 16,000 or 8,000 samples a second.
    pub(super) wide: bool,
    pub(super) samples: Vec<i16>,
}

/// Finds all recordings of a folder, in the order of their names, or of its manifest.
///
/// # Errors
/// A recording without a text, a text without a recording, a manifest that cannot be read, nothing at all.
pub(super) fn find(folder: &Path) -> anyhow::Result<Vec<Recording>> {
    let manifest = folder.join("manifest.json");
    let found = if manifest.exists() { listed(folder, &manifest)? } else { beside(folder)? };
    if found.is_empty() {
        bail!(
            "{} holds no recording: put NAME.wav beside NAME.txt, or write manifest.json",
            folder.display()
        );
    }
    Ok(found)
}

/// Reads a recording.
///
/// # Errors
/// It is no mono WAV file with 16,000 or 8,000 samples a second.
pub(super) fn read(recording: &Recording) -> anyhow::Result<Sound> {
    let path = recording.sound.display();
    let bytes = std::fs::read(&recording.sound).with_context(|| path.to_string())?;
    let (rate, samples) = segue_media::wav::decode(&bytes).with_context(|| path.to_string())?;
    match rate {
        16_000 => Ok(Sound { wide: true, samples }),
        8_000 => Ok(Sound { wide: false, samples }),
        _ => bail!("{path}: {rate} samples a second; convert it to 16000 (or 8000)"),
    }
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    text: String,
}

fn listed(folder: &Path, manifest: &Path) -> anyhow::Result<Vec<Recording>> {
    let text = std::fs::read_to_string(manifest).with_context(|| manifest.display().to_string())?;
    let entries: Vec<Entry> = serde_json::from_str(&text).map_err(|error| {
        let line = error.line();
        anyhow::anyhow!("{}:{line}: {error}; it is a list of {{\"id\", \"text\"}}", manifest.display())
    })?;
    let mut found = Vec::new();
    for Entry { id, text: said } in entries {
        let quoted = format!("\"{id}\"");
        let line = text.lines().position(|line| line.contains(&quoted)).map_or(0, |place| place + 1);
        if id.is_empty() || id.contains(['/', '\\']) {
            bail!("{}:{line}: the id {id:?} is no file name", manifest.display());
        }
        let places = [folder.join("wav16"), folder.to_owned()].map(|place| place.join(format!("{id}.wav")));
        let Some(sound) = places.iter().find(|place| place.exists()) else {
            let [first, second] = places.map(|place| place.display().to_string());
            bail!("{}:{line}: neither {first} nor {second} is there", manifest.display());
        };
        found.push(Recording { name: id, sound: sound.clone(), text: said });
    }
    Ok(found)
}

fn beside(folder: &Path) -> anyhow::Result<Vec<Recording>> {
    let mut sounds = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("wav")) {
            sounds.push(path);
        }
    }
    sounds.sort();
    sounds.into_iter().map(with_text).collect()
}

fn with_text(sound: PathBuf) -> anyhow::Result<Recording> {
    let beside = sound.with_extension("txt");
    let text = std::fs::read(&beside)
        .with_context(|| format!("{} has no text: {}", sound.display(), beside.display()))?;
    let text = String::from_utf8(text).map_err(|error| {
        let before = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        anyhow::anyhow!("{}:{line}: not UTF-8", beside.display())
    })?;
    let name = sound.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Recording { name, sound, text: text.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn wrong(files: &[(&str, &[u8])]) -> String {
        format!("{:#}", find(folder(files).path()).unwrap_err())
    }

    #[test]
    fn a_recording_has_its_text_beside_it() {
        let folder = folder(&[("b.wav", b""), ("b.txt", b"two\n"), ("a.wav", b""), ("a.txt", b"one")]);
        let found = find(folder.path()).unwrap();
        let told: Vec<_> = found.iter().map(|one| (one.name.as_str(), one.text.as_str())).collect();
        assert_eq!(told, [("a", "one"), ("b", "two")]);
    }

    #[test]
    fn a_manifest_names_recordings_in_its_own_order() {
        let list =
            b"[{\"id\": \"z\", \"text\": \"last\", \"more\": 1},\n {\"id\": \"a\", \"text\": \"first\"}]";
        let folder = folder(&[("manifest.json", list), ("wav16/z.wav", b""), ("a.wav", b"")]);
        let found = find(folder.path()).unwrap();
        assert_eq!(found.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["z", "a"]);
        assert!(found[0].sound.ends_with("wav16/z.wav"));
    }

    #[test]
    fn mistakes_are_told_with_file_and_line() {
        assert!(wrong(&[("x.wav", b"")]).contains("x.txt"));
        assert!(wrong(&[("x.wav", b""), ("x.txt", b"one\n\xff")]).contains("x.txt:2: not UTF-8"));
        assert!(wrong(&[]).contains("holds no recording"));
        let broken = wrong(&[("manifest.json", b"[\n{\"id\": \"a\"}\n]")]);
        assert!(broken.contains("manifest.json:2:") && broken.contains("text"), "{broken}");
        let missing = wrong(&[("manifest.json", b"[\n{\"id\": \"a\", \"text\": \"\"}\n]")]);
        assert!(missing.contains("manifest.json:2: neither"), "{missing}");
        let outside = wrong(&[("manifest.json", b"[{\"id\": \"../a\", \"text\": \"\"}]")]);
        assert!(outside.contains("manifest.json:1: the id"), "{outside}");
    }

    #[test]
    fn a_rate_that_is_not_taken_is_told() {
        let sound = segue_media::wav::encode(&[0; 100], 44_100);
        let folder = folder(&[("x.wav", &sound), ("x.txt", b"one")]);
        let error = read(&find(folder.path()).unwrap()[0]).err().unwrap().to_string();
        assert!(error.contains("44100 samples a second; convert it to 16000"), "{error}");
    }
}
