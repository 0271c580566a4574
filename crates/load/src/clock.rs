//! The tester's clock: nanoseconds since the Unix epoch, the same clock that the kernel stamps datagrams with.
//!
//! It is read in this file alone. A step of the system's time during a run would show as a delay; packets that seem
//! to arrive before they were sent are counted apart ([`crate::hearing::Tally::before_sent`]).

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A moment, in nanoseconds since the Unix epoch.
pub(crate) type Nanos = u64;

/// One second.
pub(crate) const SECOND: Nanos = 1_000_000_000;
/// One millisecond.
pub(crate) const MILLISECOND: Nanos = 1_000_000;

/// The time now.
pub(crate) fn now() -> Nanos {
    let time = clock_gettime(ClockId::Realtime);
    time.tv_sec.cast_unsigned().wrapping_mul(SECOND).wrapping_add(time.tv_nsec.cast_unsigned())
}

/// Waits until a moment; at once if it is over.
pub(crate) async fn sleep_until(at: Nanos) {
    tokio::time::sleep(Duration::from_nanos(at.saturating_sub(now()))).await;
}

/// A length of time in nanoseconds.
pub(crate) const fn nanos(length: Duration) -> Nanos {
    length.as_secs() * SECOND + length.subsec_nanos() as Nanos
}

/// Nanoseconds as milliseconds.
pub(crate) fn milliseconds(length: Nanos) -> f64 {
    length as f64 / MILLISECOND as f64
}
