//! What a step of the distributor costs in a large house: 500 agents, a line of 1,000 calls.
#![allow(missing_docs, clippy::expect_used, reason = "a benchmark that cannot go on fails")]

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use segue_acd::{AcdConfig, AgentConfig, Distributor, Notice, QueueConfig, Ticket, TicketId};

const AGENTS: u64 = 500;
const LINE: u64 = 1_000;

fn house() -> Distributor {
    let agent = |number: u64| AgentConfig {
        id: format!("agent-{number}").as_str().into(),
        name: format!("Agent {number}"),
        address: Some(format!("sip:agent-{number}@127.0.0.1")),
        user: None,
        skills: (0..number % 4).map(|skill| format!("skill-{skill}").as_str().into()).collect(),
        languages: ["en".into()].into(),
        starts_away: false,
    };
    let queue = |number: u64| QueueConfig {
        id: format!("queue-{number}").as_str().into(),
        spoken: "a colleague".to_owned(),
        skills: (0..number).map(|skill| format!("skill-{skill}").as_str().into()).collect(),
        size_limit: u32::MAX,
        handle_time: Duration::from_secs(240),
        fallback: Vec::new(),
        hours: None,
    };
    let config = AcdConfig {
        agents: (0..AGENTS).map(agent).collect(),
        queues: (0..4).map(queue).collect(),
        reservation_lease: Duration::from_secs(1_000_000),
        ..AcdConfig::default()
    };
    Distributor::new(config).expect("the house is well configured")
}

fn ticket(id: u64, now: Duration) -> Ticket {
    Ticket {
        id: TicketId(id),
        queue: format!("queue-{}", id % 4).as_str().into(),
        skills: [].into(),
        language: "en".into(),
        priority: 50 + u32::try_from(id % 7).unwrap_or(0) * 10,
        since: now,
    }
}

/// Fills the house: every agent is held, and the line is as long as it will be.
fn full(now: Duration) -> (Distributor, Vec<segue_acd::ReservationId>, u64) {
    let mut acd = house();
    let (mut held, mut next) = (Vec::new(), 0);
    while acd.tickets() < (AGENTS + LINE) as usize {
        next += 1;
        acd.enqueue(now, ticket(next, now));
        while let Some(notice) = acd.poll_notice() {
            if let Notice::Reserved { reservation, .. } = notice {
                held.push(reservation);
            }
        }
    }
    (acd, held, next)
}

/// One call ends, its agent gets the next one in line, a new call joins at the end.
fn turn_over(c: &mut Criterion) {
    let mut now = Duration::from_secs(1_000_000);
    let (mut acd, mut held, mut next) = full(now);
    c.bench_function("an agent ends a call, takes the next of 1,000, and one more joins", |b| {
        b.iter(|| {
            now += Duration::from_millis(100);
            if let Some(reservation) = held.pop() {
                acd.freed(now, reservation);
            }
            next += 1;
            acd.enqueue(now, ticket(next, now));
            while let Some(notice) = acd.poll_notice() {
                if let Notice::Reserved { reservation, .. } = &notice {
                    held.insert(0, *reservation);
                }
                black_box(&notice);
            }
        });
    });
}

criterion_group!(benches, turn_over);
criterion_main!(benches);
