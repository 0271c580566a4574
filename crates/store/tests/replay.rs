//! A real call, driven and logged as the gateway does it, replays from the log with the same decisions; with other
//! rules, or after the log was tampered with, the first difference is found where it begins.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test that meets what it does not expect has failed"
)]

use std::{sync::Arc, time::Duration};

use segue_acd::{AgentId, Language, Notice, ReservationId, TicketId, WaitEstimate};
use segue_call::{
    Action, AgentChoice, AttemptId, Call, CallId, CallStart, CallerIdentity, Destination, Entry, Event,
    LegEnd, PlaybackId, PlayedHow, Policy,
};
use segue_store::{ActionDigest, CallFilter, Followed, LogLine, PolicyText, Store, StoreConfig, What};
use segue_trigger::{RuleSet, Rules, Speaker, Stage, Utterance, UtteranceId};
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};
use tokio::task::JoinSet;

const BEGIN: Duration = Duration::from_secs(1_795_180_000);

fn call() -> CallId {
    CallId("019a9d2c-7b1e-7c40-9a51-0c2f6b1d2e3f".to_owned())
}

/// Drives one call and logs it, as a gateway does.
struct Driver {
    call: Call,
    store: Store,
    seq: u64,
    now: Duration,
    agent_leg: Option<AttemptId>,
    ticket: Option<TicketId>,
    playing: Vec<PlaybackId>,
}

impl Driver {
    async fn begin(store: Store) -> Self {
        let followed = Followed { policy: Policy::default(), rules: Rules::default() };
        let start = CallStart {
            id: call(),
            at: BEGIN,
            caller: CallerIdentity { number: "+15550100".to_owned(), ..CallerIdentity::default() },
            language: Language::from("en"),
            first_ticket: TicketId(100),
            transcribed: true,
        };
        let rules = Arc::new(RuleSet::new(&followed.rules).unwrap());
        let made = Call::new(start.clone(), Arc::new(followed.policy.clone()), rules);
        let mut driver = Self {
            call: made,
            store,
            seq: 0,
            now: BEGIN,
            agent_leg: None,
            ticket: None,
            playing: Vec::new(),
        };
        let actions = driver.drain();
        let start = serde_json::to_value(&start).unwrap();
        let (policy, digest) = (PolicyText::new(&followed).unwrap(), ActionDigest::of(&actions));
        driver.keep(What::Opened { start, policy, actions: digest }).await;
        driver.carry_out(actions).await;
        driver
    }

    fn drain(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.call.poll_action()).collect()
    }

    async fn keep(&mut self, what: What) {
        self.seq += 1;
        self.store.promise(LogLine { call: call(), seq: self.seq, at: self.now, what }).await.unwrap();
    }

    async fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Promise(entry) | Action::Note(entry) => self.keep(What::Entry(entry)).await,
                Action::Dial { attempt, to: Destination::Agent(_) } => self.agent_leg = Some(attempt),
                Action::Enqueue { ticket } => self.ticket = Some(ticket.id),
                Action::Play { playback, .. } => self.playing.push(playback),
                _ => {}
            }
        }
    }

    /// Something happens, so many milliseconds after what came before.
    async fn then(&mut self, milliseconds: u64, event: Event) {
        self.now += Duration::new(0, 1) + Duration::from_millis(milliseconds);
        self.call.handle(self.now, event.clone());
        let actions = self.drain();
        self.keep(What::Event { event, actions: ActionDigest::of(&actions) }).await;
        self.carry_out(actions).await;
    }

    /// Every prompt that plays comes to its end.
    async fn prompts_end(&mut self) {
        for playback in std::mem::take(&mut self.playing) {
            self.then(900, Event::Played { playback, how: PlayedHow::Finished }).await;
        }
    }
}

fn said(id: u32, text: &str, stage: Stage) -> Event {
    let start = BEGIN + Duration::from_secs(8);
    let end = start + Duration::from_millis(700 * u64::from(id));
    let (id, speaker) = (UtteranceId(id), Speaker::Caller);
    Event::Heard(Utterance {
        id,
        speaker,
        text: text.to_owned(),
        start,
        end,
        confidence: 0.913_527_4,
        stage,
        level: None,
    })
}

/// A call from its arrival to the caller's hang-up, with a handoff in between.
async fn a_whole_call(store: &Store) {
    let mut driver = Driver::begin(store.clone()).await;
    driver.prompts_end().await;
    driver.then(100, Event::Answered { attempt: AttemptId(1) }).await;
    driver.then(4_000, said(1, "I was charged twice for order 1234", Stage::Final)).await;
    driver.then(600, said(2, "can I talk", Stage::Partial)).await;
    driver.then(300, said(2, "can I talk to a human", Stage::Partial)).await;
    driver.then(300, said(2, "can I talk to a human please", Stage::Final)).await;
    let ticket = driver.ticket.expect("the call waits in a queue");
    let wait = WaitEstimate { least: Duration::from_secs(20), most: Duration::from_secs(50) };
    driver.then(5, Event::Notice(Notice::Waiting { ticket, position: 2, wait })).await;
    driver.prompts_end().await;
    let (reservation, agent) = (ReservationId(7), AgentId::from("alex"));
    let agent_name = "Alex".to_owned();
    driver.then(800, Event::Notice(Notice::Reserved { ticket, reservation, agent, agent_name })).await;
    let attempt = driver.agent_leg.expect("the agent is dialled");
    driver.then(90, Event::Ringing { attempt }).await;
    driver.prompts_end().await;
    driver.then(3_000, Event::Answered { attempt }).await;
    driver.then(2_000, Event::AgentChose { attempt, choice: AgentChoice::Accept }).await;
    driver.prompts_end().await;
    driver.then(9_000, said(3, "thank you Alex", Stage::Final)).await;
    let gone = Event::Ended { attempt: AttemptId::CALLER, cause: LegEnd::HungUp, declared: None };
    driver.then(1_000, gone).await;
}

