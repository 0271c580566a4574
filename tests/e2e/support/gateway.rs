//! The gateway as a process: its configuration in a folder of its own, its log read line by line, its end judged.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{Deadline, api::Api, free_address, note, root, witness::Witness};

/// The password of every phone that registers.
pub(crate) const PASSWORD: &str = "secret-of-the-tests";
/// Ports that one gateway may use for sound: twenty-two calls and some left.
const PORTS: u16 = 240;
/// Below the ports that the system hands out by itself, so that nobody else gets them.
const PORTS_FIRST: u16 = 10_000;

/// What the callers of these tests are called by, and what they say.
const PRIVATE: [&str; 4] = ["+4930", "talk to a human", "refund", "five hundred"];

/// What a curt gateway says instead of what is shipped.
const CURT: &str = "language = \"en\"\n[messages]\ngreeting = \"\"\ngoodbye = \"\"\ndetails_offer = \"\"\n\
     announcement = \"{why}, {queue}.\"\nintroduction = \"Here is {agent}.\"\nsorry_away = \"Sorry, {queue} is away.\"\n\
     then_bot = \"Back to the bot.\"\n";

/// An agent of a test.
#[derive(Clone, Debug)]
pub(crate) enum Agent {
    /// Their phone registers by digest under their name.
    Registers(&'static str),
    /// Their phone has a fixed address.
    At(String, SocketAddr),
}

/// What a test's gateway is like.
pub(crate) struct Plan<'a> {
    pub(crate) bot: SocketAddr,
    pub(crate) agents: Vec<Agent>,
    /// Whether words are recognised; keys and the bot's own word work without.
    pub(crate) recognition: bool,
    /// Whether the gateway speaks as shipped; otherwise it is curt, because a test has no time to listen.
    pub(crate) polite: bool,
    /// Further tables of segue.toml, such as `[call.times]`.
    pub(crate) more: &'a str,
}

/// A running gateway.
pub(crate) struct Gateway {
    child: Child,
    folder: TempDir,
    log: Arc<Witness<Line>>,
    pub(crate) sip: SocketAddr,
    pub(crate) api: Api,
    api_address: SocketAddr,
    media_first: u16,
}

/// One line of the log, or its end.
#[derive(Clone, Debug)]
enum Line {
    Said { level: String, message: String, fields: Value },
    End,
}

impl Gateway {
    /// Starts a gateway and waits until it takes calls.
    pub(crate) fn start(until: Deadline, plan: &Plan<'_>) -> Self {
        let folder = TempDir::new().unwrap();
        let (sip, api_address) = (free_address(), free_address());
        let file = folder.path().join("segue.toml");
        let media_first = media_ports();
        let addresses = Addresses { sip, api: api_address, media_first };
        fs::write(&file, settings(plan, folder.path(), &addresses)).unwrap();
        fs::write(folder.path().join("agents.toml"), people(&plan.agents)).unwrap();
        fs::create_dir(folder.path().join("prompts")).unwrap();
        fs::write(folder.path().join("prompts/en.toml"), CURT).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_segue"))
            .args(["serve", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Witness::default());
        let (stderr, told) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).for_each(|line| told.push(Line::read(line)));
            told.push(Line::End);
        });
        log.wait_for(until, "\"ready for calls\" in the log", |line| line.says("ready for calls"));
        let api = Api::subscribe(api_address);
        assert_eq!(api.ready(), 200);
        Self { child, folder, log, sip, api, api_address, media_first }
    }

    /// The status and the head of an answer of the API.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let (status, head, _) = Api::ask(self.api_address, method, path, body);
        (status, head)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// How many ports for sound are open at this moment, as the kernel lists them.
    pub(crate) fn ports_open(&self) -> usize {
        let listed = fs::read_to_string("/proc/net/udp").unwrap();
        let ports = listed.lines().filter_map(|line| {
            let local = line.split_whitespace().nth(1)?;
            u16::from_str_radix(local.split(':').nth(1)?, 16).ok()
        });
        ports.filter(|port| (self.media_first..self.media_first + PORTS).contains(port)).count()
    }

    /// Waits until every call is over and took its legs and ports with it.
    pub(crate) fn is_empty(&self, until: Deadline) {
        self.api.until(until, "nothing is left of the calls", |api| {
            let gauges = [api.metric("segue_calls"), api.metric("segue_legs")];
            (gauges == [0.0, 0.0] && self.ports_open() == 0).then_some(())
        });
    }

    /// Waits for a line of the log.
    pub(crate) fn logs(&self, until: Deadline, message: &str) {
        self.log.wait_for(until, message, |line| line.says(message));
    }

    /// Asks it to end, and proves that it did so well, with nothing left over.
    pub(crate) fn stop(self, until: Deadline) {
        self.signal(Signal::TERM);
        self.ended_well(until);
    }

    /// Waits for its end after a signal, and proves that it was good: nothing left over, no error, exit code 0.
    pub(crate) fn ended_well(mut self, until: Deadline) {
        let left = self.log.wait(until, "the gateway's end", |lines| {
            let stopped = lines.iter().rev().find_map(|line| match line {
                Line::Said { message, fields, .. } if message == "stopped" => Some(fields.clone()),
                Line::Said { .. } | Line::End => None,
            });
            matches!(lines.last(), Some(Line::End)).then_some(stopped)
        });
        let status: ExitStatus = self.child.wait().unwrap();
        let left = left.expect("the gateway did not say \"stopped\"");
        for what in ["dialogs", "legs", "tickets"] {
            assert_eq!(left[what], 0, "{what} left over: {left}");
        }
        assert_eq!(status.code(), Some(0), "{status}");
        assert_eq!(self.complaints(), Vec::<String>::new());
        assert_eq!(self.indiscretions(), Vec::<String>::new());
    }

    /// Lines that tell a caller's number or words: at this level, INFO and above, no line may.
    fn indiscretions(&self) -> Vec<String> {
        let lines = self.log.all().into_iter().map(|line| format!("{line:?}"));
        lines.filter(|line| PRIVATE.iter().any(|private| line.contains(private))).collect()
    }

    /// Lines of the level ERROR, and whatever is no log line at all, such as a panic.
    fn complaints(&self) -> Vec<String> {
        let lines = self.log.all().into_iter();
        lines.filter(|line| line.is_error()).map(|line| format!("{line:?}")).collect()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let shown = self.log.all().into_iter().map(|line| format!("{line:?}")).collect::<Vec<_>>();
            note(&format!("the gateway's log, {}:\n{}", self.folder.path().display(), shown.join("\n")));
        }
    }
}

