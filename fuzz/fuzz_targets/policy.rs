//! Policies: any document, signed for real so that it is read to its end, against any fields.
//!
//! Lines: the policy; a file's name; then a field each, `name=value`.
#![no_main]

use futures::executor::block_on;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::datetime;
use tintype::fuzzing::{read_form, sign_form};
use tintype::presign::Credential;
use tintype::presign::policy::{Form, verify};

const NOW: OffsetDateTime = datetime!(2026-11-25 12:00 UTC);

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let (policy, filename) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let signer = Credential { key_id: "TT".into(), secret: "secret".into(), token: None };
    let fields = lines.filter_map(|line| line.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned()));
    let mut form = Form { fields: fields.collect() };
    let is_signed_already = ["policy", "x-amz-"].iter().any(|start| {
        form.fields.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with(start) && !is_metadata(name))
    });
    if is_signed_already {
        assert!(verify(&form, "tintype", &signer, NOW).is_err(), "a signature that nobody made");
        return;
    }
    sign_form(&mut form, policy.as_bytes(), &signer, NOW);
    holds_what_it_grants(&form, policy, &signer);
    is_read_as_it_was_sent(&form, filename);
});

fn is_metadata(name: &str) -> bool {
    name.to_ascii_lowercase().starts_with("x-amz-meta-")
}

fn holds_what_it_grants(form: &Form, policy: &str, signer: &Credential) {
    let Ok(grant) = verify(form, "tintype", signer, NOW) else { return };
    let document: Value = serde_json::from_str(policy).expect("a policy that was granted is JSON");
    let conditions = document["conditions"].as_array().expect("with conditions");
    for condition in conditions {
        if let Some([kind, low, high]) = condition.as_array().map(Vec::as_slice)
            && kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("content-length-range"))
        {
            let (low, high) = (low.as_u64().expect("a number"), high.as_u64().expect("a number"));
            assert!(grant.min_bytes >= low && grant.max_bytes <= high, "wider than {condition}: {grant:?}");
        }
        if let Some((name, wanted)) = condition.as_object().and_then(|map| map.iter().next())
            && !name.eq_ignore_ascii_case("bucket")
        {
            assert_eq!(form.get(name).unwrap_or_default(), wanted.as_str().expect("a text"), "{name}");
        }
    }
    let mut forged = Form { fields: form.fields.clone() };
    forged.fields.iter_mut().find(|(name, _)| name == "x-amz-signature").expect("it is signed").1 = "0".repeat(64);
    assert!(verify(&forged, "tintype", signer, NOW).is_err(), "the signature is not looked at");
    let other = Credential { secret: "another".into(), ..signer.clone() };
    assert!(verify(form, "tintype", &other, NOW).is_err(), "another account's policy");
}

/// Whoever checks and whoever stores see the same form: there is no second reading.
fn is_read_as_it_was_sent(form: &Form, filename: &str) {
    let fit = |text: &str| !text.contains(char::is_control) && !text.contains(['"', '\\']);
    if !form.fields.iter().all(|(name, value)| fit(name) && !value.contains("--b")) || !fit(filename) {
        return;
    }
    let mut body = String::new();
    for (name, value) in &form.fields {
        body += &format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    body += &format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n\r\nx\r\n--b--\r\n");
    let Ok(read) = block_on(read_form(vec![body.into_bytes()], "b")) else { return };
    assert_eq!(read.form.fields, form.fields);
    let (Ok(key), Some(asked)) = (read.key, form.get("key")) else { return };
    // What a policy says of `key` it says of the text before the file's name stands in it.
    let folder = asked.split("${filename}").next().unwrap_or_default();
    assert!(key.as_str().starts_with(folder), "{asked} became {key}");
    if asked.contains("${filename}") {
        assert_eq!(key.as_str().matches('/').count(), asked.matches('/').count(), "{asked} became {key}");
    }
}
