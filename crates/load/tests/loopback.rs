//! The tester against itself and against its own bare relay, on loopback with real packets, short and bounded.

#![expect(clippy::unwrap_used, reason = "what serves a test fails as a test does")]

use std::{
    net::{TcpListener, UdpSocket},
    path::Path,
    sync::atomic::{AtomicU16, Ordering},
};

use clap::Parser;
use segue_load::{LoadArgs, LoadError};
use serde_json::Value;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: LoadArgs,
}

fn load(words: &[&str]) -> Result<u8, LoadError> {
    segue_load::load(&Line::parse_from([&["load"][..], words].concat()).args)
}

/// An even port that nobody has now, nor the `more` ports above it; each call looks in a block of its own.
fn free_port(more: u16) -> u16 {
    static BLOCK: AtomicU16 = AtomicU16::new(0);
    let process = (std::process::id() % 10) as u16;
    loop {
        let port = 33_000 + 2_500 * process + 100 * (BLOCK.fetch_add(1, Ordering::Relaxed) % 25);
        if (port..=port + more).all(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok()) {
            return port;
        }
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn callers_and_bots_of_the_tester_hear_every_packet_of_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (json, csv, html) = (file("run.json"), file("run.csv"), file("run.html"));
    let (port, media) = (free_port(0), free_port(50).to_string());
    let address = format!("127.0.0.1:{port}");
    let mut words = vec!["bridge", "--target", &address, "--listen", &address, "--to", "bot", "--plain"];
    words.extend(["--calls", "10", "--rate", "20", "--time", "3", "--media-port", &media]);
    words.extend(["--json", &json, "--csv", &csv, "--html", &html, "--max-failed", "0"]);
    assert_eq!(load(&words).unwrap(), 0);
    let report = read(Path::new(&json));
    let summary = &report["summary"];
    assert_eq!(
        (&summary["calls"]["succeeded"], &summary["calls"]["crossed"]),
        (&10.into(), &0.into()),
        "{summary}"
    );
    let heard = summary["media"]["received"].as_u64().unwrap();
    assert!(heard > 2_000, "10 calls of 3 s have 3,000 packets both ways: {summary}");
    assert_eq!(summary["media"]["duplicated"], 0, "{summary}");
    assert!(
        summary["media"]["delay"]["p50_ms"].as_f64().unwrap() < 5.0,
        "nothing lies between them: {summary}"
    );
    assert!(report["rows"].as_array().unwrap().len() >= 3);
    let page = std::fs::read_to_string(&html).unwrap();
    assert!(
        page.contains("Passed") && page.contains("<svg") && !page.contains("http"),
        "the page needs nothing else"
    );
    assert!(std::fs::read_to_string(&csv).unwrap().lines().count() >= 4);
}

#[test]
fn a_bare_relay_of_either_design_loses_nothing() {
    for (design, ports) in [("epoll", "shared"), ("shared", "own")] {
        let folder = tempfile::tempdir().unwrap();
        let json = folder.path().join("run.json").display().to_string();
        let relay = format!("127.0.0.1:{}", free_port(12));
        let listen = format!("127.0.0.1:{}", free_port(0));
        let media = free_port(60).to_string();
        let at = relay.clone();
        let relaying = std::thread::spawn(move || {
            load(&["relay", "--listen", &at, "--design", design, "--calls", "5", "--time", "5"])
        });
        let mut words =
            vec!["pairs", "--target", &relay, "--listen", &listen, "--design", design, "--ports", ports];
        words.extend([
            "--calls",
            "5",
            "--rate",
            "20",
            "--time",
            "2",
            "--media-port",
            &media,
            "--plain",
            "--json",
            &json,
        ]);
        assert_eq!(load(&words).unwrap(), 0, "{design}");
        let summary = &read(Path::new(&json))["summary"];
        assert_eq!(summary["calls"]["succeeded"], 5, "{design}: {summary}");
        assert!(summary["media"]["received"].as_u64().unwrap() > 500, "{design}: {summary}");
        assert_eq!(summary["media"]["lost"], 0, "{design}: {summary}");
        assert_eq!(relaying.join().unwrap().unwrap(), 0);
    }
}

#[test]
fn an_api_that_is_not_there_is_told_as_failed_requests_and_a_strange_host_is_refused() {
    let api = format!("127.0.0.1:{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    assert_eq!(load(&["rest", "--api", &api, "--api-rate", "50", "--time", "0.2"]).unwrap(), 2);
    assert!(matches!(load(&["rest", "--api", "192.0.2.1:80"]), Err(LoadError::Foreign(_))));
    assert!(matches!(load(&["bridge", "--target", "192.0.2.1:5060"]), Err(LoadError::Foreign(_))));
}
