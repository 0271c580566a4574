//! Where a target is: with the phones of a user, at an address, or at places that are tried in turn.

use std::collections::VecDeque;

use super::{Hop, Stack, turns::Turn};
use crate::{
    message::{Transport, Uri},
    places::Question,
    words::Target,
};

/// One place to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contact {
    /// The Request-URI.
    pub(crate) uri: String,
    pub(crate) hop: Hop,
}

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// At all of these.
    Here(Vec<Contact>),
    /// At one of these.
    InTurn(VecDeque<Turn>),
    /// Nowhere.
    Nowhere(&'static str),
}

impl Stack {
    /// Finds where a target is.
    pub(crate) fn route(&mut self, target: &Target) -> Route {
        if let Some(trunk) = self.trunk_of(target).map(|trunk| trunk.name.clone()) {
            let user = match target {
                Target::Trunk { user, .. } | Target::User(user) => user.clone(),
                Target::Uri(uri) => Uri::read(uri).and_then(|uri| uri.user).unwrap_or_default(),
            };
            let turns = self.trunk_turns(&trunk, &user);
            return if turns.is_empty() {
                Route::Nowhere("the trunk has no target that a socket of ours reaches")
            } else {
                Route::InTurn(turns)
            };
        }
        match target {
            Target::Trunk { .. } => Route::Nowhere("no trunk of this name is configured"),
            Target::User(user) => {
                let contacts = self.registrar.contacts(user, self.effects.now);
                if contacts.is_empty() {
                    Route::Nowhere("no phone of this user is registered")
                } else {
                    Route::Here(contacts)
                }
            }
            Target::Uri(text) => {
                if Uri::read(text).filter(Uri::is_sip).is_none() {
                    return Route::Nowhere("the target is no sip: URI");
                }
                let request_uri = text.split('?').next().unwrap_or(text).trim().to_owned();
                match self.turn_to(text, request_uri) {
                    Some(Turn::Place(contact)) => Route::Here(vec![contact]),
                    Some(name @ Turn::Name { .. }) => Route::InTurn([name].into()),
                    None => Route::Nowhere("no socket of ours reaches the target"),
                }
            }
        }
    }

    /// What to try for a URI: its address, or its name.
    pub(super) fn turn_to(&mut self, target: &str, request_uri: String) -> Option<Turn> {
        let uri = Uri::read(target).filter(Uri::is_sip)?;
        match uri.socket_address() {
            Some(address) => {
                let transport = uri.transport().unwrap_or(Transport::Udp);
                let hop = self.hop_to(transport, address, &uri.host)?;
                Some(Turn::Place(Contact { uri: request_uri, hop }))
            }
            None => Some(Turn::Name { uri: request_uri, question: Question::of(&uri) }),
        }
    }

    /// The host that From shows: the trunk's domain, else our own address.
    pub(super) fn host_in_from(&self, id: crate::words::SipLegId, hop: Hop) -> String {
        let domain = self.turns.get(&id).and_then(|turns| turns.domain.clone());
        domain.unwrap_or_else(|| self.locals.of(hop).to_string())
    }
}
