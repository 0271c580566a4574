//! How far something long has come, for somebody who watches.

use std::io::{IsTerminal, Write};

/// Whether a bar would be seen.
pub(crate) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// Takes the bar away before all is done.
pub(crate) fn take_away() {
    draw("", 1, 1, "");
}

/// Draws a bar over itself, on a terminal alone; takes it away when all is done.
pub(crate) fn draw(what: &str, done: usize, all: usize, unit: &str) {
    let mut out = std::io::stderr().lock();
    if !out.is_terminal() {
        return;
    }
    let filled = done.min(all) * 30 / all.max(1);
    let bar = format!("\r\x1b[K{what:<34} [{:<30}] {done}/{all}{unit}", "#".repeat(filled));
    let bar = if done >= all { "\r\x1b[K" } else { &bar };
    drop(write!(out, "{bar}").and_then(|()| out.flush()));
}
