//! Two of our own endpoints call each other over the loopback; after each story nothing is left over.

use std::time::Duration;

use super::common::{Net, config, join, media, request};
use segue_media::{Codec, MediaDescription};
use segue_sip::{
    Answer, AnswerError, DialEvent, DialRequest, Dialing, Ended, FailureKind, HangUp, LegEvent, Refusal,
    SipConfig, SipFailure, SipLimits, Source, Target,
};

fn answer() -> Answer {
    Answer { local: media(7_000), handoff_allowed: false }
}

async fn failure(dialing: &mut Dialing) -> SipFailure {
    loop {
        match dialing.next().await {
            Some(DialEvent::Failed(failure)) => return failure,
            Some(DialEvent::Ringing | DialEvent::EarlyMedia { .. }) => {}
            other => panic!("not failed: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_call_is_answered_and_hung_up_by_the_caller() {
    let mut net = Net::new().await;
    let (caller, mut called) = net.call_up().await;
    assert_eq!(caller.remote().unwrap().rtp, media(7_000).rtp);
    assert_eq!(called.remote().unwrap().rtp, media(6_000).rtp);
    assert_eq!(caller.sip_call_id(), called.sip_call_id());
    caller.hang_up(HangUp { cause: Some((16, "Normal call clearing")), headers: Vec::new() }).await;
    let LegEvent::Ended(Ended::Remote { headers }) = called.next().await else { panic!("no end") };
    assert_eq!(headers, [("Reason".to_owned(), "Q.850;cause=16;text=\"Normal call clearing\"".to_owned())]);
    drop((caller, called));
    net.nothing_is_left().await;
}

#[tokio::test]
async fn the_called_side_hears_who_calls_and_hangs_up() {
    let mut net = Net::new().await;
    let request = net.request();
    let (dialing, call) = net.ringing(request).await;
    let invitation = call.invitation().clone();
    assert_eq!(
        (invitation.from.user.as_str(), invitation.from.display.as_deref()),
        ("+4930123456", Some("Ann"))
    );
    assert_eq!((invitation.to.as_str(), invitation.source), ("bot", Source::Trunk("loopback".into())));
    assert_eq!(invitation.headers, [("X-Call".to_owned(), "17".to_owned())]);
    let (mut caller, mut called) = join(dialing, call).await;
    called.hang_up(HangUp::default()).await;
    assert!(matches!(caller.next().await, LegEvent::Ended(Ended::Remote { .. })));
    assert_eq!(called.next().await, LegEvent::Ended(Ended::Local));
    net.nothing_is_left().await;
}

#[tokio::test]
async fn a_call_over_tcp_leaves_nothing_but_its_connection() {
    let mut net = Net::new().await;
    let address = net.b.sip.addresses().tcp[0];
    let over_tcp = request(Target::Uri(format!("sip:bot@{address};transport=tcp")));
    let (dialing, call) = net.ringing(over_tcp).await;
    let (caller, mut called) = join(dialing, call).await;
    caller.hang_up(HangUp::default()).await;
    assert!(matches!(called.next().await, LegEvent::Ended(Ended::Remote { .. })));
    net.nothing_is_left().await;
    assert_eq!((net.a.sip.counts().connections, net.b.sip.counts().connections), (1, 1));
}

#[tokio::test]
async fn the_caller_gives_up_while_it_rings() {
    let mut net = Net::new().await;
    let request = net.request();
    let (mut dialing, mut call) = net.ringing(request).await;
    dialing.cancel().await;
    assert_eq!(failure(&mut dialing).await.kind, FailureKind::Canceled);
    assert!(dialing.next().await.is_none());
    call.withdrawn().await;
    assert_eq!(call.answer(answer()).await.unwrap_err(), AnswerError::Canceled);
    net.nothing_is_left().await;
}

#[tokio::test]
async fn a_cancel_that_crosses_the_answer_leaves_no_call_up() {
    for _ in 0..20 {
        let mut net = Net::new().await;
        let request = net.request();
        let (mut dialing, call) = net.ringing(request).await;
        let (answered, ()) = tokio::join!(call.answer(answer()), dialing.cancel());
        match dialing.next().await {
            Some(DialEvent::Failed(failure)) => assert_eq!(failure.kind, FailureKind::Canceled),
            Some(DialEvent::Answered(mut leg)) => {
                leg.hang_up(HangUp::default()).await;
                assert!(matches!(leg.next().await, LegEvent::Ended(_)));
            }
            other => panic!("{other:?}"),
        }
        if let Ok(mut called) = answered {
            assert!(matches!(called.next().await, LegEvent::Ended(Ended::Remote { .. })));
        }
        net.nothing_is_left().await;
    }
}

#[tokio::test]
async fn refusals_are_told_by_their_kind() {
    let mut net = Net::new().await;
    let wait = Refusal::Unavailable { retry_after: Duration::from_secs(3) };
    for (refusal, kind, code) in [
        (Refusal::Busy, FailureKind::Busy, 486),
        (Refusal::Declined, FailureKind::Declined, 603),
        (Refusal::NotFound, FailureKind::Unreachable, 404),
        (Refusal::NotAcceptable, FailureKind::NoCommonCodec, 488),
        (wait, FailureKind::ServerError, 503),
    ] {
        let request = net.request();
        let (mut dialing, call) = net.ringing(request).await;
        call.refuse(refusal).await;
        let failure = failure(&mut dialing).await;
        assert_eq!((failure.kind, failure.code), (kind, Some(code)));
    }
    net.nothing_is_left().await;
}

#[tokio::test]
async fn ringing_too_long_is_no_answer() {
    let mut net = Net::new().await;
    let request = DialRequest { ring_max: Duration::from_millis(200), ..net.request() };
    let (mut dialing, mut call) = net.ringing(request).await;
    assert_eq!(failure(&mut dialing).await.kind, FailureKind::NoAnswer);
    call.withdrawn().await;
    drop(call);
    net.nothing_is_left().await;
}

#[tokio::test]
async fn no_codec_in_common_is_told_to_both() {
    let mut net = Net::new().await;
    let only_pcma = MediaDescription { codecs: vec![(Codec::Pcma, 8)], ..media(6_000) };
    let request = DialRequest { offer: only_pcma, ..net.request() };
    let (mut dialing, call) = net.ringing(request).await;
    let only_pcmu = MediaDescription { codecs: vec![(Codec::Pcmu, 0)], ..media(7_000) };
    let refused = call.answer(Answer { local: only_pcmu, handoff_allowed: false }).await;
    assert_eq!(refused.unwrap_err(), AnswerError::NoCommonCodec);
    assert_eq!(failure(&mut dialing).await.kind, FailureKind::NoCommonCodec);
    net.nothing_is_left().await;
}

#[tokio::test]
async fn nobody_at_the_other_end_is_unreachable() {
    let net = Net::new().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for target in [
        Target::Uri(format!("sip:bot@{closed};transport=tcp")),
        Target::Uri(format!("sip:bot@{closed}")),
        Target::User("nobody".into()),
        Target::Uri("sip:bot@no-such-host.invalid".into()),
        Target::Uri("nonsense".into()),
    ] {
        let quick = DialRequest { ring_max: Duration::from_millis(300), ..request(target.clone()) };
        let mut dialing = net.a.sip.dial(quick).await;
        let kind = failure(&mut dialing).await.kind;
        assert!(matches!(kind, FailureKind::Unreachable | FailureKind::NoAnswer), "{target:?}: {kind:?}");
    }
    net.nothing_is_left().await;
}

#[tokio::test]
async fn dropped_handles_end_their_calls() {
    let mut net = Net::new().await;
    // A ringing call whose owner is gone is refused.
    let request = net.request();
    let (mut dialing, call) = net.ringing(request).await;
    drop(call);
    assert_eq!(failure(&mut dialing).await.kind, FailureKind::NoAnswer);
    // A dialled call whose owner is gone is cancelled.
    let request = net.request();
    let (dialing, mut call) = net.ringing(request).await;
    drop(dialing);
    call.withdrawn().await;
    // A leg whose owner is gone is hung up.
    let (caller, mut called) = net.call_up().await;
    drop(caller);
    assert!(matches!(called.next().await, LegEvent::Ended(Ended::Remote { .. })));
    net.nothing_is_left().await;
}

#[tokio::test]
async fn too_many_calls_are_refused_and_room_is_given_back() {
    let limits = SipLimits { calls_max: 1, ..SipLimits::default() };
    let mut net = Net::with(config(), SipConfig { limits, ..config() }).await;
    let (caller, mut called) = net.call_up().await;
    let mut second = net.a.sip.dial(net.request()).await;
    let refused = failure(&mut second).await;
    assert_eq!((refused.kind, refused.code), (FailureKind::ServerError, Some(503)));
    caller.hang_up(HangUp::default()).await;
    assert!(matches!(called.next().await, LegEvent::Ended(_)));
    let up = net.call_up().await;
    drop(up);
    net.nothing_is_left().await;
}

#[tokio::test]
async fn a_hundred_calls_at_once_leave_nothing() {
    let limits = SipLimits { per_source_per_second: 1_000, calls_per_second: 1_000, ..SipLimits::default() };
    let mut net = Net::with(config(), SipConfig { limits, ..config() }).await;
    let mut dialings = Vec::new();
    for _ in 0..100 {
        dialings.push(net.a.sip.dial(net.request()).await);
    }
    let mut calls = Vec::new();
    for _ in 0..100 {
        calls.push(net.b.incoming().await.answer(answer()).await.unwrap());
    }
    for mut dialing in dialings {
        let Some(DialEvent::Answered(leg)) = dialing.next().await else { panic!("not answered") };
        leg.hang_up(HangUp::default()).await;
    }
    for mut called in calls {
        assert!(matches!(called.next().await, LegEvent::Ended(_)));
    }
    net.nothing_is_left().await;
}

#[tokio::test]
async fn the_end_of_the_sip_part_hangs_up_what_is_left() {
    let mut net = Net::new().await;
    let (mut caller, mut called) = net.call_up().await;
    net.a.stop.cancel();
    assert!(matches!(called.next().await, LegEvent::Ended(Ended::Remote { .. })));
    assert!(matches!(caller.next().await, LegEvent::Ended(_)));
    net.tasks.join_next().await.unwrap().unwrap();
    let mut late = net.a.sip.dial(net.request()).await;
    assert_eq!(failure(&mut late).await.kind, FailureKind::Canceled);
}
