//! Stories of call distribution: what happens, and exactly which notices follow.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::time::Duration;

use segue_acd::{
    AcdConfig, Activity, AgentId, Distributor, Notice, Presence, QueueId, Refusal, ReservationId, Ticket,
    TicketId,
};

/// A house with its clock.
struct House {
    acd: Distributor,
    now: Duration,
}

/// A notice in a few words, as in `1 waits at 2`.
fn words(notice: &Notice) -> String {
    match notice {
        Notice::Waiting { ticket, position, .. } => format!("{ticket} waits at {position}"),
        Notice::Unqueued { ticket, why } => format!("{ticket} {why:?}"),
        Notice::Reserved { ticket, reservation, agent, .. } => {
            format!("{ticket} gets {agent} as {reservation}")
        }
    }
}

const TWO_AGENTS: &str = "
    [[agents]]
    id = 'alex'
    name = 'Alex'
    address = 'sip:alex@127.0.0.1:5070'
    [[agents]]
    id = 'kim'
    name = 'Kim'
    address = 'sip:kim@127.0.0.1:5071'
    languages = ['en', 'es']
    skills = ['refunds']
    [[queues]]
    id = 'general'
    spoken = 'a colleague'
    size_limit = 3
    [[queues]]
    id = 'billing'
    spoken = 'a billing specialist'
    skills = ['refunds']
    fallback = ['general']
";

const ONE_AGENT: &str = "
    [[agents]]
    id = 'alex'
    name = 'Alex'
    address = 'sip:alex@127.0.0.1:5070'
    [[queues]]
    id = 'general'
    spoken = 'a colleague'
    size_limit = 3
";

impl House {
    fn new(config: &str) -> Self {
        let config: AcdConfig = toml::from_str(config).unwrap();
        Self { acd: Distributor::new(config).unwrap(), now: Duration::from_secs(1_000_000) }
    }

    /// Everything that was told since the last look, in words.
    fn told(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.acd.poll_notice()).map(|notice| words(&notice)).collect()
    }

    fn expect(&mut self, expected: &[&str]) {
        assert_eq!(self.told(), expected);
    }

    fn ticket(&self, id: u64, queue: &str) -> Ticket {
        Ticket {
            id: TicketId(id),
            queue: queue.into(),
            skills: [].into(),
            language: "en".into(),
            priority: 50,
            since: self.now,
        }
    }

    fn enqueue(&mut self, id: u64, queue: &str) {
        let ticket = self.ticket(id, queue);
        self.acd.enqueue(self.now, ticket);
    }

    fn refused(&mut self, reservation: u64, how: Refusal) {
        self.acd.refused(self.now, ReservationId(reservation), how);
    }

    fn took(&mut self, reservation: u64) {
        self.acd.took(self.now, ReservationId(reservation));
    }

    fn freed(&mut self, reservation: u64) {
        self.acd.freed(self.now, ReservationId(reservation));
    }

    fn withdraw(&mut self, ticket: u64) {
        self.acd.withdraw(self.now, TicketId(ticket));
    }

    fn presence(&mut self, agent: &str, presence: Presence) {
        self.acd.presence(self.now, &agent.into(), presence).unwrap();
    }

    fn away(&mut self, agent: &str) {
        self.presence(agent, Presence::Away("lunch".to_owned()));
    }

    fn activity(&self, agent: &str) -> Activity {
        self.acd.agent(&agent.into()).unwrap().activity
    }

    /// Lets time pass, alarm by alarm, as the gateway does.
    fn passes(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.acd.poll_timeout().filter(|at| *at <= end) {
            assert!(at > self.now, "an alarm in the past would never end");
            self.now = at;
            self.acd.alarm(at);
        }
        self.now = end;
    }
}

#[test]
fn an_idle_agent_is_held_at_once_and_nobody_else_gets_them() {
    let mut house = House::new(ONE_AGENT);
    house.enqueue(1, "general");
    house.expect(&["1 gets alex as 1"]);
    house.enqueue(2, "general");
    house.enqueue(3, "general");
    house.expect(&["2 waits at 1", "3 waits at 2"]);
    assert_eq!(house.activity("alex"), Activity::Reserved);
}

