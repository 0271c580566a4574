//! Keeps the house in order: who may depend on whom, what pure crates may not name, heads, sizes, words.
//!
//! Each message says what to do. A new edge between crates is a decision: change `MAY_DEPEND_ON` here and the
//! table in `crates/README.md` in the same commit.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The dependency table of `crates/README.md`: crate, what it may depend on.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("acd", &[]),
    ("trigger", &[]),
    ("call", &["acd", "trigger"]),
    ("media", &[]),
    ("speech", &["media", "trigger"]),
    ("sip", &["media"]),
    ("bot", &["media"]),
    ("store", &["acd", "call", "trigger"]),
    ("api", &["acd", "call", "trigger"]),
    ("sim", &["acd", "call", "trigger"]),
    ("lab", &["trigger"]),
    ("load", &["media", "sip"]),
    ("gateway", &["acd", "api", "bot", "call", "lab", "load", "media", "sip", "speech", "store", "trigger"]),
];

/// Crates whose rules take an event and `now` and give actions, and nothing else.
const PURE: &[&str] = &["acd", "trigger", "call", "media", "sim"];

/// What a pure crate may not name, and what to do instead.
const IMPURE: &[(&str, &str)] = &[
    ("tokio", "give an action and let the gateway carry it out"),
    ("UdpSocket", "take bytes, give bytes; sockets live in crates/gateway/src/media"),
    ("TcpStream", "take bytes, give bytes; sockets live in the edge crates"),
    ("TcpListener", "take bytes, give bytes; sockets live in the edge crates"),
    ("std::fs", "take the text as an argument; the gateway reads files"),
    ("std::env", "take the value as an argument; the gateway reads the environment"),
    ("std::thread", "give an action; threads live in the edge crates"),
    ("Instant", "take `now: Duration` as an argument"),
    ("SystemTime", "take `now: Duration` as an argument"),
    ("static mut", "keep the state in the value that owns it"),
    ("thread_local", "keep the state in the value that owns it"),
    ("OnceLock", "keep the state in the value that owns it"),
    ("LazyLock", "keep the state in the value that owns it"),
    ("RandomState", "take a seed as an argument"),
    ("HashMap", "use a BTreeMap: its order is the same every time"),
    ("HashSet", "use a BTreeSet: its order is the same every time"),
];

/// Words that no source file may hold, and what to do instead.
const BANNED: &[(&str, &str)] = &[
    (concat!("TO", "DO"), "finish it, or open an issue"),
    (concat!("FIX", "ME"), "finish it, or open an issue"),
    (concat!("todo", "!("), "write the code"),
    (concat!("unimplemented", "!("), "write the code"),
    (concat!("#[", "ignore"), "a test that does not run proves nothing: delete it or make it run"),
    (concat!("Man", "ager"), "name the thing by what it is in telephony"),
    (concat!("Help", "er"), "name the thing by what it does"),
    (concat!("Ut", "il"), "put the function beside what it serves"),
    (
        concat!("unbounded_", "channel"),
        "every queue has a limit, and the code says what happens at the limit",
    ),
    (concat!("/wo", "rk/"), "no path of a developer's machine belongs into the tree"),
    (concat!("/ro", "ot/"), "no path of a developer's machine belongs into the tree"),
];

const LINES_MAX: usize = 600;

/// What may be seen at the top.
const TOP_LEVEL: &[&str] = &[
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "config",
    "crates",
    "deny.toml",
    "deploy",
    "models",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "tests",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files_below(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            files_below(&path, extension, found);
        } else if path.extension().is_some_and(|ext| ext == extension) {
            found.push(path);
        }
    }
}

fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    files_below(&root().join(folder), "rs", &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
            (name, fs::read_to_string(&path).unwrap_or_default())
        })
        .collect()
}

fn all_sources() -> Vec<(String, String)> {
    sources("crates").into_iter().chain(sources("tests")).collect()
}

