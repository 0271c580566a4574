//! The command line of `segue load`, and what it means once it is checked.

use std::{
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Subcommand};
use segue_media::{Codec, security::Suite};

use crate::{
    plane::{Ears, PortUse},
    relay::Design,
    rest::RestArgs,
    schedule::Profile,
    verdict::Thresholds,
    words::{LoadError, Role},
};

/// What to load, and with what.
#[derive(Clone, Debug, Args)]
pub struct LoadArgs {
    /// The kind of load.
    #[command(subcommand)]
    pub(crate) command: LoadCommand,
}

/// The kinds of load.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum LoadCommand {
    /// Callers talk to bots through the target, both ways, packet by packet.
    Bridge(RunArgs),
    /// The same, and each caller is handed over to an agent by key 0.
    Handoff(RunArgs),
    /// Signalling only: calls are set up and taken down, without a packet of sound from us.
    Setup(RunArgs),
    /// Sound only, through a bare relay at --target: the reference that other figures are written beside.
    Pairs(RunArgs),
    /// Runs a bare relay for `pairs`.
    Relay(RelayArgs),
    /// Requests to an API, at their moments whatever the answers.
    Rest(ApiArgs),
}

/// A run with calls.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    /// The target's SIP address; with `tcp:` before it, SIP goes there by TCP.
    #[arg(long, short, default_value = "127.0.0.1:5060")]
    pub(crate) target: String,
    /// Whom callers ask for at the target.
    #[arg(long, default_value = "load")]
    pub(crate) to: String,
    /// Speak SIP by TCP to the target.
    #[arg(long)]
    pub(crate) tcp: bool,
    /// Where callers, bots and agents are: the target must reach the bot at sip:bot@ADDRESS and agents at
    /// sip:agentN@ADDRESS. Without it 127.0.0.1:5070, or [::1]:5070 for a target of IPv6.
    #[arg(long)]
    pub(crate) listen: Option<SocketAddr>,
    /// Callers' digest credentials, if the target asks for them: USER:PASSWORD.
    #[arg(long)]
    pub(crate) auth: Option<String>,
    /// Load a target that is not on this machine. Only for systems that are yours to load.
    #[arg(long)]
    pub(crate) i_own_this_target: bool,
    /// Shape of the load.
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    /// Sound.
    #[command(flatten)]
    pub(crate) media: MediaArgs,
    /// SRTP.
    #[command(flatten)]
    pub(crate) secrecy: SrtpArgs,
    /// Handoffs.
    #[command(flatten)]
    pub(crate) handoff: HandoffArgs,
    /// Requests to the target's API while calls run.
    #[command(flatten)]
    pub(crate) rest: RestArgs,
    /// What is watched and written.
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    /// What must hold.
    #[command(flatten)]
    pub(crate) thresholds: Thresholds,
}

/// A bare relay.
#[derive(Clone, Debug, Args)]
pub(crate) struct RelayArgs {
    /// Its first port.
    #[arg(long, default_value = "127.0.0.1:30000")]
    pub(crate) listen: SocketAddr,
    /// How its sockets are made.
    #[arg(long, value_enum, default_value = "epoll")]
    pub(crate) design: Design,
    /// Calls that it can carry; the same number as `segue load pairs --calls`.
    #[arg(long, short = 'l', default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) calls: u32,
    /// Seconds that it runs.
    #[arg(long, default_value_t = 60.0)]
    pub(crate) time: f64,
    /// Pin it to this core.
    #[arg(long)]
    pub(crate) core: Option<usize>,
}

