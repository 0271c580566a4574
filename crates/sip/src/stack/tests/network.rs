//! Two stacks with a network between them that loses, doubles and delays: every call ends, nothing is left over.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use super::{config, dial_request, media};
use crate::{
    config::{SipConfig, Trunk},
    message::Transport,
    stack::{Hop, LegNews, Locals, Output, Route, Stack},
    words::{Ended, HangUp, LegEvent, SipLegId},
};

/// A small generator, so that a failing seed can be named.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What happened to the calls of one run.
#[derive(Debug, Default)]
struct Seen {
    answered: usize,
    failed: usize,
    withdrawn: usize,
    ended_local: usize,
    ended_remote: usize,
    ended_timeout: usize,
    /// Legs whose far side was gone without our hearing of it, as the gateway notices by their silence.
    orphaned: usize,
}

struct World {
    now: Duration,
    ends: [Stack; 2],
    wire: BTreeMap<(Duration, u64), (usize, Vec<u8>)>,
    sent: u64,
    chance: Chance,
    /// Of a hundred datagrams, so many are lost.
    loss: u64,
    /// Orders that will be given.
    plans: BTreeMap<(Duration, u64), (usize, SipLegId, Plan)>,
    seen: Seen,
}

#[derive(Clone, Copy, Debug)]
enum Plan {
    Answer,
    HangUp,
}

fn address(end: usize) -> SocketAddr {
    if end == 0 { "198.51.100.1:5060".parse().unwrap() } else { "198.51.100.2:5060".parse().unwrap() }
}

impl World {
    fn new(seed: u64, loss: u64) -> Self {
        let all = Trunk {
            name: "all".into(),
            sources: vec!["198.51.100.0/24".parse().unwrap()],
            credentials: None,
        };
        let config = SipConfig { trunks: vec![all], ..config() };
        let end = |end: usize| {
            let locals = Locals { udp: vec![address(end)], ..Locals::default() };
            Stack::new(&config, locals, [u8::try_from(end).unwrap() + 1; 32])
        };
        Self {
            now: Duration::from_secs(10),
            ends: [end(0), end(1)],
            wire: BTreeMap::new(),
            sent: 0,
            chance: Chance(seed * 7_919 + 1),
            loss,
            plans: BTreeMap::new(),
            seen: Seen::default(),
        }
    }

    fn dial(&mut self) {
        let stack = &mut self.ends[0];
        let leg = stack.next_leg();
        let mut request = dial_request(&format!("sip:b@{}", address(1)));
        request.offer = media(6_000);
        let Route::Here(contacts) = stack.route(&request.to) else { panic!("no route") };
        stack.dial(self.now, leg, request, contacts);
        if self.chance.below(3) == 0 {
            self.plan(0, leg, Plan::HangUp, 3_000);
        }
    }

    fn plan(&mut self, end: usize, leg: SipLegId, plan: Plan, within_ms: u64) {
        let at = self.now + Duration::from_millis(self.chance.below(within_ms));
        self.sent += 1;
        self.plans.insert((at, self.sent), (end, leg, plan));
    }

    fn take(&mut self) {
        for end in 0..2 {
            while let Some(output) = self.ends[end].poll_output() {
                self.handle(end, output);
            }
        }
    }

    fn handle(&mut self, end: usize, output: Output) {
        match output {
            Output::Send { bytes, .. } => {
                let copies = if self.chance.below(20) == 0 { 2 } else { 1 };
                for _ in 0..copies {
                    if self.chance.below(100) >= self.loss {
                        let delay = Duration::from_millis(self.chance.below(120));
                        self.sent += 1;
                        self.wire.insert((self.now + delay, self.sent), (1 - end, bytes.clone()));
                    }
                }
            }
            Output::Incoming(invitation) => {
                self.ends[end].ring(self.now, invitation.leg);
                self.plan(end, invitation.leg, Plan::Answer, 3_000);
            }
            Output::Leg(leg, news) => self.news(end, leg, news),
            Output::Registered { .. } | Output::Unregistered { .. } => panic!("nobody registers here"),
            Output::Lookup { .. } | Output::Trunks(_) => panic!("there are no names and no trunks here"),
        }
    }

    fn news(&mut self, end: usize, leg: SipLegId, news: LegNews) {
        match news {
            LegNews::Answered { .. } => {
                self.seen.answered += 1;
                self.plan(end, leg, Plan::HangUp, 20_000);
            }
            LegNews::Failed(_) => self.seen.failed += 1,
            LegNews::Withdrawn => self.seen.withdrawn += 1,
            LegNews::Event(LegEvent::Ended(Ended::Local)) => self.seen.ended_local += 1,
            LegNews::Event(LegEvent::Ended(Ended::Remote { .. })) => self.seen.ended_remote += 1,
            LegNews::Event(LegEvent::Ended(Ended::Timeout)) => self.seen.ended_timeout += 1,
            LegNews::Event(other) => panic!("unexpected: {other:?}"),
            LegNews::Ringing | LegNews::Early { .. } => {}
        }
    }

