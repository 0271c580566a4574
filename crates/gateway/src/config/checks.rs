//! What a type cannot say about the configuration: values that contradict each other, and things not meant.

use std::collections::BTreeSet;

use segue_acd::{AcdConfig, Language};
use segue_sip::IpNet;

use super::{
    RecognitionEngine, RemoteRecognition, Settings, code,
    document::{Document, Problem},
};

/// Checks `segue.toml`.
pub(super) fn check(
    document: &Document,
    settings: &Settings,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) {
    check_sip(document, settings, problems);
    check_media(document, settings, problems);
    check_api(document, settings, problems);
    if let Err(found) = settings.call.check() {
        problems.extend(found.iter().map(|error| {
            let text = error.to_string();
            document.complain("call", text, "the value is in [call.times], [call.limits] or [call.speech]")
        }));
    }
    let advertised =
        [("sip.advertised", &settings.sip.advertised), ("media.advertised", &settings.media.advertised)];
    for (key, address) in advertised {
        if !address.is_empty() && address.parse::<std::net::IpAddr>().is_err() {
            problems.push(document.complain(
                key,
                "is no IP address",
                "write an address such as \"203.0.113.7\"",
            ));
        }
    }
    let collector = &settings.homer.collector;
    if !collector.is_empty() && collector.parse::<std::net::SocketAddr>().is_err() {
        problems.push(document.complain(
            "homer.collector",
            "is no address with a port",
            "write one such as \"192.0.2.9:9060\"",
        ));
    }
    check_recognition(document, settings, problems, warnings);
    check_languages(document, settings, problems, warnings);
}

fn check_recognition(
    document: &Document,
    settings: &Settings,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) {
    let recognition = &settings.recognition;
    let remote = &recognition.remote;
    let begins = |schemes: [&str; 2]| schemes.iter().any(|scheme| remote.address.starts_with(scheme));
    let whisper = recognition.engine == RecognitionEngine::Whisper;
    let asked = recognition.engine == RecognitionEngine::Openai || (whisper && remote.overflow);
    if asked && !begins(["http://", "https://"]) {
        problems.push(document.complain(
            "recognition.remote.address",
            "is no address of a service",
            "write one such as \"http://10.0.0.7:8000\", without /v1, or choose another recognition.engine",
        ));
    }
    let streams = recognition.engine == RecognitionEngine::Deepgram;
    if streams && !begins(["ws://", "wss://"]) {
        problems.push(document.complain(
            "recognition.remote.address",
            "is no address of a streaming service",
            "write one such as \"wss://api.deepgram.com\", without /v1, or choose another recognition.engine",
        ));
    }
    if streams && remote.model == RemoteRecognition::default().model {
        problems.push(document.complain(
            "recognition.remote.model",
            "is a model of engine = \"openai\"",
            "name one that the service has, such as \"nova-3\"",
        ));
    }
    let authorities = &remote.authorities;
    if !authorities.as_os_str().is_empty() && !authorities.is_file() {
        let what = format!("there is no file {}", authorities.display());
        let remedy = "paths are relative to the working directory";
        problems.push(document.complain("recognition.remote.authorities", what, remedy));
    }
    for (key, set) in [
        ("recognition.remote.overflow", remote.overflow),
        ("recognition.lighter_model", !recognition.lighter_model.is_empty()),
    ] {
        if set && !whisper {
            warnings.push(document.complain(
                key,
                "is of no use: only engine = \"whisper\" gives way to it",
                "set engine = \"whisper\", or leave it out",
            ));
        }
    }
    if recognition.voices_max == 0 {
        problems.push(document.complain(
            "recognition.voices_max",
            "no voice could be transcribed",
            "allow two or three a call, or set engine = \"none\"",
        ));
    }
    if let Some(remedy) = crate::recognition::turned_on_by(recognition) {
        warnings.push(document.complain(
            "recognition.engine",
            "transcription is off: spoken requests for a human are not heard; key 0, the bot's own handoffs and words \
             that the bot tells work",
            remedy,
        ));
    }
}

