//! What must hold, and whether it does. The thresholds set the exit code.

use clap::Args;
use serde::Serialize;

/// What must hold.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Thresholds {
    /// Lost packets at most, in percent of what was sent to each ear.
    #[arg(long, value_name = "PERCENT")]
    pub(crate) max_loss: Option<f64>,
    /// Looks at most in which an ear did not hear the tones of the other side, in percent; where marks do not survive.
    #[arg(long, value_name = "PERCENT")]
    pub(crate) max_unheard: Option<f64>,
    /// The 99th percentile of the delay that the target adds, in milliseconds.
    #[arg(long, value_name = "MS")]
    pub max_delay_p99: Option<f64>,
    /// The median of the delay that the target adds, in milliseconds.
    #[arg(long, value_name = "MS")]
    pub max_delay_p50: Option<f64>,
    /// The 99th percentile from a call's scheduled moment to its 200, in milliseconds.
    #[arg(long, value_name = "MS")]
    pub max_setup_p99: Option<f64>,
    /// The longest silence at a caller's ear, in milliseconds.
    #[arg(long, value_name = "MS")]
    pub(crate) max_dead_air: Option<f64>,
    /// Failed calls at most, in percent.
    #[arg(long, value_name = "PERCENT")]
    pub(crate) max_failed: Option<f64>,
    /// CPU of the target, in milliseconds a call-second; needs --pid.
    #[arg(long, value_name = "MS")]
    pub(crate) max_cpu: Option<f64>,
    /// Resident memory of the target, in kilobytes a call; needs --pid.
    #[arg(long, value_name = "KB")]
    pub(crate) max_memory: Option<f64>,
    /// The 99th percentile from the request to the announcement at the caller's ear, in milliseconds.
    #[arg(long, value_name = "MS")]
    pub max_announce_p99: Option<f64>,
    /// The 99th percentile of the API's answers, in milliseconds.
    #[arg(long, value_name = "MS")]
    pub(crate) max_api_p99: Option<f64>,
    /// The 99th percentile from the accepting key to the bridge at both ears, in milliseconds.
    #[arg(long, value_name = "MS")]
    pub max_bridge_p99: Option<f64>,
}

/// One threshold against what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Check {
    /// What was asked, in words.
    pub(crate) what: String,
    /// The unit of both numbers.
    pub(crate) unit: &'static str,
    /// What is allowed at most.
    pub(crate) limit: f64,
    /// What was measured; none if there was nothing to measure, which is a miss.
    pub(crate) measured: Option<f64>,
    /// Whether it holds.
    pub(crate) holds: bool,
}

impl Check {
    /// Judges a number.
    #[must_use]
    pub(crate) fn new(what: &str, unit: &'static str, limit: f64, measured: Option<f64>) -> Self {
        let holds = measured.is_some_and(|measured| measured <= limit);
        Self { what: what.to_owned(), unit, limit, measured, holds }
    }
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Every threshold holds.
    Passed,
    /// A threshold was missed.
    Missed,
    /// The tester itself was too slow: nothing is proven about the target.
    TesterTooSlow,
    /// No call was made.
    NothingMeasured,
}

impl Verdict {
    /// What the thresholds and the tester's own state come to.
    #[must_use]
    pub(crate) fn of(checks: &[Check], calls: u64, tester_slow: bool) -> Self {
        if calls == 0 {
            return Self::NothingMeasured;
        }
        match (checks.iter().all(|check| check.holds), tester_slow) {
            (true, _) => Self::Passed,
            (false, false) => Self::Missed,
            (false, true) => Self::TesterTooSlow,
        }
    }

    /// The exit code: 0 all held, 1 a threshold was missed, 2 nothing can be said.
    #[must_use]
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Missed => 1,
            Self::TesterTooSlow | Self::NothingMeasured => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(limit: f64, measured: Option<f64>) -> Check {
        Check::new("loss", "%", limit, measured)
    }

    #[test]
    fn a_threshold_holds_up_to_its_limit() {
        assert!(check(0.1, Some(0.1)).holds);
        assert!(!check(0.1, Some(0.100_1)).holds);
        assert!(!check(0.1, Some(f64::NAN)).holds);
    }

    #[test]
    fn what_could_not_be_measured_is_missed() {
        assert!(!check(0.1, None).holds);
    }

    #[test]
    fn the_exit_code_tells_the_targets_fault_from_ours() {
        let (good, bad) = (check(1.0, Some(0.5)), check(1.0, Some(2.0)));
        let code = |checks: &[Check], calls, slow| Verdict::of(checks, calls, slow).exit_code();
        assert_eq!(code(&[], 10, false), 0);
        assert_eq!(code(std::slice::from_ref(&good), 10, true), 0, "even a slow tester saw it hold");
        assert_eq!(code(&[good.clone(), bad.clone()], 10, false), 1);
        assert_eq!(code(&[good.clone(), bad], 10, true), 2);
        assert_eq!(code(&[good], 0, false), 2);
    }
}
