//! Dials one URI, prints what becomes of it, hangs up after a while: for trying far sides by hand.
//!
//! `cargo run -p segue-sip --example dial -- to=sip:bot@127.0.0.1:5070 ring_ms=5000 talk_ms=500`
#![expect(clippy::print_stdout, reason = "a tool for the terminal")]

use std::{collections::BTreeMap, error::Error, net::SocketAddr, time::Duration};

use segue_media::{Codec, Direction, MediaDescription, OpusWishes};
use segue_sip::{Caller, DialEvent, DialRequest, HangUp, LegEvent, Sip, SipConfig, SipCounts, Target};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: BTreeMap<String, String> = std::env::args()
        .skip(1)
        .filter_map(|word| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect();
    let milliseconds = |name: &str, else_ms: u64| -> Result<Duration, Box<dyn Error>> {
        Ok(Duration::from_millis(words.get(name).map_or(Ok(else_ms), |text| text.parse())?))
    };
    let stop = CancellationToken::new();
    let config = SipConfig { udp: vec!["127.0.0.1:0".parse()?], ..SipConfig::default() };
    let (sip, driver, _events) = Sip::bind(config, stop.clone()).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(driver.run());
    let mut dialing = sip
        .dial(DialRequest {
            to: Target::Uri(words.get("to").cloned().unwrap_or_default()),
            from: Caller { user: "dial".to_owned(), display: None },
            headers: Vec::new(),
            offer: media(),
            ring_max: milliseconds("ring_ms", 5_000)?,
            handoff_allowed: false,
            credentials: None,
            options: segue_sip::DialOptions::default(),
        })
        .await;
    while let Some(event) = dialing.next().await {
        match event {
            DialEvent::Answered(mut leg) => {
                println!("answered: {:?}", leg.remote());
                let talk = milliseconds("talk_ms", 500)?;
                tokio::select! {
                    event = leg.next() => println!("{event:?}"),
                    () = tokio::time::sleep(talk) => {
                        leg.hang_up(HangUp::default()).await;
                        println!("{:?}", leg.next().await);
                    }
                }
                while !matches!(leg.next().await, LegEvent::Ended(_)) {}
            }
            DialEvent::Ringing => println!("ringing"),
            DialEvent::EarlyMedia { remote, fork } => println!("early media of far side {fork}: {remote:?}"),
            DialEvent::Failed(failure) => println!("{failure:?}"),
        }
    }
    let clean = |counts: &SipCounts| counts.dialogs + counts.transactions == 0;
    let counts = tokio::time::timeout(Duration::from_secs(70), sip.counts_when(clean)).await;
    println!(
        "left over: {}",
        counts.map_or_else(|_| format!("{:?}", sip.counts()), |_| "nothing".to_owned())
    );
    stop.cancel();
    Ok(())
}

fn media() -> MediaDescription {
    MediaDescription {
        rtp: SocketAddr::from(([127, 0, 0, 1], 40_000)),
        rtcp: SocketAddr::from(([127, 0, 0, 1], 40_001)),
        codecs: vec![(Codec::Pcmu, 0), (Codec::Pcma, 8)],
        telephone_event: Some(101),
        ptime_ms: 20,
        direction: Direction::SendRecv,
        security: Vec::new(),
        opus: OpusWishes::default(),
    }
}
