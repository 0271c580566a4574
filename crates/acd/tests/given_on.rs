//! What becomes of an agent who gives a conversation to somebody else, and of who takes it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use segue_acd::{AcdConfig, Activity, AgentId, Distributor, ReservationId, Ticket, TicketId};

const NOW: Duration = Duration::from_secs(1_000_000);

/// Alex talks to the first caller; Kim is idle.
fn alex_talks() -> Distributor {
    let config: AcdConfig = toml::from_str(
        "wrap_up = '10s'
        [[agents]]
        id = 'alex'
        name = 'Alex'
        address = 'sip:alex@127.0.0.1:5070'
        [[agents]]
        id = 'kim'
        name = 'Kim'
        address = 'sip:kim@127.0.0.1:5071'
        [[queues]]
        id = 'general'
        spoken = 'a colleague'",
    )
    .unwrap();
    let mut acd = Distributor::new(config).unwrap();
    calls(&mut acd, 1);
    acd
}

/// Somebody calls and is served at once.
fn calls(acd: &mut Distributor, number: u64) {
    let (queue, language) = ("general".into(), "en".into());
    let ticket =
        Ticket { id: TicketId(number), queue, skills: [].into(), language, priority: 50, since: NOW };
    acd.enqueue(NOW, ticket);
    acd.took(NOW, ReservationId(number));
}

fn doing(acd: &Distributor) -> [Activity; 2] {
    ["alex", "kim"].map(|agent| acd.agent(&agent.into()).unwrap().activity)
}

#[test]
fn the_one_wraps_up_and_the_other_talks_until_the_call_is_over() {
    let mut acd = alex_talks();
    assert_eq!(doing(&acd), [Activity::Talking, Activity::Idle]);
    acd.moved(NOW, ReservationId(1), Some(&"kim".into()));
    assert_eq!(doing(&acd), [Activity::WrappingUp, Activity::Talking]);
    acd.freed(NOW, ReservationId(1));
    assert_eq!(doing(&acd), [Activity::WrappingUp, Activity::WrappingUp]);
    assert_eq!(acd.tickets(), 0);
}

#[test]
fn who_is_in_another_call_or_nobody_of_ours_takes_over_no_reservation() {
    for to in [Some("kim"), Some("nobody"), None] {
        let mut acd = alex_talks();
        calls(&mut acd, 2);
        let to: Option<AgentId> = to.map(Into::into);
        acd.moved(NOW, ReservationId(1), to.as_ref());
        assert_eq!(doing(&acd), [Activity::WrappingUp, Activity::Talking], "{to:?}");
        acd.freed(NOW, ReservationId(1));
        assert_eq!((doing(&acd), acd.tickets()), ([Activity::WrappingUp, Activity::Talking], 1));
    }
}

#[test]
fn an_agent_who_is_held_or_moved_to_themselves_or_done_stays_as_they_are() {
    let mut acd = alex_talks();
    acd.moved(NOW, ReservationId(1), Some(&"alex".into()));
    assert_eq!(doing(&acd), [Activity::Talking, Activity::Idle]);
    acd.freed(NOW, ReservationId(1));
    acd.moved(NOW, ReservationId(1), Some(&"kim".into()));
    assert_eq!(doing(&acd), [Activity::WrappingUp, Activity::Idle]);
}
