//! Fetching a model: streamed to `<file>.part`, resumed where it broke off, renamed only with the right checksum.
//! The one place of this crate that opens a connection.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    path::Path,
    time::Duration,
};

use ureq::{
    Agent,
    http::{Response, StatusCode, header},
};

use super::{
    FETCH_SILENCE_MAX, ModelCatalogue, ModelError, Verified,
    catalogue::{Model, check, part},
};

/// How far a fetch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are there.
    pub bytes: u64,
    /// Bytes of the whole file.
    pub total: u64,
}

impl ModelCatalogue {
    /// Fetches a model unless it is there already, and verifies it. With a mirror, the file is asked for at
    /// `<mirror>/<file name>`. `progress` is told about each 64 KB.
    ///
    /// # Errors
    /// When the model is unknown, the publisher cannot be reached (what was read is kept for the next try), the
    /// disk is full, or the file has a wrong checksum (it is removed then).
    pub fn fetch(
        &self,
        name: &str,
        mirror: Option<&str>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Verified, ModelError> {
        let model = self.find(name)?;
        let path = self.path(model);
        if path.exists() {
            return self.verify(name);
        }
        let Some(address) = address(model, mirror) else {
            return Err(ModelError::NotPublished { name: name.to_owned(), path });
        };
        let partial = part(&path);
        let disk = |error| ModelError::Disk { path: partial.clone(), error };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(disk)?;
        }
        download(&address, model.size, &partial, progress).map_err(|failure| match failure {
            Failure::Remote(reason) => ModelError::Fetch {
                address: address.clone(),
                reason,
                path: path.clone(),
                size: model.size,
                sha256: model.sha256.clone(),
            },
            Failure::Disk(error) => disk(error),
        })?;
        if let Err(error) = check(model, &partial, &path) {
            std::fs::remove_file(&partial).map_err(disk)?;
            return Err(error);
        }
        std::fs::rename(&partial, &path).map_err(disk)?;
        self.verify(name)
    }
}

enum Failure {
    Remote(String),
    Disk(std::io::Error),
}

fn address(model: &Model, mirror: Option<&str>) -> Option<String> {
    let source = model.source.as_deref()?;
    Some(match (mirror, model.file.file_name()) {
        (Some(mirror), Some(file)) => format!("{}/{}", mirror.trim_end_matches('/'), file.to_string_lossy()),
        _ => source.to_owned(),
    })
}

/// Reads what is missing of a file of `total` bytes.
fn download(
    address: &str,
    total: u64,
    file: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), Failure> {
    let there = std::fs::metadata(file).map_or(0, |found| found.len());
    if there == total {
        return Ok(());
    }
    // What is too long was never this file.
    let from = if there > total { 0 } else { there };
    let answer = ask(address, from, total)?;
    let resumed = answer.status() == StatusCode::PARTIAL_CONTENT && from > 0;
    let mut bytes = if resumed { from } else { 0 };
    let mut out = open(file, resumed).map_err(Failure::Disk)?;
    let mut body = answer.into_body().into_with_config().limit(total + 1).reader();
    let mut block = vec![0; 1 << 16];
    loop {
        let read = body.read(&mut block).map_err(|error| Failure::Remote(error.to_string()))?;
        let Some(piece) = block.get(..read).filter(|piece| !piece.is_empty()) else { break };
        bytes += read as u64;
        if bytes > total {
            return Err(Failure::Remote(format!("it is longer than the {total} bytes of the model")));
        }
        out.write_all(piece).map_err(Failure::Disk)?;
        progress(Progress { bytes, total });
    }
    out.sync_all().map_err(Failure::Disk)?;
    if bytes < total {
        return Err(Failure::Remote(format!("it ended after {bytes} of {total} bytes")));
    }
    Ok(())
}

/// Asks for the file, from a byte on.
fn ask(address: &str, from: u64, total: u64) -> Result<Response<ureq::Body>, Failure> {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(FETCH_SILENCE_MAX))
        .timeout_recv_response(Some(FETCH_SILENCE_MAX))
        .timeout_recv_body(Some(FETCH_SILENCE_MAX + Duration::from_secs(total / SLOWEST_BYTES_A_SECOND)))
        .build()
        .into();
    let mut request = agent.get(address);
    if from > 0 {
        request = request.header(header::RANGE, format!("bytes={from}-"));
    }
    let answer = request.call().map_err(|error| Failure::Remote(error.to_string()))?;
    match answer.status() {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(answer),
        status => Err(Failure::Remote(format!("the server answered {status}"))),
    }
}

/// A publisher slower than this is given up; the next try goes on from there.
const SLOWEST_BYTES_A_SECOND: u64 = 20_000;

fn open(file: &Path, resumed: bool) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(resumed).write(true).truncate(!resumed).open(file)
}
