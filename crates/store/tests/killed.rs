//! The writer is killed with SIGKILL in the middle of its work, again and again: no promise it told of is lost, and
//! what is there has no holes. The program starts itself as the writer that is killed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test that meets what it does not expect has failed"
)]
#![expect(
    clippy::print_stdout,
    reason = "the child tells its promises on its standard output, the test its result"
)]

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use segue_call::{AttemptId, CallId, Event};
use segue_store::{ActionDigest, LogLine, Store, StoreConfig, What};
use tokio::task::JoinSet;

const CHILD: &str = "SEGUE_STORE_KILLED_CHILD";
const CALLS: u64 = 8;
const ROUNDS: u64 = 5;
const TOLD_BEFORE_THE_KILL: usize = 300;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match env::var(CHILD) {
        Ok(round) => {
            let mut arguments = env::args().skip(1);
            let path = arguments.next().unwrap();
            runtime.block_on(promise_without_end(Path::new(&path), round.parse().unwrap()));
        }
        Err(_) => {
            runtime.block_on(no_promise_is_lost());
            println!("test no_promise_that_was_told_of_is_lost_when_the_writer_is_killed ... ok");
        }
    }
}

/// The child: each call appends two lines and promises a third, and tells of it when it is kept.
async fn promise_without_end(path: &Path, round: u64) {
    let (store, writer) = Store::open(path, StoreConfig::default()).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(writer.run());
    for number in 0..CALLS {
        let store = store.clone();
        tasks.spawn(async move {
            let call = CallId(format!("{round}-{number}"));
            for seq in (0..).step_by(3) {
                store.append(line(&call, seq)).unwrap();
                store.append(line(&call, seq + 1)).unwrap();
                store.promise(line(&call, seq + 2)).await.unwrap();
                // One write, so that the line is told whole or not at all.
                std::io::stdout().write_all(format!("{call} {}\n", seq + 2).as_bytes()).unwrap();
            }
        });
    }
    tasks.join_all().await;
}

fn line(call: &CallId, seq: u64) -> LogLine {
    let event = Event::Ringing { attempt: AttemptId(u32::try_from(seq).unwrap()) };
    let what = What::Event { event, actions: ActionDigest::of(&[]) };
    LogLine { call: call.clone(), seq, at: std::time::Duration::from_millis(seq), what }
}

async fn no_promise_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segue.db");
    let mut told: BTreeMap<CallId, u64> = BTreeMap::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(env::current_exe().unwrap())
            .arg(&path)
            .env(CHILD, round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..TOLD_BEFORE_THE_KILL {
            note(&mut told, &lines.next().expect("the writer works until it is killed").unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it told before it died is still in the pipe, and counts.
        for line in lines.map_while(Result::ok) {
            note(&mut told, &line);
        }
        check(&path, &told).await;
    }
    assert!(told.len() as u64 == ROUNDS * CALLS, "every call was told of");
}

fn note(told: &mut BTreeMap<CallId, u64>, line: &str) {
    let (call, seq) = line.split_once(' ').expect("a call and a number");
    told.insert(CallId(call.to_owned()), seq.parse().expect("a number"));
}

async fn check(path: &Path, told: &BTreeMap<CallId, u64>) {
    let (store, writer) = Store::open(path, StoreConfig::default()).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(writer.run());
    for (call, promised) in told {
        let stored: Vec<u64> = store.events(call, 0).await.unwrap().iter().map(|event| event.seq).collect();
        assert_eq!(stored, (0..stored.len() as u64).collect::<Vec<_>>(), "no holes in {call}");
        assert!(stored.len() as u64 > *promised, "{call} promised {promised} and has {}", stored.len());
    }
    store.close().await.unwrap();
    tasks.join_all().await;
}