    fn order(&mut self, (end, leg, plan): (usize, SipLegId, Plan)) {
        match plan {
            Plan::Answer => {
                if self.ends[end].answer(self.now, leg, media(7_000)).is_ok() {
                    // Half of the calls are hung up by the called side, if the caller is not first.
                    if self.chance.below(2) == 0 {
                        self.plan(end, leg, Plan::HangUp, 20_000);
                    }
                }
            }
            Plan::HangUp => self.ends[end].hang_up(self.now, leg, HangUp::default()),
        }
    }

    /// Hangs up what is up when nothing else happens any more; false if there is nothing.
    fn end_orphans(&mut self) -> bool {
        let orphans: Vec<(usize, SipLegId)> =
            (0..2).flat_map(|end| self.ends[end].legs.keys().map(move |leg| (end, *leg))).collect();
        self.seen.orphaned += orphans.len();
        for (end, leg) in &orphans {
            self.ends[*end].hang_up(self.now, *leg, HangUp::default());
        }
        !orphans.is_empty()
    }

    /// Does the next thing; false if nothing is left to do.
    fn step(&mut self) -> bool {
        self.take();
        let alarm = self.ends.iter().filter_map(Stack::next_alarm).min();
        let datagram = self.wire.first_key_value().map(|((at, _), _)| *at);
        let plan = self.plans.first_key_value().map(|((at, _), _)| *at);
        let Some(next) = [alarm, datagram, plan].into_iter().flatten().min() else { return false };
        self.now = next.max(self.now);
        if datagram == Some(next) {
            let (_, (end, bytes)) = self.wire.pop_first().unwrap();
            let hop = Hop { transport: Transport::Udp, socket: 0, remote: address(1 - end) };
            self.ends[end].receive(self.now, hop, &bytes);
        } else if plan == Some(next) {
            let (_, order) = self.plans.pop_first().unwrap();
            self.order(order);
        } else {
            for end in &mut self.ends {
                end.wake(self.now);
            }
        }
        true
    }
}

fn run(seed: u64, loss: u64, calls: usize) -> Seen {
    let mut world = World::new(seed, loss);
    for _ in 0..calls {
        world.dial();
        for _ in 0..7 {
            world.step();
        }
    }
    let mut steps = 0;
    while world.step() || world.end_orphans() {
        steps += 1;
        assert!(steps < 1_000_000, "seed {seed}: it never ends");
    }
    for (end, stack) in world.ends.iter().enumerate() {
        let counts = stack.counts();
        assert_eq!((counts.dialogs, counts.transactions, counts.timers), (0, 0, 0), "seed {seed}, end {end}");
        assert!(stack.dials.is_empty() && stack.dialogs.is_empty(), "seed {seed}, end {end}");
    }
    let seen = world.seen;
    assert_eq!(seen.answered + seen.failed, calls, "seed {seed}: each call is answered or fails, once");
    seen
}

#[test]
fn on_a_good_network_every_call_that_is_not_given_up_is_answered() {
    let mut answered = 0;
    for seed in 1..20 {
        let seen = run(seed, 0, 20);
        answered += seen.answered;
        assert_eq!(seen.ended_timeout, 0, "seed {seed}");
        assert_eq!((seen.orphaned, seen.ended_local >= seen.answered), (0, true), "seed {seed}: {seen:?}");
    }
    assert!(answered > 200, "{answered} answered");
}

#[test]
fn on_a_bad_network_every_call_ends_and_nothing_is_left() {
    let mut all = Seen::default();
    for seed in 1..60 {
        let seen = run(seed, 30, 20);
        assert_eq!(seen.orphaned, 0, "seed {seed}");
        all.answered += seen.answered;
        all.failed += seen.failed;
        all.withdrawn += seen.withdrawn;
        all.ended_local += seen.ended_local;
        all.ended_remote += seen.ended_remote;
    }
    // The run has been where it was meant to go.
    assert!(all.answered > 100 && all.failed > 100 && all.withdrawn > 50, "{all:?}");
    assert!(all.ended_local > 100 && all.ended_remote > 50, "{all:?}");
}

#[test]
fn on_a_dead_network_calls_fail_and_nothing_is_left() {
    let seen = run(1, 100, 10);
    assert_eq!((seen.answered, seen.failed), (0, 10));
}

#[test]
fn on_an_almost_dead_network_legs_end_by_their_timers() {
    let mut timeouts = 0;
    for seed in 1..40 {
        timeouts += run(seed, 75, 20).ended_timeout;
    }
    assert!(timeouts > 0, "no ACK was ever lost for good");
}
