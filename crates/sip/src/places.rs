//! Where a SIP URI leads, by RFC 3263: what is asked, and how the answers are put in order. No I/O.

use std::net::SocketAddr;

use crate::message::{Transport, Uri};

/// What has to be found out about a URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) transport: Option<Transport>,
    /// `sips:`: nothing but TLS will do.
    pub(crate) secure: bool,
}

/// One place to try, in the order of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
}

/// What the records of a name say, as far as SIP needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Naptr {
    pub(crate) order: u16,
    pub(crate) preference: u16,
    pub(crate) flags: String,
    pub(crate) service: String,
    pub(crate) replacement: String,
}

/// One server of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Srv {
    pub(crate) priority: u16,
    pub(crate) weight: u16,
    pub(crate) port: u16,
    pub(crate) target: String,
}

/// Places that are tried for one URI; records beyond are left out.
pub(crate) const PLACES_MAX: usize = 16;

impl Question {
    pub(crate) fn of(uri: &Uri) -> Self {
        Self {
            host: uri.host.clone(),
            port: uri.port,
            transport: uri.transport().filter(|_| uri.param("transport").is_some()),
            secure: uri.is_secure(),
        }
    }

    /// The transport if no record says another.
    pub(crate) fn default_transport(&self) -> Transport {
        self.transport.unwrap_or(if self.secure { Transport::Tls } else { Transport::Udp })
    }

    /// The services to ask for when there is no NAPTR record: `_sip._udp.example.com` and its like (RFC 3263 §4.1).
    pub(crate) fn services(&self) -> Vec<(Transport, String)> {
        let all: &[Transport] = match (self.transport, self.secure) {
            (Some(Transport::Udp), _) => &[Transport::Udp],
            (Some(Transport::Tcp), false) => &[Transport::Tcp],
            (Some(Transport::Ws), _) => &[Transport::Ws],
            (Some(Transport::Wss), _) => &[Transport::Wss],
            (Some(Transport::Tls | Transport::Tcp), _) | (None, true) => &[Transport::Tls],
            (None, false) => &[Transport::Udp, Transport::Tcp],
        };
        let name = |transport| match transport {
            Transport::Udp => "_sip._udp",
            Transport::Tcp => "_sip._tcp",
            Transport::Tls => "_sips._tcp",
            Transport::Ws => "_sip._ws",
            Transport::Wss => "_sips._ws",
        };
        all.iter().map(|transport| (*transport, format!("{}.{}", name(*transport), self.host))).collect()
    }

    /// The services that NAPTR records name, those first that their owner wants first; none that we do not speak, and
    /// none without TLS for a `sips:` URI.
    pub(crate) fn chosen(&self, mut records: Vec<Naptr>) -> Vec<(Transport, String)> {
        records.sort_by_key(|record| (record.order, record.preference));
        records
            .into_iter()
            .filter(|record| record.flags.eq_ignore_ascii_case("s"))
            .filter_map(|record| {
                let transport = match record.service.to_ascii_uppercase().as_str() {
                    "SIP+D2U" => Transport::Udp,
                    "SIP+D2T" => Transport::Tcp,
                    "SIPS+D2T" => Transport::Tls,
                    "SIP+D2W" => Transport::Ws,
                    "SIPS+D2W" => Transport::Wss,
                    _ => return None,
                };
                (!self.secure || transport.is_secure()).then_some((transport, record.replacement))
            })
            .collect()
    }
}

/// The servers of a service in the order of RFC 2782: by priority; within one priority by chance, as their weights
/// say. A target of `.` means that there is no such service.
pub(crate) fn in_order(mut servers: Vec<Srv>, mut chance: impl FnMut() -> u64) -> Vec<Srv> {
    servers.retain(|server| !matches!(server.target.as_str(), "." | ""));
    weighted(servers, |server| (server.priority, server.weight), &mut chance)
}

/// Things by priority, and within one priority by weighted chance. One without weight comes last in most draws.
pub(crate) fn weighted<T>(
    mut things: Vec<T>,
    rank: impl Fn(&T) -> (u16, u16),
    chance: &mut impl FnMut() -> u64,
) -> Vec<T> {
    // Those without weight stand first, so that a draw of zero can meet them.
    things.sort_by_key(&rank);
    let mut ordered = Vec::with_capacity(things.len());
    while let Some(first) = things.first().map(|thing| rank(thing).0) {
        let same = things.iter().take_while(|thing| rank(thing).0 == first).count();
        let total: u64 = things.iter().take(same).map(|thing| u64::from(rank(thing).1)).sum();
        let mut drawn = chance() % (total + 1);
        let mut chosen = 0;
        for (place, thing) in things.iter().take(same).enumerate() {
            chosen = place;
            let weight = u64::from(rank(thing).1);
            if drawn <= weight {
                break;
            }
            drawn -= weight;
        }
        ordered.push(things.remove(chosen));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(uri: &str) -> Question {
        Question::of(&Uri::read(uri).unwrap())
    }

    fn server(priority: u16, weight: u16, target: &str) -> Srv {
        Srv { priority, weight, port: 5060, target: target.to_owned() }
    }

    fn naptr(order: u16, preference: u16, service: &str) -> Naptr {
        let (flags, replacement) = ("S".to_owned(), format!("{service}.example"));
        Naptr { order, preference, flags, service: service.to_owned(), replacement }
    }

    #[test]
    fn services_follow_the_uri() {
        let check = |uri: &str, expected: &[&str]| {
            let names: Vec<String> = question(uri).services().into_iter().map(|(_, name)| name).collect();
            assert_eq!(names, expected, "{uri}");
        };
        check("sip:a@b.example", &["_sip._udp.b.example", "_sip._tcp.b.example"]);
        check("sip:a@b.example;transport=tcp", &["_sip._tcp.b.example"]);
        check("sip:a@b.example;transport=tls", &["_sips._tcp.b.example"]);
        check("sips:a@b.example", &["_sips._tcp.b.example"]);
        check("sips:a@b.example;transport=tcp", &["_sips._tcp.b.example"]);
    }

    #[test]
    fn naptr_records_are_taken_in_order_and_only_if_spoken() {
        let records = vec![
            naptr(20, 1, "SIP+D2U"),
            naptr(10, 9, "SIP+D2T"),
            naptr(10, 5, "SIPS+D2T"),
            naptr(1, 1, "SIP+D2S"),
            Naptr { flags: "U".to_owned(), ..naptr(1, 2, "SIP+D2U") },
        ];
        let chosen = |uri: &str| -> Vec<Transport> {
            question(uri).chosen(records.clone()).into_iter().map(|(transport, _)| transport).collect()
        };
        assert_eq!(chosen("sip:a@b.example"), [Transport::Tls, Transport::Tcp, Transport::Udp]);
        assert_eq!(chosen("sips:a@b.example"), [Transport::Tls]);
    }

    #[test]
    fn servers_are_tried_by_priority_and_share_by_weight() {
        let servers = || vec![server(20, 0, "late"), server(10, 70, "big"), server(10, 30, "small")];
        let mut seed = 1_u64;
        let mut chance = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        let mut big_first = 0;
        for _ in 0..1_000 {
            let order = in_order(servers(), &mut chance);
            assert_eq!(order.last().map(|server| server.target.as_str()), Some("late"));
            big_first += u32::from(order.first().is_some_and(|server| server.target == "big"));
        }
        assert!((640..760).contains(&big_first), "{big_first} of 1000 begin with the one of weight 70");
        assert_eq!(in_order(vec![server(0, 0, ".")], &mut chance), []);
    }
}
