//! A measurement in a process of its own: memory that an earlier one freed would hide what this one takes.

use std::{
    io::Read,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use rustix::time::{ClockId, Timespec, clock_gettime};
use serde::de::DeserializeOwned;

/// Runs this program with some arguments and reads the one line of JSON that it prints. What it complains about is
/// seen.
///
/// # Errors
/// It cannot be run, it fails, or it prints something else.
pub(super) fn child<Answer: DeserializeOwned>(arguments: &[String]) -> anyhow::Result<Answer> {
    let program = std::env::current_exe().context("where this program lies is not known")?;
    let mut child = Command::new(&program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| program.display().to_string())?;
    let mut text = String::new();
    let read = child.stdout.take().map(|out| out.take(ANSWER_MAX).read_to_string(&mut text));
    let status = child.wait()?;
    if !status.success() {
        bail!("a measurement ended with {status}");
    }
    read.transpose()?;
    serde_json::from_str(&text).with_context(|| format!("a measurement printed {text:?}"))
}

/// Resident memory of this process in bytes; 0 where the system does not tell.
pub(super) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1_024
}

/// CPU time of this process, all its threads together.
pub(super) fn cpu_time() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(tv_sec).unwrap_or(0), u32::try_from(tv_nsec).unwrap_or(0))
}

/// What the threads whose names begin so have had of the cores; nothing where the system does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turns {
    /// They ran.
    pub(super) ran: Duration,
    /// They could have run, and something else had the core.
    pub(super) waited: Duration,
}

impl Turns {
    pub(super) fn of(begin: &str) -> Turns {
        let mut turns = Turns::default();
        let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return turns };
        for thread in threads.flatten() {
            let read = |file: &str| std::fs::read_to_string(thread.path().join(file)).unwrap_or_default();
            if read("comm").starts_with(begin) {
                let told = read("schedstat");
                let mut numbers = told.split_whitespace().map_while(|number| number.parse().ok());
                let mut next = || Duration::from_nanos(numbers.next().unwrap_or(0));
                turns.ran += next();
                turns.waited += next();
            }
        }
        turns
    }
}

/// More than any answer.
const ANSWER_MAX: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_its_memory_and_its_time() {
        let held = vec![1_u8; 40 << 20];
        assert!(resident() > 40 << 20, "{} {}", held.len(), resident());
        assert!(cpu_time() > Duration::ZERO);
        assert_eq!(Turns::of("no-such-thread"), Turns::default());
    }

    #[test]
    fn a_threads_time_is_told_by_its_name() {
        let spent = std::thread::Builder::new()
            .name("bench-spender".to_owned())
            .spawn(|| {
                let before = Turns::of("bench-spender").ran;
                let mut sum = 0_u64;
                while Turns::of("bench-spender").ran <= before {
                    sum = std::hint::black_box(sum.wrapping_add(1));
                }
                Turns::of("bench-spender").ran
            })
            .unwrap();
        assert!(spent.join().unwrap() > Duration::ZERO);
    }

    #[test]
    fn a_child_that_fails_is_told() {
        let error = child::<u32>(&["--no-such-argument".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("a measurement ended with"), "{error}");
    }
}
