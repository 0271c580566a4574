//! Names on real sockets: a DNS server of the test's own, trunks that fail over, and a registration at a registrar.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, NAPTR, SOA, SRV},
    },
};
use segue_sip::{
    Credentials, DialEvent, DialRequest, FailureKind, Registration, RegistrationStatus, Secret, SipConfig,
    SipEvent, Target, TrunkHealth, TrunkRoute, TrunkStatus, TrunkTarget, UnregisteredWhy, UserCredential,
};
use tokio::{net::UdpSocket, task::JoinSet};

use super::{
    common::{End, config, end, join, request},
    secure::{Authority, OURS, everywhere, fails_to_dial},
};

type Zone = BTreeMap<(String, RecordType), Vec<RData>>;

/// A server that knows a few names, denies the others, and never answers for `silent.example`.
struct Dns {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Dns {
    async fn start(tasks: &mut JoinSet<()>, zone: Zone) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tasks.spawn(async move {
            let mut buffer = [0; 1_500];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                if let Some(answer) = answer(&zone, &buffer[..length]) {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(zone: &Zone, question: &[u8]) -> Option<Vec<u8>> {
    let mut message = Message::from_vec(question).unwrap().into_response();
    message.edns = None;
    let query = message.queries[0].clone();
    let name = query.name().to_ascii().to_ascii_lowercase();
    if name.contains("silent.example") {
        return None;
    }
    match zone.get(&(name.clone(), query.query_type())) {
        Some(records) => {
            for data in records {
                message.add_answer(Record::from_rdata(query.name().clone(), 300, data.clone()));
            }
        }
        None => {
            if !zone.keys().any(|(known, _)| *known == name) {
                message.metadata.response_code = ResponseCode::NXDomain;
            }
            let root = Name::root();
            let soa = SOA::new(root.clone(), root.clone(), 1, 60, 60, 60, 60);
            message.add_authority(Record::from_rdata(root, 60, RData::SOA(soa)));
        }
    }
    Some(message.to_vec().unwrap())
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn srv(priority: u16, port: u16, target: &str) -> RData {
    RData::SRV(SRV::new(priority, 1, port, name(target)))
}

fn naptr(service: &str, replacement: &str) -> RData {
    let text = |text: &str| text.as_bytes().into();
    RData::NAPTR(NAPTR::new(10, 10, text("S"), text(service), text(""), name(replacement)))
}

fn closed_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn a_call_arrives(here: &End, there: &mut End, uri: &str) -> String {
    let request = DialRequest { ring_max: Duration::from_secs(10), ..request(Target::Uri(uri.into())) };
    let dialing = here.sip.dial(request).await;
    let call = there.incoming().await;
    let to = call.invitation().to.clone();
    drop(join(dialing, call).await);
    to
}

#[tokio::test]
async fn a_name_leads_by_naptr_and_srv_to_the_server_that_lives() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let mut tasks = JoinSet::new();
    let mut there =
        end(&mut tasks, everywhere(authority.sign(folder.path(), "there", &["secure.example"]))).await;
    let addresses = there.sip.addresses().clone();
    let entry = |name: &str, kind, records: Vec<RData>| ((name.to_owned(), kind), records);
    let zone = Zone::from([
        entry("bots.example.", RecordType::NAPTR, vec![naptr("SIP+D2T", "_sip._tcp.bots.example.")]),
        entry(
            "_sip._tcp.bots.example.",
            RecordType::SRV,
            vec![
                srv(20, addresses.tcp[0].port(), "b.bots.example."),
                srv(10, closed_port(), "a.bots.example."),
            ],
        ),
        entry("a.bots.example.", RecordType::A, vec![RData::A(A::new(127, 0, 0, 1))]),
        entry("b.bots.example.", RecordType::A, vec![RData::A(A::new(127, 0, 0, 1))]),
        entry(
            "_sips._tcp.secure.example.",
            RecordType::SRV,
            vec![srv(1, addresses.tls[1].port(), "six.secure.example.")],
        ),
        entry("six.secure.example.", RecordType::AAAA, vec![RData::AAAA(AAAA::new(0, 0, 0, 0, 0, 0, 0, 1))]),
    ]);
    let dns = Dns::start(&mut tasks, zone).await;
    let files = authority.sign(folder.path(), "here", &OURS);
    let here = end(&mut tasks, SipConfig { nameservers: vec![dns.address], ..everywhere(files) }).await;
    assert_eq!(a_call_arrives(&here, &mut there, "sip:bot@bots.example").await, "bot");
    assert_eq!(here.sip.counts().connections, 1, "by TCP, as NAPTR says");
    // The certificate is for the name that was dialled, not for the host that SRV names (RFC 5922 §7.1).
    a_call_arrives(&here, &mut there, "sips:bot@secure.example").await;
    let asked = dns.asked();
    a_call_arrives(&here, &mut there, "sip:bot@bots.example").await;
    a_call_arrives(&here, &mut there, &format!("sip:bot@{}", addresses.udp[0])).await;
    assert_eq!(dns.asked(), asked, "what is known, and addresses, are not asked for");
    assert_eq!(fails_to_dial(&here, "sip:bot@nowhere.example".into()).await, FailureKind::Unreachable);
    let asked = dns.asked();
    assert_eq!(fails_to_dial(&here, "sip:bot@nowhere.example".into()).await, FailureKind::Unreachable);
    assert_eq!(dns.asked(), asked, "that a name is missing is known for a while");
}

#[tokio::test]
async fn a_dns_server_that_is_silent_holds_nobody_up() {
    let mut tasks = JoinSet::new();
    let dns = Dns::start(&mut tasks, Zone::new()).await;
    let here = end(&mut tasks, SipConfig { nameservers: vec![dns.address], ..config() }).await;
    let mut there = end(&mut tasks, config()).await;
    let lost = |ring_ms| {
        let to = Target::Uri("sip:bot@silent.example".into());
        DialRequest { ring_max: Duration::from_millis(ring_ms), ..request(to) }
    };
    let mut brief = here.sip.dial(lost(300)).await;
    let mut patient = here.sip.dial(lost(20_000)).await;
    let udp = there.udp();
    for _ in 0..5 {
        a_call_arrives(&here, &mut there, &format!("sip:bot@{udp}")).await;
    }
    let failure = |event| match event {
        Some(DialEvent::Failed(failure)) => failure.kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(failure(brief.next().await), FailureKind::NoAnswer);
    let limit = Duration::from_secs(10);
    let given_up = tokio::time::timeout(limit, patient.next()).await.expect("a lookup ends by itself");
    assert_eq!(failure(given_up), FailureKind::Unreachable);
}

fn to_registrar(registrar: SocketAddr, health: Option<TrunkHealth>) -> TrunkRoute {
    TrunkRoute {
        name: "carrier".into(),
        targets: vec![
            TrunkTarget { uri: format!("sip:127.0.0.1:{}", closed_port()), priority: 1, weight: 1 },
            TrunkTarget { uri: format!("sip:{registrar};transport=tls"), priority: 2, weight: 1 },
        ],
        credentials: Some(Credentials {
            user: "line7".into(),
            secret: Secret::Password("open sesame".into()),
        }),
        health,
        registration: Some(Registration {
            registrar: format!("sips:{registrar}"),
            user: "line7".into(),
            contact_user: "line7".into(),
            expires: Duration::from_secs(300),
        }),
        ..TrunkRoute::default()
    }
}

#[tokio::test]
async fn we_register_over_tls_are_called_fail_over_and_take_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let files = |name| authority.sign(folder.path(), name, &OURS);
    let user = UserCredential { user: "line7".into(), secret: Secret::Password("open sesame".into()) };
    let mut tasks = JoinSet::new();
    let registrar = SipConfig { users: vec![user], trunks: Vec::new(), ..everywhere(files("registrar")) };
    let mut registrar = end(&mut tasks, registrar).await;
    let health = TrunkHealth {
        every: Duration::from_secs(1),
        answer_max: Duration::from_millis(300),
        up_after: 1,
        down_after: 1,
    };
    let address = registrar.sip.addresses().tls[0];
    let routes = vec![to_registrar(address, Some(health))];
    let mut here = end(&mut tasks, SipConfig { routes, ..everywhere(files("here")) }).await;
    let Some(SipEvent::Registered { user, .. }) = registrar.events.recv().await else { panic!("no phone") };
    assert_eq!(user, "line7");
    let stands = |trunks: &[TrunkStatus]| {
        trunks.iter().any(|trunk| {
            trunk.registration == Some(RegistrationStatus::Registered)
                && trunk.targets.iter().map(|target| target.up).eq([false, true])
        })
    };
    tokio::time::timeout(Duration::from_secs(10), here.sip.trunks_when(stands)).await.expect("one is up");
    // A call for us comes by the connection that we registered with.
    let dialing = registrar.sip.dial(request(Target::User("line7".into()))).await;
    drop(join(dialing, here.incoming().await).await);
    assert_eq!(registrar.sip.counts().connections, 1);
    // A call by the trunk finds the target that lives, and proves itself.
    let to = Target::Trunk { name: "carrier".into(), user: "+49301".into() };
    let dialing = here.sip.dial(request(to)).await;
    let call = registrar.incoming().await;
    assert_eq!(call.invitation().to, "+49301");
    drop(join(dialing, call).await);
    here.stop.cancel();
    let Some(SipEvent::Unregistered { why, .. }) = registrar.events.recv().await else {
        panic!("still there")
    };
    assert_eq!(why, UnregisteredWhy::Asked);
}
