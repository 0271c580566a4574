//! The kit's hostile messages (RFC 4475, RFC 5118, published attacks, descriptions) against a real endpoint.
//! Where the kit is not there the test says so and passes; our own corpus, in `hostile`, needs no kit.

use std::{collections::BTreeMap, path::Path, process::Stdio};

use segue_sip::{Answer, LegEvent, SipConfig, SipEvent, SipLimits};
use tokio::{process::Command, task::JoinSet};

use super::common::{End, config, end, media};

const KIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/kit/torture.py");

/// Answers every call, until the far side hangs up.
async fn answer_all(mut end: End) {
    let mut legs = JoinSet::new();
    while let Some(event) = end.events.recv().await {
        if let SipEvent::Incoming(call) = event {
            legs.spawn(async move {
                let answer = Answer { local: media(7_000), handoff_allowed: false };
                if let Ok(mut leg) = call.answer(answer).await {
                    while !matches!(leg.next().await, LegEvent::Ended(_)) {}
                }
            });
        }
    }
}

/// Grades by set: `rfc4475` → (`exact` → 45, …).
fn tally(report: &str) -> BTreeMap<&str, BTreeMap<&str, usize>> {
    let mut tally: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for line in report.lines() {
        let mut words = line.split_ascii_whitespace();
        if let (Some(grade), Some(case)) = (words.next(), words.next())
            && let Some((set, _)) = case.split_once('/')
        {
            *tally.entry(set).or_default().entry(grade).or_default() += 1;
        }
    }
    tally
}

#[tokio::test]
async fn the_kit_finds_the_answers_that_the_rfcs_name() {
    if !Path::new(KIT).exists() {
        eprintln!("skipped: {KIT} is not there");
        return;
    }
    let limits = SipLimits { per_source_per_second: 1_000, calls_per_second: 1_000, ..SipLimits::default() };
    let open = vec!["127.0.0.0/8".parse().unwrap()];
    let mut tasks = JoinSet::new();
    let end = end(&mut tasks, SipConfig { limits, open_registration: open, ..config() }).await;
    let target = end.udp().to_string();
    let answering = tasks.spawn(answer_all(end));
    let output = Command::new("python3")
        .args([KIT, "--target", &target, "--source", "127.0.77.2", "--via-rewrite", "--salt"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    answering.abort();
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
    let tally = tally(&report);
    let grade = |set: &str, grade: &str| tally.get(set).and_then(|set| set.get(grade)).copied().unwrap_or(0);
    assert!(grade("rfc4475", "exact") >= 45, "{report}");
    assert_eq!(grade("rfc4475", "exact") + grade("rfc4475", "ok"), 49, "{report}");
    assert_eq!(grade("rfc5118", "exact"), 12, "{report}");
    assert_eq!(grade("published", "exact"), 24, "{report}");
    assert_eq!(grade("sdp", "exact"), 35, "{report}");
}