#[test]
fn the_next_caller_is_served_when_the_wrap_up_is_over() {
    let mut house = House::new(ONE_AGENT);
    house.enqueue(1, "general");
    house.took(1);
    house.enqueue(2, "general");
    house.passes(60);
    house.freed(1);
    assert_eq!(house.activity("alex"), Activity::WrappingUp);
    house.told();
    house.passes(14);
    house.expect(&[]);
    house.passes(1);
    house.expect(&["2 gets alex as 2"]);
}

#[test]
fn an_agent_ends_the_wrap_up_by_saying_available() {
    let mut house = House::new(ONE_AGENT);
    house.enqueue(1, "general");
    house.took(1);
    house.enqueue(2, "general");
    house.freed(1);
    house.told();
    house.presence("alex", Presence::Available);
    house.expect(&["2 gets alex as 2"]);
}

#[test]
fn an_agent_whose_phone_rings_out_is_away_and_the_next_agent_is_asked() {
    let mut house = House::new(TWO_AGENTS);
    house.enqueue(1, "general");
    house.expect(&["1 gets alex as 1"]);
    house.passes(20);
    house.refused(1, Refusal::NoAnswer);
    house.expect(&["1 gets kim as 2"]);
    let alex = house.acd.agent(&"alex".into()).unwrap();
    assert_eq!(alex.presence, Presence::Away("did not answer".to_owned()));
    house.enqueue(2, "general");
    house.passes(3600);
    assert!(house.told().iter().all(|told| !told.contains("alex")), "alex is not asked again");
}

#[test]
fn a_refused_ticket_keeps_its_age_and_stands_before_newer_ones() {
    let mut house = House::new(TWO_AGENTS);
    house.away("kim");
    house.enqueue(1, "general");
    house.passes(5);
    house.enqueue(2, "general");
    house.passes(20);
    house.told();
    house.refused(1, Refusal::Declined);
    house.expect(&["2 gets alex as 2", "1 waits at 1"]);
    house.enqueue(3, "general");
    house.expect(&["3 waits at 2"]);
}

#[test]
fn who_declined_is_asked_again_only_after_a_pause_and_only_if_nobody_else_is_there() {
    let mut house = House::new(TWO_AGENTS);
    house.enqueue(1, "general");
    house.refused(1, Refusal::Declined);
    house.refused(2, Refusal::HungUp);
    house.expect(&["1 gets alex as 1", "1 gets kim as 2", "1 waits at 1"]);
    house.passes(29);
    house.expect(&[]);
    house.passes(1);
    house.expect(&["1 gets alex as 3"]);
}

#[test]
fn a_busy_phone_rests_for_every_call_but_its_agent_is_not_away() {
    let mut house = House::new(ONE_AGENT);
    house.enqueue(1, "general");
    house.refused(1, Refusal::Busy);
    house.enqueue(2, "general");
    house.expect(&["1 gets alex as 1", "1 waits at 1", "2 waits at 2"]);
    assert_eq!(house.acd.agent(&"alex".into()).unwrap().presence, Presence::Available);
    house.passes(30);
    assert!(house.told().contains(&"1 gets alex as 2".to_owned()));
}

#[test]
fn the_last_agent_going_away_tells_everybody_who_waits() {
    let mut house = House::new(ONE_AGENT);
    for id in 1..=3 {
        house.enqueue(id, "general");
    }
    house.told();
    house.refused(1, Refusal::Unreachable);
    house.expect(&["1 EverybodyAway", "2 EverybodyAway", "3 EverybodyAway"]);
    house.enqueue(4, "general");
    house.expect(&["4 EverybodyAway"]);
    house.presence("alex", Presence::Available);
    house.enqueue(5, "general");
    house.expect(&["5 gets alex as 2"]);
}

#[test]
fn an_agent_in_a_call_counts_as_there_until_they_say_away() {
    let mut house = House::new(ONE_AGENT);
    house.enqueue(1, "general");
    house.took(1);
    house.enqueue(2, "general");
    house.expect(&["1 gets alex as 1", "2 waits at 1"]);
    house.away("alex");
    house.expect(&["2 EverybodyAway"]);
    assert_eq!(house.activity("alex"), Activity::Talking, "the call goes on");
}