/// What callers may speak, and what they are believed to.
fn check_languages(
    document: &Document,
    settings: &Settings,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) {
    let recognition = &settings.recognition;
    let written = |tag: &Language| {
        let code = code(tag);
        (2..=3).contains(&code.len()) && code.bytes().all(|letter| letter.is_ascii_lowercase())
    };
    let of_trunks = settings.sip.trunks.iter().enumerate().filter_map(|(at, trunk)| {
        trunk.language.as_ref().map(|language| (format!("sip.trunks[{at}].language"), language))
    });
    let named = recognition.languages.iter().map(|language| ("recognition.languages".to_owned(), language));
    for (key, language) in named.chain(of_trunks) {
        if !written(language) {
            let remedy = "write a code of two or three letters, with a region if you like: \"es\", \"pt-BR\"";
            problems.push(document.complain(&key, format!("`{language}` is no language"), remedy));
        } else if !settings.call.speech.prompts.keys().any(|prompts| code(prompts) == code(language)) {
            let default = &settings.call.speech.default_language;
            warnings.push(document.complain(
                &key,
                format!("there are no prompts in {language}: its callers are spoken to in {default}"),
                format!("add {}.toml to the folder of files.prompts", code(language)),
            ));
        }
    }
    let english = recognition.engine == RecognitionEngine::Whisper
        && recognition.codes().iter().any(|code| code != "en")
        && recognition.model.contains(".en");
    if english {
        warnings.push(document.complain(
            "recognition.languages",
            format!("the model {} hears English alone", recognition.model),
            "choose one of many languages: `segue models list` names them",
        ));
    }
}

fn check_sip(document: &Document, settings: &Settings, problems: &mut Vec<Problem>) {
    let sip = &settings.sip;
    let sockets = [&sip.udp, &sip.tcp, &sip.tls.bind, &sip.ws, &sip.wss];
    if sockets.iter().all(|addresses| addresses.is_empty()) {
        problems.push(document.complain(
            "sip.udp",
            "nothing to listen on",
            "name an address in sip.udp, sip.tcp, sip.tls.bind, sip.ws or sip.wss",
        ));
    }
    check_certificates(document, settings, problems);
    for (at, trunk) in sip.trunks.iter().enumerate() {
        for source in &trunk.sources {
            if let Err(error) = source.parse::<IpNet>() {
                problems.push(document.complain(&format!("sip.trunks[{at}].sources"), error.to_string(), ""));
            }
        }
        if let Some(route) = crate::signalling::route(trunk)
            && let Err(error) = route.check()
        {
            let remedy = "the comment under [[sip.trunks]] in config/segue.toml shows every key";
            problems.push(document.complain(&format!("sip.trunks[{at}]"), error.to_string(), remedy));
        }
        if trunk.sources.is_empty() && trunk.targets.is_empty() {
            problems.push(document.complain(
                &format!("sip.trunks[{at}]"),
                "the trunk has no sources and no targets, so nothing can come from it or go out by it",
                "name its networks or targets, or make it a [[sip.users]] that proves itself by digest",
            ));
        }
    }
    for network in &sip.open_registration {
        if let Err(error) = network.parse::<IpNet>() {
            problems.push(document.complain("sip.open_registration", error.to_string(), ""));
        }
    }
    let mut names = BTreeSet::new();
    for (at, user) in sip.users.iter().enumerate() {
        let key = format!("sip.users[{at}]");
        if user.user.is_empty() || user.password.is_empty() {
            problems.push(document.complain(&key, "has no user or no password", "fill in both"));
        }
        if !names.insert(&user.user) {
            problems.push(document.complain(
                &key,
                "the user is named twice",
                "give one of them another name",
            ));
        }
    }
    if !settings.bot.uri.starts_with("sip:") && !settings.bot.uri.starts_with("sips:") {
        problems.push(document.complain(
            "bot.uri",
            "is no SIP URI",
            "write one such as \"sip:bot@127.0.0.1:5070\"",
        ));
    }
}

/// What can be said of certificates without reading them.
fn check_certificates(document: &Document, settings: &Settings, problems: &mut Vec<Problem>) {
    let (sip, files) = (&settings.sip, crate::signalling::certificates(settings));
    let listens = !sip.tls.bind.is_empty() || !sip.wss.is_empty();
    if listens && (files.certificate.is_none() || files.key.is_none()) {
        let remedy = "set sip.tls.certificate and sip.tls.key to PEM files";
        problems.push(document.complain("sip.tls", "TLS cannot be heard without a certificate", remedy));
    }
    let named = [
        ("certificate", &files.certificate),
        ("key", &files.key),
        ("ca", &files.ca),
        ("client_certificate", &files.client_certificate),
        ("client_key", &files.client_key),
        ("client_ca", &files.client_ca),
    ];
    for (name, path) in named {
        if let Some(path) = path.as_ref().filter(|path| !path.is_file()) {
            let what = format!("there is no file {}", path.display());
            let remedy = "paths are relative to the working directory";
            problems.push(document.complain(&format!("sip.tls.{name}"), what, remedy));
        }
    }
}

