//! Two of our own endpoints call each other over the loopback; after each story nothing is left over.

mod common;

use common::{Net, media};
use segue_sip::{Ended, HangUp, LegEvent};

#[tokio::test]
async fn a_call_is_answered_and_hung_up_by_the_caller() {
    let mut net = Net::new().await;
    let (caller, mut called) = net.call_up().await;
    assert_eq!(caller.remote().unwrap().rtp, media(7_000).rtp);
    assert_eq!(called.remote().unwrap().rtp, media(6_000).rtp);
    caller.hang_up(HangUp { cause: Some((16, "Normal call clearing")), headers: Vec::new() }).await;
    let LegEvent::Ended(Ended::Remote { headers }) = called.next().await else { panic!("no end") };
    assert_eq!(headers, [("Reason".to_owned(), "Q.850;cause=16;text=\"Normal call clearing\"".to_owned())]);
    drop((caller, called));
    net.nothing_is_left().await;
}
