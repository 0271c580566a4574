//! One run: opens everything, lets calls begin at their moments, looks every second, and ends.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use segue_sip::{
    Credentials, DialogPolicy, IpNet, Secret, Sip, SipConfig, SipEvent, SipLimits, SipTimers, Trunk,
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    cast::{self, Play, RelayAt, World},
    clock::{Nanos, nanos, now, sleep_until},
    measure::Interval,
    options::{self, MediaArgs, RunArgs, Scenario, ShapeArgs, seconds, target},
    plane::{Ears, Plane, PlaneConfig, PortUse},
    process::{self, Look},
    rest::{self, RestPlan, RestScores},
    schedule::{Plan, Schedule},
    scores::Scores,
    timeline::{Row, Sample},
    words::LoadError,
};

/// How long calls may take to end after the last was to end.
const LAST_CALLS: Duration = Duration::from_secs(15);
/// How long the far sides may take to answer the last BYEs.
const ENDING: Duration = Duration::from_secs(3);
/// Time between opening everything and the first call.
const BREATH: Duration = Duration::from_millis(200);
const ROW: Duration = Duration::from_secs(1);
/// Where we are called unless told otherwise.
const LISTEN: u16 = 5_070;

/// Everything that a run needs, checked.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) scenario: Scenario,
    pub(crate) plan: Plan,
    play: Play,
    listen: SocketAddr,
    tcp: bool,
    target: SocketAddr,
    media: PlaneConfig,
    pub(crate) pid: Option<u32>,
    rest: Option<RestPlan>,
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) rows: Vec<Row>,
    pub(crate) scores: Scores,
    pub(crate) media: Interval,
    /// The part of the run with at least 95 % of the planned calls, or all of it where that is not planned.
    pub(crate) steady: Steady,
    /// CPU time of the target's threads over the run, by name.
    pub(crate) target_threads: Vec<(String, Duration)>,
    /// The largest number of calls at one time.
    pub(crate) peak: usize,
    /// How long the run took.
    pub(crate) time: Duration,
    /// What the API answered.
    pub(crate) rest: Option<RestScores>,
}

/// The part of a run under full load.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steady {
    pub(crate) media: Interval,
    pub(crate) time: Duration,
    /// Calls times seconds.
    pub(crate) call_seconds: f64,
    /// CPU time of the target.
    pub(crate) target_cpu: Option<Duration>,
    /// CPU time of the tester.
    pub(crate) own_cpu: Duration,
}

/// Who watches a run while it goes on.
pub(crate) trait Watcher {
    /// A second is over.
    fn second(&mut self, order: &Order, row: &Row, total: &Scores, media: &Interval) -> Wish;
}

/// What a watcher wants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wish {
    /// Nothing.
    GoOn,
    /// The end: no new calls, and those that are up are hung up.
    Stop,
    /// So many more new calls a second.
    Rate(f64),
}

impl Order {
    /// Checks what the command line says.
    ///
    /// # Errors
    /// What makes no sense, and what would.
    pub(crate) fn new(args: &RunArgs, scenario: Scenario) -> Result<Self, LoadError> {
        let (by_tcp, name) = options::by_tcp(&args.target);
        let target = target(name, args.i_own_this_target)?;
        let listen = args.listen.unwrap_or_else(|| match target {
            SocketAddr::V4(_) => (Ipv4Addr::LOCALHOST, LISTEN).into(),
            SocketAddr::V6(_) => (Ipv6Addr::LOCALHOST, LISTEN).into(),
        });
        if listen.is_ipv4() != target.is_ipv4() {
            let told = format!("--listen {listen} and --target {target} are of different families");
            return Err(LoadError::Option(told));
        }
        let tcp = args.tcp || by_tcp;
        let plan = plan(&args.shape, scenario, args)?;
        let play = play(args, scenario, (target, tcp), plan.hold)?;
        let legs_max = legs_max(&plan, scenario);
        let ears = args.media.ears(scenario);
        let media = PlaneConfig { legs_max, ears, ..media(&args.media, listen.ip()) };
        let pid = args.report.pid;
        let rest = args.rest.plan(plan.time, args.i_own_this_target)?;
        Ok(Self { scenario, plan, play, listen, tcp, target, media, pid, rest })
    }

