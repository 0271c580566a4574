//! The same with a real client, sipp. Where it is not installed the tests say so and pass.

use std::{net::SocketAddr, process::Stdio};

use super::{
    common::{End, config, end, request},
    secure::media_of,
};
use segue_sip::{
    Answer, DialEvent, HangUp, LegEvent, Secret, SipConfig, SipCounts, SipEvent, Target, UnregisteredWhy,
    UserCredential,
};
use tokio::{process::Command, task::JoinSet};

/// sipp against an endpoint; `None` if it is not installed.
fn sipp(against: SocketAddr, more: &[&str]) -> Option<Command> {
    if !std::path::Path::new("/usr/bin/sipp").exists() {
        eprintln!("skipped: /usr/bin/sipp is not installed (Debian package sip-tester)");
        return None;
    }
    let mut command = Command::new("/usr/bin/sipp");
    command
        .arg(against.to_string())
        .args(["-i", &against.ip().to_string(), "-nostdin", "-timeout", "20s", "-timeout_error"])
        .args(more)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    Some(command)
}

fn scenario(name: &str) -> Vec<&str> {
    vec!["-sf", name, "-m", "1"]
}

async fn succeeds(mut command: Command) {
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "sipp: {}", String::from_utf8_lossy(&output.stderr));
}

async fn nothing_is_left(end: &End) {
    let counts = end.sip.counts_when(|counts: &SipCounts| counts.dialogs + counts.transactions == 0).await;
    assert_eq!((counts.dialogs, counts.transactions, counts.registrations), (0, 0, 0));
}

async fn answer_all(mut end: End, calls: usize) -> End {
    let mut legs = JoinSet::new();
    for _ in 0..calls {
        let call = end.incoming().await;
        legs.spawn(async move {
            call.ring().await;
            let local = media_of(call.invitation().signalling);
            let mut leg = call.answer(Answer { local, handoff_allowed: false }).await.unwrap();
            while !matches!(leg.next().await, LegEvent::Ended(_)) {}
        });
    }
    while let Some(ended) = legs.join_next().await {
        ended.unwrap();
    }
    end
}

#[tokio::test]
async fn sipp_calls_us_by_udp_and_tcp_on_both_families() {
    for (transport, place) in [("u1", 0), ("t1", 0), ("u1", 1), ("t1", 1)] {
        let both = || vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
        let mut tasks = JoinSet::new();
        let mut config = SipConfig { udp: both(), tcp: both(), ..config() };
        config.trunks[0].sources.push("::1".parse().unwrap());
        let here = end(&mut tasks, config).await;
        let addresses = here.sip.addresses();
        let address = if transport == "t1" { addresses.tcp[place] } else { addresses.udp[place] };
        let flags = ["-sn", "uac", "-d", "50", "-m", "10", "-r", "50", "-t", transport];
        let Some(command) = sipp(address, &flags) else { return };
        let (here, ()) = tokio::join!(answer_all(here, 10), succeeds(command));
        nothing_is_left(&here).await;
    }
}

#[tokio::test]
async fn sipp_gives_up_while_it_rings() {
    let mut tasks = JoinSet::new();
    let mut here = end(&mut tasks, config()).await;
    let Some(command) = sipp(here.udp(), &scenario("cancel.xml")) else { return };
    let ringing = async {
        let mut call = here.incoming().await;
        call.ring().await;
        call.withdrawn().await;
    };
    tokio::join!(ringing, succeeds(command));
    nothing_is_left(&here).await;
}

#[tokio::test]
async fn sipp_registers_by_digest_and_leaves() {
    let mut tasks = JoinSet::new();
    let user = UserCredential { user: "ann".into(), secret: Secret::Password("secret".into()) };
    let mut here = end(&mut tasks, SipConfig { users: vec![user], ..config() }).await;
    let Some(command) = sipp(here.udp(), &scenario("register.xml")) else { return };
    let presence = async {
        let Some(SipEvent::Registered { user, .. }) = here.events.recv().await else {
            panic!("not registered")
        };
        assert_eq!(user, "ann");
        let Some(SipEvent::Unregistered { user, why }) = here.events.recv().await else {
            panic!("not unregistered")
        };
        assert_eq!((user.as_str(), why), ("ann", UnregisteredWhy::Asked));
    };
    tokio::join!(presence, succeeds(command));
    nothing_is_left(&here).await;
}

#[tokio::test]
async fn we_call_sipp_and_hang_up() {
    let mut tasks = JoinSet::new();
    let here = end(&mut tasks, config()).await;
    let port = free_port();
    let Some(mut command) = sipp(here.udp(), &["-sn", "uas", "-m", "1", "-p", &port]) else { return };
    let mut phone = command.spawn().unwrap();
    // sipp says nothing when it is ready; an INVITE that came too early is sent again.
    let mut dialing = here.sip.dial(request(Target::Uri(format!("sip:bot@127.0.0.1:{port}")))).await;
    let mut rang = false;
    let mut leg = loop {
        match dialing.next().await {
            Some(DialEvent::Ringing) => rang = true,
            Some(DialEvent::Answered(leg)) => break leg,
            other => panic!("{other:?}"),
        }
    };
    assert!(rang);
    leg.hang_up(HangUp::default()).await;
    assert!(matches!(leg.next().await, LegEvent::Ended(_)));
    assert!(phone.wait().await.unwrap().success());
    nothing_is_left(&here).await;
}

fn free_port() -> String {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}
