//! Digest authentication, both sides (RFC 7616, RFC 8760): MD5 and SHA-256, qop `auth`, counted and expiring nonces.
//!
//! A nonce costs nothing until it was used rightly: it carries its own time and a keyed hash over time and source.
//! A wrong user and a wrong password take the same path and give the same answer.

use std::{collections::BTreeMap, fmt::Write as _, net::IpAddr, time::Duration};

use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::{
    config::{Credentials, DigestAlgorithm, Secret, UserCredential},
    message::{octets, split_list},
};

/// Challenges requests and judges what comes back.
#[derive(Debug)]
pub(crate) struct Guard {
    realm: String,
    users: BTreeMap<String, Secret>,
    algorithms: Vec<DigestAlgorithm>,
    life: Duration,
    key: [u8; 32],
    /// Nonces that were used rightly, with their highest count. Ordered by time, because a nonce begins with it.
    counts: BTreeMap<String, u32>,
    /// Challenges so far: two phones behind one address never get the same nonce.
    issued: u32,
}

/// What an Authorization header is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It proves this user.
    Proven(String),
    /// There is none for our realm.
    Missing,
    /// The credentials may be right but the nonce is old, foreign or used up: ask again.
    Stale,
    /// Wrong user or wrong password.
    Wrong,
}

/// What a challenge depends on besides time and source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    /// The credentials may be right, but their nonce is not good any more.
    pub(crate) stale: bool,
    /// What the phone calls itself.
    pub(crate) agent: Option<&'a str>,
}

/// Phones that give up at once when any challenge names a hash that they do not know (JsSIP reads the last challenge
/// only). They get MD5 alone; nothing is lost by it, because an answer by MD5 would be taken from anybody.
const ONLY_MD5: [&str; 3] = ["baresip v0.", "baresip v1.", "JsSIP "];

/// Nonces whose counts are kept; at the limit a new one is called stale until older ones have expired.
const COUNTS_MAX: usize = 100_000;

impl Guard {
    pub(crate) fn new(
        realm: &str,
        users: &[UserCredential],
        algorithms: &[DigestAlgorithm],
        key: [u8; 32],
    ) -> Self {
        Self {
            realm: realm.to_owned(),
            users: users.iter().map(|known| (known.user.clone(), known.secret.clone())).collect(),
            algorithms: algorithms.to_vec(),
            life: Duration::from_secs(300),
            key,
            counts: BTreeMap::new(),
            issued: 0,
        }
    }

    pub(crate) const fn with_life(mut self, life: Duration) -> Self {
        self.life = life;
        self
    }

    pub(crate) fn knows_anybody(&self) -> bool {
        !self.users.is_empty()
    }

    pub(crate) fn knows(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }

    /// The values of the WWW-Authenticate headers, most wanted first.
    pub(crate) fn challenges(&mut self, now: Duration, source: IpAddr, ask: Ask<'_>) -> Vec<String> {
        let only_md5 = self.algorithms.contains(&DigestAlgorithm::Md5)
            && ask.agent.is_some_and(|agent| ONLY_MD5.iter().any(|known| agent.starts_with(known)));
        self.issued = self.issued.wrapping_add(1);
        let nonce = self.nonce(now, self.issued, source);
        let stale = if ask.stale { ", stale=true" } else { "" };
        self.algorithms
            .iter()
            .filter(|algorithm| !only_md5 || **algorithm == DigestAlgorithm::Md5)
            .map(|algorithm| {
                format!(
                    "Digest realm=\"{}\", nonce=\"{nonce}\", algorithm={}, qop=\"auth\"{stale}",
                    self.realm,
                    algorithm.name()
                )
            })
            .collect()
    }

    fn nonce(&self, issued: Duration, salt: u32, source: IpAddr) -> String {
        let issued = u64::try_from(issued.as_millis()).unwrap_or(u64::MAX);
        let mut hash = Sha256::new();
        hash.update(self.key);
        hash.update(b"nonce");
        hash.update(issued.to_be_bytes());
        hash.update(salt.to_be_bytes());
        hash.update(source.to_canonical().to_string().as_bytes());
        let digest = hex::encode(hash.finalize().get(..16).unwrap_or_default());
        format!("{issued:016x}{salt:08x}{digest}")
    }

