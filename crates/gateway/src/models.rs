//! `segue models`: what there is, what is here, and getting one.

use std::{
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, bail};
use segue_speech::{
    ModelCatalogue, WhisperEngine,
    models::{Listed, Presence},
};

use crate::{
    bar,
    cli::{ModelsArgs, ModelsCommand},
    telemetry::{complain, say},
};

/// Runs the subcommand.
///
/// # Errors
/// The manifest cannot be read, or a model is missing, wrong or cannot be fetched; the text says what to do.
pub(crate) fn run(args: &ModelsArgs) -> anyhow::Result<ExitCode> {
    let catalogue = || ModelCatalogue::load(&args.models);
    match &args.command {
        ModelsCommand::List => list(&catalogue()?),
        ModelsCommand::Fetch { name, mirror } => fetch(&catalogue()?, name, mirror.as_deref()),
        ModelsCommand::Add { file, name } => add(&args.models, file, name),
        ModelsCommand::Try { file } => {
            WhisperEngine::try_out(file)?;
            Ok(ExitCode::SUCCESS)
        }
        ModelsCommand::Verify { name } => verify(&catalogue()?, name.as_deref()),
    }
}

fn list(catalogue: &ModelCatalogue) -> anyhow::Result<ExitCode> {
    for Listed { model, path, presence } in catalogue.list() {
        let state = match presence {
            Presence::Present => "here".to_owned(),
            Presence::Partial { bytes } => {
                format!("{} of {} fetched", megabytes(bytes), megabytes(model.size))
            }
            Presence::WrongSize { bytes } => format!("wrong: {bytes} bytes instead of {}", model.size),
            Presence::Missing => "not here".to_owned(),
        };
        let demo = if model.demo { ", for the demo alone" } else { "" };
        say(&format!(
            "{:<16} {:>9}  {state:<12} {}{demo} ({})",
            model.name,
            megabytes(model.size),
            model.purpose,
            model.licence
        ));
        if presence == Presence::Missing
            && let Some(source) = &model.source
        {
            say(&format!("{:28}{source} → {}", "", path.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn fetch(catalogue: &ModelCatalogue, name: &str, mirror: Option<&str>) -> anyhow::Result<ExitCode> {
    let watched = bar::is_watched();
    let mut told = 0;
    let fetched = catalogue.fetch(name, mirror, &mut |progress| {
        let percent = progress.bytes * 100 / progress.total.max(1);
        if watched && percent > told {
            told = percent;
            let of = format!("{name}, {}", megabytes(progress.total));
            bar::draw(&of, usize::try_from(percent).unwrap_or(100), 100, " %");
        } else if percent >= told + 5 {
            told = percent;
            say(&format!("{name}: {percent} % of {}", megabytes(progress.total)));
        }
    });
    bar::take_away();
    let verified = fetched?;
    say(&format!("{name} is here and sound: {}", verified.path().display()));
    Ok(ExitCode::SUCCESS)
}

fn add(folder: &Path, file: &Path, name: &str) -> anyhow::Result<ExitCode> {
    // What is no model at all, or has a name that is taken, is told in plain words before anything is loaded.
    ModelCatalogue::look_at(folder, file, name)?;
    try_out(file)?;
    let verified = ModelCatalogue::add(folder, file, name)?;
    say(&format!("{name} is at {} and in manifest.local.toml beside it", verified.path().display()));
    say(&format!("use it: recognition = {{ engine = \"whisper\", model = \"{name}\" }}"));
    say(&format!("how well it hears: segue bench wer FOLDER --model {name}"));
    Ok(ExitCode::SUCCESS)
}

/// Has a process of its own load the file and decode a second of noise, and tells what became of it.
fn try_out(file: &Path) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("this program is not found any more")?;
    let tried = Command::new(program)
        .args(["models", "try"])
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .context("whisper cannot be started for a trial")?;
    if tried.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&tried.stderr);
    let told = told.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    let file = file.display();
    match tried.status.signal() {
        None => bail!("{file} is not added: whisper cannot use it: {told}"),
        Some(signal) => bail!(
            "{file} is not added: whisper.cpp was ended by signal {signal} over it, as a gateway that used it would \
             be; it said: {told}"
        ),
    }
}

/// Every model that is here, or the one that is named; a model that is not here is only wrong if it was named.
fn verify(catalogue: &ModelCatalogue, name: Option<&str>) -> anyhow::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    let listed = catalogue.list();
    let wanted = listed.iter().filter(|listed| match name {
        Some(name) => listed.model.name == name,
        None => listed.presence != Presence::Missing,
    });
    let names: Vec<&str> = match name {
        Some(name) => vec![name],
        None => wanted.map(|listed| listed.model.name.as_str()).collect(),
    };
    for name in names {
        match catalogue.verify(name) {
            Ok(verified) => say(&format!("{name}: sound ({})", verified.path().display())),
            Err(error) => {
                complain(&format!("{name}: {error}"));
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
