//! What is counted and measured, in Prometheus' words. Names are listed in `describe`.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use segue_call::{Conversation, IdentifiedBy, LegQuality, Party};
use segue_sip::{RegistrationStatus, SipRefusals, TrunkStatus};
use segue_trigger::Reason;

/// Upper bounds of time histograms, in seconds.
const SECONDS: &[f64] =
    &[0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Upper bounds of scores: people's words for them lie between (4.3 very satisfied, 3.6 some are not, 3.1 many).
const MOS: &[f64] = &[1.5, 2.0, 2.6, 3.1, 3.6, 4.0, 4.2, 4.3, 4.4];

/// Upper bounds of shares of packets.
const LOSS: &[f64] = &[0.0, 0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5];

/// Upper bounds of times of the network, in seconds.
const BRIEF_SECONDS: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.0];

/// How often samples are summed up.
const UPKEEP: Duration = Duration::from_secs(5);

/// Starts the recorder of this process.
///
/// # Errors
/// There is one already.
pub(crate) fn start() -> anyhow::Result<PrometheusHandle> {
    let buckets = |name: &str| Matcher::Full(name.to_owned());
    let handle = PrometheusBuilder::new()
        .set_buckets(SECONDS)?
        .set_buckets_for_metric(buckets("segue_leg_mos"), MOS)?
        .set_buckets_for_metric(buckets("segue_leg_loss_ratio"), LOSS)?
        .set_buckets_for_metric(buckets("segue_leg_jitter_seconds"), BRIEF_SECONDS)?
        .set_buckets_for_metric(buckets("segue_leg_round_trip_seconds"), BRIEF_SECONDS)?
        .install_recorder()?;
    describe();
    Ok(handle)
}

/// Sums up what histograms took in, for ever: otherwise every sample is kept until somebody asks for the page.
pub(crate) async fn tend(recorder: PrometheusHandle) {
    let mut turn = tokio::time::interval(UPKEEP);
    loop {
        turn.tick().await;
        recorder.run_upkeep();
    }
}

fn describe() {
    crate::overload::describe();
    describe_gauge!("segue_calls", "Calls at this moment.");
    describe_gauge!("segue_legs", "Media legs at this moment.");
    describe_gauge!("segue_trunk_registered", "Whether our registration at a trunk holds: 1 or 0.");
    describe_gauge!("segue_trunk_target_up", "Whether a trunk's target answers: 1 or 0.");
    describe_counter!("segue_calls_total", "Calls that came in, by outcome.");
    describe_counter!("segue_sip_refused_total", "SIP messages and calls refused at the door, by cause.");
    describe_counter!("segue_handoffs_total", "Handoffs that ended, by state and the rule that asked.");
    describe_counter!("segue_fills_total", "Times the watchdog filled an ear that would have heard silence.");
    describe_counter!("segue_log_lines_lost_total", "Lines that the store refused; the call went on.");
    describe_counter!("segue_news_lost_total", "News that a call could not take.");
    describe_counter!("segue_transcript_gaps_total", "Holes in transcripts, by cause.");
    describe_counter!(
        "segue_voices_untranscribed_total",
        "Voices that were not listened to, at the limit of recognition.voices_max or for want of a thread, by role."
    );
    describe_counter!("segue_languages_found_total", "Callers whose language was found out.");
    describe_counter!("segue_caller_turns_total", "Final utterances of callers, in calls that are over.");
    describe_counter!("segue_barge_ins_total", "Turns that callers began over a voice or a prompt.");
    describe_counter!("segue_talk_overs_total", "Times that a caller and the other side spoke at once.");
    describe_histogram!("segue_talk_over_seconds", Unit::Seconds, "How long they did, in each call.");
    describe_counter!("segue_echoes_total", "Utterances that were an echo of what the leg was sent.");
    describe_histogram!(
        "segue_dead_air_seconds",
        Unit::Seconds,
        "Longest silence sent to a caller between request and bridge."
    );
    describe_counter!("segue_homer_dropped_total", "Copies that the Homer collector did not get.");
    describe_counter!("segue_recording_dropped_total", "Frames and orders that the recorder could not take.");
    describe_counter!("segue_recordings_failed_total", "Recordings that ended before their call.");
    describe_histogram!("segue_leg_mos", "E-model score of a leg's whole life, by role and direction.");
    describe_histogram!(
        "segue_leg_loss_ratio",
        "Lost and late packets of a leg's whole life, by role and direction."
    );
    describe_histogram!(
        "segue_leg_jitter_seconds",
        Unit::Seconds,
        "Jitter at a leg's end, by role and direction."
    );
    describe_histogram!("segue_leg_round_trip_seconds", Unit::Seconds, "Round trip at a leg's end, by role.");
    describe_counter!(
        "segue_legs_dead_total",
        "Legs that were hung up because nothing was heard of them, by role."
    );
    describe_histogram!("segue_announce_seconds", Unit::Seconds, "Request to announcement.");
    describe_histogram!("segue_bridge_seconds", Unit::Seconds, "Request to bridge.");
    describe_histogram!("segue_accept_seconds", Unit::Seconds, "Agent's answer to bridge.");
}

/// The calls and legs at this moment.
pub(crate) fn population(calls: usize, legs: usize) {
    gauge!("segue_calls").set(calls as f64);
    gauge!("segue_legs").set(legs as f64);
}

/// What was refused at the door since the start.
pub(crate) fn refused(refused: &SipRefusals) {
    for (cause, number) in [
        ("unread", refused.unread),
        ("too_fast", refused.too_fast),
        ("malformed", refused.malformed),
        ("wrong_credentials", refused.wrong_credentials),
        ("barred", refused.barred),
        ("calls_over_limit", refused.calls_over_limit),
    ] {
        counter!("segue_sip_refused_total", "cause" => cause).absolute(number);
    }
}

