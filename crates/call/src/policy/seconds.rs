//! Durations in configuration are numbers of seconds, whole or with a fraction.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// The longest time a configuration may name: 30 days. Longer is a mistyped unit.
const MOST: f64 = 2_592_000.0;

pub(crate) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    if !(0.0..=MOST).contains(&seconds) {
        return Err(D::Error::custom(format!("{seconds} is not a time in seconds from 0 to {MOST}")));
    }
    Duration::try_from_secs_f64(seconds).map_err(D::Error::custom)
}
