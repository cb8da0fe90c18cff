//! What a decoder answers is held against what was asked: it may have been taken over by the image it read.

use tintype_image::{Camera, Damage, Error, Facts, Format, Limits, OutputFormat, Probe, Tolerance, VariantSpec, probe};

use super::protocol::{Place, Told};

/// Longest text among the facts.
const LONGEST_TEXT: usize = 64;
/// Longest message of a refusal, in characters.
const LONGEST_MESSAGE: usize = 500;
/// Most colours of a palette.
const COLORS: usize = 6;

/// Why an answer is not believed.
pub type Garbled = &'static str;

/// Holds what is told of variants against their specs: names, formats, sizes, and places within what there is.
///
/// # Errors
/// What does not fit.
pub fn variants(
    told: &[Told],
    specs: &[VariantSpec],
    original: &Probe,
    upload: u64,
    most_bytes: u64,
) -> Result<(), Garbled> {
    if told.len() != specs.len() {
        return Err("it is of another number of variants");
    }
    let mut left = most_bytes;
    for (told, spec) in told.iter().zip(specs) {
        if told.name != spec.name {
            return Err("a variant has another name");
        }
        if !may_be(told.format, spec.format, original.format) {
            return Err("a variant is of another format");
        }
        let same_size = spec.fit.is_some() || (told.width, told.height) == (original.width, original.height);
        if told.width == 0 || told.height == 0 || !same_size {
            return Err("a variant is of another size");
        }
        match told.place {
            Place::Upload { start, end } if spec.is_verbatim() && start < end && end <= upload => {}
            Place::Upload { .. } => return Err("a variant lies where the upload does not"),
            Place::Follows(length) => {
                left = left.checked_sub(length).ok_or("its files are larger than its memory")?;
            }
        }
    }
    Ok(())
}

/// Whether a spec lets a variant be of a format.
fn may_be(format: Format, asked: OutputFormat, original: Format) -> bool {
    match asked {
        OutputFormat::Same => format == original || format == original.written(),
        OutputFormat::Auto => matches!(format, Format::Jpeg | Format::WebP),
        fixed => Some(format) == fixed.fixed(),
    }
}

/// Holds a file against what is told of it, by its header.
///
/// # Errors
/// When it is something else.
pub fn file(bytes: &[u8], told: &Told) -> Result<(), Garbled> {
    let limits = Limits { max_pixels: u64::MAX, max_frames: u32::MAX, ..Limits::default() };
    let fits = if Format::ALL.contains(&told.format) {
        probe(bytes, &limits)
            .is_ok_and(|seen| (seen.format, seen.width, seen.height) == (told.format, told.width, told.height))
    } else {
        bytes.get(4..8) == Some(b"ftyp")
    };
    if fits { Ok(()) } else { Err("a file is not what is told of it") }
}

/// A refusal with no more of a message than people read.
pub fn refusal(error: Error) -> Error {
    Error { message: readable(&error.message), ..error }
}

fn readable(message: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    message.chars().take(LONGEST_MESSAGE).map(plain).collect()
}

/// Damage that may be taken, with no more of a sentence than people read.
///
/// # Errors
/// When less is there than has to be, or more than all.
pub fn damage(damage: Damage, tolerance: Tolerance) -> Result<Damage, Garbled> {
    if !(0.0..=1.0).contains(&damage.rows) || !tolerance.accepts(damage.rows) {
        return Err("it took more damage than it may");
    }
    Ok(Damage { why: readable(&damage.why), ..damage })
}

/// Holds facts against the header, and bounds their texts.
///
/// # Errors
/// What does not fit.
pub fn facts(facts: &Facts, original: &Probe) -> Result<(), Garbled> {
    let by_header = (original.format, original.width, original.height, original.orientation, original.frames);
    if (facts.format, facts.width, facts.height, facts.orientation, facts.frames) != by_header
        || facts.has_alpha != original.has_alpha
    {
        return Err("its facts are not those of the header");
    }
    let camera = facts.camera.clone().unwrap_or_default();
    let Camera { make, model, lens } = &camera;
    let optional = [&facts.taken_at, make, model, lens].into_iter().flatten();
    let mut texts = [&facts.thumbhash, &facts.blurhash].into_iter().chain(optional);
    let mut colors = facts.palette.iter().map(|swatch| &swatch.color).chain([&facts.dominant_color]);
    let plain = |text: &String| text.len() <= LONGEST_TEXT && text.bytes().all(|b| matches!(b, 0x20..=0x7E));
    let shares = facts.palette.len() <= COLORS && facts.palette.iter().all(|swatch| swatch.percent <= 100);
    if texts.all(plain) && colors.all(|color| is_color(color)) && shares { Ok(()) } else { Err("its facts are none") }
}

