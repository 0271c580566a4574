//! The same with a real phone, baresip, over TLS. Where it is not installed the test says so and passes.

use std::{fs, net::SocketAddr, path::Path, process::Stdio, time::Duration};

use segue_sip::{
    Answer, DialEvent, Ended, HangUp, LegEvent, Secret, SipConfig, SipEvent, Source, Target, UserCredential,
};
use tokio::{process::Command, task::JoinSet};

use super::{
    common::{config, end, media, request},
    secure::{Authority, OURS},
};

const PROGRAM: &str = "/usr/bin/baresip";
const MODULES: &str = "/usr/lib/baresip/modules";
const PATIENCE: Duration = Duration::from_secs(20);

/// A phone that registers over TLS, checks our certificate, answers every call, and dials once it is registered.
fn phone(folder: &Path, gateway: SocketAddr, ca: &Path) -> Option<Command> {
    if !Path::new(PROGRAM).exists() {
        eprintln!("skipped: {PROGRAM} is not installed (Debian package baresip)");
        return None;
    }
    let silence = [0_i16; 8_000];
    fs::write(folder.join("voice.wav"), segue_media::wav::encode(&silence, 8_000)).unwrap();
    let config = format!(
        "module_path {MODULES}\nsip_listen 127.0.0.1:0\nsip_cafile {}\nrtp_ports 9000-9999\n\
         audio_source aufile,{}/voice.wav\nausrc_srate 8000\nausrc_channels 1\n\
         module g711.so\nmodule aufile.so\nmodule_app account.so\nmodule_app menu.so\n",
        ca.display(),
        folder.display()
    );
    fs::write(folder.join("config"), config).unwrap();
    let account = format!(
        "<sip:ann@{gateway};transport=tls>;auth_user=ann;auth_pass=secret;regint=60;answermode=auto;\
         audio_codecs=PCMU/8000/1;ptime=20\n"
    );
    fs::write(folder.join("accounts"), account).unwrap();
    fs::write(folder.join("contacts"), "").unwrap();
    let log = fs::File::create(folder.join("log")).unwrap();
    let mut command = Command::new(PROGRAM);
    command
        .arg("-f")
        .arg(folder)
        .args(["-e", &format!("/dial sip:help@{gateway};transport=tls")])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true);
    Some(command)
}

#[tokio::test]
async fn baresip_registers_calls_and_is_called_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let files = Authority::new().sign(folder.path(), "server", &OURS);
    let ca = files.ca.clone().unwrap();
    let user = UserCredential { user: "ann".into(), secret: Secret::Password("secret".into()) };
    let mut tasks = JoinSet::new();
    let tls_alone = SipConfig {
        udp: Vec::new(),
        tcp: Vec::new(),
        tls: vec!["127.0.0.1:0".parse().unwrap()],
        certificates: files,
        users: vec![user],
        trunks: Vec::new(),
        ..config()
    };
    let mut here = end(&mut tasks, tls_alone).await;
    let Some(mut command) = phone(folder.path(), here.sip.addresses().tls[0], &ca) else { return };
    let _phone = command.spawn().unwrap();
    let story = async {
        // It registers and dials at once; which of the two comes first does not matter.
        let (mut registered, mut leg) = (false, None);
        while !registered || leg.is_none() {
            match here.events.recv().await.unwrap() {
                SipEvent::Registered { user, .. } => registered = user == "ann",
                SipEvent::Incoming(call) => {
                    assert_eq!(call.invitation().source, Source::User("ann".into()));
                    let answer = Answer { local: media(7_000), handoff_allowed: false };
                    leg = Some(call.answer(answer).await.unwrap());
                }
                SipEvent::Unregistered { .. } => panic!("it left"),
            }
        }
        let mut leg = leg.unwrap();
        leg.hang_up(HangUp::default()).await;
        assert_eq!(leg.next().await, LegEvent::Ended(Ended::Local));
        let mut dialing = here.sip.dial(request(Target::User("ann".into()))).await;
        let mut leg = loop {
            match dialing.next().await {
                Some(DialEvent::Answered(leg)) => break leg,
                Some(DialEvent::Ringing | DialEvent::EarlyMedia { .. }) => {}
                other => panic!("{other:?}"),
            }
        };
        leg.hang_up(HangUp::default()).await;
        assert_eq!(leg.next().await, LegEvent::Ended(Ended::Local));
        here.sip.counts_when(|counts| counts.dialogs == 0).await
    };
    let Ok(counts) = tokio::time::timeout(PATIENCE, story).await else {
        panic!("{}", fs::read_to_string(folder.path().join("log")).unwrap_or_default());
    };
    assert_eq!(counts.connections, 1, "registration and both calls share one connection");
}