    /// The same run with another number of calls, which stay up until `time` after the last has come.
    pub(crate) fn with_calls(&self, calls: u32) -> Self {
        let coming = Duration::from_secs_f64(f64::from(calls) / self.plan.rate);
        let time = coming + self.plan.time;
        let hold = if self.scenario == Scenario::Bridge { time } else { self.plan.hold.max(time) };
        let plan = Plan { calls: Some(calls), time, hold, ..self.plan };
        let media = PlaneConfig { legs_max: legs_max(&plan, self.scenario), ..self.media };
        let play = Play { hold, ..self.play.clone() };
        Self { plan, media, play, ..self.clone() }
    }

    /// Our own signalling port.
    pub(crate) const fn port(&self) -> u16 {
        self.listen.port()
    }

    /// The target, as SIPp writes it.
    pub(crate) fn remote(&self) -> String {
        format!("{}({})", self.target, if self.tcp { "TCP" } else { "UDP" })
    }
}

fn plan(shape: &ShapeArgs, scenario: Scenario, args: &RunArgs) -> Result<Plan, LoadError> {
    if !(shape.rate > 0.0 && shape.rate <= 10_000.0) {
        return Err(LoadError::Option("--rate must be between 0 and 10000 calls a second".to_owned()));
    }
    let time = seconds("--time", shape.time)?;
    let handoff = [args.handoff.ask_after, args.handoff.handoff_max, args.handoff.talk];
    let hold = match (scenario, shape.hold) {
        (Scenario::Handoff, _) => seconds("the length of a handoff", handoff.iter().sum())?,
        (_, Some(hold)) => seconds("--hold", hold)?,
        (Scenario::Setup, None) => Duration::from_secs(1),
        (Scenario::Bridge | Scenario::Pairs, None) => time,
    };
    let (profile, calls, rate, steps) = (shape.profile, shape.calls, shape.rate, shape.steps);
    Ok(Plan { profile, calls, rate, hold, time, steps, total_max: shape.total })
}

/// Legs that may be in use at the same time, with some that are just ending.
fn legs_max(plan: &Plan, scenario: Scenario) -> usize {
    let by_rate = plan.rate * (plan.hold + LAST_CALLS).min(plan.time + LAST_CALLS).as_secs_f64();
    let calls = plan.calls.map_or(by_rate, f64::from).min(20_000.0);
    let sides = if scenario == Scenario::Handoff { 3.0 } else { 2.0 };
    let ending = (plan.rate * 2.0).min(calls * 0.5);
    ((calls + ending) * sides) as usize + 20
}

fn play(
    args: &RunArgs,
    scenario: Scenario,
    (target, tcp): (SocketAddr, bool),
    hold: Duration,
) -> Result<Play, LoadError> {
    let credentials = match &args.auth {
        None => None,
        Some(text) => {
            let (user, password) = text
                .split_once(':')
                .ok_or_else(|| LoadError::Option("write --auth as USER:PASSWORD".to_owned()))?;
            Some(Credentials { user: user.to_owned(), secret: Secret::Password(password.to_owned()) })
        }
    };
    let transport = if tcp { ";transport=tcp" } else { "" };
    let handoff = &args.handoff;
    Ok(Play {
        scenario,
        uri: format!("sip:{}@{target}{transport}", args.to),
        credentials,
        hold,
        codecs: args.media.codecs(),
        suites: args.secrecy.suites(),
        ask_after: seconds("--ask-after", handoff.ask_after)?,
        ask_by: handoff.ask_by,
        relay: (scenario == Scenario::Pairs).then(|| RelayAt {
            address: target,
            design: args.media.design,
            calls: args.shape.calls.unwrap_or(10_000),
        }),
        ring: seconds("--ring", handoff.ring)?,
        listen_whisper: seconds("--listen-whisper", handoff.listen_whisper)?,
        talk: seconds("--talk", handoff.talk)?,
        handoff_max: seconds("--handoff-max", handoff.handoff_max)?,
    })
}