impl Line {
    fn read(text: String) -> Self {
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match value["fields"]["message"].as_str() {
            Some(message) => Self::Said {
                level: word(&value["level"]),
                message: message.to_owned(),
                fields: value["fields"].clone(),
            },
            None => Self::Said { level: "ERROR".to_owned(), message: text, fields: Value::Null },
        }
    }

    fn says(&self, wanted: &str) -> bool {
        matches!(self, Self::Said { message, .. } if message == wanted)
    }

    fn is_error(&self) -> bool {
        matches!(self, Self::Said { level, .. } if level == "ERROR")
    }
}

/// Where a gateway listens.
struct Addresses {
    sip: SocketAddr,
    api: SocketAddr,
    media_first: u16,
}

fn settings(plan: &Plan<'_>, folder: &Path, addresses: &Addresses) -> String {
    let Addresses { sip, api, media_first } = addresses;
    let shipped = root().join("config");
    let prompts = if plan.polite { shipped.join("prompts") } else { folder.join("prompts") };
    let triggers = shipped.join("triggers/explicit.toml");
    let models = root().join("models");
    let users: String = plan
        .agents
        .iter()
        .map(|agent| match agent {
            Agent::Registers(name) => {
                format!("[[sip.users]]\nuser = \"{name}\"\npassword = \"{PASSWORD}\"\n")
            }
            Agent::At(..) => String::new(),
        })
        .collect();
    let recognition = if plan.more.contains("[recognition]") {
        String::new()
    } else if plan.recognition {
        format!(
            "[recognition]\nengine = \"whisper\"\nmodel = \"demo\"\nmodels = {models:?}\nallow_demo_model = true"
        )
    } else {
        "[recognition]\nengine = \"none\"".to_owned()
    };
    let bot = match plan.more.contains("[bot]") {
        true => String::new(),
        false => format!("[bot]\nuri = \"sip:bot@{}\"\n", plan.bot),
    };
    format!(
        "[files]\nprompts = {prompts:?}\ntriggers = {triggers:?}\n\
         [sip]\nudp = [\"{sip}\"]\ntcp = []\n{users}\
         [sip.limits]\ncalls_max = 40\n\
         [media]\nport_first = {media_first}\nport_last = {}\n\
         {bot}\
         {recognition}\n\
         [store]\npath = {:?}\n\
         [api]\nbind = \"{api}\"\n\
         [log]\njson = true\n\
         {}\n",
        media_first + PORTS - 1,
        folder.join("segue.db"),
        plan.more,
    )
}

fn people(agents: &[Agent]) -> String {
    let mut text = "wrap_up = \"1s\"\n\
         [[queues]]\nid = \"general\"\nspoken = \"one of our team\"\nsize_limit = 50\nhandle_time = \"1m\"\n"
        .to_owned();
    for agent in agents {
        let (id, phone) = match agent {
            Agent::Registers(name) => ((*name).to_owned(), format!("user = \"{name}\"")),
            Agent::At(name, address) => (name.clone(), format!("address = \"sip:{name}@{address}\"")),
        };
        text.push_str(&format!("[[agents]]\nid = \"{id}\"\nname = \"{id}\"\n{phone}\n"));
    }
    text
}

/// The first port for a gateway's sound: another for each gateway of this process, and for most processes.
fn media_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let places = (20_000 - PORTS_FIRST) / PORTS;
    let mine = (std::process::id() % u32::from(places)) as u16;
    PORTS_FIRST + (mine + NEXT.fetch_add(1, Ordering::Relaxed)) % places * PORTS
}