#[test]
fn a_full_queue_takes_nobody_more() {
    let mut house = House::new(ONE_AGENT);
    for id in 1..=5 {
        house.enqueue(id, "general");
    }
    house.expect(&["1 gets alex as 1", "2 waits at 1", "3 waits at 2", "4 waits at 3", "5 QueueFull"]);
}

#[test]
fn a_queue_that_does_not_exist_is_told_so() {
    let mut house = House::new(ONE_AGENT);
    house.enqueue(1, "nowhere");
    house.expect(&["1 UnknownQueue"]);
}

#[test]
fn a_closed_queue_takes_nobody_but_who_waits_is_served() {
    // 1_000_000 s after the epoch is Monday 12 January 1970, 13:46:40 UTC.
    let hours = "hours = { open = [{ days = ['monday'], from = '08:00', until = '14:00' }] }";
    let mut house = House::new(&format!("{ONE_AGENT}{hours}"));
    house.enqueue(1, "general");
    house.took(1);
    house.enqueue(2, "general");
    house.passes(900);
    house.told();
    house.enqueue(3, "general");
    house.expect(&["3 Closed"]);
    house.freed(1);
    house.passes(15);
    assert!(house.told().contains(&"2 gets alex as 2".to_owned()));
}

#[test]
fn a_deserted_queue_falls_back_along_its_chain() {
    let mut house = House::new(TWO_AGENTS);
    house.away("kim");
    house.enqueue(1, "billing");
    house.expect(&["1 gets alex as 1"]);
    let ticket = house.ticket(2, "billing");
    assert_eq!(house.acd.would_take(house.now, &ticket), Ok(QueueId::from("general")));
}

#[test]
fn a_ticket_moves_to_the_fallback_when_its_last_specialist_leaves() {
    let mut house = House::new(TWO_AGENTS);
    house.enqueue(1, "billing");
    house.expect(&["1 gets kim as 1"]);
    house.enqueue(2, "billing");
    house.expect(&["2 waits at 1"]);
    house.away("kim");
    house.expect(&["2 gets alex as 2"]);
}

#[test]
fn skills_and_language_choose_the_agent() {
    let mut house = House::new(TWO_AGENTS);
    let spanish = Ticket { language: "es-MX".into(), ..house.ticket(1, "general") };
    house.acd.enqueue(house.now, spanish);
    house.expect(&["1 gets kim as 1"]);
    let french = Ticket { language: "fr".into(), ..house.ticket(2, "general") };
    house.acd.enqueue(house.now, french);
    house.expect(&["2 EverybodyAway"]);
    let skilled = Ticket { skills: ["refunds".into()].into(), ..house.ticket(3, "general") };
    house.acd.enqueue(house.now, skilled);
    house.expect(&["3 waits at 1"]);
}

#[test]
fn the_higher_score_goes_first_and_the_older_ticket_among_equals() {
    let mut house = House::new(ONE_AGENT);
    house.enqueue(1, "general");
    house.enqueue(2, "general");
    house.passes(1);
    house.enqueue(3, "general");
    let urgent = Ticket { priority: 135, ..house.ticket(4, "general") };
    house.acd.enqueue(house.now, urgent);
    house.told();
    let mut served = Vec::new();
    for reservation in 1..=4 {
        house.took(reservation);
        house.freed(reservation);
        house.passes(15);
        served.extend(house.told().into_iter().filter(|told| told.contains("gets")));
    }
    assert_eq!(served, ["4 gets alex as 2", "2 gets alex as 3", "3 gets alex as 4"]);
}

#[test]
fn two_minutes_of_waiting_lift_a_ticket_over_a_newer_and_slightly_higher_one() {
    let mut house = House::new(ONE_AGENT);
    house.enqueue(1, "general");
    house.took(1);
    house.enqueue(2, "general");
    house.passes(100);
    let newer = Ticket { priority: 60, ..house.ticket(3, "general") };
    house.acd.enqueue(house.now, newer);
    house.expect(&["1 gets alex as 1", "2 waits at 1", "3 waits at 1", "2 waits at 2"]);
    house.passes(21);
    house.expect(&["2 waits at 1", "3 waits at 2"]);
}