fn check_media(document: &Document, settings: &Settings, problems: &mut Vec<Problem>) {
    let media = &settings.media;
    for (key, codecs) in [
        ("media.codecs.callers", &media.codecs.callers),
        ("media.codecs.bot", &media.codecs.bot),
        ("media.codecs.agents", &media.codecs.agents),
    ] {
        if codecs.is_empty() {
            problems.push(document.complain(key, "no codec: nobody could be heard", "name PCMU at least"));
        }
    }
    if media.opus.complexity > 10 || !(6_000..=128_000).contains(&media.opus.bitrate) {
        problems.push(document.complain(
            "media.opus",
            "the complexity is not 0 to 10, or the bitrate not 6000 to 128000",
            "0 and 24000 suit speech",
        ));
    }
    let ports = u32::from(media.port_last.saturating_sub(media.port_first));
    // Caller, bot and agent take two ports each.
    let needed = 6 * u32::try_from(settings.sip.limits.calls_max).unwrap_or(u32::MAX / 6);
    if media.port_first < 1_024 || media.port_last <= media.port_first {
        problems.push(document.complain(
            "media.port_first",
            "the range of ports is empty or reserved",
            "20000 to 29999 is usual",
        ));
    } else if ports + 1 < needed {
        problems.push(document.complain(
            "media.port_last",
            format!(
                "{} ports are too few for sip.limits.calls_max = {}",
                ports + 1,
                settings.sip.limits.calls_max
            ),
            format!("a call takes 6 ports: widen the range to {needed} ports or lower calls_max"),
        ));
    }
}

fn check_api(document: &Document, settings: &Settings, problems: &mut Vec<Problem>) {
    let api = &settings.api;
    if api.keys.is_empty() && !api.bind.ip().is_loopback() {
        problems.push(document.complain(
            "api.bind",
            "anybody on the network could use the API: it has no keys",
            "add [[api.keys]], or bind to 127.0.0.1",
        ));
    }
    for (at, key) in api.keys.iter().enumerate() {
        let digits = key.sha256.len() == 64 && key.sha256.chars().all(|c| c.is_ascii_hexdigit());
        if !digits {
            problems.push(document.complain(
                &format!("api.keys[{at}].sha256"),
                "is no SHA-256",
                "write the 64 digits that `printf %s KEY | sha256sum` prints",
            ));
        }
    }
}

/// Checks `agents.toml` against itself and against the phones and queues of `segue.toml`.
pub(super) fn check_people(
    document: &Document,
    settings: &Settings,
    people: &AcdConfig,
    problems: &mut Vec<Problem>,
) {
    if let Err(found) = people.check() {
        problems.extend(found.0.iter().map(|problem| document.complain("agents", problem.to_string(), "")));
    }
    let phones: BTreeSet<&str> = settings.sip.users.iter().map(|user| user.user.as_str()).collect();
    for (at, agent) in people.agents.iter().enumerate() {
        if let Some(user) = agent.user.as_deref().filter(|user| !phones.contains(user)) {
            problems.push(document.complain(
                &format!("agents[{at}].user"),
                format!("the phone `{user}` may not register"),
                "add it to [[sip.users]] in segue.toml with a password",
            ));
        }
    }
    let times = &settings.call.times;
    let needed =
        times.ring_max + times.accept_max + times.announcement_deadline + times.introduction_deadline;
    if people.reservation_lease <= needed {
        problems.push(document.complain(
            "reservation_lease",
            format!(
                "an agent may be given away while ringing or being briefed, which takes up to {} s",
                needed.as_secs()
            ),
            "make it longer, or shorten ring_max, accept_max, announcement_deadline or introduction_deadline",
        ));
    }
    let queues: BTreeSet<_> = people.queues.iter().map(|queue| &queue.id).collect();
    let routes = &settings.call.routes;
    let named =
        std::iter::once(&routes.default_queue).chain(routes.reasons.values()).chain(routes.keywords.values());
    for queue in named.collect::<BTreeSet<_>>() {
        if !queues.contains(queue) {
            problems.push(document.complain(
                "queues",
                format!("there is no queue `{queue}`, but [call.routes] in segue.toml sends calls there"),
                "add it under [[queues]], or route elsewhere",
            ));
        }
    }
}
