//! a=crypto lines (RFC 4568 §9): read and written. A line that asks for what we do not do is passed over, as if it
//! named a suite that we do not know; the stream then needs another one.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use segue_media::security::{SrtpKey, Suite};

/// Lines read of one stream; what comes after them is passed over.
pub(super) const LINES_MAX: usize = 16;
/// RFC 4568 §6.1.
const TAG_MAX: u32 = 999_999_999;
const LIFETIME_MAX: u64 = 1 << 48;

/// The key that a line gives, if we can use it.
pub(super) fn read(value: &str) -> Option<SrtpKey> {
    let mut words = value.split_ascii_whitespace();
    let tag = words.next()?.parse().ok().filter(|tag| *tag <= TAG_MAX)?;
    let suite = Suite::of_name(words.next()?)?;
    let (method, key) = words.next()?.split_once(':')?;
    // Several keys in a line would have to be told apart by their identifiers.
    if !method.eq_ignore_ascii_case("inline") || key.contains(';') || !words.all(is_harmless) {
        return None;
    }
    let mut fields = key.split('|');
    let master = STANDARD_NO_PAD.decode(fields.next()?.trim_end_matches('=')).ok()?;
    if master.len() != suite.key_length() + suite.salt_length() {
        return None;
    }
    let mut key = SrtpKey { tag, suite, master, lifetime: None, mki: None, optional: false };
    for field in fields {
        match field.split_once(':') {
            Some((value, length)) if key.mki.is_none() => key.mki = Some(identifier(value, length)?),
            None if key.lifetime.is_none() && key.mki.is_none() => key.lifetime = Some(lifetime(field)?),
            Some(_) | None => return None,
        }
    }
    Some(key)
}

/// The value of the line that says a key.
pub(super) fn print(key: &SrtpKey) -> String {
    let mut text = format!("{} {} inline:{}", key.tag, key.suite.name(), STANDARD_NO_PAD.encode(&key.master));
    // The alphabet without padding is RFC 4568's own, but everybody pads.
    while text.rsplit(':').next().is_some_and(|code| code.len() % 4 != 0) {
        text.push('=');
    }
    if let Some(lifetime) = key.lifetime {
        text.push_str(&format!("|{lifetime}"));
    }
    if let Some((value, length)) = key.mki {
        text.push_str(&format!("|{value}:{length}"));
    }
    text
}

/// Session parameters that change nothing that we do: those that say so by a minus, a window that is only a hint,
/// and a derivation rate of none.
fn is_harmless(parameter: &str) -> bool {
    let upper = parameter.to_ascii_uppercase();
    parameter.starts_with('-') || upper.starts_with("WSH=") || upper == "KDR=0"
}

fn identifier(value: &str, length: &str) -> Option<(u32, u8)> {
    let (value, length): (u32, u8) = (value.parse().ok()?, length.parse().ok()?);
    let fits = length >= 4 || (length > 0 && value >> (8 * u32::from(length)) == 0);
    (fits && length <= 128).then_some((value, length))
}

/// A number of packets, plain or as a power of two.
fn lifetime(text: &str) -> Option<u64> {
    let packets = match text.split_once('^') {
        Some(("2", exponent)) => 1_u64.checked_shl(exponent.parse().ok()?)?,
        Some(_) => return None,
        None => text.parse().ok()?,
    };
    (1..=LIFETIME_MAX).contains(&packets).then_some(packets)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

    #[test]
    fn the_lines_of_the_rfc_are_read() {
        let key = read(&format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}|2^20|1:32")).unwrap();
        assert_eq!((key.tag, key.suite), (1, Suite::AesCm128Sha1Tag80));
        assert_eq!(key.master, b"wDfvg&T+)xG7@fb5jU,RaA}\\|p0%*#");
        assert_eq!((key.lifetime, key.mki), (Some(1 << 20), Some((1, 32))));
        let plain = read(&format!("999999999 aes_cm_128_hmac_sha1_32 {KEY} WSH=128 -X KDR=0")).unwrap();
        assert_eq!((plain.suite, plain.lifetime, plain.mki), (Suite::AesCm128Sha1Tag32, None, None));
    }

    #[test]
    fn a_line_that_asks_for_more_than_we_do_is_passed_over() {
        for line in [
            format!("1 F8_128_HMAC_SHA1_80 {KEY}"),
            format!("1000000000 AES_CM_128_HMAC_SHA1_80 {KEY}"),
            format!("1 AEAD_AES_128_GCM {KEY}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {KEY} UNENCRYPTED_SRTP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {KEY} KDR=3"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}|1:4;{KEY}|2:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}|2^49"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}|0"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}|300:1"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}|1:129"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}|1:4|2^20"),
            "1 AES_CM_128_HMAC_SHA1_80 inline:AAAA".to_owned(),
            "1 AES_CM_128_HMAC_SHA1_80 uri:x".to_owned(),
            "1 AES_CM_128_HMAC_SHA1_80".to_owned(),
            String::new(),
        ] {
            assert_eq!(read(&line), None, "{line}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for suite in Suite::ALL {
            let master =
                (0..suite.key_length() + suite.salt_length()).map(|n| (n as u8).wrapping_mul(7)).collect();
            for (lifetime, mki) in
                [(None, None), (Some(1 << 31), None), (None, Some((7, 4))), (Some(5), Some((1, 1)))]
            {
                let key =
                    SrtpKey { tag: 3, suite, master: Vec::clone(&master), lifetime, mki, optional: false };
                assert_eq!(read(&print(&key)), Some(key));
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(line in "[ -~]{0,80}", rest in "[0-9:;|^A-Za-z=+/-]{0,80}") {
            let read = [read(&line), read(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{rest}"))];
            proptest::prop_assert!(read.iter().flatten().all(|key| key.master.len() >= 28));
        }
    }
}
