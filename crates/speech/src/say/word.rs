//! What one written word is when spoken: mail and web addresses, money, times, dates, units, codes.

use super::number::{all_digits, cardinal, decimal, digits, ordinal, whole_number, year};

/// The names of a currency: one, many, one hundredth, many hundredths.
pub(super) type Coins = (&'static str, &'static str, &'static str, &'static str);

/// The neighbours of a word, in small letters and without punctuation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Around<'a> {
    pub(super) before: &'a str,
    pub(super) after: &'a str,
    /// A word before says that this is a name made of digits, not a count.
    pub(super) named: bool,
}

/// The spoken form of a word that is not spoken as it is written.
pub(super) fn spoken(word: &str, around: Around<'_>) -> Option<String> {
    mail(word)
        .or_else(|| web(word))
        .or_else(|| marked(word, around))
        .or_else(|| money(word))
        .or_else(|| word.strip_suffix('%').and_then(decimal).map(|number| format!("{number} percent")))
        .or_else(|| time(word, around))
        .or_else(|| date(word))
        .or_else(|| month_day(word, around))
        .or_else(|| placed(word))
        .or_else(|| number(word, around))
        .or_else(|| range(word, around))
        .or_else(|| fraction(word))
        .or_else(|| measured(word))
        .or_else(|| code(word, around))
}

fn mail(word: &str) -> Option<String> {
    let (name, host) = word.split_once('@')?;
    let whole = !name.is_empty() && host.contains('.') && !host.contains('@');
    whole.then(|| format!("{} at {}", address(name), address(host)))
}

fn web(word: &str) -> Option<String> {
    let bare = word.trim_start_matches("https://").trim_start_matches("http://");
    let host = bare.split('/').next().unwrap_or_default();
    let ending = host.rsplit('.').next().unwrap_or_default();
    let named = host.contains('.')
        && host.split('.').all(|part| part.bytes().any(|byte| byte.is_ascii_alphanumeric()))
        && HOST_ENDINGS.contains(&ending);
    (named || bare.len() < word.len() || bare.starts_with("www."))
        .then(|| address(bare.trim_end_matches('/')))
}

/// Reads a mail or web address sign by sign, words whole, digits one by one.
fn address(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut run = String::new();
    for letter in text.chars() {
        let sign = match letter {
            '.' => "dot",
            '-' => "dash",
            '_' => "underscore",
            '+' => "plus",
            '/' => "slash",
            ':' => "colon",
            letter if letter.is_ascii_digit() => "",
            letter => {
                run.push(letter);
                continue;
            }
        };
        if !run.is_empty() {
            words.push(std::mem::take(&mut run));
        }
        words.push(if sign.is_empty() { digits(letter.encode_utf8(&mut [0; 4])) } else { sign.to_owned() });
    }
    if !run.is_empty() {
        words.push(run);
    }
    words.join(" ")
}

/// `#1234`.
fn marked(word: &str, around: Around<'_>) -> Option<String> {
    let name = word.strip_prefix('#').filter(|name| name.bytes().any(|byte| byte.is_ascii_digit()))?;
    let name = spelled(name)?;
    Some(if around.before == "number" { name } else { format!("number {name}") })
}

/// `$49.99`, `€1,250`, `£0.50`, `-$5`.
fn money(word: &str) -> Option<String> {
    let (minus, word) = word.strip_prefix('-').map_or(("", word), |rest| ("minus ", rest));
    let sign = word.chars().next()?;
    let (_, coins) = CURRENCIES.iter().find(|(known, _)| *known == sign)?;
    amount(word.get(sign.len_utf8()..)?, coins).map(|amount| format!("{minus}{amount}"))
}

/// An amount in a currency.
pub(super) fn amount(text: &str, (one, many, cent, cents): &Coins) -> Option<String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole = whole_number(whole)?;
    let named = |count: u64, one: &str, many: &str| {
        format!("{} {}", cardinal(count), if count == 1 { one } else { many })
    };
    match fraction.len() {
        0 if !text.ends_with('.') => Some(named(whole, one, many)),
        2 if all_digits(fraction) => {
            let hundredths = whole_number(fraction)?;
            Some(match (whole, hundredths) {
                (_, 0) => named(whole, one, many),
                (0, _) => named(hundredths, cent, cents),
                _ => format!("{} and {}", named(whole, one, many), named(hundredths, cent, cents)),
            })
        }
        _ => Some(format!("{} {many}", decimal(text)?)),
    }
}

/// The names of a currency by its sign, its code or its word.
pub(super) fn currency(name: &str) -> Option<&'static Coins> {
    let sign = match name {
        "usd" | "dollars" | "dollar" => '$',
        "eur" | "euros" | "euro" => '€',
        "gbp" | "pounds" | "pound" => '£',
        _ => return None,
    };
    CURRENCIES.iter().find(|(known, _)| *known == sign).map(|(_, coins)| coins)
}

