//! How many calls a second one core sets up: INVITE, 100, 200, ACK, BYE, 200 between two endpoints over loopback UDP.
//!
//! `cargo run --release -p segue-sip --example setups -- 20000`
//! Both sides run on one thread, so one side costs about half of what is printed.
#![expect(clippy::print_stdout, reason = "a tool for the terminal")]

use std::{error::Error, net::SocketAddr, time::Duration};

use segue_media::{Codec, Direction, MediaDescription, OpusWishes};
use segue_sip::{
    Answer, Caller, DialEvent, DialRequest, HangUp, LegEvent, Sip, SipConfig, SipEvent, SipLimits, Target,
    Trunk,
};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

/// Calls that are being set up or up at one time.
const AT_ONCE: usize = 64;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let calls: usize = std::env::args().nth(1).unwrap_or_else(|| "5000".to_owned()).parse()?;
    let stop = CancellationToken::new();
    let (near, near_driver, _near_events) = Sip::bind(config()?, stop.clone()).await?;
    let (far, far_driver, mut events) = Sip::bind(config()?, stop.clone()).await?;
    let target = far.addresses().udp.first().map(|address| format!("sip:load@{address}")).unwrap_or_default();
    let mut tasks = JoinSet::new();
    tasks.spawn(near_driver.run());
    tasks.spawn(far_driver.run());
    let mut legs = JoinSet::new();
    let (mut begun, mut done) = (0, 0);
    let (start, cpu_start) = (Instant::now(), cpu()?);
    while done < calls {
        while begun < calls && begun - done < AT_ONCE {
            legs.spawn(one_call(near.clone(), target.clone()));
            begun += 1;
        }
        tokio::select! {
            Some(SipEvent::Incoming(call)) = events.recv() => {
                tasks.spawn(async move {
                    if let Ok(mut leg) = call.answer(Answer { local: media(), handoff_allowed: false }).await {
                        while !matches!(leg.next().await, LegEvent::Ended(_)) {}
                    }
                });
            }
            Some(ended) = legs.join_next() => {
                if !ended? {
                    return Err("a call failed".into());
                }
                done += 1;
            }
        }
    }
    let (wall, busy) = (start.elapsed().as_secs_f64(), (cpu()? - cpu_start).as_secs_f64());
    let rate = |seconds: f64| f64::from(u32::try_from(calls).unwrap_or(u32::MAX)) / seconds.max(0.001);
    println!(
        "{calls} calls: {:.0} a second by the clock, {:.0} a second of CPU for both sides together",
        rate(wall),
        rate(busy)
    );
    stop.cancel();
    Ok(())
}

async fn one_call(sip: Sip, target: String) -> bool {
    let request = DialRequest {
        to: Target::Uri(target),
        from: Caller::default(),
        headers: Vec::new(),
        offer: media(),
        ring_max: Duration::from_secs(30),
        handoff_allowed: false,
        credentials: None,
        options: segue_sip::DialOptions::default(),
    };
    let mut dialing = sip.dial(request).await;
    loop {
        match dialing.next().await {
            Some(DialEvent::Answered(mut leg)) => {
                leg.hang_up(HangUp::default()).await;
                return matches!(leg.next().await, LegEvent::Ended(_));
            }
            Some(DialEvent::Ringing | DialEvent::EarlyMedia { .. }) => {}
            Some(DialEvent::Failed(_)) | None => return false,
        }
    }
}

fn config() -> Result<SipConfig, Box<dyn Error>> {
    let loopback =
        Trunk { name: "loopback".to_owned(), sources: vec!["127.0.0.0/8".parse()?], credentials: None };
    let many = 10_000_000;
    let limits = SipLimits {
        calls_max: many as usize,
        dialogs_max: many as usize,
        calls_per_second: many,
        per_source_per_second: many,
        ..SipLimits::default()
    };
    Ok(SipConfig {
        udp: vec!["127.0.0.1:0".parse()?],
        trunks: vec![loopback],
        limits,
        ..SipConfig::default()
    })
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

/// CPU time of this process: the first number of the scheduler's line, in nanoseconds.
fn cpu() -> Result<Duration, Box<dyn Error>> {
    let line = std::fs::read_to_string("/proc/self/schedstat")?;
    let first = line.split_ascii_whitespace().next().unwrap_or("0");
    Ok(Duration::from_nanos(first.parse()?))
}
