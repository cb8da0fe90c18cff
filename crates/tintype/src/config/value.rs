//! Durations, sizes and colours as people write them.

use std::time::Duration;

/// `"500ms"`, `"30s"`, `"5m"`, `"2h"`, `"1d"`, or `"0"`.
///
/// # Errors
/// How to write it: a number without a unit may be meant as seconds or as days.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let Some((number, unit)) = split(text) else { return Err(no_duration(text)) };
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" if number == 0 => 0,
        "" => return Err(format!("{number} has no unit: write \"{number}s\" or \"{number}d\" (m: minutes, h: hours)")),
        _ => return Err(no_duration(text)),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(|| no_duration(text))
}

fn no_duration(text: &str) -> String {
    format!("{:?} is no duration: write \"30s\", \"5m\", \"2h\" or \"1d\"", text.trim())
}

/// `"10485760"`, `"10MiB"`, `"10MB"`, `"512 KiB"`.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" | "B" => 1,
        "KB" | "kB" => 1000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// `"#rrggbb"`, or `"#rgb"` for short.
pub fn parse_color(text: &str) -> Option<[u8; 3]> {
    let digits: Vec<u8> =
        text.strip_prefix('#')?.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    match digits[..] {
        [r, g, b] => Some([r * 17, g * 17, b * 17]),
        [a, b, c, d, e, f] => Some([a * 16 + b, c * 16 + d, e * 16 + f]),
        _ => None,
    }
}

/// An address without what may be a secret in it: a password, and the query.
pub fn without_secrets(address: &str) -> String {
    let (address, query) = address.split_once(['?', '#']).map_or((address, ""), |(address, _)| (address, "?…"));
    let Some((scheme, rest)) = address.split_once("://") else { return format!("{address}{query}") };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or_else(|| authority.to_owned(), |(_, host)| format!("…@{host}"));
    format!("{scheme}://{host}{path}{query}")
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..digits].parse().ok()?, text[digits..].trim()))
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        for (url, expected) in [
            ("https://example.com/hook/{id}", "https://example.com/hook/{id}"),
            ("https://user:p@ss@example.com:8443/a@b?token=x@y", "https://…@example.com:8443/a@b?…"),
            ("http://[::1]:80", "http://[::1]:80"),
            ("no address?token=x", "no address?…"),
        ] {
            assert_eq!(without_secrets(url), expected);
        }
    }
}
