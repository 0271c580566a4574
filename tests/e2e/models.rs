//! `segue models` as an operator runs it: a file of one's own is tried before it is taken, and a machine without network
//! is told what to bring and where.

use std::{fs, path::Path, process::Command};

use segue_speech::models::Shape;

/// Runs the command: whether it succeeded, and all it said.
fn models(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_segue"))
        .args(["models", "--models"])
        .arg(folder)
        .args(arguments)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn folder(manifest: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("manifest.toml"), manifest).unwrap();
    folder
}

#[test]
fn a_file_that_whisper_can_use_is_added_and_listed() {
    let (folder, files) = (folder(""), tempfile::tempdir().unwrap());
    let file = files.path().join("own.bin");
    fs::write(&file, Shape::SMALLEST.random_model(1)).unwrap();
    let (taken, said) = models(folder.path(), &["add", &file.to_string_lossy(), "--name", "ours"]);
    assert!(taken && said.contains("ours is at"), "{said}");
    let (known, listed) = models(folder.path(), &["list"]);
    assert!(known && listed.contains("ours") && listed.contains("here"), "{listed}");
}

#[test]
fn a_file_that_ends_whisper_is_refused_with_what_happened_and_nothing_is_entered() {
    let (folder, files) = (folder(""), tempfile::tempdir().unwrap());
    let mut model = Shape::SMALLEST.random_model(1);
    // No attention heads in the encoder, by which whisper.cpp divides.
    model[16..20].copy_from_slice(&0_u32.to_le_bytes());
    let file = files.path().join("bad.bin");
    fs::write(&file, model).unwrap();
    let (taken, said) = models(folder.path(), &["add", &file.to_string_lossy(), "--name", "bad"]);
    assert!(!taken && said.contains("is not added") && said.contains("signal"), "{said}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the manifest alone");
}

#[test]
fn a_machine_without_network_is_told_address_checksum_and_place() {
    let sum = "ab".repeat(32);
    let manifest = format!(
        "[[model]]\nname = \"tiny\"\nfile = \"tiny.bin\"\nsize = 1234\nsha256 = \"{sum}\"\nlicence = \"MIT\"\n\
         source = \"http://127.0.0.1:9/tiny.bin\"\nlanguages = \"en\"\npurpose = \"tests\"\n"
    );
    let folder = folder(&manifest);
    let (fetched, said) = models(folder.path(), &["fetch", "tiny"]);
    let place = folder.path().join("tiny.bin").display().to_string();
    for told in ["http://127.0.0.1:9/tiny.bin", &sum, &place, "1234"] {
        assert!(!fetched && said.contains(told), "{told}: {said}");
    }
}
