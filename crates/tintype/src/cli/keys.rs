//! `tintype keys`: API keys made, listed and revoked, beside a server that runs or without one.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tintype::app::open_ledger;
use tintype::auth::{NewKey, Scope, Scopes, id_of};
use tintype::config::{Config, parse_duration};
use tintype::ledger::{ApiKey, Ledger, LedgerError, SqlLedger};

use super::place::Place;
use super::{DONE, FAILED, USAGE, report, runtime};

/// Make, list and revoke the API keys that servers call with.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tintype keys create --name backend --scope uploads:create --scope uploads:read
  tintype keys create --name pager --scope deliveries --expires 90d
  tintype keys list
  tintype keys revoke k7m2q9x4ab

A running server knows of it within two seconds. Once there is a key, every call needs one.")]
pub struct KeysArgs {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    place: Place,
}

#[derive(Subcommand)]
enum Command {
    Create(CreateArgs),
    List(ListArgs),
    Revoke(RevokeArgs),
}

/// Make a key and print it: this once, since only its hash is kept.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tintype keys create --name backend --scope uploads:create --scope uploads:read
  tintype keys create --name shop --scope uploads:create --scope uploads:write    it claims, retries and deletes too
  tintype keys create --name prometheus --scope metrics
  tintype keys create --name pager --scope deliveries --expires 90d")]
struct CreateArgs {
    /// What you call it
    #[arg(long, value_parser = name)]
    name: String,
    /// What it may do, once or more: uploads:create, uploads:read, uploads:write, results, events, deliveries, metrics, or admin for all
    #[arg(long, required = true, value_parser = scope)]
    scope: Vec<Scope>,
    /// How long it is good, with a unit: 12h, 90d [default: until it is revoked]
    #[arg(long, value_name = "DURATION", value_parser = expiry)]
    expires: Option<time::Duration>,
}

/// List the keys: never the keys themselves.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tintype keys list
  tintype keys list --json | jq -r .name")]
struct ListArgs {
    /// As JSON, one key a line
    #[arg(long)]
    json: bool,
}

/// End a key for good.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tintype keys revoke k7m2q9x4ab")]
struct RevokeArgs {
    /// The id, as `tintype keys list` shows it
    id: String,
}

fn name(text: &str) -> Result<String, String> {
    let good = (1..=100).contains(&text.len()) && !text.chars().any(char::is_control);
    if good {
        Ok(text.to_owned())
    } else {
        Err("a name has 1 to 100 bytes, none of them a control character".to_owned())
    }
}

fn scope(text: &str) -> Result<Scope, String> {
    let known: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    Scope::parse(text).ok_or_else(|| format!("scopes are: {}", known.join(", ")))
}

fn expiry(text: &str) -> Result<time::Duration, String> {
    let duration = time::Duration::try_from(parse_duration(text)?).ok();
    let bounded = duration.filter(|duration| duration.is_positive() && *duration <= time::Duration::days(36_500));
    bounded.ok_or_else(|| "it is above 0 and at most 36500d: write \"12h\" or \"90d\"".to_owned())
}

/// Does it.
pub fn run(args: &KeysArgs) -> u8 {
    let Some(config) = args.place.config() else {
        return USAGE;
    };
    match runtime().block_on(act(&config, &args.command)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tintype: {error:#}");
            FAILED
        }
    }
}

async fn act(config: &Config, command: &Command) -> anyhow::Result<u8> {
    // The first key is made before the first start, and so is its ledger.
    let ledger = match command {
        Command::Create(_) => open_ledger(config).await?,
        Command::List(_) | Command::Revoke(_) => {
            SqlLedger::attach(&config.ledger).await.map_err(|e| e.at_opening(&config.ledger))?
        }
    };
    let code = match command {
        Command::Create(args) => create(&ledger, args).await?,
        Command::List(args) => list(&ledger, args).await?,
        Command::Revoke(args) => revoke(&ledger, args).await?,
    };
    ledger.close().await;
    Ok(code)
}

async fn create(ledger: &SqlLedger, args: &CreateArgs) -> Result<u8, LedgerError> {
    let (key, now) = (NewKey::random(), OffsetDateTime::now_utc());
    let scopes: Scopes = args.scope.iter().copied().collect();
    let row = ApiKey {
        id: key.id.clone(),
        name: args.name.clone(),
        hash: key.hash().to_string(),
        scopes: scopes.to_string(),
        created_at: now,
        expires_at: args.expires.map(|expires| now + expires),
        last_used_at: None,
        revoked_at: None,
    };
    ledger.add_key(&row).await?;
    let end = match row.expires_at {
        Some(_) => format!("It expires at {}.", minute(row.expires_at)),
        None => "It does not expire.".to_owned(),
    };
    eprintln!(
        "key {} may: {scopes}. {end} Keep what follows: it is shown this once, and only its hash is kept.",
        key.id
    );
    Ok(if report::out(key.reveal()) { DONE } else { FAILED })
}

async fn list(ledger: &SqlLedger, args: &ListArgs) -> Result<u8, LedgerError> {
    let keys = ledger.keys().await?;
    let text = if args.json {
        keys.iter().map(|key| view(key).to_string()).collect::<Vec<_>>().join("\n")
    } else if keys.is_empty() {
        "no keys: `tintype keys create` makes one".to_owned()
    } else {
        table(&keys)
    };
    Ok(if text.is_empty() || report::out(&text) { DONE } else { FAILED })
}

async fn revoke(ledger: &SqlLedger, args: &RevokeArgs) -> Result<u8, LedgerError> {
    // Who has the key at hand, and not its id, need not look for it. The secret is not printed, be it of a key that there is or not.
    let id = args.id.trim();
    let id = id_of(id).unwrap_or(id);
    if ledger.revoke_key(id, OffsetDateTime::now_utc()).await? {
        eprintln!("key {id} is revoked; servers that run know within two seconds");
        return Ok(DONE);
    }
    let shown: String = id.chars().take(NewKey::ID_LENGTH).collect();
    eprintln!("tintype: there is no key {shown:?}: `tintype keys list` shows them");
    Ok(FAILED)
}

fn view(key: &ApiKey) -> Value {
    let at = |time: Option<OffsetDateTime>| time.and_then(|time| time.format(&Rfc3339).ok());
    json!({
        "id": key.id,
        "name": key.name,
        "scopes": key.scopes.split_whitespace().collect::<Vec<_>>(),
        "created_at": at(Some(key.created_at)),
        "last_used_at": at(key.last_used_at),
        "expires_at": at(key.expires_at),
        "revoked_at": at(key.revoked_at),
    })
}

fn table(keys: &[ApiKey]) -> String {
    let mut rows = vec![["id", "name", "scopes", "created", "last used", "expires", "revoked"].map(str::to_owned)];
    rows.extend(keys.iter().map(|key| {
        let times = [Some(key.created_at), key.last_used_at, key.expires_at, key.revoked_at].map(minute);
        let [created, used, expires, revoked] = times;
        [key.id.clone(), key.name.clone(), key.scopes.clone(), created, used, expires, revoked]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<_> = (0..rows[0].len()).map(width).collect();
    let line = |row: &[String; 7]| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A time to the minute, UTC, or a dash for never.
fn minute(time: Option<OffsetDateTime>) -> String {
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]Z");
    time.and_then(|time| time.format(&format).ok()).unwrap_or_else(|| "-".to_owned())
}
