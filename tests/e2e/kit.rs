//! The shared test kit's signalling scenarios and media attacks against the running program, where the kit lies beside
//! the repository.
//!
//! The kit is not part of the repository; without it the test says SKIPPED and passes. `SEGUE_KIT` names another place.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::support::{
    Deadline, alone, free_address,
    gateway::{Gateway, Plan},
    installed, note, root,
    sipp::PROGRAM,
};

/// What callers try, with a bot that answers. `glare_uac` is not among them: SIPp 3.6.1 does not take its order of
/// steps. Glare is played in the endpoint's own tests.
const CALLERS: [&str; 9] = [
    "basic_uac",
    "late_offer_uac",
    "reinvite_hold_uac",
    "session_timer_uac",
    "refer_outside_uac",
    "cancel_race_uac",
    "bye_race_uac",
    "dtmf_uac",
    "malformed_sdp_uac",
];

/// What bots try, with a caller who stays for two seconds. In place of `fork200_uas`, whose second 200 comes after an
/// ACK that it does not expect yet, we play `forked` ourselves.
const BOTS: [&str; 5] = ["early_media_uas", "redirect302_uas", "busy_uas", "error503_uas", "noanswer_uas"];

/// Runs the kit's own tools.
const PYTHON: &str = "/usr/bin/python3";

/// What strangers throw at a call's media ports. The kit's early attack is left out: it takes a frame of our spoken
/// greeting for its own tone.
const ATTACKS: [&str; 6] = ["spray", "srtp", "rtcp", "sizes", "dtls", "stun"];

/// The kit's scenarios, if there are any.
fn scenarios() -> Option<PathBuf> {
    let kit = std::env::var_os("SEGUE_KIT").map_or_else(|| root().join("../shared/kit"), PathBuf::from);
    let folder = kit.join("sipp");
    if folder.is_dir() {
        return Some(folder);
    }
    note(&format!("SKIPPED: {} is not here; SEGUE_KIT names another place", folder.display()));
    None
}

/// One scenario for one call.
struct Play {
    name: &'static str,
    child: Child,
}

impl Play {
    fn caller(folder: &Path, name: &'static str, gateway: SocketAddr) -> Self {
        let mut command = Self::command(folder, name, free_address());
        command.arg(gateway.to_string()).args(["-s", "help"]);
        Self { name, child: command.spawn().unwrap() }
    }

    fn bot(folder: &Path, name: &'static str, at: SocketAddr) -> Self {
        let mut command = Self::command(folder, name, at);
        Self { name, child: command.spawn().unwrap() }
    }

    fn command(folder: &Path, name: &str, at: SocketAddr) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .arg("-sf")
            .arg(folder.join(format!("{name}.xml")))
            .args(["-i", "127.0.0.1", "-p", &at.port().to_string(), "-m", "1", "-nostdin"])
            .args(["-timeout", "40s", "-timeout_error"])
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    fn succeeds(self) {
        let output = self.child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {:?}\n{said}", self.name, output.status);
        note(&format!("{} passed", self.name));
    }

    fn end(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A gateway whose bot is at this address, quick to give up on one that does not answer.
fn gateway(until: Deadline, bot: SocketAddr) -> Gateway {
    let more = "[call.times]\nbot_connect_max = 3\n";
    Gateway::start(until, &Plan { bot, agents: Vec::new(), recognition: false, polite: false, more })
}

#[test]
fn what_callers_of_the_kit_try_is_answered_as_the_rfcs_say() {
    let _alone = alone();
    let Some(folder) = scenarios().filter(|_| installed(&[PROGRAM])) else { return };
    let until = Deadline::after(300);
    let bot = free_address();
    let gateway = gateway(until, bot);
    for name in CALLERS {
        let answering = Play::bot(&folder, "basic_uas", bot);
        Play::caller(&folder, name, gateway.sip).succeeds();
        // A bot that is ended before it has answered our BYE leaves its dialog open.
        gateway.is_empty(until);
        answering.end();
    }
    gateway.stop(until);
}

#[test]
fn what_bots_of_the_kit_try_is_taken_as_the_rfcs_say() {
    let _alone = alone();
    let Some(folder) = scenarios().filter(|_| installed(&[PROGRAM])) else { return };
    let until = Deadline::after(300);
    let bot = free_address();
    let gateway = gateway(until, bot);
    let ours = root().join("tests/e2e/scenarios");
    let bots = BOTS.iter().map(|name| (&folder, *name));
    for (folder_of_bot, name) in bots.chain([(&ours, "forked")]) {
        let trying = Play::bot(folder_of_bot, name, bot);
        let caller = Play::caller(&folder, "basic_uac", gateway.sip);
        trying.succeeds();
        caller.succeeds();
        gateway.is_empty(until);
    }
    gateway.stop(until);
}

#[test]
fn strangers_at_the_media_ports_get_nothing_and_are_not_heard() {
    let _alone = alone();
    let Some(folder) = scenarios().filter(|_| installed(&[PROGRAM, PYTHON])) else { return };
    let until = Deadline::after(300);
    let bot = free_address();
    let gateway = gateway(until, bot);
    for kind in ATTACKS {
        let answering = Play::bot(&folder, "basic_uas", bot);
        let mut attack = Command::new(PYTHON);
        attack.arg("inject_check.py").args(["--target", &gateway.sip.to_string(), "--user", "help"]);
        attack.args(["--kind", kind, "--secs", "3"]);
        let output =
            attack.current_dir(folder.join("..")).env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        note(said.trim());
        assert!(output.status.success(), "{kind}: {said}");
        answering.end();
        gateway.is_empty(until);
    }
    gateway.stop(until);
}