/// Requests to an API alone.
#[derive(Clone, Debug, Args)]
pub(crate) struct ApiArgs {
    /// What is asked.
    #[command(flatten)]
    pub(crate) rest: RestArgs,
    /// Seconds.
    #[arg(long, default_value_t = 30.0)]
    pub(crate) time: f64,
    /// The 99th percentile of the answers, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 300.0)]
    pub(crate) max_api_p99: f64,
    /// Load an API that is not on this machine.
    #[arg(long)]
    pub(crate) i_own_this_target: bool,
    /// Pin the tester to this core.
    #[arg(long)]
    pub(crate) core: Option<usize>,
    /// Write everything as JSON here.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

/// How much load, and when.
#[derive(Clone, Debug, Args)]
pub(crate) struct ShapeArgs {
    /// Shape of the load over time.
    #[arg(long, value_enum, default_value = "soak")]
    pub(crate) profile: Profile,
    /// Calls at the same time at full load. Without it, as many as the rate and the length of calls give.
    #[arg(long, short = 'l', value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub(crate) calls: Option<u32>,
    /// New calls a second: with --calls the fastest that they come, otherwise the full load.
    #[arg(long, short = 'r', default_value_t = 20.0)]
    pub(crate) rate: f64,
    /// Seconds that new calls come.
    #[arg(long, default_value_t = 30.0)]
    pub(crate) time: f64,
    /// Seconds that a call lasts; without it, to the end of the run.
    #[arg(long)]
    pub(crate) hold: Option<f64>,
    /// Steps of the profile `step`.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) steps: u32,
    /// The most calls that the profile `find-limit` tries.
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub(crate) most: u32,
    /// No more calls than this in the whole run.
    #[arg(long, short = 'm', default_value_t = 1_000_000)]
    pub(crate) total: u64,
}

/// How the sound is made.
#[derive(Clone, Debug, Args)]
pub(crate) struct MediaArgs {
    /// The callers' codec.
    #[arg(long, alias = "codec", value_enum, default_value = "pcmu")]
    pub(crate) caller_codec: CodecName,
    /// The bots' codec; without it, the callers'.
    #[arg(long, value_enum)]
    pub(crate) bot_codec: Option<CodecName>,
    /// The agents' codec; without it, the callers'.
    #[arg(long, value_enum)]
    pub(crate) agent_codec: Option<CodecName>,
    /// Where marks do not survive: seconds between two looks of each ear for the tones of the other; 0 listens always.
    /// Without it, 4 seconds, and always for handoffs.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub(crate) listen_every: Option<u64>,
    /// How ports are used: `own` for targets that have all legs on one port.
    #[arg(long, value_enum, default_value = "shared")]
    pub(crate) ports: PortUse,
    /// The first port for sound; 61000 with shared ports, 40000 with own ones.
    #[arg(long)]
    pub(crate) media_port: Option<u16>,
    /// Threads for sound.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) media_threads: u16,
    /// For `pairs`: how the relay's sockets are made.
    #[arg(long, value_enum, default_value = "epoll")]
    pub(crate) design: Design,
    /// Pin the whole tester to this core.
    #[arg(long)]
    pub(crate) core: Option<usize>,
}

/// A codec by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CodecName {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s.
    G722,
    /// Opus, wideband.
    Opus,
}

impl CodecName {
    /// The codec.
    #[must_use]
    pub(crate) const fn codec(self) -> Codec {
        match self {
            Self::Pcmu => Codec::Pcmu,
            Self::Pcma => Codec::Pcma,
            Self::G722 => Codec::G722,
            Self::Opus => Codec::Opus,
        }
    }
}

impl MediaArgs {
    /// What each role speaks.
    pub(crate) fn codecs(&self) -> [Codec; 3] {
        let or_callers = |own: Option<CodecName>| own.unwrap_or(self.caller_codec).codec();
        [self.caller_codec.codec(), or_callers(self.bot_codec), or_callers(self.agent_codec)]
    }

    /// Marks where all speak the same G.711, otherwise tones.
    pub(crate) fn ears(&self, scenario: Scenario) -> Ears {
        let [caller, bot, agent] = self.codecs();
        let takes_part = scenario == Scenario::Handoff;
        if caller.law().is_some() && caller == bot && (agent == caller || !takes_part) {
            return Ears::Marks;
        }
        Ears::Tones { every: self.listen_every.unwrap_or(if takes_part { 0 } else { 4 }) }
    }
}