/// How the trunks stand. The labels are the configuration's own words.
pub(crate) fn trunks(trunks: &[TrunkStatus]) {
    for trunk in trunks {
        if let Some(registration) = &trunk.registration {
            let holds = u8::from(*registration == RegistrationStatus::Registered);
            gauge!("segue_trunk_registered", "trunk" => trunk.name.clone()).set(holds);
        }
        for target in &trunk.targets {
            let labels = [("trunk", trunk.name.clone()), ("target", target.uri.clone())];
            gauge!("segue_trunk_target_up", &labels).set(u8::from(target.up));
        }
    }
}

/// A call ended.
pub(crate) fn call_ended(by: &'static str) {
    counter!("segue_calls_total", "ended_by" => by).increment(1);
}

/// A handoff ended. The rule is told, not the reason's code: that one may be a bot's or an API client's own words,
/// and each new one would be a time series for ever.
pub(crate) fn handoff_ended(state: &'static str, reason: &Reason) {
    counter!("segue_handoffs_total", "state" => state, "rule" => reason.rule.clone()).increment(1);
}

/// The watchdog filled an ear.
pub(crate) fn filled() {
    counter!("segue_fills_total").increment(1);
}

/// The store refused a line.
pub(crate) fn log_line_lost() {
    counter!("segue_log_lines_lost_total").increment(1);
}

/// A call could not take a piece of news.
pub(crate) fn news_lost() {
    counter!("segue_news_lost_total").increment(1);
}

/// A hole in a transcript.
pub(crate) fn transcript_gap(cause: String) {
    counter!("segue_transcript_gaps_total", "cause" => cause).increment(1);
}

/// A voice is not listened to.
pub(crate) fn voice_untranscribed(party: Party) {
    counter!("segue_voices_untranscribed_total", "role" => role(party)).increment(1);
}

/// A caller's language was found out. The label is one of those that the configuration allows.
pub(crate) fn language_found(language: &str, by: IdentifiedBy) {
    let by = match by {
        IdentifiedBy::Sound => "sound",
        IdentifiedBy::Words => "words",
    };
    counter!("segue_languages_found_total", "language" => language.to_owned(), "by" => by).increment(1);
}

/// Who spoke over whom in a call that is over.
pub(crate) fn conversation(sum: &Conversation) {
    counter!("segue_caller_turns_total").increment(sum.caller_turns.into());
    counter!("segue_barge_ins_total", "over" => "voice").increment(sum.barge_ins.into());
    counter!("segue_barge_ins_total", "over" => "prompt").increment(sum.prompt_barge_ins.into());
    counter!("segue_talk_overs_total").increment(sum.talk_overs.into());
    histogram!("segue_talk_over_seconds").record(sum.talk_over.as_secs_f64());
    counter!("segue_echoes_total").increment(sum.echoes.into());
}

/// The longest silence sent to a caller between request and bridge.
pub(crate) fn dead_air(longest: Duration) {
    histogram!("segue_dead_air_seconds").record(longest.as_secs_f64());
}

/// What a leg's sound was worth over its whole life.
pub(crate) fn leg_quality(party: Party, quality: &LegQuality) {
    let role = role(party);
    for (direction, sound) in [("heard", quality.heard), ("told", quality.told)] {
        let Some(sound) = sound else { continue };
        histogram!("segue_leg_mos", "role" => role, "direction" => direction).record(sound.mos);
        histogram!("segue_leg_loss_ratio", "role" => role, "direction" => direction).record(sound.loss);
        histogram!("segue_leg_jitter_seconds", "role" => role, "direction" => direction)
            .record(sound.jitter.as_secs_f64());
    }
    if let Some(trip) = quality.round_trip {
        histogram!("segue_leg_round_trip_seconds", "role" => role).record(trip.as_secs_f64());
    }
}

/// A leg was hung up because nothing was heard of it.
pub(crate) fn leg_dead(party: Party) {
    counter!("segue_legs_dead_total", "role" => role(party)).increment(1);
}

fn role(party: Party) -> &'static str {
    match party {
        Party::Caller => "caller",
        Party::Bot => "bot",
        Party::Agent => "agent",
    }
}

/// A copy for the collector was dropped.
pub(crate) fn homer_dropped() {
    counter!("segue_homer_dropped_total").increment(1);
}

/// Something to be recorded was dropped.
pub(crate) fn recording_dropped() {
    counter!("segue_recording_dropped_total").increment(1);
}

/// A recording ended before its call.
pub(crate) fn recording_failed() {
    counter!("segue_recordings_failed_total").increment(1);
}

/// How long the steps of a handoff took, where they were reached.
pub(crate) fn handoff_times(announce: Option<Duration>, bridge: Option<Duration>, accept: Option<Duration>) {
    let times = [
        ("segue_announce_seconds", announce),
        ("segue_bridge_seconds", bridge),
        ("segue_accept_seconds", accept),
    ];
    for (name, time) in times {
        if let Some(time) = time {
            histogram!(name).record(time.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_an_api_client_make_no_new_time_series() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            for code in ["the customer is furious", "call back at 555 0100"] {
                handoff_ended(
                    "rejected",
                    &Reason {
                        rule: "API".to_owned(),
                        code: code.to_owned(),
                        evidence: String::new(),
                        value: 1.0,
                        utterance: None,
                    },
                );
            }
        });
        let page = recorder.handle().render();
        assert!(page.contains(r#"segue_handoffs_total{state="rejected",rule="API"} 2"#), "{page}");
        assert!(!page.contains("furious") && !page.contains("555"), "{page}");
    }
}
