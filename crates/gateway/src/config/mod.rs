//! Configuration: `segue.toml` and the files it names, read once, checked whole, every problem reported at once.
//!
//! Environment variables win over the file: `SEGUE__SIP__REALM=example.com` sets `sip.realm`.

mod checks;
mod document;
mod inband;
mod recognition;
mod sections;
mod ways;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use segue_acd::{AcdConfig, Language};
use segue_call::{Policy, Prompts};
use segue_trigger::{RuleSet, Rules};
use serde::{Deserialize, Serialize};

use self::document::Document;
pub(crate) use self::{
    document::Problem,
    recognition::{Recognition, RecognitionEngine, RemoteRecognition, code},
    sections::{
        AnswerWhen, Api, Bot, CodecName, Homer, Log, Media, Recording, RecordingMode, Reliable, Shutdown,
        Sip, SipDialogs, SipHeaders, SrtpRule, Store, Synthesis,
    },
    ways::SipTrunk,
};

/// `segue.toml` as it is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// The other files.
    pub(crate) files: sections::Files,
    /// Signalling.
    pub(crate) sip: Sip,
    /// Sound.
    pub(crate) media: Media,
    /// The bot.
    pub(crate) bot: Bot,
    /// Live transcription.
    pub(crate) recognition: Recognition,
    /// The gateway's own voice.
    pub(crate) synthesis: Synthesis,
    /// Times, limits, queues and words of a call.
    pub(crate) call: Policy,
    /// What is kept.
    pub(crate) store: Store,
    /// The HTTP interface.
    pub(crate) api: Api,
    /// Calls as files.
    pub(crate) recording: Recording,
    /// Copies for a collector.
    pub(crate) homer: Homer,
    /// How the program ends.
    pub(crate) shutdown: Shutdown,
    /// What the program tells.
    pub(crate) log: Log,
}

/// Everything the program runs by.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// `segue.toml` with the environment over it; the call policy has its prompts.
    pub(crate) settings: Settings,
    /// When a call is handed over.
    pub(crate) rules: Rules,
    /// Agents and queues.
    pub(crate) people: AcdConfig,
    /// What is allowed but probably not meant.
    pub(crate) warnings: Vec<Problem>,
}

/// Reads a configuration file and all files it names.
///
/// # Errors
/// Everything that is wrong in any of them, with file, line, key and remedy.
pub(crate) fn load(path: &Path, environment: &BTreeMap<String, String>) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let overrides = overrides(environment);
    let main = open(path, &overrides).map_err(|problem| vec![problem])?;
    let Some(mut settings) = main.read::<Settings>(&mut problems) else { return Err(problems) };
    let folder = path.parent().unwrap_or(Path::new("."));

    let people_file = folder.join(&settings.files.agents);
    let people = read_file::<AcdConfig>(&people_file, &mut problems);
    let rules = read_rules(&folder.join(&settings.files.triggers), &mut problems);
    for (language, prompts) in read_prompts(&folder.join(&settings.files.prompts), &mut problems) {
        settings.call.speech.prompts.insert(language, Arc::new(prompts));
    }
    let mut warnings = Vec::new();
    checks::check(&main, &settings, &mut problems, &mut warnings);
    if let Some(people) = &people
        && let Ok(document) = open(&people_file, "")
    {
        checks::check_people(&document, &settings, people, &mut problems);
    }
    match (people, rules) {
        (Some(people), Some(rules)) if problems.is_empty() => {
            Ok(Config { settings, rules, people, warnings })
        }
        _ => Err(problems),
    }
}

/// The rules of one file, compiled.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn load_rules(path: &Path) -> Result<RuleSet, Vec<Problem>> {
    let mut problems = Vec::new();
    let rules = read_rules(path, &mut problems);
    match rules.and_then(|rules| RuleSet::new(&rules).ok()) {
        Some(set) if problems.is_empty() => Ok(set),
        _ => Err(problems),
    }
}

/// The rules, and whether their patterns can be read.
fn read_rules(path: &Path, problems: &mut Vec<Problem>) -> Option<Rules> {
    let rules = read_file::<Rules>(path, problems)?;
    if let (Err(error), Ok(document)) = (RuleSet::new(&rules), open(path, "")) {
        problems.extend(error.problems.iter().map(|problem| {
            document.complain(
                &problem.key,
                problem.problem.clone(),
                "the head of the file says how patterns are written",
            )
        }));
    }
    Some(rules)
}

fn read_file<T: serde::de::DeserializeOwned>(path: &Path, problems: &mut Vec<Problem>) -> Option<T> {
    match open(path, "") {
        Ok(document) => document.read(problems),
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

fn open(path: &Path, overrides: &str) -> Result<Document, Problem> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Document::new(path, text, overrides)),
        Err(error) => Err(Problem {
            file: path.display().to_string(),
            line: 0,
            key: String::new(),
            what: format!("cannot be read: {error}"),
            remedy: "name another with --config, or under [files]; config/ of the repository has one of each"
                .to_owned(),
        }),
    }
}

