//! Answers each call with a description of audio that nobody sends: a far side for load tests and hostile clients.
//!
//! `cargo run -p segue-sip --example answer -- udp=127.0.0.1:5060 tcp=127.0.0.1:5060 after_ms=0 [user=ann:secret] [refuse=busy]`
//! Also `tls=`, `ws=` and `wss=` with `certificate=` and `key=` (PEM files), and IPv6 addresses in brackets.
//! With a user, calls need digest; without, the loopback is a trunk. Ends on SIGINT and then prints what was left over.
#![expect(clippy::print_stdout, reason = "a tool for the terminal")]

use std::{collections::BTreeMap, error::Error, net::SocketAddr, path::PathBuf, time::Duration};

use segue_media::{Codec, Direction, MediaDescription, OpusWishes};
use segue_sip::{
    Answer, DigestAlgorithm, IncomingCall, LegEvent, Refusal, Secret, Sip, SipConfig, SipCounts, SipEvent,
    SipLimits, TlsFiles, Trunk, UserCredential,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: BTreeMap<String, String> = std::env::args()
        .skip(1)
        .filter_map(|word| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect();
    let word = |name: &str| words.get(name).map(String::as_str);
    let after = Duration::from_millis(word("after_ms").unwrap_or("0").parse()?);
    let refuses = word("refuse") == Some("busy");
    let stop = CancellationToken::new();
    let (sip, driver, mut events) = Sip::bind(configure(&words)?, stop.clone()).await?;
    println!("answering on {:?}", sip.addresses());
    let mut tasks = JoinSet::new();
    let driver = tasks.spawn(driver.run());
    let mut calls = 0_u64;
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(SipEvent::Incoming(call)) if refuses => {
                    calls += 1;
                    tasks.spawn(call.refuse(Refusal::Busy));
                }
                Some(SipEvent::Incoming(call)) => {
                    calls += 1;
                    tasks.spawn(answer(*call, after));
                }
                Some(other) => println!("{other:?}"),
                None => break,
            },
            Some(ended) = tasks.join_next() => ended?,
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    let clean = |counts: &SipCounts| counts.dialogs + counts.transactions == 0;
    // A far side that vanishes is noticed after 64·T1 without ACK, and its BYE is given up after another.
    let counts = tokio::time::timeout(Duration::from_secs(100), sip.counts_when(clean)).await;
    println!(
        "{calls} calls; left over: {}",
        if counts.is_ok() { "nothing".to_owned() } else { format!("{:?}", sip.counts()) }
    );
    stop.cancel();
    drop(driver);
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    Ok(())
}

fn configure(words: &BTreeMap<String, String>) -> Result<SipConfig, Box<dyn Error>> {
    let address = |name: &str| words.get(name).map(|text| text.parse::<SocketAddr>()).transpose();
    let users: Vec<UserCredential> = words
        .get("user")
        .and_then(|user| user.split_once(':'))
        .map(|(user, password)| UserCredential {
            user: user.to_owned(),
            secret: Secret::Password(password.to_owned()),
        })
        .into_iter()
        .collect();
    let sources = vec!["127.0.0.0/8".parse()?, "::1".parse()?];
    let loopback = Trunk { name: "loopback".to_owned(), sources, credentials: None };
    let certificates = TlsFiles {
        certificate: words.get("certificate").map(PathBuf::from),
        key: words.get("key").map(PathBuf::from),
        ..TlsFiles::default()
    };
    let mut limits = SipLimits { calls_max: 20_000, dialogs_max: 20_000, ..SipLimits::default() };
    if let Some(rate) = words.get("rate") {
        limits.calls_per_second = rate.parse()?;
        limits.per_source_per_second = rate.parse()?;
    }
    Ok(SipConfig {
        udp: address("udp")?.into_iter().collect(),
        tcp: address("tcp")?.into_iter().collect(),
        open_registration: if users.is_empty() { loopback.sources.clone() } else { Vec::new() },
        tls: address("tls")?.into_iter().collect(),
        ws: address("ws")?.into_iter().collect(),
        wss: address("wss")?.into_iter().collect(),
        certificates,
        trunks: if users.is_empty() { vec![loopback] } else { Vec::new() },
        users,
        digests: match words.get("digests").map(String::as_str) {
            Some("sha256") => vec![DigestAlgorithm::Sha256, DigestAlgorithm::Md5],
            Some(_) | None => SipConfig::default().digests,
        },
        limits,
        ..SipConfig::default()
    })
}

async fn answer(mut call: IncomingCall, after: Duration) {
    call.ring().await;
    if !after.is_zero() {
        tokio::select! {
            () = call.withdrawn() => return,
            () = tokio::time::sleep(after) => {}
        }
    }
    let local = MediaDescription {
        rtp: SocketAddr::from(([127, 0, 0, 1], 40_000)),
        rtcp: SocketAddr::from(([127, 0, 0, 1], 40_001)),
        codecs: vec![(Codec::Pcmu, 0), (Codec::Pcma, 8)],
        telephone_event: Some(101),
        ptime_ms: 20,
        direction: Direction::SendRecv,
        security: Vec::new(),
        opus: OpusWishes::default(),
    };
    let Ok(mut leg) = call.answer(Answer { local, handoff_allowed: false }).await else { return };
    while !matches!(leg.next().await, LegEvent::Ended(_)) {}
}
