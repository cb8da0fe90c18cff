//! Real decoders of the real program: what they make, how they fail, and that there is no way out.
#![cfg(all(feature = "server", target_os = "linux"))]
#![allow(clippy::unwrap_used)]

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tintype::preset::Preset;
use tintype::process::Rendered;
use tintype::sandbox::{Attempt, Ending, Job, Layers, NotRendered, Piece, Pool, Seen, holes};
use tintype_image::{BoxSize, Fit, Limits, MetadataPolicy, OutputFormat, VariantSpec, probe, render};

const PNG: &[u8] = include_bytes!("../src/doctor/probe.png");
const PLENTY: Duration = Duration::from_secs(60);

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_tintype"))
}

fn pool(count: usize) -> Arc<Pool> {
    Arc::new(Pool::open(program().to_owned(), count).unwrap())
}

fn preset(specs: Vec<VariantSpec>) -> Arc<Preset> {
    Arc::new(Preset::new("test", specs, MetadataPolicy::PrivateStripped, Vec::new()))
}

fn job(upload: &[u8], preset: &Arc<Preset>) -> Job {
    let limits = Limits::default();
    Job {
        upload: Bytes::copy_from_slice(upload),
        preset: preset.clone(),
        header: probe(upload, &limits).unwrap(),
        limits,
        needed: tintype_image::estimate(upload, &preset.variants, preset.metadata, &limits).unwrap(),
        time: PLENTY,
        grace: Duration::from_millis(500),
        share: None,
    }
}

/// A picture of a size and format, made of the small one.
fn picture(side: u32, format: OutputFormat) -> Vec<u8> {
    let fit = Some(Fit::Fill { size: BoxSize { width: side, height: side }, enlarge: true });
    let spec = VariantSpec { name: "picture".into(), fit, format, ..Default::default() };
    let mut made = render(PNG, &[spec], MetadataPolicy::None, &Limits::default()).unwrap().into_owned();
    made.variants.remove(0).bytes.into_owned()
}

/// Work of many seconds, between whose parts nobody looks at the clock.
fn slow() -> (Vec<u8>, Arc<Preset>) {
    let spec = VariantSpec { name: "slow".into(), format: OutputFormat::Avif, ..Default::default() };
    (picture(3000, OutputFormat::Jpeg), preset(vec![spec]))
}

fn ended(result: Result<Rendered, NotRendered>) -> Ending {
    match result {
        Err(NotRendered::Ended(ending)) => ending,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was made"),
    }
}

#[tokio::test]
async fn a_decoder_makes_what_a_thread_makes() {
    let boxed = Fit::Cover { size: BoxSize { width: 30, height: 20 }, gravity: Default::default(), enlarge: false };
    let formats = [OutputFormat::Same, OutputFormat::Jpeg, OutputFormat::Png, OutputFormat::WebP, OutputFormat::Avif];
    let spec = |format| VariantSpec { name: format!("{format:?}"), fit: Some(boxed), format, ..Default::default() };
    let mut specs: Vec<_> = formats.into_iter().map(spec).collect();
    specs.push(VariantSpec { name: "original".into(), ..Default::default() });
    specs.push(VariantSpec { name: "blurred".into(), blur: Some(20.0), ..Default::default() });
    specs.push(VariantSpec { name: "auto".into(), format: OutputFormat::Auto, blur: Some(0.3), ..Default::default() });
    let preset = preset(specs);
    let pool = pool(1);
    for format in [OutputFormat::Jpeg, OutputFormat::Png, OutputFormat::WebP] {
        let upload = picture(200, format);
        let job = job(&upload, &preset);
        let shared = job.upload.clone();
        let made = pool.render(job).await.unwrap();
        let wanted = render(&upload, &preset.variants, preset.metadata, &Limits::default()).unwrap();
        assert_eq!(made.facts, wanted.facts);
        assert_eq!(made.files.len(), wanted.variants.len());
        for (file, variant) in made.files.iter().zip(&wanted.variants) {
            assert!(file.bytes == variant.bytes.as_ref(), "{format:?}: {} differs", file.name);
            assert_eq!((&file.name, file.format), (&variant.name, variant.format));
            assert_eq!((file.width, file.height), (variant.width, variant.height));
        }
        // The upload's own bytes do not come back, they are shared; but of a WebP, which is always put together anew.
        let original = (&made.files[5].bytes, &wanted.variants[5].bytes);
        assert_eq!(std::ptr::eq(original.0.as_ptr(), shared.as_ptr()), matches!(original.1, Cow::Borrowed(_)));
    }
}

