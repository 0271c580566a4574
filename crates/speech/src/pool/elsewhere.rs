//! A service elsewhere that helps out while finals wait long: a few threads take finals as long as the rung holds.
//! What it cannot do comes back to the queue and is decoded here; nothing is lost by having asked.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::SyncSender,
};

use super::{
    DecodeError, Decoder,
    front::Control,
    queue::Job,
    stats::By,
    worker::{Bench, Outcome},
};

/// The life of a thread that asks. The bench's engine is the service.
pub(super) fn run(bench: &Bench, front: &SyncSender<Control>) {
    let mut decoder = match bench.engine.decoder() {
        Ok(decoder) => decoder,
        Err(error) => {
            tracing::error!(%error, "the service elsewhere cannot be asked");
            return;
        }
    };
    while let Some(job) = bench.queue.take_elsewhere() {
        let Some(outcome) = ask(bench, decoder.as_mut(), job) else { continue };
        if front.send(Control::Done(outcome)).is_err() {
            return;
        }
    }
}

/// Asks once. A failure puts the job back, and is an outcome only for the one that finds no place then.
fn ask(bench: &Bench, decoder: &mut dyn Decoder, job: Job) -> Option<Outcome> {
    let began = (bench.clock)();
    bench.waited(&job, began);
    let stop = bench.stop(&job.cancelled, began + bench.gap_after);
    let asked =
        catch_unwind(AssertUnwindSafe(|| decoder.decode(&job.samples, job.language.as_deref(), &stop)));
    let result = asked.unwrap_or_else(|_| Err(DecodeError::Failed("asking elsewhere panicked".to_owned())));
    let error = match result {
        Ok(decoded) => {
            bench.counters.ends.unsure.add(u64::from(decoded.unsure));
            let (id, stream) = (job.id, job.stream);
            return Some(Outcome { id, stream, result: Ok(decoded), expired: false, by: By::Elsewhere });
        }
        Err(error) => error,
    };
    tracing::debug!(%error, stream = job.stream.0, "the service elsewhere did not help");
    bench.counters.elsewhere_failed.add(1);
    let again = Job { tried_elsewhere: true, asked: (bench.clock)(), ..job };
    let evicted = bench.queue.submit(again)?;
    let (id, stream) = (evicted.id, evicted.stream);
    Some(Outcome { id, stream, result: Err(DecodeError::Stopped), expired: true, by: By::Elsewhere })
}