/// Who speaks SRTP, and how.
#[derive(Clone, Debug, Args)]
pub(crate) struct SrtpArgs {
    /// How keys are agreed on. With `sdes`, every call that does not get them fails.
    #[arg(long, value_enum, default_value = "none")]
    pub(crate) srtp: SrtpKeys,
    /// The cipher.
    #[arg(long, value_enum, default_value = "aes-cm-128-hmac-sha1-80")]
    pub(crate) srtp_suite: SuiteName,
    /// Who demands it.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["caller", "bot", "agent"])]
    pub(crate) srtp_by: Vec<Role>,
}

impl SrtpArgs {
    /// The cipher that each role demands, if it demands one.
    pub(crate) fn suites(&self) -> [Option<Suite>; 3] {
        let demands = |role| self.srtp == SrtpKeys::Sdes && self.srtp_by.contains(&role);
        Role::ALL.map(|role| demands(role).then(|| self.srtp_suite.suite()))
    }
}

/// How keys are agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SrtpKeys {
    /// Not at all: plain RTP.
    None,
    /// By a=crypto lines (RFC 4568).
    Sdes,
}

/// A cipher by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SuiteName {
    /// AES in counter mode, a tag of 80 bits.
    #[value(name = "aes-cm-128-hmac-sha1-80")]
    AesCm80,
    /// The same with a tag of 32 bits.
    #[value(name = "aes-cm-128-hmac-sha1-32")]
    AesCm32,
    /// AES-GCM with 128 bit.
    #[value(name = "aead-aes-128-gcm")]
    Gcm128,
    /// AES-GCM with 256 bit.
    #[value(name = "aead-aes-256-gcm")]
    Gcm256,
}

impl SuiteName {
    const fn suite(self) -> Suite {
        match self {
            Self::AesCm80 => Suite::AesCm128Sha1Tag80,
            Self::AesCm32 => Suite::AesCm128Sha1Tag32,
            Self::Gcm128 => Suite::AeadAes128Gcm,
            Self::Gcm256 => Suite::AeadAes256Gcm,
        }
    }
}

/// How handoffs go.
#[derive(Clone, Debug, Args)]
pub(crate) struct HandoffArgs {
    /// Seconds with the bot before key 0 is pressed, from the call's scheduled beginning.
    #[arg(long, default_value_t = 3.0)]
    pub(crate) ask_after: f64,
    /// Who asks for the human: the caller by key 0, or the bot by REFER.
    #[arg(long, value_enum, default_value = "key")]
    pub(crate) ask_by: AskBy,
    /// Seconds that an agent lets it ring.
    #[arg(long, default_value_t = 0.3)]
    pub(crate) ring: f64,
    /// Seconds that an agent listens to the whisper before key 1 is pressed.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) listen_whisper: f64,
    /// Seconds of conversation after the bridge.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) talk: f64,
    /// Seconds that a handoff may take before it counts as failed.
    #[arg(long, default_value_t = 60.0)]
    pub(crate) handoff_max: f64,
}

/// Who asks for a human.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AskBy {
    /// The caller, by key 0 (RFC 4733).
    Key,
    /// The bot, by REFER (RFC 3515).
    Refer,
}

/// What is watched and written.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReportArgs {
    /// Watch this process: CPU, memory, context switches.
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// Write everything as JSON here.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Write one line a second as CSV here.
    #[arg(long)]
    pub(crate) csv: Option<PathBuf>,
    /// Write the report for people here, one HTML file.
    #[arg(long)]
    pub(crate) html: Option<PathBuf>,
    /// Plain lines instead of the live screen.
    #[arg(long)]
    pub(crate) plain: bool,
    /// A title for the report.
    #[arg(long, default_value = "")]
    pub(crate) title: String,
}

/// What kind of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Caller and bot.
    Bridge,
    /// Caller, bot, then agent.
    Handoff,
    /// Signalling only.
    Setup,
    /// Sound only, through a bare relay.
    Pairs,
}

impl Scenario {
    /// Its name on the command line.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Handoff => "handoff",
            Self::Setup => "setup",
            Self::Pairs => "pairs",
        }
    }
}

