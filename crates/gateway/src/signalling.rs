//! Turns the configuration into what the SIP part wants.

use std::time::Duration;

use anyhow::Context;
use segue_sip::{DialogPolicy, ReliableProvisionals, Secret, SipConfig, SipLimits, Trunk, UserCredential};

use crate::config::{Reliable, Settings, SipDialogs};

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

/// The SIP part's configuration.
///
/// # Errors
/// An address that cannot be read; `segue check` says which.
pub(crate) fn config(settings: &Settings) -> anyhow::Result<SipConfig> {
    let sip = &settings.sip;
    let mut trunks = Vec::with_capacity(sip.trunks.len());
    for trunk in &sip.trunks {
        let sources: Result<Vec<_>, _> = trunk.sources.iter().map(|source| source.parse()).collect();
        trunks.push(Trunk { name: trunk.name.clone(), sources: sources?, credentials: None });
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
        advertised,
        realm: sip.realm.clone(),
        users,
        trunks,
        open_registration: open_registration?,
        limits: SipLimits {
            calls_max: sip.limits.calls_max,
            calls_per_second: sip.limits.calls_per_second,
            per_source_per_second: sip.limits.source_per_second,
            strangers_per_second: sip.limits.strangers_per_second,
            ..SipLimits::default()
        },
        dialogs: DialogPolicy { keys_in_clear: settings.media.srtp.keys_in_clear, ..dialogs(&sip.dialogs) },
        ..SipConfig::default()
    })
}