#[test]
fn places_are_told_when_they_change_but_not_in_a_storm() {
    let mut house = House::new(&ONE_AGENT.replace("size_limit = 3", "size_limit = 20"));
    for id in 1..=10 {
        house.enqueue(id, "general");
    }
    house.told();
    for gone in 2..=6 {
        house.withdraw(gone);
    }
    house.expect(&[]);
    house.passes(5);
    house.expect(&["7 waits at 1", "8 waits at 2", "9 waits at 3", "10 waits at 4"]);
    house.passes(100);
    house.expect(&[]);
}

#[test]
fn withdrawing_twice_and_late_reservations_change_nothing() {
    let mut house = House::new(ONE_AGENT);
    house.enqueue(1, "general");
    house.enqueue(2, "general");
    house.told();
    house.withdraw(1);
    house.expect(&["2 gets alex as 2"]);
    house.withdraw(1);
    house.took(1);
    house.freed(1);
    house.refused(1, Refusal::NoAnswer);
    house.expect(&[]);
    assert_eq!(house.activity("alex"), Activity::Reserved);
    house.took(2);
    house.refused(2, Refusal::Declined);
    assert_eq!(house.activity("alex"), Activity::Talking, "a refusal after the bridge is late news");
}

#[test]
fn a_withdrawn_ticket_is_not_spoken_of_any_more() {
    let mut house = House::new(ONE_AGENT);
    house.enqueue(1, "general");
    house.withdraw(1);
    house.expect(&[]);
    assert_eq!(house.activity("alex"), Activity::Idle);
    assert_eq!(house.acd.tickets(), 0);
}

#[test]
fn withdrawing_a_ticket_that_is_served_begins_the_wrap_up() {
    let mut house = House::new(ONE_AGENT);
    house.enqueue(1, "general");
    house.took(1);
    house.withdraw(1);
    assert_eq!(house.activity("alex"), Activity::WrappingUp);
}

#[test]
fn a_call_that_is_gone_gives_its_agent_back_and_ends_its_ticket() {
    let mut house = House::new(ONE_AGENT);
    house.enqueue(1, "general");
    house.refused(1, Refusal::CallGone);
    house.expect(&["1 gets alex as 1"]);
    assert_eq!((house.activity("alex"), house.acd.tickets()), (Activity::Idle, 0));
}

#[test]
fn a_lease_that_lapses_frees_the_agent_and_ends_the_ticket() {
    let mut house = House::new(ONE_AGENT);
    house.enqueue(1, "general");
    house.enqueue(2, "general");
    house.told();
    house.passes(120);
    let told = house.told();
    assert_eq!(told[..2], ["1 Lapsed".to_owned(), "2 gets alex as 2".to_owned()]);
    house.took(1);
    assert_eq!(house.activity("alex"), Activity::Reserved, "the old reservation is late news");
}

#[test]
fn a_bridged_agent_has_no_lease() {
    let mut house = House::new(ONE_AGENT);
    house.enqueue(1, "general");
    house.took(1);
    house.told();
    house.passes(10_000);
    house.expect(&[]);
    assert_eq!(house.activity("alex"), Activity::Talking);
}

#[test]
fn an_agent_is_there_only_while_the_phone_is_registered() {
    let mut house = House::new(&ONE_AGENT.replace("address = 'sip:alex@127.0.0.1:5070'", "user = 'alex'"));
    let alex = AgentId::from("alex");
    house.enqueue(1, "general");
    house.expect(&["1 EverybodyAway"]);
    assert_eq!(house.acd.agent_by_user("alex"), Some(&alex));
    house.acd.registered(house.now, &alex, true).unwrap();
    house.enqueue(2, "general");
    house.expect(&["2 gets alex as 1"]);
    house.enqueue(3, "general");
    house.told();
    house.acd.registered(house.now, &alex, false).unwrap();
    house.expect(&["3 EverybodyAway"]);
}

#[test]
fn a_new_registration_brings_back_who_missed_a_call_but_not_who_said_away() {
    let mut house = House::new(&ONE_AGENT.replace("address = 'sip:alex@127.0.0.1:5070'", "user = 'alex'"));
    let alex = AgentId::from("alex");
    let again = |house: &mut House| {
        house.acd.registered(house.now, &alex, false).unwrap();
        house.acd.registered(house.now, &alex, true).unwrap();
        house.acd.agent(&alex).unwrap().presence
    };
    assert_eq!(again(&mut house), Presence::Available);
    house.enqueue(1, "general");
    house.refused(1, Refusal::NoAnswer);
    assert_eq!(again(&mut house), Presence::Available);
    house.away("alex");
    assert_eq!(again(&mut house), Presence::Away("lunch".to_owned()));
}