fn media(args: &MediaArgs, address: IpAddr) -> PlaneConfig {
    let port = args.media_port.unwrap_or(match args.ports {
        PortUse::Shared => 61_000,
        PortUse::Own => 40_000,
    });
    let (ports, threads) = (args.ports, args.media_threads.into());
    PlaneConfig { address, port, ports, threads, legs_max: 0, ears: Ears::Marks }
}

/// Makes a run on a runtime of its own, on this thread.
///
/// # Errors
/// No sockets or threads; nothing was called.
pub(crate) fn run(order: &Order, watcher: &mut dyn Watcher) -> Result<Outcome, LoadError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| LoadError::Signalling(error.to_string()))?;
    runtime.block_on(Run::open(order, watcher))
}

struct Run<'a> {
    order: &'a Order,
    world: Arc<World>,
    begin: Nanos,
    outcome: Outcome,
    /// The last look at the target and at ourselves.
    target: Option<Look>,
    first: Option<Look>,
    own: Duration,
    row_at: Nanos,
}

impl<'a> Run<'a> {
    async fn open(order: &'a Order, watcher: &mut dyn Watcher) -> Result<Outcome, LoadError> {
        let plane = Plane::start(order.media)?;
        let stop = CancellationToken::new();
        let curtain = CancellationToken::new();
        let (sip, driver, events) = Sip::bind(sip_config(order), stop.clone())
            .await
            .map_err(|error| LoadError::Signalling(error.to_string()))?;
        let mut signalling = JoinSet::new();
        signalling.spawn(driver.run());
        let world = Arc::new(World::new(order.play.clone(), plane, sip, curtain));
        let begin = now() + nanos(BREATH);
        let target = order.pid.and_then(process::look);
        let mut run = Run {
            order,
            world: Arc::clone(&world),
            begin,
            outcome: Outcome::default(),
            first: target.clone(),
            target,
            own: own_cpu(),
            row_at: begin,
        };
        let mut asking = JoinSet::new();
        if let Some(plan) = order.rest.clone() {
            asking.spawn(rest::run(plan, world.curtain.clone()));
        }
        run.go(events, watcher).await;
        world.curtain.cancel();
        run.outcome.rest = asking.join_next().await.and_then(Result::ok);
        stop.cancel();
        let over = async { while signalling.join_next().await.is_some() {} };
        if tokio::time::timeout(ENDING, over).await.is_err() {
            tracing::warn!("signalling did not end in time");
        }
        world.plane.finish();
        Ok(run.outcome)
    }

    async fn go(&mut self, mut events: mpsc::Receiver<SipEvent>, watcher: &mut dyn Watcher) {
        let mut schedule = Schedule::new(self.order.plan);
        let mut next = schedule.next();
        let (mut callers, mut called) = (JoinSet::new(), JoinSet::new());
        let mut number = 0;
        let last = self.begin + nanos(self.order.plan.time + self.order.plan.hold + LAST_CALLS);
        let mut over_at = last;
        loop {
            let due = next.map_or(u64::MAX >> 1, |at| self.begin + nanos(at));
            tokio::select! {
                () = sleep_until(due), if next.is_some() => {
                    // Whatever is due by now begins now; how late it was is kept.
                    while let Some(at) = next.map(|at| self.begin + nanos(at)).filter(|at| *at <= now()) {
                        callers.spawn(cast::call(Arc::clone(&self.world), number, at));
                        number += 1;
                        next = schedule.next();
                    }
                }
                event = events.recv() => match event {
                    Some(SipEvent::Incoming(call)) => {
                        called.spawn(cast::answer(Arc::clone(&self.world), *call, now()));
                    }
                    Some(SipEvent::Registered { .. } | SipEvent::Unregistered { .. }) => {}
                    None => break,
                },
                () = sleep_until(self.row_at + nanos(ROW)) => {
                    match self.row(watcher) {
                        Wish::Stop if over_at == last => {
                            next = None;
                            self.world.curtain.cancel();
                            over_at = now() + nanos(LAST_CALLS);
                        }
                        Wish::Stop | Wish::GoOn => {}
                        Wish::Rate(by) => schedule.change_rate(by),
                    }
                }
                Some(ended) = callers.join_next() => self.ended(ended),
                Some(ended) = called.join_next() => self.ended(ended),
                () = sleep_until(over_at) => break,
            }
            if next.is_none() && callers.is_empty() {
                break;
            }
        }
        self.outcome.time = Duration::from_nanos(now().saturating_sub(self.begin));
        self.close(&mut callers, &mut called).await;
        self.row(watcher);
        if let (Some(first), Some(last)) = (&self.first, &self.target) {
            self.outcome.target_threads = process::by_name(first, last).into_iter().collect();
        }
    }