/// `10:30`, `9:05pm`, `14:00`, `9am`.
fn time(word: &str, around: Around<'_>) -> Option<String> {
    let small = word.to_ascii_lowercase();
    let (clock, half) = ["am", "pm"]
        .into_iter()
        .find_map(|half| small.strip_suffix(half).map(|clock| (clock, Some(half))))
        .unwrap_or((small.as_str(), None));
    let half_follows = half.is_some() || matches!(around.after, "am" | "pm" | "a.m" | "p.m");
    let half = half.map_or(String::new(), |half| format!(" {} m", half.trim_end_matches('m')));
    let Some((hours, minutes)) = clock.split_once(':') else {
        let hour = whole_number(clock).filter(|hour| !half.is_empty() && (1..=12).contains(hour))?;
        return Some(format!("{}{half}", cardinal(hour)));
    };
    if !all_digits(hours) || hours.len() > 2 || !all_digits(minutes) || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (whole_number(hours)?, whole_number(minutes)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let clock = match minutes {
        0 if half_follows => cardinal(hours),
        0 if (1..=12).contains(&hours) => format!("{} o'clock", cardinal(hours)),
        0 => format!("{} hundred", cardinal(hours)),
        1..=9 => format!("{} oh {}", cardinal(hours), cardinal(minutes)),
        _ => format!("{} {}", cardinal(hours), cardinal(minutes)),
    };
    Some(format!("{clock}{half}"))
}

/// `2026-11-20`, `11/20/2026`, `20.11.2026`.
fn date(word: &str) -> Option<String> {
    let parts = |sign: char| -> Option<[u64; 3]> {
        let parts: Option<Vec<u64>> =
            word.split(sign).map(|part| whole_number(part).filter(|_| part.len() <= 4)).collect();
        parts?.try_into().ok()
    };
    let (year_number, month, day) = match (parts('-'), parts('/'), parts('.')) {
        (Some([year, month, day]), _, _) if year > 31 => (year, month, day),
        (_, Some([first, second, year]), _) if first <= 12 => (year, first, second),
        (_, Some([day, month, year]), _) | (_, _, Some([day, month, year])) => (year, month, day),
        _ => return None,
    };
    let plausible = (1_900..2_200).contains(&year_number) && (1..=31).contains(&day);
    let month = month_name(month).filter(|_| plausible)?;
    Some(format!("{month} {}, {}", ordinal(day), year(year_number)))
}

/// `November 20` and `20 November`.
fn month_day(word: &str, around: Around<'_>) -> Option<String> {
    let number = whole_number(word).filter(|_| all_digits(word))?;
    if is_month(around.before) {
        return match number {
            1..=31 => Some(ordinal(number)),
            1_900..2_200 => Some(year(number)),
            _ => None,
        };
    }
    if is_month(around.after) && (1..=31).contains(&number) {
        let of = if around.after == "may" && !matches!(around.before, "on" | "the" | "until" | "by") {
            return None;
        } else {
            "of"
        };
        let the = if around.before == "the" { "" } else { "the " };
        return Some(format!("{the}{} {of}", ordinal(number)));
    }
    let dated = matches!(around.before, "in" | "since" | "year" | "until" | "of") || around.before == "early";
    (dated && (1_900..2_100).contains(&number) && !is_counted(around.after)).then(|| year(number))
}

/// `1st`, `22nd`.
fn placed(word: &str) -> Option<String> {
    let small = word.to_ascii_lowercase();
    let ending = small.get(small.len().checked_sub(2)?..)?;
    let number = small.get(..small.len() - 2)?;
    matches!(ending, "st" | "nd" | "rd" | "th").then(|| whole_number(number)).flatten().map(ordinal)
}

/// A count, or digits one by one where they are a name.
fn number(word: &str, around: Around<'_>) -> Option<String> {
    let plain = all_digits(word);
    let leading_zero = plain && word.len() > 1 && word.starts_with('0');
    if plain && (leading_zero || word.len() >= LONG_NUMBER || (around.named && word.len() >= 2)) {
        return Some(digits(word));
    }
    decimal(word)
}

/// `2-4`, `2–4`, `$10-$20`, `9:00-17:00`; never where digits are a name.
fn range(word: &str, around: Around<'_>) -> Option<String> {
    if around.named {
        return None;
    }
    let (from, to) = word.split_once(['-', '–', '—'])?;
    let short = |text: &str| {
        decimal(text).filter(|_| text.len() <= 4).or_else(|| money(text)).or_else(|| time(text, around))
    };
    Some(format!("{} to {}", short(from)?, short(to)?))
}

/// `1/2`, `3/4`, `24/7`, and a day of a month.
fn fraction(word: &str) -> Option<String> {
    let (above, below) = word.split_once('/')?;
    let (above, below) = (whole_number(above)?, whole_number(below)?);
    let part = match (above, below) {
        (24, 7) => return Some("twenty four seven".to_owned()),
        (_, 2) => "half",
        (_, 3) => "third",
        (_, 4) => "quarter",
        (month @ 1..=12, day @ 1..=31) => return Some(format!("{} {}", month_name(month)?, ordinal(day))),
        _ => return Some(format!("{} slash {}", cardinal(above), cardinal(below))),
    };
    let many = if above == 1 { "" } else { "s" };
    Some(format!("{} {part}{many}", cardinal(above)))
}

/// `5kg`, `2.5GB`, `20°C`.
fn measured(word: &str) -> Option<String> {
    let split = word.find(|letter: char| !(letter.is_ascii_digit() || ".,-".contains(letter)))?;
    let (count, unit) = word.split_at_checked(split)?;
    let number = decimal(count)?;
    let (_, one, many) = UNITS.iter().find(|(sign, _, _)| *sign == unit)?;
    Some(format!("{number} {}", if count == "1" { one } else { many }))
}

/// A code of letters and digits: `AB12`, `ORD-20391`; a word with a small number behind it: `terminal2`.
fn code(word: &str, around: Around<'_>) -> Option<String> {
    let digit = word.bytes().any(|byte| byte.is_ascii_digit());
    let simple = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-/._".contains(&byte));
    if !digit || !simple {
        return None;
    }
    let shouted = !word.bytes().any(|byte| byte.is_ascii_lowercase());
    if shouted || around.named {
        return spelled(word);
    }
    let split = word.find(|letter: char| letter.is_ascii_digit())?;
    let (letters, rest) = word.split_at_checked(split)?;
    match whole_number(rest) {
        Some(count) if rest.len() <= 3 => {
            Some(format!("{} {}", letters.trim_end_matches('-'), cardinal(count)))
        }
        _ => spelled(word),
    }
}

/// Letter by letter and digit by digit, a short stop where a sign stands.
fn spelled(word: &str) -> Option<String> {
    let groups: Vec<String> = word
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|group| !group.is_empty())
        .map(|group| {
            let letter = |letter: char| {
                letter
                    .to_digit(10)
                    .map_or_else(|| letter.to_uppercase().to_string(), |digit| cardinal(u64::from(digit)))
            };
            group.chars().map(letter).collect::<Vec<_>>().join(" ")
        })
        .collect();
    (!groups.is_empty()).then(|| groups.join(", "))
}