fn is_color(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tintype_image::{BoxSize, Fit, MetadataPolicy, render};

    const PNG: &[u8] = include_bytes!("../doctor/probe.png");

    fn specs() -> Vec<VariantSpec> {
        let fit = Some(Fit::Inside(BoxSize { width: 4, height: 4 }));
        let small = VariantSpec { name: "small".into(), fit, ..Default::default() };
        let blurred = VariantSpec { name: "blurred".into(), blur: Some(2.0), ..Default::default() };
        vec![VariantSpec { name: "original".into(), ..Default::default() }, small, blurred]
    }

    /// What an honest decoder tells, and the one thing changed in it.
    fn told(change: impl FnOnce(&mut Vec<Told>)) -> Result<(), Garbled> {
        let original = probe(PNG, &Limits::default()).unwrap();
        let rendered = render(PNG, &specs(), MetadataPolicy::Keep, &Limits::default()).unwrap();
        assert_eq!(facts(&rendered.facts, &original), Ok(()));
        let mut told: Vec<Told> = rendered
            .variants
            .iter()
            .map(|v| Told {
                name: v.name.clone(),
                format: v.format,
                width: v.width,
                height: v.height,
                place: Place::Follows(v.bytes.len() as u64),
            })
            .collect();
        for (told, made) in told.iter().zip(&rendered.variants) {
            assert_eq!(file(&made.bytes, told), Ok(()));
        }
        change(&mut told);
        variants(&told, &specs(), &original, PNG.len() as u64, 10_000)
    }

    #[test]
    fn an_honest_answer_is_believed() {
        assert_eq!(told(|_| {}), Ok(()));
        let end = PNG.len() as u64;
        assert_eq!(told(|told| told[0].place = Place::Upload { start: 0, end }), Ok(()));
    }

    #[test]
    fn any_other_is_not() {
        let end = PNG.len() as u64;
        let changes: [fn(&mut Vec<Told>); 8] = [
            |told| drop(told.pop()),
            |told| told[1].name = "../other".into(),
            |told| told.swap(0, 1),
            |told| told[1].format = Format::Gif,
            |told| told[1].width = 0,
            |told| told[2].height += 1,
            |told| told[1].place = Place::Follows(u64::MAX),
            |told| told.iter_mut().for_each(|told| told.place = Place::Follows(4_000)),
        ];
        for (i, change) in changes.into_iter().enumerate() {
            assert!(told(change).is_err(), "change {i}");
        }
        for (variant, start, end) in [(1, 0, end), (0, 0, end + 1), (0, 9, 9), (0, 10, 9), (0, u64::MAX, u64::MAX)] {
            assert!(told(|told| told[variant].place = Place::Upload { start, end }).is_err(), "{start}..{end}");
        }
    }

    #[test]
    fn facts_are_those_of_the_header_and_short() {
        let original = probe(PNG, &Limits::default()).unwrap();
        let honest = render(PNG, &[], MetadataPolicy::Keep, &Limits::default()).unwrap().facts;
        let changes: [fn(&mut Facts); 7] = [
            |facts| facts.width += 1,
            |facts| facts.has_alpha = !facts.has_alpha,
            |facts| facts.thumbhash = "x".repeat(65),
            |facts| facts.taken_at = Some("\u{1b}[2J".into()),
            |facts| facts.dominant_color = "<b>".into(),
            |facts| facts.camera = Some(Camera { make: Some("é".into()), ..Default::default() }),
            |facts| facts.palette = vec![facts.palette[0].clone(); 7],
        ];
        for (i, change) in changes.into_iter().enumerate() {
            let mut facts = honest.clone();
            change(&mut facts);
            assert!(super::facts(&facts, &original).is_err(), "change {i}");
        }
    }

    #[test]
    fn damage_is_what_may_be_taken_and_short() {
        let told = |rows, why: &str| Damage { rows, why: why.into() };
        assert_eq!(damage(told(0.8, "it is cut"), Tolerance::Half), Ok(told(0.8, "it is cut")));
        assert_eq!(damage(told(1.0, "\u{1b}[2J"), Tolerance::Rows(1.0)), Ok(told(1.0, " [2J")));
        assert_eq!(damage(told(0.9, &"x".repeat(9999)), Tolerance::Half).unwrap().why.len(), LONGEST_MESSAGE);
        for (rows, tolerance) in
            [(1.1, Tolerance::Half), (-0.1, Tolerance::Rows(-1.0)), (0.5, Tolerance::Half), (1.0, Tolerance::Refuse)]
        {
            assert!(damage(told(rows, "x"), tolerance).is_err(), "{rows} {tolerance:?}");
        }
    }

    #[test]
    fn a_file_is_what_is_told_of_it() {
        let original = probe(PNG, &Limits::default()).unwrap();
        let mut told = Told {
            name: String::new(),
            format: Format::Png,
            width: original.width,
            height: original.height,
            place: Place::Follows(0),
        };
        assert_eq!(file(PNG, &told), Ok(()));
        assert!(file(b"<html>", &told).is_err());
        told.width += 1;
        assert!(file(PNG, &told).is_err());
        told.format = Format::Avif;
        assert!(file(PNG, &told).is_err());
    }
}