struct Opened {
    store: Store,
    _writer: JoinSet<()>,
    folder: tempfile::TempDir,
}

async fn logged() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let (store, writer) = Store::open(folder.path().join("segue.db"), StoreConfig::default()).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(writer.run());
    a_whole_call(&store).await;
    Opened { store, _writer: tasks, folder }
}

#[tokio::test]
async fn a_call_replays_with_the_same_decisions() {
    let log = logged().await;
    // The call went where it should: otherwise the replay would prove little.
    let entries = log.store.entries(&call()).await.unwrap();
    assert!(entries.iter().any(|(_, _, entry)| matches!(entry, Entry::Bridged { .. })), "{entries:#?}");
    assert!(entries.iter().any(|(_, _, entry)| matches!(entry, Entry::CallRecord(_))));
    let reading =
        Store::open_to_read(log.folder.path().join("segue.db"), StoreConfig::default()).await.unwrap();
    let replay = reading.replay(&call(), None).await.unwrap().unwrap();
    assert_eq!(replay.differences, []);
    assert!(replay.same() && replay.events > 15 && replay.actions > 40, "{replay:?}");
    assert_eq!(reading.replay(&CallId("nobody".to_owned()), None).await.unwrap(), None);
}

#[tokio::test]
async fn words_that_came_after_the_end_are_in_the_transcript_and_replay_with_the_rest() {
    let log = logged().await;
    let before = log.store.replay(&call(), None).await.unwrap().unwrap();
    let event = log.store.events(&call(), 0).await.unwrap().last().unwrap().seq;
    let seq = event.max(log.store.entries(&call()).await.unwrap().last().unwrap().0) + 1;
    let what = What::Event { event: said(9, "it leaves today", Stage::Late), actions: ActionDigest::of(&[]) };
    let at = BEGIN + Duration::from_secs(900);
    log.store.promise(LogLine { call: call(), seq, at, what }).await.unwrap();
    let transcript = log.store.transcript(&call()).await.unwrap();
    assert_eq!(transcript.last().unwrap().text, "it leaves today");
    assert_eq!(transcript.last().unwrap().stage, Stage::Late);
    let replay = log.store.replay(&call(), None).await.unwrap().unwrap();
    assert_eq!((replay.differences.as_slice(), replay.events), ([].as_slice(), before.events + 1));
}

#[tokio::test]
async fn a_listing_names_the_caller_and_the_language() {
    let log = logged().await;
    let listed = log.store.calls(&CallFilter::default()).await.unwrap().calls;
    assert_eq!(listed.iter().map(|call| call.caller.as_str()).collect::<Vec<_>>(), ["+15550100"]);
    assert_eq!(listed[0].language, Some("en".into()));
    assert_eq!(log.store.call(&call()).await.unwrap().unwrap().summary, listed[0]);
}

#[tokio::test]
async fn with_other_rules_the_first_difference_is_where_they_matter() {
    let log = logged().await;
    let mut rules = Rules::default();
    rules.languages.clear();
    let other = Followed { policy: Policy::default(), rules };
    let replay = log.store.replay(&call(), Some(other)).await.unwrap().unwrap();
    let first = replay.differences.first().expect("a call whose words mean nothing is not handed over");
    let Event::Heard(heard) = &first.event else { panic!("{first:?}") };
    assert!(heard.text.starts_with("can I talk"), "{first:?}");
    let dials = |action: &Action| matches!(action, Action::Dial { to: Destination::Agent(_), .. });
    assert!(!replay.differences.iter().any(|difference| difference.now.iter().any(dials)));
}

#[tokio::test]
async fn a_log_that_was_tampered_with_does_not_replay() {
    let log = logged().await;
    let path = log.folder.path().join("segue.db");
    let mut other = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let done =
        sqlx::query("UPDATE log SET body = replace(body, 'can I talk to a human', 'can I walk to a human')")
            .execute(&mut other)
            .await
            .unwrap();
    assert!(done.rows_affected() > 0);
    let replay = log.store.replay(&call(), None).await.unwrap().unwrap();
    assert!(!replay.same());
}

#[tokio::test]
async fn a_call_that_lost_lines_replays_up_to_the_hole() {
    let log = logged().await;
    let events = log.store.events(&call(), 0).await.unwrap();
    let lost = events[events.len() / 2].seq;
    let path = log.folder.path().join("segue.db");
    let mut other = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let seq = i64::try_from(lost).unwrap();
    sqlx::query("DELETE FROM log WHERE seq = ?1").bind(seq).execute(&mut other).await.unwrap();
    let replay = log.store.replay(&call(), None).await.unwrap().unwrap();
    assert!(replay.same());
    assert_eq!(replay.events, events.iter().filter(|event| event.seq < lost).count());
}
