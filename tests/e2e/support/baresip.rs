//! baresip as an agent's or a caller's phone: is worked over its control port, records what it hears and says.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Deadline, free_address, gateway::PASSWORD, note, witness::Witness};

pub(crate) const PROGRAM: &str = "/usr/bin/baresip";
/// Where Debian puts its modules, whatever the architecture.
const MODULES: &str = "/usr/lib/baresip/modules";
/// Ports for its sound; only one call is taken at a time.
const RTP_PORTS: &str = "9000-9999";

/// A phone on an agent's desk.
pub(crate) struct Baresip {
    child: Child,
    folder: TempDir,
    control: TcpStream,
    events: Arc<Witness<Value>>,
}

/// What a phone is like.
pub(crate) struct Handset<'a> {
    /// Its line of `accounts`.
    pub(crate) account: String,
    /// Further lines of `config`.
    pub(crate) more: &'a str,
    /// What it says in every call, from its beginning: 8 kHz.
    pub(crate) voice: &'a [i16],
}

impl Baresip {
    /// Plugs a phone in: it registers under the name, and says `voice` in every call.
    pub(crate) fn plug_in(until: Deadline, name: &str, gateway: SocketAddr, voice: &[i16]) -> Self {
        let account = format!(
            "<sip:{name}@{gateway}>;auth_user={name};auth_pass={PASSWORD};regint=60;answermode=manual;\
             audio_codecs=PCMU/8000/1;ptime=20"
        );
        Self::start(until, &Handset { account, more: "", voice })
    }

    /// Starts a phone and waits until it takes orders.
    pub(crate) fn start(until: Deadline, handset: &Handset<'_>) -> Self {
        let folder = TempDir::new().unwrap();
        let (sip, control) = (free_address(), free_address());
        let path = folder.path();
        fs::write(path.join("voice.wav"), segue_media::wav::encode(handset.voice, 8_000)).unwrap();
        let config = config(path, sip, control) + handset.more;
        fs::write(path.join("config"), config).unwrap();
        fs::write(path.join("accounts"), format!("{}\n", handset.account)).unwrap();
        fs::write(path.join("contacts"), "").unwrap();
        let log = fs::File::create(path.join("log")).unwrap();
        let mut child = Command::new(PROGRAM)
            .arg("-f")
            .arg(path)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let control = connect(until, control, &mut child, &path.join("log"));
        let events = Arc::new(Witness::default());
        let (told, stream) = (Arc::clone(&events), control.try_clone().unwrap());
        std::thread::spawn(move || listen(stream, &told));
        Self { child, folder, control, events }
    }

    /// Waits for the `number`th event of a kind, from 0, such as `CALL_INCOMING`.
    pub(crate) fn tells(&self, until: Deadline, kind: &str, number: usize) {
        self.events.wait(until, kind, |seen| {
            let of_kind = seen.iter().filter(|event| event["type"] == kind);
            (of_kind.count() > number).then_some(())
        });
    }

    pub(crate) fn answer(&mut self) {
        self.order("accept", "");
    }

    pub(crate) fn dial(&mut self, uri: &str) {
        self.order("dial", uri);
    }

    pub(crate) fn hang_up(&mut self) {
        self.order("hangup", "");
    }

    /// Gives its call to somebody else (REFER).
    pub(crate) fn transfer(&mut self, uri: &str) {
        self.order("transfer", uri);
    }

    /// Presses a key (RFC 4733).
    pub(crate) fn press(&mut self, key: char) {
        self.order("sndcode", &key.to_string());
    }

    /// What it heard in its last call, which is over.
    pub(crate) fn heard(&self) -> Vec<i16> {
        self.recording("-dec.wav")
    }

    /// What it said in its last call, which is over.
    pub(crate) fn said(&self) -> Vec<i16> {
        self.recording("-enc.wav")
    }

    fn order(&mut self, command: &str, parameters: &str) {
        let text = json!({ "command": command, "params": parameters, "token": "test" }).to_string();
        self.control.write_all(format!("{}:{text},", text.len()).as_bytes()).unwrap();
    }

    fn recording(&self, end: &str) -> Vec<i16> {
        let entries = fs::read_dir(self.folder.path()).unwrap().flatten();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        files.retain(|file| file.to_string_lossy().ends_with(end));
        files.sort();
        let file = files.last().expect("baresip recorded nothing");
        narrow(&fs::read(file).unwrap())
    }
}

/// The sound of a WAV file of 16 bit at 8 kHz. A wideband codec's is recorded at its own rate and in its own channels:
/// a mean is filter enough for tones.
fn narrow(file: &[u8]) -> Vec<i16> {
    let channels = usize::from(u16::from_le_bytes(file[22..24].try_into().unwrap()));
    let rate = u32::from_le_bytes(file[24..28].try_into().unwrap()) as usize;
    let data = file.windows(4).position(|four| four == b"data").unwrap() + 8;
    let samples = file[data..].chunks_exact(2).map(|pair| i32::from(i16::from_le_bytes([pair[0], pair[1]])));
    let samples: Vec<i32> = samples.collect();
    let each = channels * rate / 8_000;
    samples.chunks_exact(each).map(|part| (part.iter().sum::<i32>() / each as i32) as i16).collect()
}

impl Drop for Baresip {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            note(&format!("baresip's log:\n{log}\nits events:\n{:#?}", self.events.all()));
        }
    }
}

fn config(folder: &Path, sip: SocketAddr, control: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "module_path {MODULES}\nsip_listen {sip}\nrtp_ports {RTP_PORTS}\nctrl_tcp_listen {control}\n\
         audio_source aufile,{folder}/voice.wav\nsnd_path {folder}\n\
         ausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\n\
         module g711.so\nmodule aufile.so\nmodule sndfile.so\n\
         module_app account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n"
    )
}

/// The phone listens once it is up.
fn connect(until: Deadline, address: SocketAddr, child: &mut Child, log: &Path) -> TcpStream {
    loop {
        let failed = match TcpStream::connect(address) {
            Ok(stream) => return stream,
            Err(error) => error,
        };
        if until.left().is_zero() || child.try_wait().unwrap().is_some() {
            drop(child.kill());
            panic!("baresip does not start: {failed}\n{}", fs::read_to_string(log).unwrap_or_default());
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Reads netstrings of JSON until the phone ends.
fn listen(mut stream: TcpStream, told: &Witness<Value>) {
    let mut waiting = Vec::new();
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut bytes) {
        waiting.extend_from_slice(&bytes[..length]);
        while let Some((message, used)) = netstring(&waiting) {
            told.push(message);
            waiting.drain(..used);
        }
    }
}

fn netstring(bytes: &[u8]) -> Option<(Value, usize)> {
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    let length: usize = std::str::from_utf8(&bytes[..colon]).ok()?.parse().ok()?;
    let end = colon + 1 + length;
    let text = bytes.get(colon + 1..end)?;
    (bytes.len() > end).then(|| (serde_json::from_slice(text).unwrap_or(Value::Null), end + 1))
}
