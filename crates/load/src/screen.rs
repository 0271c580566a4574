//! The live screen, for people who know SIPp: its column names, its keys (`q`, `+`, `-`, `*`, `/`), and a bar.
//!
//! Keys are read by a thread of its own; the terminal is put back as it was when the screen ends.

use std::{
    io::{IsTerminal, Read, Write},
    sync::mpsc::{Receiver, sync_channel},
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::{
    clock::{MILLISECOND, SECOND},
    measure::Interval,
    run::{Order, Watcher, Wish},
    scores::Scores,
    timeline::Row,
};

/// Keys that wait to be looked at; more are lost.
const KEYS_MAX: usize = 64;
const BAR: usize = 40;

/// The live screen.
pub(crate) struct Screen {
    keys: Receiver<u8>,
    before: Option<Termios>,
}

impl Screen {
    /// The screen, if somebody sits at a terminal.
    pub(crate) fn open() -> Option<Self> {
        if !std::io::stdout().is_terminal() {
            return None;
        }
        let before = listen_to_keys();
        let (sender, keys) = sync_channel(KEYS_MAX);
        if before.is_some() {
            // The thread ends with the program: nothing else can end a wait for a key.
            let reader = std::thread::Builder::new().name("load-keys".to_owned()).spawn(move || {
                for key in std::io::stdin().lock().bytes().map_while(Result::ok) {
                    // What nobody looks at is lost.
                    sender.try_send(key).unwrap_or_default();
                }
            });
            if let Err(error) = reader {
                tracing::debug!(%error, "keys are not heard");
            }
        }
        Some(Self { keys, before })
    }
}

/// Has each key told at once and not shown; gives how it was before.
fn listen_to_keys() -> Option<Termios> {
    let stdin = std::io::stdin();
    let before = stdin.is_terminal().then(|| tcgetattr(&stdin).ok()).flatten()?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Now, &quiet).ok()?;
    Some(before)
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(before) = &self.before
            && let Err(error) = tcsetattr(std::io::stdin(), OptionalActions::Now, before)
        {
            tracing::debug!(%error, "the terminal is not as it was");
        }
    }
}

impl Watcher for Screen {
    fn second(&mut self, order: &Order, row: &Row, total: &Scores, media: &Interval) -> Wish {
        let text = draw(order, row, total, media);
        let mut out = std::io::stdout().lock();
        // Home, the picture, then nothing below it. Where nobody looks any more, nothing is lost.
        drop(write!(out, "\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n")).and_then(|()| out.flush()));
        self.keys.try_iter().fold(Wish::GoOn, |wish, key| wish_of(key).unwrap_or(wish))
    }
}

/// What a key means; SIPp's.
fn wish_of(key: u8) -> Option<Wish> {
    match key {
        b'q' | b'Q' => Some(Wish::Stop),
        b'+' => Some(Wish::Rate(1.0)),
        b'-' => Some(Wish::Rate(-1.0)),
        b'*' => Some(Wish::Rate(10.0)),
        b'/' => Some(Wish::Rate(-10.0)),
        _ => None,
    }
}

fn draw(order: &Order, row: &Row, total: &Scores, media: &Interval) -> String {
    let target = row.target_cpu_percent.map_or_else(String::new, |cpu| {
        let (memory, switches) = (row.target_memory_mb.unwrap_or(0.0), row.target_switches.unwrap_or(0.0));
        format!("  Target: {cpu:.0} % CPU, {memory:.1} MB, {switches:.0} switches a second\n")
    });
    format!(
        "{}\n{}\n  Response time (INVITE to 200)   p50 {:>9.2} ms   p99 {:>9.2} ms\n{}\n\
         \x20 Added delay of packets          p50 {:>9.3} ms   p99 {:>9.3} ms   lost {:.4} %\n\
         {target}  Tester: {:.0} % CPU, {:.2} % of slots late\n\n\
         {}\n------ [+|-|*|/]: Adjust rate ---- [q]: Soft exit ------\n",
        head(order, row, total),
        messages(row, total),
        row.setup_p50_ms,
        row.setup_p99_ms,
        partition(total),
        row.delay_p50_ms,
        row.delay_p99_ms,
        100.0 * media.all_heard().loss(),
        row.own_cpu_percent,
        row.own_late_percent,
        bar(row.at_s / order.plan.time.as_secs_f64().max(1e-9)),
    )
}