/// Every `<language>.toml` of a folder, in the order of the names.
fn read_prompts(folder: &Path, problems: &mut Vec<Problem>) -> Vec<(Language, Prompts)> {
    let mut files: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(error) => {
            problems.push(Problem {
                file: folder.display().to_string(),
                line: 0,
                key: String::new(),
                what: format!("the prompts cannot be read: {error}"),
                remedy: "set files.prompts to a folder with en.toml and other languages".to_owned(),
            });
            return Vec::new();
        }
    };
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let mut prompts = Vec::new();
    for file in files {
        let Some(language) = file.file_stem().map(|stem| Language(stem.to_string_lossy().into_owned()))
        else {
            continue;
        };
        if let Some(read) = read_file::<Prompts>(&file, problems) {
            prompts.push((language, read));
        }
    }
    prompts
}

/// `SEGUE__SIP__REALM=x` as the TOML line `sip.realm = "x"`; a value that is TOML already stays as it is.
fn overrides(environment: &BTreeMap<String, String>) -> String {
    let mut lines = String::new();
    for (name, value) in environment {
        let Some(path) = name.strip_prefix("SEGUE__") else { continue };
        let key = path.split("__").map(str::to_lowercase).collect::<Vec<_>>().join(".");
        let is_toml = format!("value = {value}").parse::<toml::Table>().is_ok();
        let value = if is_toml { value.clone() } else { toml::Value::String(value.clone()).to_string() };
        lines.push_str(&format!("\n{key} = {value}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config")
    }

    #[test]
    fn the_shipped_configuration_is_sound() {
        let config = load(&shipped().join("segue.toml"), &BTreeMap::new());
        assert!(config.is_ok(), "{:#?}", config.err());
    }

    #[test]
    fn the_shipped_file_says_what_the_code_defaults_to() {
        let text = fs::read_to_string(shipped().join("segue.toml")).expect("shipped");
        let written: Settings = toml::from_str(&text).expect("sound");
        assert_eq!(written, Settings::default());
    }

    #[test]
    fn the_shipped_file_shows_every_key_with_a_reason() {
        let text = fs::read_to_string(shipped().join("segue.toml")).expect("shipped");
        let written: toml::Table = text.parse().expect("sound");
        let code = toml::Table::try_from(Settings::default()).expect("serialisable");
        let mut missing = Vec::new();
        compare(&code, &written, "", &mut missing);
        assert!(missing.is_empty(), "config/segue.toml lacks {missing:?}");
        let bare: Vec<_> = text
            .lines()
            .zip(text.lines().skip(1))
            .filter(|(above, line)| {
                line.contains(" = ")
                    && !line.starts_with('#')
                    && !line.contains("  # ")
                    && !above.starts_with('#')
            })
            .map(|(_, line)| line)
            .collect();
        assert!(bare.is_empty(), "config/segue.toml gives no reason for {bare:#?}");
    }

    fn compare(code: &toml::Table, written: &toml::Table, path: &str, missing: &mut Vec<String>) {
        for (key, value) in code {
            let name = format!("{path}{key}");
            // Prompts have files of their own.
            if name == "call.speech.prompts" {
                continue;
            }
            match (value, written.get(key)) {
                (_, None) => missing.push(name),
                (toml::Value::Table(code), Some(toml::Value::Table(written))) => {
                    compare(code, written, &format!("{name}."), missing);
                }
                (_, Some(_)) => {}
            }
        }
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let environment = BTreeMap::from([
            ("SEGUE__SIP__REALM".to_owned(), "example.com".to_owned()),
            ("SEGUE__SHUTDOWN__GRACE_S".to_owned(), "7".to_owned()),
            ("PATH".to_owned(), "/bin".to_owned()),
        ]);
        let config = load(&shipped().join("segue.toml"), &environment).expect("sound");
        assert_eq!(config.settings.sip.realm, "example.com");
        assert_eq!(config.settings.shutdown.grace_s, 7);
    }

    #[test]
    fn a_streaming_service_needs_a_websocket_s_address_and_a_model_of_its_own() {
        let with = |more: &[(&str, &str)]| {
            let named =
                |(key, value): &(&str, &str)| (format!("SEGUE__RECOGNITION__{key}"), (*value).to_owned());
            let environment = more.iter().chain(&[("ENGINE", "deepgram")]).map(named).collect();
            load(&shipped().join("segue.toml"), &environment)
        };
        let problems = format!("{:?}", with(&[]).expect_err("neither is there"));
        assert!(problems.contains("wss://") && problems.contains("nova-3"), "{problems}");
        let sound = [("REMOTE__ADDRESS", "wss://api.deepgram.com"), ("REMOTE__MODEL", "nova-3")];
        let config = with(&sound).expect("sound");
        assert_eq!(config.settings.recognition.engine, RecognitionEngine::Deepgram);
        assert!(with(&[("REMOTE__ADDRESS", "https://api.deepgram.com"), sound[1]]).is_err());
    }
}