#[test]
fn an_unknown_agent_is_an_error_with_a_name() {
    let mut house = House::new(ONE_AGENT);
    let error = house.acd.presence(house.now, &"nobody".into(), Presence::Available).unwrap_err();
    assert_eq!(error.to_string(), "there is no agent nobody: see the configured agents");
}

#[test]
fn the_longest_idle_agent_goes_first() {
    let mut house = House::new(TWO_AGENTS);
    house.enqueue(1, "general");
    house.took(1);
    house.freed(1);
    house.passes(100);
    house.enqueue(2, "general");
    house.withdraw(2);
    house.enqueue(3, "general");
    house.expect(&["1 gets alex as 1", "3 gets kim as 3"]);
}

#[test]
fn round_robin_asks_each_in_turn_even_if_nobody_talked() {
    let mut house = House::new(&format!("strategy = 'round_robin'\n{TWO_AGENTS}"));
    let mut turns = Vec::new();
    for id in 1..=4 {
        house.enqueue(id, "general");
        turns.extend(house.told());
        house.withdraw(id);
    }
    assert_eq!(turns, ["1 gets alex as 1", "2 gets kim as 2", "3 gets alex as 3", "4 gets kim as 4"]);
}

#[test]
fn the_least_loaded_agent_goes_first_however_long_they_were_idle() {
    let mut house = House::new(&format!("strategy = 'least_loaded'\n{TWO_AGENTS}"));
    for (id, seconds) in [(1, 300), (2, 10)] {
        house.enqueue(id, "general");
        house.took(id);
        house.passes(seconds);
        house.freed(id);
    }
    house.passes(100);
    house.enqueue(3, "general");
    house.expect(&["1 gets alex as 1", "2 gets kim as 2", "3 gets kim as 3"]);
}

#[test]
fn the_same_ticket_again_takes_the_new_score_and_keeps_its_age() {
    let mut house = House::new(ONE_AGENT);
    for id in 1..=3 {
        house.enqueue(id, "general");
        house.passes(1);
    }
    house.told();
    let raised = Ticket { priority: 99, ..house.ticket(3, "general") };
    house.acd.enqueue(house.now, raised);
    house.passes(5);
    house.expect(&["2 waits at 2", "3 waits at 1"]);
    let longest = house.acd.queues(house.now).next().unwrap().longest_wait;
    assert_eq!(longest, Duration::from_secs(7));
}

#[test]
fn the_queue_shows_its_length_its_longest_wait_and_its_people() {
    let mut house = House::new(TWO_AGENTS);
    house.away("kim");
    house.enqueue(1, "general");
    house.passes(10);
    house.enqueue(2, "general");
    house.passes(5);
    let general = house.acd.queues(house.now).find(|queue| queue.id == "general".into()).unwrap();
    assert_eq!((general.waiting, general.staffed, general.ready), (1, 1, 0));
    assert_eq!(general.longest_wait, Duration::from_secs(5));
}

#[test]
fn the_estimate_follows_what_calls_really_take() {
    let mut house = House::new(ONE_AGENT);
    let most = |house: &mut House, id: u64| {
        house.enqueue(id, "general");
        house.enqueue(id + 1, "general");
        let notices: Vec<_> = std::iter::from_fn(|| house.acd.poll_notice()).collect();
        let Some(Notice::Waiting { wait, .. }) = notices.last() else { panic!("{notices:?}") };
        let most = wait.most;
        house.withdraw(id);
        house.withdraw(id + 1);
        most
    };
    let before = most(&mut house, 1);
    for id in 10..30 {
        house.enqueue(id, "general");
        let reservation = house.acd.agent(&"alex".into()).unwrap().reservation.unwrap();
        house.acd.took(house.now, reservation);
        house.passes(30);
        house.acd.freed(house.now, reservation);
        house.passes(15);
    }
    house.told();
    let after = most(&mut house, 40);
    assert!(after * 2 < before, "{before:?} {after:?}");
}
