//! What the tests are played with: the gateway as a process, clients, endpoints for sound, and ears to judge it.

pub(crate) mod api;
pub(crate) mod baresip;
pub(crate) mod elsewhere;
pub(crate) mod endpoint;
pub(crate) mod gateway;
pub(crate) mod listening;
pub(crate) mod recording;
pub(crate) mod scene;
pub(crate) mod sipp;
pub(crate) mod tapes;
pub(crate) mod witness;

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The moment at which a test has failed, whatever it waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn after(seconds: u64) -> Self {
        Self(Instant::now() + Duration::from_secs(seconds))
    }

    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// The time of day as the API tells it, since the Unix epoch.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Real-time sound on two cores is not for two tests at a time.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says what was measured, also where the harness swallows what tests print.
pub(crate) fn note(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "    {text}"));
}

/// Whether the clients are installed; says so if not.
pub(crate) fn installed(programs: &[&str]) -> bool {
    let missing: Vec<_> = programs.iter().filter(|program| !Path::new(program).exists()).collect();
    if !missing.is_empty() {
        note(&format!("SKIPPED: {missing:?} is not here; `deploy/setup.sh --tests` installs it"));
    }
    missing.is_empty()
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A loopback address that nobody has at the moment, by UDP nor by TCP. It lies below the ports that the system
/// gives out by itself, so nobody gets it before the program that it is for; the port above it is left free, since
/// baresip takes it for TLS.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = (std::process::id() % u32::from(PORTS)) as u16 & !1;
    loop {
        let port = PORT_FIRST + (first + NEXT.fetch_add(2, Ordering::Relaxed)) % PORTS;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

const PORT_FIRST: u16 = 30_000;
const PORTS: u16 = 2_700;