    /// Judges the Authorization values of one request.
    pub(crate) fn judge<'a>(
        &mut self,
        now: Duration,
        source: IpAddr,
        method: &str,
        values: impl Iterator<Item = &'a str>,
    ) -> Verdict {
        let found =
            values.filter_map(Params::read).find(|params| params.value("realm") == Some(self.realm.as_str()));
        match found {
            Some(params) => self.judge_one(now, source, method, &params),
            None => Verdict::Missing,
        }
    }

    /// The user that credentials for our realm name, proven or not.
    pub(crate) fn claimed<'a>(&self, mut values: impl Iterator<Item = &'a str>) -> Option<String> {
        values.find_map(|value| {
            let params = Params::read(value)?;
            (params.value("realm") == Some(self.realm.as_str()))
                .then(|| params.value("username").unwrap_or("").to_owned())
        })
    }

    fn judge_one(&mut self, now: Duration, source: IpAddr, method: &str, params: &Params) -> Verdict {
        let text = |name| params.value(name).unwrap_or("");
        let algorithm = match DigestAlgorithm::read(params.value("algorithm").unwrap_or("MD5")) {
            Some(algorithm) if self.algorithms.contains(&algorithm) => algorithm,
            Some(_) | None => return Verdict::Stale,
        };
        let user = text("username");
        let known = self.users.get(user);
        // The work is the same for a user that does not exist.
        let nobody = Secret::Password(String::new());
        let ha1 = algorithm.secret(known.unwrap_or(&nobody), user, &self.realm);
        let ha2 = algorithm.hash(&[method, text("uri")]);
        let expected = algorithm.hash(&[
            ha1.as_deref().unwrap_or(""),
            text("nonce"),
            text("nc"),
            text("cnonce"),
            "auth",
            &ha2,
        ]);
        let proven =
            same(&expected, &text("response").to_ascii_lowercase()) && known.is_some() && ha1.is_some();
        // A stale nonce says nothing about the password, so it is looked at first.
        let Some(count) = self.count(now, source, params) else { return Verdict::Stale };
        if !proven || !text("qop").eq_ignore_ascii_case("auth") {
            return Verdict::Wrong;
        }
        self.counts.insert(text("nonce").to_owned(), count);
        Verdict::Proven(user.to_owned())
    }

    /// The nonce count, if the nonce is ours, for this source, not expired, and the count is a new one.
    fn count(&mut self, now: Duration, source: IpAddr, params: &Params) -> Option<u32> {
        let nonce = params.value("nonce")?;
        let issued = Duration::from_millis(u64::from_str_radix(nonce.get(..16)?, 16).ok()?);
        let salt = u32::from_str_radix(nonce.get(16..24)?, 16).ok()?;
        if !same(&self.nonce(issued, salt, source), nonce) || issued > now || now - issued > self.life {
            return None;
        }
        let oldest = format!("{:016x}", now.saturating_sub(self.life).as_millis());
        while self.counts.first_key_value().is_some_and(|(known, _)| *known < oldest) {
            self.counts.pop_first();
        }
        let count = u32::from_str_radix(params.value("nc")?, 16).ok()?;
        match self.counts.get(nonce) {
            Some(&last) => (count > last).then_some(count),
            None => (count > 0 && self.counts.len() < COUNTS_MAX).then_some(count),
        }
    }
}

impl DigestAlgorithm {
    /// Its name on the wire.
    const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    fn read(name: &str) -> Option<Self> {
        [Self::Md5, Self::Sha256].into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
    }

    /// The hash, in hexadecimal, of the parts joined by colons.
    fn hash(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        match self {
            Self::Md5 => hex::encode(<Md5 as md5::Digest>::digest(octets::give(&text))),
            Self::Sha256 => hex::encode(Sha256::digest(octets::give(&text))),
        }
    }

    fn secret(self, secret: &Secret, user: &str, realm: &str) -> Option<String> {
        match (secret, self) {
            (Secret::Password(password), _) => Some(self.hash(&[user, realm, password])),
            (Secret::Hashed { md5, .. }, Self::Md5) => md5.as_ref().map(|known| known.to_ascii_lowercase()),
            (Secret::Hashed { sha256, .. }, Self::Sha256) => {
                sha256.as_ref().map(|known| known.to_ascii_lowercase())
            }
        }
    }
}

