//! Why there was no answer, in words that help and hold no secret.

use std::error::Error;
use std::io::ErrorKind;

use url::Url;

use super::guard::Refused;

/// Says why a request came to nothing. Of the address it repeats host and port alone: the rest may hold a secret.
pub fn explain(error: &reqwest::Error, url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let at = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
    if let Some(refused) = find::<Refused>(error) {
        return refused.to_string();
    }
    if error.is_timeout() {
        return match error.is_connect() {
            true => format!("no connection to {at} in time: see callback.connect_timeout"),
            false => format!("{at} did not answer in time: see callback.timeout"),
        };
    }
    let last = last_words(error);
    if !error.is_connect() {
        return format!("{at} ended the connection before it had answered: {last}");
    }
    if last.contains("certificate") {
        return format!("the certificate of {at} is not believed: {last}");
    }
    match find::<std::io::Error>(error).map(std::io::Error::kind) {
        Some(ErrorKind::ConnectionRefused) => format!("nothing listens at {at}: {last}"),
        Some(ErrorKind::InvalidData) => format!("{at} does not speak TLS as it should: {last}"),
        _ if is_dns(error) => format!("the name {host} cannot be resolved: {last}"),
        _ => format!("{at} cannot be connected to: {last}"),
    }
}

/// Everything that led to an error, outermost first.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| match cause.downcast_ref::<std::io::Error>() {
        // What it was made of is itself no source of it.
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => (*cause).source(),
    })
}

fn find<T: Error + 'static>(error: &reqwest::Error) -> Option<&T> {
    causes(error).filter_map(|cause| cause.downcast_ref()).last()
}

fn is_dns(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| cause.to_string().starts_with("dns error"))
}

/// The innermost cause: outer ones say what it was for, and with it the address.
fn last_words(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| "no reason given".to_owned(), ToString::to_string)
}
