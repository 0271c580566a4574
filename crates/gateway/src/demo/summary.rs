//! The demo's verdict: measured on what each party really heard, and held against the invariants.

use std::{path::Path, time::Duration};

use segue_media::Sound;

use super::{
    ear::{Recording, trace_of},
    story::Story,
};
use crate::telemetry::say;

/// The dead-air guarantee (M16).
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// Two voices that say different things correlate up to about this, in dB; a whisper that leaked would lie above.
const LEAK_MAX: f32 = -20.0;
/// How far the whisper may lie from where it is looked for, in samples: half a second.
const LEAK_SLACK: usize = 4_000;

/// What each party heard.
pub(super) struct Heard {
    /// The caller.
    pub(super) caller: Recording,
    /// The bot.
    pub(super) bot: Recording,
    /// The agent.
    pub(super) agent: Recording,
    /// The whisper as it was rendered.
    pub(super) whisper: Option<Sound>,
    /// When the caller had finished asking for a human.
    pub(super) asked: Option<Duration>,
}

/// Writes the recordings, prints the summary, and says whether every invariant held.
///
/// # Errors
/// A recording cannot be written.
pub(super) fn conclude(story: &Story, heard: &Heard, replayed: bool, out: &Path) -> anyhow::Result<bool> {
    say("");
    for (name, recording) in [("caller", &heard.caller), ("bot", &heard.bot), ("agent", &heard.agent)] {
        let file = out.join(format!("{name}-heard.wav"));
        recording.write(&file)?;
        say(&format!("what the {name} heard: {}", file.display()));
    }
    let mut verdict = Verdict { sound: true };
    measured(story, heard);
    verdict.check("the request was recognised from sound", story.decision.is_some());
    verdict.check("the handoff was completed", story.bridged.is_some());
    verdict.check(
        "the brief was there before the bridge",
        story.brief_shown.zip(story.bridged).is_some_and(|(brief, bridge)| brief < bridge),
    );
    let silence = before_bridge(story, heard).map(Recording::silence_longest);
    verdict.check(
        "the caller never heard more than 2 s of silence before the bridge",
        silence.is_some_and(|silence| silence <= SILENCE_MAX),
    );
    verdict.check(
        "the whisper never reached the caller",
        leak(story, heard).is_some_and(|leak| leak < LEAK_MAX),
    );
    verdict.check(
        "caller and agent heard and understood each other",
        story.utterances.iter().all(|count| *count > 0),
    );
    verdict.check("the event log replays to the same decisions", replayed);
    Ok(verdict.sound)
}

struct Verdict {
    sound: bool,
}

impl Verdict {
    fn check(&mut self, what: &str, held: bool) {
        self.sound &= held;
        say(&format!("{} {what}", if held { "[held]  " } else { "[BROKEN]" }));
    }
}

fn measured(story: &Story, heard: &Heard) {
    let announced = story.announced.and_then(|announced| heard.caller.sound_after(announced));
    line("request end → announcement at the caller's ear", signed(announced, heard.asked));
    let silence = before_bridge(story, heard).map(Recording::silence_longest);
    line(
        "longest silence at the caller's ear, request to bridge",
        silence.map(|silence| silence.as_secs_f64()),
    );
    let whisper = heard.whisper.as_ref().map(|whisper| whisper.len() as f64 / 8_000.0);
    line("length of the whisper", whisper);
    line("agent's answer → bridge", signed(story.bridged, story.answered));
    line("request → bridge", signed(story.bridged, story.requested));
    if let Some(leak) = leak(story, heard) {
        say(&format!("{:<56} {leak:6.1} dB", "trace of the whisper at the caller's ear"));
    }
    say("");
}

fn line(what: &str, seconds: Option<f64>) {
    match seconds {
        Some(seconds) => say(&format!("{what:<56} {seconds:6.2} s")),
        None => say(&format!("{what:<56} did not happen")),
    }
}

fn signed(to: Option<Duration>, from: Option<Duration>) -> Option<f64> {
    to.zip(from).map(|(to, from)| to.as_secs_f64() - from.as_secs_f64())
}

fn before_bridge<'a>(story: &Story, heard: &'a Heard) -> Option<&'a [i16]> {
    story.requested.zip(story.bridged).map(|(requested, bridged)| heard.caller.between(requested, bridged))
}

/// How much of the whisper the caller heard while the agent heard it.
fn leak(story: &Story, heard: &Heard) -> Option<f32> {
    let whisper = heard.whisper.as_ref()?;
    let (from, _) = story.whisper.as_ref()?;
    let until = story.bridged? + Duration::from_secs(60);
    Some(trace_of(whisper, heard.caller.between(*from, until), LEAK_SLACK))
}