/// The parameters of a Digest challenge or of credentials.
struct Params(Vec<(String, String)>);

impl Params {
    fn read(value: &str) -> Option<Self> {
        let (scheme, rest) = value.trim().split_once(|c: char| c.is_ascii_whitespace())?;
        scheme.eq_ignore_ascii_case("Digest").then(|| {
            Self(
                split_list(rest)
                    .filter_map(|part| part.split_once('='))
                    .map(|(name, value)| (name.trim().to_ascii_lowercase(), unquoted(value.trim())))
                    .collect(),
            )
        })
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return text.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut escaped = false;
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            out.push(c);
            escaped = false;
        }
    }
    out
}

/// Compares without telling by time where the difference is.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// A request that was challenged, to be sent again with credentials.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) cnonce: &'a str,
}

/// Answers the best of these challenges: SHA-256 before MD5. `None` if none can be answered.
pub(crate) fn authorize<'a>(
    challenges: impl Iterator<Item = &'a str>,
    credentials: &Credentials,
    asked: &Asked<'_>,
) -> Option<String> {
    let mut best: Option<(DigestAlgorithm, String, Params)> = None;
    for params in challenges.filter_map(Params::read) {
        let Some(algorithm) = DigestAlgorithm::read(params.value("algorithm").unwrap_or("MD5")) else {
            continue;
        };
        let Some(ha1) =
            algorithm.secret(&credentials.secret, &credentials.user, params.value("realm").unwrap_or(""))
        else {
            continue;
        };
        if best.as_ref().is_none_or(|(known, _, _)| *known < algorithm) {
            best = Some((algorithm, ha1, params));
        }
    }
    let (algorithm, ha1, params) = best?;
    let nonce = params.value("nonce")?;
    let ha2 = algorithm.hash(&[asked.method, asked.uri]);
    let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut value = format!(
        "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{}\", algorithm={}",
        quote(&credentials.user),
        quote(params.value("realm").unwrap_or("")),
        quote(nonce),
        asked.uri,
        algorithm.name()
    );
    let wants_auth =
        params.value("qop").map(|qop| qop.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth")));
    // Writing to a String cannot fail.
    match wants_auth {
        Some(true) => {
            let response = algorithm.hash(&[&ha1, nonce, "00000001", asked.cnonce, "auth", &ha2]);
            write!(value, ", qop=auth, nc=00000001, cnonce=\"{}\", response=\"{response}\"", asked.cnonce)
                .unwrap_or_default();
        }
        None => write!(value, ", response=\"{}\"", algorithm.hash(&[&ha1, nonce, &ha2])).unwrap_or_default(),
        Some(false) => return None,
    }
    if let Some(opaque) = params.value("opaque") {
        write!(value, ", opaque=\"{}\"", quote(opaque)).unwrap_or_default();
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
    const NOW: Duration = Duration::from_secs(1_000);

    fn guard(algorithms: &[DigestAlgorithm]) -> Guard {
        let users = [UserCredential { user: "ann".into(), secret: Secret::Password("pa\"ss".into()) }];
        Guard::new("segue", &users, algorithms, [7; 32]).with_life(Duration::from_secs(60))
    }

    const BOTH: [DigestAlgorithm; 2] = [DigestAlgorithm::Sha256, DigestAlgorithm::Md5];

    fn answer(guard: &mut Guard, user: &str, password: &str) -> String {
        let challenges = guard.challenges(NOW, SOURCE, Ask { stale: false, agent: None });
        let credentials = Credentials { user: user.into(), secret: Secret::Password(password.into()) };
        let asked = Asked { method: "REGISTER", uri: "sip:segue", cnonce: "c0ffee" };
        authorize(challenges.iter().map(String::as_str), &credentials, &asked).unwrap()
    }

    fn judge(guard: &mut Guard, now: Duration, source: IpAddr, value: &str) -> Verdict {
        guard.judge(now, source, "REGISTER", std::iter::once(value))
    }

    #[test]
    fn the_examples_of_rfc_7616_come_out() {
        // RFC 7616 §3.9.1.
        for (algorithm, response) in [
            (DigestAlgorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (DigestAlgorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let ha1 = algorithm.hash(&["Mufasa", "http-auth@example.org", "Circle of Life"]);
            let ha2 = algorithm.hash(&["GET", "/dir/index.html"]);
            let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            assert_eq!(algorithm.hash(&[&ha1, nonce, "00000001", cnonce, "auth", &ha2]), response);
        }
    }

    #[test]
    fn the_right_password_is_proven_by_either_hash() {
        for algorithms in [&BOTH[..], &BOTH[1..]] {
            let mut guard = guard(algorithms);
            let value = answer(&mut guard, "ann", "pa\"ss");
            assert_eq!(value.contains("SHA-256"), algorithms.len() == 2);
            assert_eq!(judge(&mut guard, NOW, SOURCE, &value), Verdict::Proven("ann".into()));
        }
    }

    #[test]
    fn phones_that_stumble_over_an_unknown_hash_are_asked_for_md5_alone() {
        let mut guard = guard(&BOTH);
        let mut count = |agent| guard.challenges(NOW, SOURCE, Ask { stale: false, agent }).len();
        for (agent, challenges) in [
            (Some("baresip v1.0.0 (x86_64/linux)"), 1),
            (Some("JsSIP 3.13.8"), 1),
            (Some("Phone 3"), 2),
            (None, 2),
        ] {
            assert_eq!(count(agent), challenges, "{agent:?}");
        }
    }

    #[test]
    fn a_wrong_user_and_a_wrong_password_look_the_same() {
        let mut guard = guard(&BOTH);
        for (user, password) in [("ann", "wrong"), ("bob", "pa\"ss"), ("", "")] {
            let value = answer(&mut guard, user, password);
            assert_eq!(judge(&mut guard, NOW, SOURCE, &value), Verdict::Wrong);
        }
    }

    #[test]
    fn a_nonce_is_good_once_a_count_for_its_source_until_it_expires() {
        let mut guard = guard(&BOTH);
        let value = answer(&mut guard, "ann", "pa\"ss");
        assert_eq!(judge(&mut guard, NOW, OTHER, &value), Verdict::Stale);
        assert_eq!(judge(&mut guard, NOW + Duration::from_secs(61), SOURCE, &value), Verdict::Stale);
        assert_eq!(judge(&mut guard, NOW, SOURCE, &value), Verdict::Proven("ann".into()));
        assert_eq!(judge(&mut guard, NOW, SOURCE, &value), Verdict::Stale);
        let forged = value.replacen("nonce=\"0", "nonce=\"1", 1);
        assert_eq!(judge(&mut guard, NOW, SOURCE, &forged), Verdict::Stale);
    }

    #[test]
    fn a_hash_in_place_of_a_password_is_enough() {
        let ha1 = DigestAlgorithm::Md5.hash(&["ann", "segue", "pa\"ss"]);
        let secret = Secret::Hashed { md5: Some(ha1.to_ascii_uppercase()), sha256: None };
        let users = [UserCredential { user: "ann".into(), secret }];
        let mut guard = Guard::new("segue", &users, &[DigestAlgorithm::Md5], [7; 32]);
        let value = answer(&mut guard, "ann", "pa\"ss");
        assert_eq!(judge(&mut guard, NOW, SOURCE, &value), Verdict::Proven("ann".into()));
        let mut strong = Guard::new("segue", &users, &BOTH, [7; 32]);
        let value = answer(&mut strong, "ann", "pa\"ss");
        assert_eq!(judge(&mut strong, NOW, SOURCE, &value), Verdict::Wrong);
    }

    #[test]
    fn other_realms_and_schemes_are_not_for_us() {
        let mut guard = guard(&BOTH);
        for value in ["", "Basic abc", "Digest", "Digest realm=\"other\"", "Digest realm"] {
            assert_eq!(judge(&mut guard, NOW, SOURCE, value), Verdict::Missing, "{value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_header_proves_anything_by_chance(tail in "[ -~]{0,200}") {
            let mut guard = guard(&BOTH);
            let value = format!("Digest realm=\"segue\", {tail}");
            proptest::prop_assert!(!matches!(judge(&mut guard, NOW, SOURCE, &value), Verdict::Proven(_)));
        }
    }
}
