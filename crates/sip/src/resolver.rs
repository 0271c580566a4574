//! Asks the DNS where a host is, by RFC 3263: NAPTR, then SRV, then A and AAAA. Each question is a task of its own
//! with a time limit, so signalling never waits; answers are kept as long as they are good, the lack of one for a minute.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures_util::future::join_all;
use hickory_resolver::{
    Resolver as Hickory, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts},
    net::runtime::TokioRuntimeProvider,
    proto::rr::{RData, RecordType},
};

use crate::{
    message::Transport,
    places::{Naptr, PLACES_MAX, Place, Question, Srv, in_order},
};

/// How long one question may take with all its follow-ups.
const LOOKUP_MAX: Duration = Duration::from_secs(5);
/// How long one server may take to answer.
const SERVER_MAX: Duration = Duration::from_millis(1_500);
/// Answers that are kept.
const CACHE_MAX: u64 = 4_096;
/// However long a record is good, it is asked for again after this.
const KEEP_MAX: Duration = Duration::from_secs(3_600);
/// A name that is missing may come into being.
const MISSING_MAX: Duration = Duration::from_secs(60);
/// Servers of one service that are asked for.
const SERVERS_MAX: usize = 8;

/// Which addresses are of use: the families that we have a socket in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Families {
    pub(crate) v4: bool,
    pub(crate) v6: bool,
}

/// Asks the DNS; cheap to clone, with one cache.
#[derive(Clone)]
pub(crate) struct Resolver {
    /// None where the system has no configuration: then only its own lookup of addresses is left.
    dns: Option<TokioResolver>,
    families: Families,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("families", &self.families).finish_non_exhaustive()
    }
}

impl Resolver {
    /// Asks these servers, or the system's if there are none.
    pub(crate) fn new(servers: &[SocketAddr], families: Families) -> Self {
        let builder = if servers.is_empty() {
            TokioResolver::builder_tokio()
        } else {
            let mut config = ResolverConfig::default();
            config.name_servers = servers.iter().map(|server| name_server(*server)).collect();
            Ok(Hickory::builder_with_config(config, TokioRuntimeProvider::default()))
        };
        let dns = builder.and_then(|mut builder| {
            set(builder.options_mut());
            builder.build()
        });
        if let Err(error) = &dns {
            tracing::warn!(%error, "no DNS servers are known: SRV and NAPTR records are not looked up");
        }
        Self { dns: dns.ok(), families }
    }

    /// Where a URI leads, in the order to try; empty if nowhere, or if it took too long.
    pub(crate) async fn places(&self, question: &Question, chance: u64) -> Vec<Place> {
        let found = tokio::time::timeout(LOOKUP_MAX, self.find(question, chance)).await;
        let mut places = found.unwrap_or_else(|_| {
            tracing::info!(host = question.host, "a name was not found in time");
            Vec::new()
        });
        places.truncate(PLACES_MAX);
        places
    }

    async fn find(&self, question: &Question, chance: u64) -> Vec<Place> {
        if let Some(port) = question.port {
            return self.addresses(&question.host, port, question.default_transport()).await;
        }
        let mut services = Vec::new();
        if question.transport.is_none() {
            services = question.chosen(self.naptr(&question.host).await);
        }
        if services.is_empty() {
            services = question.services();
        }
        let mut seed = chance | 1;
        let mut places = Vec::new();
        for (transport, name) in services {
            let servers = in_order(self.srv(&name).await, || {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed
            });
            let found = servers
                .iter()
                .take(SERVERS_MAX)
                .map(|server| self.addresses(&server.target, server.port, transport));
            places.extend(join_all(found).await.into_iter().flatten());
        }
        if places.is_empty() {
            let transport = question.default_transport();
            places = self.addresses(&question.host, transport.default_port(), transport).await;
        }
        places
    }

    async fn records(&self, name: &str, kind: RecordType) -> Vec<RData> {
        let Some(dns) = &self.dns else { return Vec::new() };
        match dns.lookup(absolute(name), kind).await {
            Ok(lookup) => lookup.answers().iter().map(|record| record.data.clone()).collect(),
            Err(error) => {
                tracing::debug!(name, %kind, %error, "no record");
                Vec::new()
            }
        }
    }

    async fn naptr(&self, host: &str) -> Vec<Naptr> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let read = |record| {
            let RData::NAPTR(record) = record else { return None };
            Some(Naptr {
                order: record.order,
                preference: record.preference,
                flags: text(&record.flags),
                service: text(&record.services),
                replacement: record.replacement.to_ascii(),
            })
        };
        self.records(host, RecordType::NAPTR).await.into_iter().filter_map(read).collect()
    }

    async fn srv(&self, name: &str) -> Vec<Srv> {
        let read = |record| {
            let RData::SRV(record) = record else { return None };
            Some(Srv {
                priority: record.priority,
                weight: record.weight,
                port: record.port,
                target: record.target.to_ascii(),
            })
        };
        self.records(name, RecordType::SRV).await.into_iter().filter_map(read).collect()
    }

    /// The addresses of a host, those of IPv4 first.
    async fn addresses(&self, host: &str, port: u16, transport: Transport) -> Vec<Place> {
        let (v4, v6) = futures_util::join!(
            self.of_family(self.families.v4, host, RecordType::A),
            self.of_family(self.families.v6, host, RecordType::AAAA),
        );
        let mut found: Vec<IpAddr> = v4.into_iter().chain(v6).collect();
        if found.is_empty() && self.dns.is_none() {
            let looked_up = tokio::net::lookup_host((host.trim_end_matches('.'), port)).await;
            found = looked_up.into_iter().flatten().map(|address| address.ip()).collect();
        }
        found.into_iter().map(|ip| Place { transport, address: SocketAddr::new(ip, port) }).collect()
    }

    async fn of_family(&self, wanted: bool, host: &str, kind: RecordType) -> Vec<IpAddr> {
        if !wanted {
            return Vec::new();
        }
        let read = |record| {
            if let RData::A(address) = record {
                Some(IpAddr::V4(address.0))
            } else if let RData::AAAA(address) = record {
                Some(IpAddr::V6(address.0))
            } else {
                None
            }
        };
        self.records(host, kind).await.into_iter().filter_map(read).collect()
    }
}

/// A name from a URI or a record is whole: no search domain is tried on it.
fn absolute(name: &str) -> String {
    if name.ends_with('.') { name.to_owned() } else { format!("{name}.") }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

fn set(options: &mut ResolverOpts) {
    options.timeout = SERVER_MAX;
    options.attempts = 1;
    options.cache_size = CACHE_MAX;
    options.positive_max_ttl = Some(KEEP_MAX);
    options.negative_max_ttl = Some(MISSING_MAX);
}
