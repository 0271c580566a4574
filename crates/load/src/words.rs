//! Words that every part uses: who is who, and what goes wrong.

use thiserror::Error;

/// Whom a leg plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Role {
    /// Calls the target.
    Caller = 0,
    /// Is called by the target first.
    Bot = 1,
    /// Is called by the target at a handoff.
    Agent = 2,
}

impl Role {
    /// All roles, in the order of their numbers.
    pub(crate) const ALL: [Self; 3] = [Self::Caller, Self::Bot, Self::Agent];

    /// Its name in reports.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Bot => "bot",
            Self::Agent => "agent",
        }
    }
}

/// Why a run could not be made. All of these are for the person at the keyboard to mend.
#[derive(Debug, Error)]
pub enum LoadError {
    /// An option makes no sense.
    #[error("{0}")]
    Option(String),
    /// The target is not this machine.
    #[error(
        "{0} is not on this machine. Load on somebody else's system is an attack; if it is yours to load, say \
         --i-own-this-target"
    )]
    Foreign(std::net::IpAddr),
    /// No sockets or threads for media.
    #[error("media: {0}")]
    Media(String),
    /// No sockets for signalling.
    #[error("signalling: {0}")]
    Signalling(String),
    /// A file cannot be written or read.
    #[error("{file}: {error}")]
    File {
        /// Which.
        file: String,
        /// What the system says.
        error: std::io::Error,
    },
}
