//! What a promise costs alone and in company, and how many events a second the log takes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a benchmark that meets what it does not expect says nothing"
)]

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use segue_call::{CallId, Event};
use segue_store::{ActionDigest, LogLine, Store, StoreConfig, What};
use segue_trigger::{Speaker, Stage, Utterance, UtteranceId};
use tokio::{runtime::Runtime, task::JoinSet};

struct Bed {
    runtime: Runtime,
    store: Store,
    next: AtomicU64,
    _tasks: JoinSet<()>,
    _folder: tempfile::TempDir,
}

impl Bed {
    fn new() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        // Beside the build's output and not in /tmp, which may be memory.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let open = Store::open(folder.path().join("segue.db"), StoreConfig::default());
        let (store, writer) = runtime.block_on(open).unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn_on(writer.run(), runtime.handle());
        Self { runtime, store, next: AtomicU64::new(0), _tasks: tasks, _folder: folder }
    }

    fn lines(&self, count: u64) -> Vec<LogLine> {
        let first = self.next.fetch_add(count, Relaxed);
        (first..first + count).map(line).collect()
    }
}

fn line(number: u64) -> LogLine {
    let said = Utterance {
        id: UtteranceId(1),
        speaker: Speaker::Caller,
        text: "I was charged twice and I would like to talk to a human about my refund".to_owned(),
        start: Duration::from_secs(1_795_180_000),
        end: Duration::from_secs(1_795_180_004),
        confidence: 0.9,
        stage: Stage::Final,
        level: None,
    };
    let what = What::Event { event: Event::Heard(said), actions: ActionDigest::of(&[]) };
    // Two hundred calls at once, as on a busy node.
    let call = CallId(format!("019a9d2c-7b1e-7c40-9a51-{:012}", number % 200));
    LogLine { call, seq: number / 200, at: Duration::from_millis(number), what }
}

fn commits(criterion: &mut Criterion) {
    let bed = Bed::new();
    let mut group = criterion.benchmark_group("store");
    group.sample_size(10).measurement_time(Duration::from_secs(4));
    for together in [1, 16, 256] {
        group.throughput(Throughput::Elements(together));
        group.bench_function(format!("promises, {together} at a time"), |bencher| {
            bencher.iter_batched(
                || bed.lines(together),
                |lines| {
                    let promises = lines.into_iter().map(|line| bed.store.promise(line));
                    let kept = bed.runtime.block_on(futures::future::join_all(promises));
                    assert!(kept.iter().all(Result::is_ok));
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.throughput(Throughput::Elements(4_096));
    group.bench_function("events appended and flushed, 4096 at a time", |bencher| {
        bencher.iter_batched(
            || bed.lines(4_096),
            |lines| {
                for line in lines {
                    bed.store.append(line).unwrap();
                }
                bed.runtime.block_on(bed.store.flush()).unwrap();
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, commits);
criterion_main!(benches);
