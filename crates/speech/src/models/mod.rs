//! The speech models on disk: which there are, whether a file is what it should be, and fetching one.

mod add;
mod catalogue;
mod fetch;
mod room;
mod shapes;
mod tensors;

use std::{path::PathBuf, time::Duration};

pub use catalogue::{Listed, Model, ModelCatalogue, Presence, Traits, Verified};
pub use fetch::Progress;
pub(crate) use room::Room;
pub use shapes::{Shape, Weights};

/// Why a model cannot be had. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The manifest is missing or wrong: our installation.
    #[error("the model manifest {path} cannot be read: {reason}", path = .path.display())]
    Manifest {
        /// Where it should be.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The configuration names a model that is not in the manifest.
    #[error("there is no model {name}; the manifest knows {known}")]
    Unknown {
        /// As asked for.
        name: String,
        /// All names.
        known: String,
    },
    /// The file is not there.
    #[error(
        "the model {name} is not there: put the file from {source_address} at {path} \
         ({size} bytes, SHA-256 {sha256}), or run `segue models fetch {name}`", path = .path.display()
    )]
    Missing {
        /// Its name.
        name: String,
        /// Where the file belongs.
        path: PathBuf,
        /// Where it is published.
        source_address: String,
        /// Bytes.
        size: u64,
        /// Its checksum.
        sha256: String,
    },
    /// The file is there and is another.
    #[error(
        "the file {path} is not the model {name}: it has {found_size} bytes and SHA-256 {found}, expected are \
         {size} bytes and {sha256}; remove it and fetch it again", path = .path.display()
    )]
    Wrong {
        /// Its name.
        name: String,
        /// The file.
        path: PathBuf,
        /// Bytes it has.
        found_size: u64,
        /// Checksum it has; `not computed` when the size is wrong already.
        found: String,
        /// Bytes it should have.
        size: u64,
        /// Checksum it should have.
        sha256: String,
    },
    /// The disk failed.
    #[error("{path}: {error}", path = .path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The model comes with the program and is not fetched.
    #[error("the model {name} comes with the program and cannot be fetched; its file belongs at {path}", path = .path.display())]
    NotPublished {
        /// Its name.
        name: String,
        /// Where the file belongs.
        path: PathBuf,
    },
    /// A model of the user's own has no fit name.
    #[error("{name:?} is no name for a model: up to 64 letters, digits, dots, dashes and underscores")]
    Name {
        /// As given.
        name: String,
    },
    /// A model of the user's own has the name of another.
    #[error(
        "there is a model {name} already; choose another name, or take its entry out of manifest.local.toml"
    )]
    Taken {
        /// As given.
        name: String,
    },
    /// A file of the user's own is not a model.
    #[error("{path} is no model of whisper.cpp: {reason} (byte {place})", path = .path.display())]
    NoModel {
        /// The file.
        path: PathBuf,
        /// How far it could be read.
        place: u64,
        /// What is wrong.
        reason: String,
    },
    /// The publisher or the network failed. What was read is kept, the next try goes on from there.
    #[error(
        "{address} could not be read: {reason}; copy the file ({size} bytes, SHA-256 {sha256}) to {path} by hand, \
         or try again", path = .path.display()
    )]
    Fetch {
        /// The address asked.
        address: String,
        /// What went wrong.
        reason: String,
        /// Where the file belongs.
        path: PathBuf,
        /// Bytes.
        size: u64,
        /// Its checksum.
        sha256: String,
    },
}

/// The longest a fetch waits for a connection or for an answer.
pub const FETCH_SILENCE_MAX: Duration = Duration::from_secs(30);
