//! `segue models`: what there is, what is here, and getting one.

use std::{path::Path, process::ExitCode};

use segue_speech::{
    ModelCatalogue,
    models::{Listed, Presence},
};

use crate::{
    cli::{ModelsArgs, ModelsCommand},
    telemetry::{complain, say},
};

/// Runs the subcommand.
///
/// # Errors
/// The manifest cannot be read, or a model is missing, wrong or cannot be fetched; the text says what to do.
pub(crate) fn run(args: &ModelsArgs) -> anyhow::Result<ExitCode> {
    let catalogue = ModelCatalogue::load(&args.models)?;
    match &args.command {
        ModelsCommand::List => list(&catalogue),
        ModelsCommand::Fetch { name, mirror } => fetch(&catalogue, name, mirror.as_deref()),
        ModelsCommand::Add { file, name } => add(&args.models, file, name),
        ModelsCommand::Verify { name } => verify(&catalogue, name.as_deref()),
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
    let mut told = 0;
    let verified = catalogue.fetch(name, mirror, &mut |progress| {
        let percent = progress.bytes * 100 / progress.total.max(1);
        if percent >= told + 5 {
            told = percent;
            say(&format!("{name}: {percent} % of {}", megabytes(progress.total)));
        }
    })?;
    say(&format!("{name} is here and sound: {}", verified.path().display()));
    Ok(ExitCode::SUCCESS)
}

fn add(folder: &Path, file: &Path, name: &str) -> anyhow::Result<ExitCode> {
    let verified = ModelCatalogue::add(folder, file, name)?;
    say(&format!("{name} is at {} and in manifest.local.toml beside it", verified.path().display()));
    say(&format!("use it: recognition = {{ engine = \"whisper\", model = \"{name}\" }}"));
    say(&format!("how well it hears: segue bench wer FOLDER --model {name}"));
    Ok(ExitCode::SUCCESS)
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