    /// Waits a moment for the far sides to hang up what they still have.
    async fn close(&self, callers: &mut JoinSet<()>, called: &mut JoinSet<()>) {
        if !callers.is_empty() {
            self.world.scores().surprise("a call did not end in time");
        }
        callers.shutdown().await;
        let ended = async { while called.join_next().await.is_some() {} };
        if tokio::time::timeout(ENDING, ended).await.is_err() {
            let left = called.len();
            self.world.scores().surprise(format!("the target did not hang up {left} of its calls"));
        }
        called.shutdown().await;
    }

    fn ended(&self, ended: Result<(), tokio::task::JoinError>) {
        if let Err(error) = ended {
            self.world.scores().surprise(format!("a party failed: {error}"));
        }
    }

    /// Adds a row; gives what the watcher wants.
    fn row(&mut self, watcher: &mut dyn Watcher) -> Wish {
        let at = now();
        let length = Duration::from_nanos(at.saturating_sub(self.row_at));
        self.row_at = at;
        let (interval, scores) = (self.world.plane.take_interval(), self.world.take_scores());
        let target = self.order.pid.and_then(process::look);
        let own = own_cpu();
        let outcome = &mut self.outcome;
        outcome.scores.add(&scores);
        outcome.media.add(&interval);
        let sample = Sample {
            at: Duration::from_nanos(at.saturating_sub(self.begin)),
            length,
            calls: self.world.up(),
            peak: outcome.peak,
            interval: &interval,
            scores: &scores,
            total: &outcome.scores,
            target: self.target.as_ref().zip(target.as_ref()),
            own_cpu: own.saturating_sub(self.own),
        };
        let row = Row::new(&sample);
        outcome.peak = outcome.peak.max(row.calls);
        if self.order.is_steady(&sample, outcome.rows.last()) {
            outcome.steady.add(&sample);
        }
        outcome.rows.push(row.clone());
        self.own = own;
        self.target = target;
        watcher.second(self.order, &row, &outcome.scores, &outcome.media)
    }
}

impl Order {
    /// Whether a whole row lies within the full load.
    fn is_steady(&self, sample: &Sample<'_>, before: Option<&Row>) -> bool {
        if sample.length < ROW / 2 || sample.at > self.plan.time {
            return false;
        }
        let wanted = self.plan.calls.map_or(1.0, |calls| f64::from(calls) * 0.95);
        before.is_some_and(|row| row.calls as f64 >= wanted) && sample.calls as f64 >= wanted
    }
}

impl Steady {
    fn add(&mut self, sample: &Sample<'_>) {
        self.media.add(sample.interval);
        self.time += sample.length;
        self.call_seconds += sample.calls as f64 * sample.length.as_secs_f64();
        self.own_cpu += sample.own_cpu;
        if let Some((before, after)) = sample.target {
            *self.target_cpu.get_or_insert_default() += after.cpu.saturating_sub(before.cpu);
        }
    }
}

fn own_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn sip_config(order: &Order) -> SipConfig {
    let many = 1_000_000;
    let sources: Vec<IpNet> =
        [order.target.ip(), order.listen.ip()].iter().filter_map(|ip| ip.to_string().parse().ok()).collect();
    SipConfig {
        udp: vec![order.listen],
        tcp: if order.tcp { vec![order.listen] } else { Vec::new() },
        trunks: vec![Trunk { name: "target".to_owned(), sources, credentials: None }],
        limits: SipLimits {
            calls_max: many,
            calls_per_second: many as u32,
            per_source_per_second: many as u32,
            dialogs_max: many,
            ..SipLimits::default()
        },
        timers: SipTimers { alive_every: Duration::ZERO, ..SipTimers::default() },
        // It is not keys that a load has to hide.
        dialogs: DialogPolicy { keys_in_clear: true, ..DialogPolicy::default() },
        ..SipConfig::default()
    }
}