/// SIPp's first lines.
fn head(order: &Order, row: &Row, total: &Scores) -> String {
    let limit = order.plan.calls.map_or("none".to_owned(), |calls| calls.to_string());
    let up = format!("{} calls (limit {limit})", row.calls);
    format!(
        "------------------------------ Scenario {} ------------------------------\n\
         \x20 Call-rate(length)   Port   Total-time  Total-calls  Remote-host\n\
         \x20 {:<8.1}({:>5.1} s)  {:>5}  {:>9.2} s  {:>11}  {}\n\n\
         \x20 {:.0} new calls during {:.3} s period      {:.0} ms scheduler resolution\n\
         \x20 {up:<38} Peak was {} calls\n",
        order.scenario.name(),
        row.rate,
        order.plan.hold.as_secs_f64(),
        order.port(),
        row.at_s,
        total.begun,
        order.remote(),
        row.rate * row.length_s,
        row.length_s,
        MILLISECOND as f64 / 1e6,
        row.peak,
    )
}

/// SIPp's counts of messages and calls.
fn messages(row: &Row, total: &Scores) -> String {
    let unexpected: u64 = total.unexpected.values().sum();
    let is_late = |reason: &str| reason.contains("Timeout") || reason.contains("NoAnswer");
    let late = total.failed.iter().filter(|(reason, _)| is_late(reason));
    let timeouts: u64 = late.map(|(_, count)| count).sum();
    format!(
        "                         Messages  Timeout   Unexpected-Msg\n\
         \x20     INVITE ---------->  {:<8}  {timeouts:<8}  {unexpected}\n\
         \x20        200 <----------  {:<8}\n\
         \x20        BYE ---------->  {:<8}\n\n\
         \x20 Current calls     {:>10}      Successful call {:>10}\n\
         \x20 Incoming calls    {:>10}      Failed call     {:>10}\n",
        total.begun,
        total.answered,
        total.succeeded,
        row.calls,
        total.succeeded,
        total.bot_calls,
        total.failures(),
    )
}

/// SIPp's response time partition.
fn partition(total: &Scores) -> String {
    let limits = [0, 5, 10, 20, 50, 100, 200, 1_000].map(|limit: u64| limit * MILLISECOND);
    let mut text = String::from(" ");
    for pair in limits.windows(2) {
        if let &[from, to] = pair {
            text.push_str(&format!(" <{} ms: {}", to / MILLISECOND, total.setup.between(from, to)));
        }
    }
    format!("{text}  >=1 s: {}", total.setup.between(SECOND, u64::MAX))
}

/// How far the run is.
pub(crate) fn bar(part: f64) -> String {
    let part = part.clamp(0.0, 1.0);
    let full = (part * BAR as f64).round() as usize;
    format!("  [{}{}] {:>3.0} %", "#".repeat(full), "-".repeat(BAR - full), part * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_they_mean_to_sipp() {
        assert_eq!(wish_of(b'q'), Some(Wish::Stop));
        assert_eq!(
            [b'+', b'-', b'*', b'/'].map(wish_of),
            [1.0, -1.0, 10.0, -10.0].map(|by| Some(Wish::Rate(by)))
        );
        assert_eq!(wish_of(b'x'), None);
    }

    #[test]
    fn the_bar_fills_from_nothing_to_all() {
        assert!(bar(0.0).contains(&"-".repeat(BAR)) && bar(0.0).ends_with("  0 %"));
        assert!(bar(7.0).contains(&"#".repeat(BAR)) && bar(1.0).ends_with("100 %"));
        assert_eq!(bar(0.5).matches('#').count(), BAR / 2);
    }

    #[test]
    fn answers_are_sorted_into_the_partition() {
        let mut scores = Scores::default();
        for length in [1, 2, 7, 30, 5_000] {
            scores.setup.record(length * MILLISECOND);
        }
        let text = partition(&scores);
        assert!(
            text.contains("<5 ms: 2") && text.contains("<10 ms: 1") && text.contains("<50 ms: 1"),
            "{text}"
        );
        assert!(text.ends_with(">=1 s: 1"), "{text}");
    }
}
