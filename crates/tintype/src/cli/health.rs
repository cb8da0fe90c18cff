//! `tintype health`: is a server ready. For a container's supervisor, whose image has no other HTTP client.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use clap::Args;
use url::Url;

use super::place::Place;
use super::report::out;
use super::{DONE, FAILED, USAGE, runtime};

/// Ask a running server whether it is ready.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tintype health                                    the server of this machine's configuration
  tintype health https://img.example.com/readyz     another one

Exit code: 0 ready (200 is answered), 1 not ready or out of reach, 2 wrong usage or configuration.")]
pub struct HealthArgs {
    /// Address of its /readyz [default: made of server.listen]
    #[arg(value_name = "URL")]
    url: Option<Url>,
    #[command(flatten)]
    place: Place,
}

/// Asks, and says what to do when the answer is no.
pub fn run(args: &HealthArgs) -> u8 {
    let Some(url) = args.url.as_ref().map(Url::to_string).or_else(|| configured(&args.place)) else {
        return USAGE;
    };
    match runtime().block_on(ask(&url)) {
        Ok(status) if status.as_u16() == 200 => return if out("ready") { DONE } else { FAILED },
        Ok(status) => eprintln!("tintype: {url} answers {status}: look into the server's log"),
        Err(error) => {
            let error = anyhow::Error::from(error);
            eprintln!("tintype: {error:#}: is `tintype serve` running, and does it listen there?");
        }
    }
    FAILED
}

fn configured(place: &Place) -> Option<String> {
    let config = place.config()?;
    let mut address = config.listen;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    Some(format!("{}://{address}/readyz", config.scheme()))
}

async fn ask(url: &str) -> reqwest::Result<http::StatusCode> {
    // A proxy of the environment is for what lies outside.
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).no_proxy().build()?;
    Ok(client.get(url).send().await?.status())
}