#[tokio::test]
async fn a_refusal_has_the_code_it_has_elsewhere() {
    let preset = preset(vec![VariantSpec { name: "small".into(), blur: Some(1.0), ..Default::default() }]);
    let whole = picture(300, OutputFormat::Jpeg);
    let mut cut = job(&whole, &preset);
    cut.upload.truncate(whole.len() / 2);
    let wanted = render(&cut.upload, &preset.variants, preset.metadata, &Limits::default()).unwrap_err();
    match pool(1).render(cut).await {
        Err(NotRendered::Refused(error)) => assert_eq!(error, wanted),
        _ => panic!("half a JPEG was not refused"),
    }
}

#[tokio::test]
async fn a_decoder_that_does_not_end_is_killed_and_replaced() {
    let pool = pool(1);
    let (upload, preset) = slow();
    let hasty = Job { time: Duration::from_millis(300), ..job(&upload, &preset) };
    let begun = Instant::now();
    let ending = ended(pool.render(hasty).await);
    assert_eq!(ending.failure().code, "timeout");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let quick = self::preset(vec![VariantSpec { name: "small".into(), blur: Some(1.0), ..Default::default() }]);
    assert!(pool.render(job(PNG, &quick)).await.is_ok());
}

#[tokio::test]
async fn a_decoder_cannot_take_more_memory_than_its_image_should() {
    let pool = pool(1);
    let spec = VariantSpec { name: "large".into(), format: OutputFormat::WebP, ..Default::default() };
    let preset = preset(vec![spec]);
    // All of it is decoded, in 144 MB and more; a header that lies about its costs would be estimated like this.
    let bomb = picture(6000, OutputFormat::Png);
    let ending = ended(pool.render(Job { needed: 0, ..job(&bomb, &preset) }).await);
    assert!(matches!(ending, Ending::Exhausted(_)), "{ending:?}");
    assert_eq!(ending.failure().code, "too_many_pixels");
    assert!(pool.render(job(PNG, &preset)).await.is_ok());
}

#[tokio::test]
async fn jobs_take_turns_when_there_are_more_than_decoders() {
    let pool = pool(2);
    let preset = preset(vec![VariantSpec { name: "small".into(), blur: Some(1.0), ..Default::default() }]);
    let made = (0..20).map(|_| pool.render(job(PNG, &preset)));
    assert!(futures::future::join_all(made).await.iter().all(Result::is_ok));
    pool.close();
    assert!(matches!(pool.render(job(PNG, &preset)).await, Err(NotRendered::NoDecoder(_))));
}

#[test]
fn every_layer_holds_here() {
    let pool = pool(1);
    for (name, piece) in pool.enforced().pieces() {
        assert!(matches!(piece, Piece::Holds(_)), "{name}: {piece:?}");
    }
}

#[test]
fn every_way_out_kills() {
    for (attempt, name) in Attempt::ALL {
        assert_eq!(attempt.see(program(), Layers::All).unwrap(), Seen::Killed, "{name}");
    }
    assert_eq!(holes(program(), Layers::All).unwrap(), [""; 0]);
}

/// Should the filter have a hole, Landlock and the limits stand behind it.
#[test]
fn below_the_filter_there_is_no_file_network_or_program_either() {
    let behind = ["read-file", "read-folder", "write-file", "socket", "exec", "fork", "signal"];
    for (attempt, name) in Attempt::ALL.into_iter().filter(|(_, name)| behind.contains(name)) {
        let seen = attempt.see(program(), Layers::BelowFilter).unwrap();
        assert!(matches!(seen, Seen::Refused(_)), "{name}: {seen:?}");
    }
}

#[test]
fn a_program_that_is_no_decoder_is_not_taken_for_one() {
    let error = Pool::open("/bin/true".into(), 1).unwrap_err();
    assert!(error.to_string().contains("ended before it began"), "{error}");
    assert!(Pool::open("/nowhere".into(), 1).is_err());
}
