#![allow(clippy::unwrap_used)]
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::*;

const EMAIL: &str = "push@project.iam.gserviceaccount.com";
const AUDIENCE: &str = "https://img.example.com/v1/events";

fn config() -> OidcConfig {
    OidcConfig {
        issuer: "https://accounts.google.com".to_owned(),
        // Nothing listens there: who asks for keys finds none.
        jwks_url: "http://127.0.0.1:1/certs".parse().unwrap(),
        audience: AUDIENCE.to_owned(),
        emails: vec![EMAIL.to_owned()],
    }
}

fn rsa() -> EncodingKey {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    // PKCS #1 is what PKCS #8 has inside, after 26 bytes that say that it is RSA.
    EncodingKey::from_rsa_der(&der.as_ref()[26..])
}

fn ec() -> EncodingKey {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref())
}

/// A verifier that has fetched this key just now.
fn knows(key: &EncodingKey, algorithm: Algorithm) -> Oidc {
    let mut jwk = Jwk::from_encoding_key(key, algorithm).unwrap();
    jwk.common.key_id = Some("k1".to_owned());
    let keys = Keys {
        set: Some((Instant::now(), Arc::new(JwkSet { keys: vec![jwk] }))),
        tried: Some(Instant::now()),
        failed: None,
    };
    Oidc { keys: Mutex::new(keys), ..Oidc::new(config()).unwrap() }
}

fn claims() -> Value {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    json!({"iss": "https://accounts.google.com", "aud": AUDIENCE, "exp": now + 3600, "iat": now, "sub": "1",
           "email": EMAIL, "email_verified": true})
}

fn token(key: &EncodingKey, algorithm: Algorithm, kid: &str, claims: &Value) -> String {
    encode(&Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) }, claims, key).unwrap()
}

#[tokio::test]
async fn a_token_of_the_service_account_is_good() {
    for (key, algorithm) in [(rsa(), Algorithm::RS256), (ec(), Algorithm::ES256)] {
        let oidc = knows(&key, algorithm);
        let token = token(&key, algorithm, "k1", &claims());
        assert!(Oidc::is_token(&token));
        assert_eq!(oidc.verify(&token).await, Ok(()), "{algorithm:?}");
    }
}

#[tokio::test]
async fn every_claim_is_looked_at() {
    let key = ec();
    let oidc = knows(&key, Algorithm::ES256);
    let past = OffsetDateTime::now_utc().unix_timestamp() - 120;
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("https://other.example/v1/events")),
        ("exp", json!(past)),
        ("exp", Value::Null),
        ("nbf", json!(past + 3600)),
        ("email", json!("stranger@other.iam.gserviceaccount.com")),
        ("email", Value::Null),
        ("email_verified", json!(false)),
    ] {
        let mut claims = claims();
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
        let judged = oidc.verify(&token(&key, Algorithm::ES256, "k1", &claims)).await;
        assert!(matches!(judged, Err(Refusal::Unauthorized(_) | Refusal::Forbidden(_))), "{name} {value}: {judged:?}");
    }
}

#[tokio::test]
async fn no_other_key_and_no_other_algorithm_will_do() {
    let (key, other) = (ec(), ec());
    let oidc = knows(&key, Algorithm::ES256);
    let secret = EncodingKey::from_secret(b"a secret that is the public key");
    let good = token(&key, Algorithm::ES256, "k1", &claims());
    let (head, rest) = good.split_once('.').unwrap();
    let unsigned = format!("eyJhbGciOiJub25lIiwia2lkIjoiazEifQ.{}.", rest.split_once('.').unwrap().0);
    for bad in [
        token(&other, Algorithm::ES256, "k1", &claims()),
        token(&key, Algorithm::ES256, "k2", &claims()),
        token(&secret, Algorithm::HS256, "k1", &claims()),
        token(&rsa(), Algorithm::RS256, "k1", &claims()),
        encode(&Header::new(Algorithm::ES256), &claims(), &key).unwrap(),
        unsigned,
        format!("{head}.e30.{}", rest.split_once('.').unwrap().1),
        "ey.ey.ey".to_owned(),
    ] {
        assert!(matches!(oidc.verify(&bad).await, Err(Refusal::Unauthorized(_))), "{bad}");
    }
    assert_eq!(oidc.verify(&good).await, Ok(()));
}

#[tokio::test]
async fn without_keys_the_sender_is_to_come_again() {
    let key = ec();
    let oidc = Oidc::new(config()).unwrap();
    let judged = oidc.verify(&token(&key, Algorithm::ES256, "k1", &claims())).await;
    assert!(matches!(judged, Err(Refusal::Unavailable(_))), "{judged:?}");
}

#[tokio::test]
async fn who_shows_a_known_key_waits_for_no_look_at_others() {
    let key = rsa();
    let oidc = knows(&key, Algorithm::RS256);
    let _slow = oidc.looking.lock().await;
    let token = token(&key, Algorithm::RS256, "k1", &claims());
    let judged = tokio::time::timeout(Duration::from_secs(1), oidc.verify(&token)).await;
    assert_eq!(judged, Ok(Ok(())));
}

#[tokio::test]
async fn who_waited_for_a_look_in_vain_looks_not_again() {
    let oidc = Arc::new(Oidc::new(config()).unwrap());
    let token = token(&rsa(), Algorithm::RS256, "k1", &claims());
    let slow = oidc.looking.lock().await;
    let waiting = tokio::spawn({
        let (oidc, token) = (oidc.clone(), token.clone());
        async move { oidc.verify(&token).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    oidc.keys().failed = Some(Instant::now());
    drop(slow);
    assert!(matches!(waiting.await.unwrap(), Err(Refusal::Unavailable(_))));
    assert!(oidc.keys().tried.is_none());
    assert!(matches!(oidc.verify(&token).await, Err(Refusal::Unavailable(_))));
    assert!(oidc.keys().tried.is_some(), "who comes later looks");
}
