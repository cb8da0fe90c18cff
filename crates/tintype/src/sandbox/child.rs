//! A decoder: what the program does when it was started to be one.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tintype_image::{BoxSize, Fit, Limits, MetadataPolicy, OutputFormat, Variant, VariantSpec, render};

use super::confine::{self, Layers};
use super::protocol::{Answer, Ask, Place, Told, receive, receive_bytes, send};
use super::tries::Attempt;

/// The first argument of a process that is to be a decoder.
pub const ARGUMENT: &str = "decode-in-a-box";

/// Decodes, if this process was started for that; gives its exit code in the end.
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ARGUMENT {
        return None;
    }
    // There is nobody to tell: who started this one sees that it ended.
    Some(run(arguments.next()).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS))
}

/// Closes the box and works until the service hangs up; or tries to get out, where that is asked.
fn run(attempt: Option<OsString>) -> io::Result<()> {
    let attempt = attempt.map(|name| Attempt::named(&name).ok_or(io::ErrorKind::InvalidInput)).transpose()?;
    // A decoder that panics is caught, and its image said to be corrupt.
    std::panic::set_hook(Box::new(|_| {}));
    // It is open as long as the process is: to look after it once more is a call that the filter does not know.
    let mut wire = ManuallyDrop::new(confine::set_apart()?);
    warm_up();
    let layers = attempt.map_or(Layers::All, |(_, layers)| layers);
    let enforced = confine::close(&wire, layers);
    send(&mut *wire, &enforced)?;
    match attempt {
        Some((attempt, _)) => send(&mut *wire, &attempt.outcome()),
        None => work(&mut wire),
    }
}

/// Has every codec look at the processor and make its tables while files can still be read.
fn warm_up() {
    let picture = include_bytes!("../doctor/probe.png");
    let fit = Some(Fit::Inside(BoxSize { width: 4, height: 4 }));
    let spec = |format| VariantSpec { fit, format, blur: Some(1.0), ..VariantSpec::default() };
    let specs = [OutputFormat::Jpeg, OutputFormat::Png, OutputFormat::WebP, OutputFormat::Avif].map(spec);
    let make = |bytes: &[u8]| render(bytes, &specs, MetadataPolicy::None, &Limits::default()).map(|r| r.into_owned());
    if let Ok(made) = make(picture) {
        let _ = make(&made.variants[0].bytes);
    }
}

fn work(wire: &mut File) -> io::Result<()> {
    loop {
        let ask: Ask<'_> = match receive(wire) {
            Ok(ask) => ask,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        let upload = receive_bytes(wire, ask.upload)?;
        let limits = Limits {
            max_pixels: ask.max_pixels,
            max_frames: ask.max_frames,
            damaged: ask.damaged,
            deadline: Instant::now().checked_add(Duration::from_millis(ask.millis)),
        };
        match render(&upload, &ask.specs, ask.metadata, &limits) {
            Ok(rendered) => {
                let variants = rendered.variants.iter().map(|variant| told(variant, &upload)).collect();
                send(wire, &Answer::Rendered { facts: rendered.facts, variants, damaged: rendered.damaged })?;
                for variant in &rendered.variants {
                    if let Cow::Owned(bytes) = &variant.bytes {
                        wire.write_all(bytes)?;
                    }
                }
            }
            Err(error) => send(wire, &Answer::Refused(error))?,
        }
    }
}

fn told(variant: &Variant<'_>, upload: &[u8]) -> Told {
    let place = match &variant.bytes {
        Cow::Owned(bytes) => Place::Follows(bytes.len() as u64),
        Cow::Borrowed(part) => {
            let start = (part.as_ptr().addr() - upload.as_ptr().addr()) as u64;
            Place::Upload { start, end: start + part.len() as u64 }
        }
    };
    let &Variant { ref name, format, width, height, .. } = variant;
    Told { name: name.clone(), format, width, height, place }
}