pub(super) fn is_month(word: &str) -> bool {
    MONTHS.iter().any(|month| {
        let small = month.to_ascii_lowercase();
        word == small || (word.len() >= 3 && word.len() <= 4 && small.starts_with(word))
    })
}

fn month_name(number: u64) -> Option<&'static str> {
    MONTHS.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
}

/// A number before these is a count, whatever it looks like.
fn is_counted(word: &str) -> bool {
    ["customers", "people", "calls", "items", "euros", "dollars", "pounds", "minutes", "units"]
        .contains(&word)
}

/// From this many digits on, a number without commas is read digit by digit.
const LONG_NUMBER: usize = 7;

const HOST_ENDINGS: [&str; 9] = ["com", "org", "net", "io", "uk", "de", "eu", "fr", "example"];

const CURRENCIES: [(char, Coins); 3] = [
    ('$', ("dollar", "dollars", "cent", "cents")),
    ('€', ("euro", "euros", "cent", "cents")),
    ('£', ("pound", "pounds", "penny", "pence")),
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const UNITS: [(&str, &str, &str); 22] = [
    ("kg", "kilogram", "kilograms"),
    ("g", "gram", "grams"),
    ("km", "kilometer", "kilometers"),
    ("m", "meter", "meters"),
    ("cm", "centimeter", "centimeters"),
    ("mm", "millimeter", "millimeters"),
    ("h", "hour", "hours"),
    ("hr", "hour", "hours"),
    ("hrs", "hour", "hours"),
    ("min", "minute", "minutes"),
    ("mins", "minute", "minutes"),
    ("s", "second", "seconds"),
    ("sec", "second", "seconds"),
    ("ms", "millisecond", "milliseconds"),
    ("GB", "gigabyte", "gigabytes"),
    ("MB", "megabyte", "megabytes"),
    ("Mbps", "megabit per second", "megabits per second"),
    ("°C", "degree Celsius", "degrees Celsius"),
    ("°F", "degree Fahrenheit", "degrees Fahrenheit"),
    ("°", "degree", "degrees"),
    ("kWh", "kilowatt hour", "kilowatt hours"),
    ("x", "time", "times"),
];
