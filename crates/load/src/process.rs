//! What the target costs: CPU time, memory and context switches of a process, as the kernel counts them in /proc.

use std::{collections::BTreeMap, fs, time::Duration};

/// One look at a process.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Look {
    /// CPU time of all its threads since it began, user and system.
    pub(crate) cpu: Duration,
    /// The same by thread: number, name, CPU time. Threads that have ended are not here.
    pub(crate) threads: BTreeMap<u32, (String, Duration)>,
    /// Resident memory in bytes.
    pub(crate) resident: u64,
    /// Context switches of the threads that are alive: voluntary, involuntary.
    pub(crate) switches: (u64, u64),
    /// Threads that are alive.
    pub(crate) thread_count: usize,
}

/// Looks at a process; `None` if it is not there or must not be looked at.
#[must_use]
pub(crate) fn look(pid: u32) -> Option<Look> {
    let tick = clock_tick();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut look = Look { cpu: cpu_time(&stat, tick)?, ..Look::default() };
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    look.resident = field(&status, "VmRSS:") * 1_024;
    for entry in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let Some(thread) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        look.thread_count += 1;
        let read = |file: &str| fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        let status = read("status");
        look.switches.0 += field(&status, "voluntary_ctxt_switches:");
        look.switches.1 += field(&status, "nonvoluntary_ctxt_switches:");
        let name = read("comm").trim().to_owned();
        // In nanoseconds, where `stat` has hundredths of seconds.
        let run = read("schedstat").split_ascii_whitespace().next().and_then(|word| word.parse().ok());
        let cpu = run.map(Duration::from_nanos).or_else(|| cpu_time(&read("stat"), tick));
        look.threads.insert(thread, (name, cpu.unwrap_or_default()));
    }
    Some(look)
}

/// CPU time between two looks, by the name of the thread; threads of one name together.
#[must_use]
pub(crate) fn by_name(before: &Look, after: &Look) -> BTreeMap<String, Duration> {
    let mut names: BTreeMap<String, Duration> = BTreeMap::new();
    for (thread, (name, cpu)) in &after.threads {
        let earlier = before.threads.get(thread).map(|(_, cpu)| *cpu).unwrap_or_default();
        let sum = names.entry(name.clone()).or_default();
        *sum += cpu.saturating_sub(earlier);
    }
    names
}

fn clock_tick() -> Duration {
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_nanos(1_000_000_000 / ticks)
}

/// User and system time of a line of `stat`. The name in it may hold blanks and parentheses.
fn cpu_time(stat: &str, tick: Duration) -> Option<Duration> {
    let after_name = stat.rsplit_once(')')?.1;
    let mut words = after_name.split_ascii_whitespace().skip(11);
    let user: u32 = words.next()?.parse().ok()?;
    let system: u32 = words.next()?.parse().ok()?;
    Some(tick * user.saturating_add(system))
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_ascii_whitespace().next()).and_then(|word| word.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_has_memory_threads_and_time() {
        let before = look(std::process::id()).unwrap();
        let mut sum = 0_u64;
        while look(std::process::id()).unwrap().cpu <= before.cpu {
            sum = (0..1_000_000_u64).fold(sum, |sum, value| sum.wrapping_mul(31).wrapping_add(value));
        }
        let after = look(std::process::id()).unwrap();
        assert!(after.resident > 100_000 && after.thread_count >= 1, "{after:?} {sum}");
        assert!(by_name(&before, &after).values().sum::<Duration>() > Duration::ZERO);
        assert_eq!(look(u32::MAX), None);
    }

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_move_the_columns() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20";
        assert_eq!(cpu_time(stat, Duration::from_millis(10)), Some(Duration::from_secs(2)));
        assert_eq!(cpu_time("7 (x) S 1", Duration::from_millis(10)), None);
    }
}
