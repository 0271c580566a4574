//! Fetching a model from a small HTTP server on loopback: whole, resumed, refused, damaged.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "test code fails by panicking"
)]

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::mpsc::{Receiver, channel},
    thread::JoinHandle,
};

use segue_speech::{ModelCatalogue, ModelError, models::Progress};
use sha2::{Digest, Sha256};

/// What the server gives for one request; it serves exactly as many as it was given.
enum Answer {
    /// The file, or the part that is asked for.
    File,
    /// The file, whatever part is asked for.
    Whole,
    /// So many bytes of the file under a length that promises all, then the end.
    Broken(usize),
    /// A status and no file.
    Status(&'static str),
    /// Other bytes of the same length.
    Damaged,
    /// More than the model has.
    Longer,
}

struct Server {
    address: String,
    asked: Receiver<Vec<String>>,
    thread: JoinHandle<()>,
}

fn content() -> Vec<u8> {
    (0..300_000u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn serve(answers: Vec<Answer>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = channel();
    let thread = std::thread::spawn(move || {
        for answer in answers {
            let (stream, _) = listener.accept().unwrap();
            tell.send(one(&stream, &answer)).unwrap();
        }
    });
    Server { address, asked, thread }
}

fn one(mut stream: &TcpStream, answer: &Answer) -> Vec<String> {
    let mut lines = Vec::new();
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap();
        if line.is_empty() {
            break;
        }
        lines.push(line.to_lowercase());
    }
    let from = lines
        .iter()
        .find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok())
        .unwrap_or(0);
    let file = content();
    let (status, body, length) = match answer {
        Answer::File if from > 0 => ("206 Partial Content", file[from..].to_vec(), file.len() - from),
        Answer::File | Answer::Whole => ("200 OK", file.clone(), file.len()),
        Answer::Broken(bytes) => ("200 OK", file[..*bytes].to_vec(), file.len()),
        Answer::Status(status) => (*status, Vec::new(), 0),
        Answer::Damaged => ("200 OK", vec![7; file.len()], file.len()),
        Answer::Longer => ("200 OK", [file.clone(), vec![1; 9]].concat(), file.len() + 9),
    };
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    // The client may hang up on what it does not want.
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
    assert!(sent.is_ok() || matches!(answer, Answer::Longer), "{sent:?}");
    lines
}

fn catalogue(folder: &Path, source: &str) -> ModelCatalogue {
    let sha256 = hex::encode(Sha256::digest(content()));
    let manifest = format!(
        "[[model]]\nname = 'tiny'\nfile = 'sub/tiny.bin'\nsize = 300_000\nsha256 = '{sha256}'\nlicence = 'MIT'\n\
         source = '{source}/tiny.bin'\nlanguages = 'en'\npurpose = 'tests'\n"
    );
    std::fs::write(folder.join("manifest.toml"), manifest).unwrap();
    ModelCatalogue::load(folder).unwrap()
}

fn part(folder: &Path) -> std::path::PathBuf {
    folder.join("sub/tiny.bin.part")
}

#[test]
fn a_model_is_fetched_verified_and_renamed_with_progress() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(vec![Answer::File]);
    let mut seen = Vec::new();
    let verified =
        catalogue(folder.path(), &server.address).fetch("tiny", None, &mut |step| seen.push(step)).unwrap();
    assert_eq!(std::fs::read(verified.path()).unwrap(), content());
    assert!(!part(folder.path()).exists());
    assert!(seen.windows(2).all(|pair| pair[0].bytes < pair[1].bytes));
    assert_eq!(seen.last(), Some(&Progress { bytes: 300_000, total: 300_000 }));
    assert_eq!(server.asked.recv().unwrap()[0], "get /tiny.bin http/1.1");
    server.thread.join().unwrap();
}

#[test]
fn a_broken_fetch_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(vec![Answer::Broken(100_000), Answer::File]);
    let catalogue = catalogue(folder.path(), &server.address);
    let error = catalogue.fetch("tiny", None, &mut |_| {}).unwrap_err();
    assert!(matches!(&error, ModelError::Fetch { .. }), "{error}");
    // All that is needed to bring the file by hand.
    let told = error.to_string();
    let place = folder.path().join("sub/tiny.bin").display().to_string();
    for part in [&*server.address, &*place, "300000 bytes", &hex::encode(Sha256::digest(content()))] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(std::fs::metadata(part(folder.path())).unwrap().len(), 100_000);
    let mut first = None;
    catalogue
        .fetch("tiny", None, &mut |step| {
            first.get_or_insert(step.bytes);
        })
        .unwrap();
    assert!(first.unwrap() > 100_000);
    server.asked.recv().unwrap();
    assert!(server.asked.recv().unwrap().contains(&"range: bytes=100000-".to_owned()));
}

#[test]
fn a_server_that_cannot_resume_gives_the_whole_file_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(vec![Answer::Broken(50_000), Answer::Whole]);
    let catalogue = catalogue(folder.path(), &server.address);
    catalogue.fetch("tiny", None, &mut |_| {}).unwrap_err();
    let verified = catalogue.fetch("tiny", None, &mut |_| {}).unwrap();
    assert_eq!(std::fs::read(verified.path()).unwrap(), content());
}

#[test]
fn a_refusal_is_told_with_the_address_and_the_place_for_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(vec![Answer::Status("404 Not Found")]);
    let error =
        catalogue(folder.path(), &server.address).fetch("tiny", None, &mut |_| {}).unwrap_err().to_string();
    let path = folder.path().join("sub/tiny.bin").display().to_string();
    for told in ["404", &server.address, &path, "by hand"] {
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_damaged_file_is_told_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(vec![Answer::Damaged, Answer::File]);
    let catalogue = catalogue(folder.path(), &server.address);
    let error = catalogue.fetch("tiny", None, &mut |_| {}).unwrap_err();
    assert!(matches!(&error, ModelError::Wrong { name, .. } if name == "tiny"), "{error}");
    assert!(!part(folder.path()).exists() && !folder.path().join("sub/tiny.bin").exists());
    catalogue.fetch("tiny", None, &mut |_| {}).unwrap();
}

#[test]
fn a_file_longer_than_the_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(vec![Answer::Longer]);
    let error = catalogue(folder.path(), &server.address).fetch("tiny", None, &mut |_| {}).unwrap_err();
    assert!(matches!(error, ModelError::Fetch { .. }), "{error}");
    assert!(!folder.path().join("sub/tiny.bin").exists());
}

#[test]
fn a_mirror_is_asked_instead_of_the_publisher() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(vec![Answer::File]);
    let mirror = format!("{}/ours/", server.address);
    catalogue(folder.path(), "http://127.0.0.1:9").fetch("tiny", Some(&mirror), &mut |_| {}).unwrap();
    assert_eq!(server.asked.recv().unwrap()[0], "get /ours/tiny.bin http/1.1");
}

#[test]
fn a_model_that_is_there_is_not_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = catalogue(folder.path(), "http://127.0.0.1:9");
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    std::fs::write(folder.path().join("sub/tiny.bin"), content()).unwrap();
    catalogue.fetch("tiny", None, &mut |_| panic!("nothing is to be read")).unwrap();
}

#[test]
fn a_publisher_out_of_reach_is_told() {
    let folder = tempfile::tempdir().unwrap();
    // Bound and closed at once: nobody listens there.
    let address = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let error = catalogue(folder.path(), &address).fetch("tiny", None, &mut |_| {}).unwrap_err();
    assert!(matches!(error, ModelError::Fetch { .. }), "{error}");
}