fn report(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// The lines before the test module: rules about the product's own code stop there.
fn product_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line))
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[test]
fn crates_depend_only_on_what_the_table_allows() {
    let table: BTreeMap<&str, BTreeSet<&str>> =
        MAY_DEPEND_ON.iter().map(|(name, may)| (*name, may.iter().copied().collect())).collect();
    let mut problems = Vec::new();
    for entry in fs::read_dir(root().join("crates")).expect("crates/ exists").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(text) = fs::read_to_string(entry.path().join("Cargo.toml")) else { continue };
        let Some(may) = table.get(name.as_str()) else {
            problems.push(format!(
                "crates/{name} is not in the table: add it to tests/tidy.rs and crates/README.md"
            ));
            continue;
        };
        let product = text.split("[dev-dependencies]").next().unwrap_or_default();
        for line in product.lines() {
            let Some(on) = line.strip_prefix("segue-").and_then(|rest| rest.split(['.', ' ', '=']).next())
            else {
                continue;
            };
            if !may.contains(on) {
                problems.push(format!(
                    "crates/{name} depends on {on}: move the shared word down, or decide the new edge in \
                     tests/tidy.rs and crates/README.md"
                ));
            }
        }
    }
    report(&problems);
}

#[test]
fn the_architecture_page_tells_of_every_crate() {
    let page = fs::read_to_string(root().join("crates/README.md")).expect("crates/README.md exists");
    let problems: Vec<String> = MAY_DEPEND_ON
        .iter()
        .filter(|(name, _)| !page.contains(&format!("| `{name}` |")))
        .map(|(name, _)| format!("crates/README.md has no row for {name}: add it to the table"))
        .collect();
    report(&problems);
}

#[test]
fn pure_crates_touch_nothing_outside_themselves() {
    let mut problems = Vec::new();
    for name in PURE {
        for (file, text) in sources(&format!("crates/{name}/src")) {
            for (at, line) in product_lines(&text) {
                for (word, remedy) in IMPURE {
                    if line.contains(word) {
                        problems.push(format!("{file}:{at}: {word} in a pure crate: {remedy}"));
                    }
                }
            }
        }
    }
    report(&problems);
}

#[test]
fn every_file_begins_with_what_it_is() {
    let problems: Vec<String> = all_sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(file, _)| format!("{file}: begin with `//! ` and one to ten lines on what this file is"))
        .collect();
    report(&problems);
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let problems: Vec<String> = all_sources()
        .into_iter()
        .filter(|(_, text)| text.lines().count() > LINES_MAX)
        .map(|(file, text)| {
            format!("{file}: {} lines: split it at {LINES_MAX}, one idea a file", text.lines().count())
        })
        .collect();
    report(&problems);
}

#[test]
fn banned_words_are_not_used() {
    let mut problems = Vec::new();
    for (file, text) in all_sources() {
        for (at, line) in text.lines().enumerate() {
            for (word, remedy) in BANNED {
                if line.contains(word) {
                    problems.push(format!("{file}:{}: `{word}`: {remedy}", at + 1));
                }
            }
        }
    }
    report(&problems);
}

#[test]
fn only_the_gateway_makes_tasks() {
    let mut problems = Vec::new();
    for (file, text) in sources("crates") {
        if file.starts_with("crates/gateway/") || !file.contains("/src/") {
            continue;
        }
        for (at, line) in product_lines(&text) {
            if line.contains("tokio::spawn") || line.contains("Handle::spawn") {
                problems.push(format!(
                    "{file}:{at}: a task without an owner: give a future to the gateway, or keep a JoinSet in it"
                ));
            }
        }
    }
    report(&problems);
}

#[test]
fn the_top_level_shows_only_what_belongs_there() {
    let problems: Vec<String> = fs::read_dir(root())
        .expect("the root is readable")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && name != "target" && name != "run")
        .filter(|name| !TOP_LEVEL.contains(&name.as_str()))
        .map(|name| {
            format!(
                "{name}: does not belong at the top; find its room (crates, models, config, deploy, tests)"
            )
        })
        .collect();
    report(&problems);
}
