//! Turns the configuration into what the SIP part wants.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use segue_sip::{
    Credentials, DialogPolicy, Registration, ReliableProvisionals, Secret, Sip, SipConfig, SipLimits,
    SipTimers, TlsFiles, Trunk, TrunkHealth, TrunkRoute, TrunkTarget, UserCredential,
};

use crate::{
    config::{self, Reliable, Settings, SipDialogs, SipTrunk},
    metrics,
};

fn dialogs(rules: &SipDialogs) -> DialogPolicy {
    DialogPolicy {
        reliable: match rules.reliable {
            Reliable::Off => ReliableProvisionals::Off,
            Reliable::Supported => ReliableProvisionals::Supported,
            Reliable::Required => ReliableProvisionals::Required,
        },
        session_expires: Duration::from_secs(rules.session_expires_s.into()),
        session_expires_min: Duration::from_secs(rules.session_expires_min_s.into()),
        redirects_max: rules.redirects_max,
        redirect_hosts: rules.redirect_hosts.clone(),
        transfer_hosts: rules.transfer_hosts.clone(),
        ..DialogPolicy::default()
    }
}

/// The SIP part's configuration; agents who may transfer may do so to these queues.
///
/// # Errors
/// An address that cannot be read; `segue check` says which.
pub(crate) fn config(settings: &Settings, queues: Vec<String>) -> anyhow::Result<SipConfig> {
    let sip = &settings.sip;
    let mut trunks = Vec::with_capacity(sip.trunks.len());
    for trunk in &sip.trunks {
        let sources: Result<Vec<_>, _> = trunk.sources.iter().map(|source| source.parse()).collect();
        let (name, credentials) = (trunk.name.clone(), credentials(trunk));
        trunks.push(Trunk { name, sources: sources?, credentials });
    }
    let users = sip
        .users
        .iter()
        .map(|user| UserCredential {
            user: user.user.clone(),
            secret: Secret::Password(user.password.clone()),
        })
        .collect();
    let open_registration: Result<Vec<_>, _> =
        sip.open_registration.iter().map(|network| network.parse()).collect();
    let advertised = match sip.advertised.as_str() {
        "" => None,
        address => Some(address.parse().context("sip.advertised")?),
    };
    Ok(SipConfig {
        udp: sip.udp.clone(),
        tcp: sip.tcp.clone(),
        tls: sip.tls.bind.clone(),
        ws: sip.ws.clone(),
        wss: sip.wss.clone(),
        certificates: certificates(settings),
        nameservers: sip.nameservers.clone(),
        advertised,
        realm: sip.realm.clone(),
        users,
        trunks,
        open_registration: open_registration?,
        routes: sip.trunks.iter().filter_map(route).collect(),
        limits: SipLimits {
            calls_max: sip.limits.calls_max,
            calls_per_second: sip.limits.calls_per_second,
            per_source_per_second: sip.limits.source_per_second,
            strangers_per_second: sip.limits.strangers_per_second,
            ..SipLimits::default()
        },
        dialogs: DialogPolicy {
            keys_in_clear: settings.media.srtp.keys_in_clear,
            transfer_queues: queues,
            ..dialogs(&sip.dialogs)
        },
        timers: SipTimers { alive_every: Duration::from_secs(sip.alive_every_s), ..SipTimers::default() },
        ..SipConfig::default()
    })
}

/// The files that TLS is made of.
pub(crate) fn certificates(settings: &Settings) -> TlsFiles {
    let tls = &settings.sip.tls;
    let file = |path: &Path| (!path.as_os_str().is_empty()).then(|| PathBuf::from(path));
    TlsFiles {
        certificate: file(&tls.certificate),
        key: file(&tls.key),
        ca: file(&tls.ca),
        client_certificate: file(&tls.client_certificate),
        client_key: file(&tls.client_key),
        client_ca: file(&tls.client_ca),
        client_required: tls.client_required,
    }
}

fn credentials(trunk: &SipTrunk) -> Option<Credentials> {
    let secret = Secret::Password(trunk.password.clone());
    (!trunk.user.is_empty()).then(|| Credentials { user: trunk.user.clone(), secret })
}

/// How calls go out by a trunk; none if none do and we register nowhere.
pub(crate) fn route(trunk: &SipTrunk) -> Option<TrunkRoute> {
    if trunk.targets.is_empty() && trunk.register.is_none() {
        return None;
    }
    let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
    let targets = trunk.targets.iter().map(|target| TrunkTarget {
        uri: target.uri.clone(),
        priority: target.priority,
        weight: target.weight,
    });
    let health = (trunk.health_s > 0).then(|| TrunkHealth {
        every: Duration::from_secs(trunk.health_s),
        answer_max: Duration::from_millis(trunk.health_answer_max_ms),
        up_after: trunk.up_after,
        down_after: trunk.down_after,
    });
    let registration = trunk.register.as_ref().map(|register| {
        let user = or(&register.user, &trunk.user);
        Registration {
            registrar: register.registrar.clone(),
            contact_user: or(&register.contact_user, &user),
            user,
            expires: Duration::from_secs(register.expires_s),
        }
    });
    Some(TrunkRoute {
        name: trunk.name.clone(),
        domain: (!trunk.domain.is_empty()).then(|| trunk.domain.clone()),
        targets: targets.collect(),
        credentials: credentials(trunk),
        health,
        registration,
    })
}

/// Measures how the trunks stand, whenever that changes, until the SIP part ends.
pub(crate) async fn watch_trunks(sip: Sip) {
    let mut known = Vec::new();
    loop {
        let trunks = sip.trunks_when(|trunks| trunks != known).await;
        if trunks == known {
            return;
        }
        metrics::trunks(&trunks);
        known = trunks;
    }
}

/// Reads the paths of the certificates from the configuration again, and the files. What is wrong changes nothing.
pub(crate) async fn reload_certificates(sip: &Sip, file: &Path) {
    let config = match config::load(file, &std::env::vars().collect()) {
        Ok(config) => config,
        Err(problems) => return cannot_be_read(&problems),
    };
    let reloaded = sip.reload_certificates(&certificates(&config.settings)).await;
    let outcome = match &reloaded {
        Ok(()) => "the certificates were read again; everything else needs a restart".to_owned(),
        Err(error) => format!("the certificates stay as they were: {error}"),
    };
    if reloaded.is_ok() { tracing::info!("{outcome}") } else { tracing::error!("{outcome}") }
}

fn cannot_be_read(problems: &[config::Problem]) {
    let problems = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    tracing::error!("the configuration cannot be read, so the certificates stay as they were:\n{problems}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trunk_that_only_lets_calls_in_is_no_way_out() {
        assert!(route(&SipTrunk { name: "in".to_owned(), ..SipTrunk::default() }).is_none());
    }

    #[test]
    fn a_registration_is_for_the_user_who_proves_it() {
        let trunk: SipTrunk = toml::from_str(
            "name = \"carrier\"\nuser = \"line7\"\npassword = \"x\"\nhealth_s = 0\n\
             register = { registrar = \"sip:example.com\" }\n",
        )
        .expect("sound");
        let route = route(&trunk).expect("a way out");
        let registration = route.registration.expect("wanted");
        assert_eq!((registration.user.as_str(), registration.contact_user.as_str()), ("line7", "line7"));
        assert_eq!(registration.expires, Duration::from_secs(600));
        assert!(route.health.is_none() && route.credentials.is_some());
    }
}
