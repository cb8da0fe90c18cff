//! How callbacks are made and sent: `[callback]`, and the addresses that presets have of their own.

use std::time::Duration;

use url::{Position, Url};

use super::reader::Reader;
use crate::aws::secret::SecretArn;
use crate::callback::guard::Guard;
use crate::callback::{CallbackConfig, Secret};
use crate::preset::Presets;

/// Reads the section; inside is none when nobody is to be told of anything. `loopback`: only this machine reaches the API.
pub fn read(r: &mut Reader, loopback: bool, presets: Option<&Presets>) -> Option<Option<CallbackConfig>> {
    let url = r.text("callback.url");
    let method = r.one_of("callback.method", &["PUT", "POST"]);
    let secret = r.text("callback.secret");
    let secret = secret.filter(|text| !text.is_empty()).map(|text| Secret::parse(&text));
    if let Some(Err(problem)) = &secret {
        r.mistake::<()>("callback.secret", problem);
    }
    let secret_from = r.text("callback.secret_from");
    let secret_from = secret_from.filter(|text| !text.is_empty()).map(|text| SecretArn::parse(&text));
    if let Some(Err(problem)) = &secret_from {
        r.mistake::<()>("callback.secret_from", problem);
    }
    if secret.is_some() && secret_from.is_some() {
        r.mistake::<()>("callback.secret_from", "callback.secret is set too: leave one of them empty");
    }
    let previous_secrets = read_previous(r, secret.is_some() || secret_from.is_some());
    let guard = Guard {
        allow_private: r.boolean_or("callback.allow_private", "auto", loopback).unwrap_or_default(),
        allow_networks: r.networks("callback.allow_networks").unwrap_or_default(),
    };
    let connect_timeout = r.duration("callback.connect_timeout", Duration::from_millis(10), Duration::from_secs(300));
    let timeout = r.duration("callback.timeout", Duration::from_millis(10), Duration::from_secs(300));
    let concurrency = r.number("callback.concurrency", 1, 1000);
    let schedule = r.durations("callback.schedule");
    let url = url?;
    if let Err(problem) = check_url(&url) {
        return r.mistake("callback.url", problem);
    }
    if url.is_empty() && !presets?.iter().any(|preset| preset.callback_url.is_some()) {
        return Some(None);
    }
    Some(Some(CallbackConfig {
        url,
        method: method?,
        secret: secret.transpose().ok()?,
        secret_from: secret_from.transpose().ok()?,
        previous_secrets: previous_secrets?,
        guard,
        connect_timeout: connect_timeout?,
        timeout: timeout?,
        concurrency: concurrency? as usize,
        schedule: schedule?,
    }))
}

/// Whether callbacks can be sent there; empty is nowhere.
///
/// # Errors
/// What it must be.
pub fn check_url(url: &str) -> Result<(), &'static str> {
    if url.is_empty() {
        return Ok(());
    }
    let filled = |with: &str| url.replace("{id}", with).replace("{key}", with);
    if filled("").contains(['{', '}']) {
        return Err("only {id} and {key} are filled in");
    }
    let (one, other) = match (filled("a").parse::<Url>(), filled("b").parse::<Url>()) {
        (Ok(one), Ok(other)) if matches!(one.scheme(), "http" | "https") => (one, other),
        _ => return Err("it must be an http:// or https:// address; {id} and {key} are filled in"),
    };
    // What an upload is called does not choose who is called.
    if one[..Position::BeforePath] != other[..Position::BeforePath] {
        return Err("{id} and {key} are filled in behind the host alone: in the path and in the query");
    }
    Ok(())
}

fn read_previous(r: &mut Reader, has_secret: bool) -> Option<Vec<Secret>> {
    let key = "callback.previous_secrets";
    let secrets: Result<Vec<_>, _> = r.texts(key)?.iter().map(|text| Secret::parse(text)).collect();
    match secrets {
        Err(problem) => r.mistake(key, &format!("of each secret, {problem}")),
        Ok(secrets) if !secrets.is_empty() && !has_secret => {
            r.mistake(key, "there is none in force that they came before: set callback.secret or callback.secret_from")
        }
        Ok(secrets) => Some(secrets),
    }
}
