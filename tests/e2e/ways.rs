//! The ways in and out: TLS whose certificate is renewed in the middle of a call, and a trunk whose first target is dead.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::Signal;

use crate::support::{
    Deadline, alone,
    baresip::{self, Baresip, Handset},
    endpoint::Endpoint,
    free_address,
    gateway::{Gateway, Plan},
    installed,
    scene::{BOT_HERTZ, Scene, hears, hum},
    sipp::{self, Sipp},
};

const OPENSSL: &str = "/usr/bin/openssl";
const CALLER_HERTZ: f64 = 1_300.0;

fn openssl(arguments: &[&str]) -> bool {
    let mut command = Command::new(OPENSSL);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().unwrap().success()
}

/// Writes a certificate that vouches for itself, and its key, over what is there.
fn certify(folder: &Path, name: &str) {
    let (key, certificate) = (folder.join("key.pem"), folder.join("certificate.pem"));
    let made = openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        &format!("/CN={name}"),
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        &key.to_string_lossy(),
        "-out",
        &certificate.to_string_lossy(),
    ]);
    assert!(made, "no certificate was made");
}

/// Whether a new connection is shown a certificate that this file vouches for.
fn shows(tls: SocketAddr, certificate: &Path) -> bool {
    let (to, trusted) = (tls.to_string(), certificate.to_string_lossy());
    openssl(&["s_client", "-connect", &to, "-CAfile", &trusted, "-verify_return_error", "-brief"])
}

#[test]
fn a_new_certificate_is_shown_after_sighup_while_a_call_over_tls_goes_on() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM, baresip::PROGRAM, OPENSSL]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path(), "first");
    let old = folder.path().join("old.pem");
    let new = folder.path().join("certificate.pem");
    fs::copy(&new, &old).unwrap();
    let tls = free_address();
    let key = folder.path().join("key.pem");
    let more = format!("[sip.tls]\nbind = [\"{tls}\"]\ncertificate = {new:?}\nkey = {key:?}\n");
    let scene = Scene::set(120, "bot", 0, &more);
    let trusted = format!("sip_cafile {}\n", old.display());
    let account = "<sip:ann@127.0.0.1;transport=tls>;regint=0;audio_codecs=PCMU/8000/1;ptime=20".to_owned();
    let voice = hum(CALLER_HERTZ).repeat(110);
    let mut caller = Baresip::start(scene.until, &Handset { account, more: &trusted, voice: &voice });
    caller.dial(&format!("sip:help@{tls};transport=tls"));
    caller.tells(scene.until, "CALL_ESTABLISHED", 0);
    hears(&scene.bot, scene.until, CALLER_HERTZ);
    assert!(shows(tls, &old));

    certify(folder.path(), "second");
    scene.gateway.signal(Signal::HUP);
    scene.gateway.logs(scene.until, "the certificates were read again; everything else needs a restart");
    assert!(shows(tls, &new) && !shows(tls, &old));
    scene.bot.hears_more(scene.until, 25);
    hears(&scene.bot, scene.until, CALLER_HERTZ);
    // The bot leaves: our BYE goes the way that the call came.
    scene.bot_phone.nudge(&scene.bot_phone.tells(scene.until, "up", 0), sipp::Nudge::GoOn);
    caller.tells(scene.until, "CALL_CLOSED", 0);
    let heard = caller.heard();
    let second = heard.chunks_exact(8_000).filter(|second| {
        (segue_media::tone::goertzel(second, BOT_HERTZ) - crate::support::scene::LOUD).abs() < 3.0
    });
    assert!(second.count() >= 1, "the caller heard the bot");
    scene.strike();
}

#[test]
fn a_trunk_whose_first_target_is_dead_is_reached_by_its_second() {
    let _alone = alone();
    if !installed(&[sipp::PROGRAM]) {
        return;
    }
    let until = Deadline::after(120);
    let (dead, line, caller) = (free_address(), Endpoint::open(), Endpoint::open());
    line.idle(hum(BOT_HERTZ));
    let bot = Sipp::answers("bot", &[line.port]);
    let more = format!(
        "[bot]\nuri = \"sip:bot@carrier\"\n\
         [[sip.trunks]]\nname = \"local\"\nsources = [\"127.0.0.0/8\"]\n\
         [[sip.trunks]]\nname = \"carrier\"\nsources = []\nhealth_s = 1\nhealth_answer_max_ms = 300\n\
         down_after = 1\ntargets = [{{ uri = \"sip:{dead}\", priority = 1 }}, \
         {{ uri = \"sip:{}\", priority = 2 }}]\n",
        bot.address
    );
    let plan = Plan { bot: bot.address, agents: Vec::new(), recognition: false, polite: false, more: &more };
    let gateway = Gateway::start(until, &plan);
    gateway.api.until(until, "the first target is known to be dead", |api| {
        let metrics = api.metrics();
        let mut lines = metrics.lines().filter(|line| line.starts_with("segue_trunk_target_up{"));
        lines.any(|line| line.contains(&dead.to_string()) && line.ends_with(" 0")).then_some(())
    });
    let phone = Sipp::calls("caller", gateway.sip, &[caller.port]);
    let call = phone.tells(until, "up", 0);
    bot.tells(until, "up", 0);
    hears(&caller, until, BOT_HERTZ);
    phone.nudge(&call, sipp::Nudge::GoOn);
    phone.succeeds(until);
    gateway.is_empty(until);
    gateway.stop(until);
}