/// The longest run.
const TIME_MAX: f64 = 7.0 * 86_400.0;

/// Seconds of the command line.
///
/// # Errors
/// Not a length of time, or longer than a week.
pub(crate) fn seconds(option: &str, value: f64) -> Result<Duration, LoadError> {
    if (0.0..=TIME_MAX).contains(&value) {
        return Ok(Duration::from_secs_f64(value));
    }
    Err(LoadError::Option(format!("{option} must be between 0 and {TIME_MAX} seconds, and is {value}")))
}

/// Resolves a target and sees to it that it may be loaded.
///
/// # Errors
/// It is not known, or it is somebody else's machine.
pub(crate) fn target(name: &str, owned: bool) -> Result<SocketAddr, LoadError> {
    let found = name.to_socket_addrs().ok().and_then(|mut found| found.next());
    let address = found.ok_or_else(|| {
        LoadError::Option(format!("{name} is no address: write it as 127.0.0.1:5060 or name:5060"))
    })?;
    if address.port() == 0 {
        return Err(LoadError::Option(format!("{name} has no port: write it as 127.0.0.1:5060")));
    }
    if is_here(address.ip()) || owned { Ok(address) } else { Err(LoadError::Foreign(address.ip())) }
}

/// How the target is spoken to, from its name: whether by TCP, and the rest of the name.
pub(crate) fn by_tcp(name: &str) -> (bool, &str) {
    name.strip_prefix("tcp:").map_or((false, name), |rest| (true, rest))
}

fn is_here(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_elses_machine_is_refused_unless_it_is_ours_to_load() {
        assert!(matches!(target("192.0.2.1:5060", false), Err(LoadError::Foreign(_))));
        assert!(matches!(target("[2001:db8::1]:5060", false), Err(LoadError::Foreign(_))));
        assert!(matches!(target("[::ffff:192.0.2.1]:5060", false), Err(LoadError::Foreign(_))));
        assert!(target("192.0.2.1:5060", true).is_ok());
        for here in ["127.0.0.1:5060", "127.3.2.1:5060", "[::1]:5060", "localhost:5060"] {
            assert!(target(here, false).is_ok(), "{here}");
        }
    }

    #[test]
    fn a_target_without_a_port_or_a_name_is_refused_with_the_remedy() {
        for wrong in ["", "127.0.0.1", "127.0.0.1:0", "a b:5060"] {
            assert!(target(wrong, true).unwrap_err().to_string().contains("127.0.0.1:5060"), "{wrong}");
        }
    }

    #[test]
    fn a_target_by_tcp_says_so_before_its_address() {
        assert_eq!(by_tcp("tcp:[::1]:5060"), (true, "[::1]:5060"));
        assert_eq!(by_tcp("localhost:5060"), (false, "localhost:5060"));
    }

    #[test]
    fn marks_are_for_those_who_all_speak_one_law() {
        #[derive(Debug, clap::Parser)]
        struct Line {
            #[command(flatten)]
            media: MediaArgs,
        }
        let ears = |words: &str, scenario| {
            let line = <Line as clap::Parser>::parse_from(words.split(' '));
            line.media.ears(scenario)
        };
        let tones = |every| Ears::Tones { every };
        assert_eq!(ears("x --caller-codec pcma", Scenario::Handoff), Ears::Marks);
        assert_eq!(ears("x --agent-codec opus", Scenario::Bridge), Ears::Marks);
        assert_eq!(ears("x --agent-codec opus", Scenario::Handoff), tones(0));
        assert_eq!(ears("x --bot-codec pcma", Scenario::Bridge), tones(4));
        assert_eq!(ears("x --codec g722 --listen-every 9", Scenario::Bridge), tones(9));
    }

    #[test]
    fn lengths_of_time_are_bounded() {
        assert_eq!(seconds("--time", 1.5).unwrap(), Duration::from_millis(1_500));
        for wrong in [-1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert!(seconds("--time", wrong).is_err(), "{wrong}");
        }
    }
}
