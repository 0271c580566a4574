//! Trunks as ways out: which of their targets are up, in which order a call tries them, and how all that is told.

use std::collections::VecDeque;

use super::{Output, Stack, probes::Probe, registering::Enrolment, turns::Turn};
use crate::{
    config::SipConfig,
    message::{Uri, escape_user},
    places::weighted,
    trunks::{TargetStatus, TrunkRoute, TrunkStatus},
    words::Target,
};

/// All trunks that calls go out by.
#[derive(Debug)]
pub(super) struct WaysOut {
    pub(super) routes: Vec<TrunkRoute>,
    /// One for each target of each trunk, in order.
    pub(super) probes: Vec<Probe>,
    /// One for each trunk that we register at.
    pub(super) enrolments: Vec<Enrolment>,
}

impl WaysOut {
    pub(super) fn new(config: &SipConfig) -> Self {
        let routes = config.routes.clone();
        let probes = routes
            .iter()
            .enumerate()
            .flat_map(|(trunk, route)| route.targets.iter().map(move |target| (trunk, target)))
            .map(|(trunk, target)| Probe::new(trunk, &target.uri))
            .collect();
        let enrolments = routes
            .iter()
            .enumerate()
            .filter_map(|(trunk, route)| Some(Enrolment::new(trunk, route.registration.as_ref()?)))
            .collect();
        Self { routes, probes, enrolments }
    }

    fn status(&self) -> Vec<TrunkStatus> {
        let of = |(trunk, route): (usize, &TrunkRoute)| TrunkStatus {
            name: route.name.clone(),
            registration: self
                .enrolments
                .iter()
                .find(|enrolment| enrolment.trunk == trunk)
                .map(|enrolment| enrolment.status.clone()),
            targets: self
                .probes
                .iter()
                .filter(|probe| probe.trunk == trunk)
                .map(|probe| TargetStatus { uri: probe.uri.clone(), up: probe.up })
                .collect(),
        };
        self.routes.iter().enumerate().map(of).collect()
    }
}

impl Stack {
    /// Begins to register and to ask for health.
    pub(crate) fn start(&mut self, now: std::time::Duration) {
        self.effects.now = now;
        self.start_probes();
        self.start_registering();
        self.tell_trunks();
    }

    /// A number that nobody can guess, for draws outside of the stack.
    pub(crate) fn chance(&mut self) -> u64 {
        self.effects.chance(u64::MAX)
    }

    pub(super) fn tell_trunks(&mut self) {
        if !self.ways_out.routes.is_empty() {
            self.effects.outputs.push_back(Output::Trunks(self.ways_out.status()));
        }
    }

    /// The trunk that a target goes out by.
    pub(super) fn trunk_of(&self, target: &Target) -> Option<&TrunkRoute> {
        let is = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
        match target {
            Target::User(_) => None,
            Target::Trunk { name, .. } => self.ways_out.routes.iter().find(|route| is(&route.name, name)),
            Target::Uri(uri) => {
                let host = Uri::read(uri).filter(Uri::is_sip)?.host;
                self.ways_out.routes.iter().find(|route| {
                    is(&route.name, &host) || route.domain.as_ref().is_some_and(|domain| is(domain, &host))
                })
            }
        }
    }

    /// What to try for a call by a trunk: targets that are up by priority and weight, then those that are down.
    pub(super) fn trunk_turns(&mut self, name: &str, user: &str) -> VecDeque<Turn> {
        let places = self.ways_out.routes.iter().position(|route| route.name.eq_ignore_ascii_case(name));
        let Some(trunk) = places else { return VecDeque::new() };
        let Some(route) = self.ways_out.routes.get(trunk) else { return VecDeque::new() };
        let domain = route.domain.clone();
        let ups = self.ways_out.probes.iter().filter(|probe| probe.trunk == trunk).map(|probe| probe.up);
        let (up, down): (Vec<_>, Vec<_>) =
            route.targets.iter().cloned().zip(ups).partition(|(_, is_up)| *is_up);
        let mut ordered = Vec::with_capacity(up.len() + down.len());
        for some in [up, down] {
            let effects = &mut self.effects;
            let rank = |(target, _): &(crate::trunks::TrunkTarget, bool)| (target.priority, target.weight);
            ordered.extend(weighted(some, rank, &mut || effects.chance(u64::MAX)));
        }
        ordered
            .into_iter()
            .filter_map(|(target, _)| {
                let request_uri = match &domain {
                    Some(domain) => with_user(&format!("sip:{domain}"), user),
                    None => with_user(&target.uri, user),
                };
                self.turn_to(&target.uri, request_uri)
            })
            .collect()
    }
}

/// A URI with another user part, or with none if it is empty.
fn with_user(uri: &str, user: &str) -> String {
    let (scheme, rest) = uri.split_once(':').unwrap_or(("sip", uri));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host = host.split('?').next().unwrap_or(host);
    if user.is_empty() {
        format!("{scheme}:{host}")
    } else {
        format!("{scheme}:{}@{host}", escape_user(user))
    }
}
