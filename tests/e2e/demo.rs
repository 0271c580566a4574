//! The first command of the README: one whole call, judged by itself, with a recording of what each party heard.

use std::{fs, process::Command};

use crate::support::{alone, root};

#[test]
fn the_demo_holds_all_it_promises_and_leaves_three_recordings() {
    let _alone = alone();
    let out = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_segue"))
        .args(["demo", "--out"])
        .arg(out.path())
        .arg("--models")
        .arg(root().join("models"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("[held]") && !told.contains("[BROKEN]"), "{told}");
    for party in ["caller", "bot", "agent"] {
        let file = fs::read(out.path().join(format!("{party}-heard.wav"))).unwrap();
        let (rate, samples) = segue_media::wav::decode(&file).unwrap();
        assert_eq!(rate, 8_000);
        assert!(samples.len() > 80_000, "the {party} heard {} samples", samples.len());
        assert!(samples.iter().any(|sample| sample.abs() > 1_000), "the {party} heard nothing");
    }
}
