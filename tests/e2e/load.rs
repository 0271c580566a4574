//! The load tester against the gateway: it counts every packet of callers and bots, and times handoffs at both ears.

use std::process::Command;

use serde_json::Value;

use crate::support::{
    Deadline, alone, free_address,
    gateway::{Agent, Gateway, Plan},
    note,
};

const CALLS: usize = 6;

/// Runs `segue load`; gives its exit code and its report.
fn load(gateway: &Gateway, listen: &str, words: &[&str]) -> (Option<i32>, Value) {
    let folder = tempfile::TempDir::new().unwrap();
    let json = folder.path().join("run.json");
    let calls = CALLS.to_string();
    let target = gateway.sip.to_string();
    let (kind, rest) = words.split_first().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_segue"))
        .args(["load", *kind, "--target", &target, "--listen", listen, "--calls", &calls, "--rate", "10"])
        .args(rest)
        .args(["--plain", "--json"])
        .arg(&json)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = std::fs::read_to_string(&json).unwrap_or_else(|error| {
        panic!("no report: {error}\n{told}\n{}", String::from_utf8_lossy(&output.stderr))
    });
    note(
        &told.lines().rev().take(12).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n    "),
    );
    (output.status.code(), serde_json::from_str(&report).unwrap())
}

fn gateway(until: Deadline, agents: usize) -> (Gateway, String) {
    gateway_with(until, agents, "")
}

fn gateway_with(until: Deadline, agents: usize, more: &str) -> (Gateway, String) {
    let listen = free_address();
    let agents = (1..=agents).map(|number| Agent::At(format!("agent{number}"), listen)).collect();
    let plan = Plan { bot: listen, agents, recognition: false, polite: false, more };
    (Gateway::start(until, &plan), listen.to_string())
}

#[test]
fn callers_and_bots_of_the_load_tester_hear_each_other_through_the_gateway() {
    let _alone = alone();
    let until = Deadline::after(90);
    let (gateway, listen) = gateway(until, 0);
    let (code, report) =
        load(&gateway, &listen, &["bridge", "--time", "4", "--max-failed", "0", "--max-loss", "5"]);
    let (calls, media) = (&report["summary"]["calls"], &report["summary"]["media"]);
    assert_eq!(
        (code, &calls["succeeded"], &calls["crossed"]),
        (Some(0), &CALLS.into(), &0.into()),
        "{report:#}"
    );
    assert!(media["received"].as_u64().unwrap() > 1_000, "{media:#}");
    assert_eq!(media["duplicated"], 0, "{media:#}");
    gateway.is_empty(until);
    gateway.stop(until);
}

#[test]
fn handoffs_of_the_load_tester_are_announced_whispered_and_bridged() {
    let _alone = alone();
    let until = Deadline::after(120);
    let (gateway, listen) = gateway(until, CALLS);
    let words = [
        "handoff",
        "--time",
        "1",
        "--ask-after",
        "1",
        "--talk",
        "2",
        "--listen-whisper",
        "0.3",
        "--max-failed",
        "0",
    ];
    let (code, report) = load(&gateway, &listen, &words);
    let handoffs = &report["summary"]["handoffs"];
    assert_eq!((code, &handoffs["bridged"]), (Some(0), &CALLS.into()), "{report:#}");
    assert_eq!((&handoffs["double_assigned"], &handoffs["leaked"]), (&0.into(), &0.into()));
    for times in ["announced", "rung", "whispered", "bridged_after"] {
        assert_eq!(handoffs[times]["count"], CALLS, "{times}: {handoffs:#}");
    }
    gateway.is_empty(until);
    gateway.stop(until);
}

/// Calls that all went well, with nothing lost twice or crossed; gives what was heard.
fn went_well(code: Option<i32>, report: &Value) -> &Value {
    let (calls, media) = (&report["summary"]["calls"], &report["summary"]["media"]);
    let counts = [&calls["succeeded"], &calls["crossed"], &media["duplicated"], &media["rejected"]];
    assert_eq!((code, counts), (Some(0), [&CALLS.into(), &0.into(), &0.into(), &0.into()]), "{report:#}");
    media
}

#[test]
fn callers_with_opus_and_bots_with_g711_hear_each_others_tones_through_the_gateway() {
    let _alone = alone();
    let until = Deadline::after(90);
    let (gateway, listen) = gateway(until, 0);
    let codecs = ["bridge", "--time", "5", "--caller-codec", "opus", "--bot-codec", "pcmu"];
    let bars = ["--listen-every", "1", "--max-failed", "0", "--max-loss", "5", "--max-unheard", "20"];
    let (code, report) = load(&gateway, &listen, &[&codecs[..], &bars].concat());
    let media = went_well(code, &report);
    // Each of twelve ears looks four times or more.
    assert!(media["looks"].as_u64().unwrap() >= 40, "{media:#}");
    assert!(media["delay"]["count"].as_u64().unwrap() >= 24, "{media:#}");
    gateway.is_empty(until);
    gateway.stop(until);
}

#[test]
fn callers_and_bots_who_demand_srtp_hear_every_packet_through_the_gateway() {
    let _alone = alone();
    let until = Deadline::after(90);
    let (gateway, listen) = gateway_with(until, 0, "[media.srtp]\nkeys_in_clear = true\n");
    let words = ["bridge", "--time", "4", "--srtp", "sdes", "--max-failed", "0", "--max-loss", "5"];
    let (code, report) = load(&gateway, &listen, &words);
    let media = went_well(code, &report);
    assert!(media["received"].as_u64().unwrap() > 1_000, "{media:#}");
    gateway.is_empty(until);
    gateway.stop(until);
}
