//! One variant of a preset, as the file writes it.

use tintype_image::{BoxSize, Fit, Gravity, OutputFormat, Quality, VariantSpec};
use toml::Value;

use super::fields::Fields;
use crate::key::is_variant_name;
use crate::preset::{FORMATS, GRAVITIES};

/// Longest side that can be asked for, in pixels.
const LONGEST: u32 = 10_000;
/// Widest blur, as of `variants.blur_radius`.
const WIDEST_BLUR: f64 = 200.0;
/// A wider unsharp mask draws halos, not details.
const WIDEST_SHARPEN: f64 = 10.0;
/// What means nothing where no pixel is touched.
const OF_ENCODED: [&str; 4] = ["quality", "progressive", "lossless", "background"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Inside,
    Cover,
    Contain,
    Fill,
}

const MODES: [(&str, Mode); 4] =
    [("inside", Mode::Inside), ("cover", Mode::Cover), ("contain", Mode::Contain), ("fill", Mode::Fill)];

/// Reads a variant; `quality` is the preset's. None when its name cannot be used.
pub fn read(mut fields: Fields<'_>, quality: Quality) -> Option<VariantSpec> {
    let name = read_name(&mut fields);
    let format = fields.word("format", &FORMATS);
    let spec = VariantSpec {
        name: name.clone().unwrap_or_default(),
        fit: read_fit(&mut fields),
        blur: fields.fraction("blur", WIDEST_BLUR),
        sharpen: fields.fraction("sharpen", WIDEST_SHARPEN),
        format: format.unwrap_or_default(),
        quality: read_quality(&mut fields, quality),
        progressive: fields.boolean("progressive").unwrap_or_default(),
        lossless: fields.boolean("lossless").unwrap_or_default(),
        background: fields.color("background"),
        animated: fields.boolean("animated").unwrap_or(true),
    };
    check(&mut fields, &spec, format);
    fields.finish();
    name.map(|_| spec)
}

fn read_name(fields: &mut Fields<'_>) -> Option<String> {
    if !fields.has("name") {
        fields.mistake("name", "it is missing; write name = \"small\", say, which ends the variant's key");
    }
    let name = fields.text("name")?;
    if is_variant_name(&name) {
        return Some(name);
    }
    let problem = format!("{name:?} cannot end a key: 1 to 64 letters, digits, - and _ can");
    fields.mistake("name", &problem);
    None
}

fn read_fit(fields: &mut Fields<'_>) -> Option<Fit> {
    let mode = fields.word("fit", &MODES);
    let width = fields.number("width", 1, LONGEST);
    let height = fields.number("height", 1, LONGEST);
    let gravity = fields.word("gravity", &GRAVITIES);
    let enlarge = fields.boolean("enlarge").unwrap_or_default();
    // A key that was written wrong has been told of; it is not missing too.
    let (has_width, has_height) = (fields.has("width"), fields.has("height"));
    let boxed = mode.is_some_and(|mode| mode != Mode::Inside);
    if fields.has("fit") && !has_width && !has_height {
        fields.mistake("fit", "it needs a box; write width and height, or leave fit out for the original's size");
    } else if boxed && has_width != has_height {
        let missing = if has_width { "height" } else { "width" };
        fields.mistake(missing, "this fit needs both width and height; one side alone goes with fit = \"inside\"");
    }
    let read = mode.is_some() || !fields.has("fit");
    if read && mode != Some(Mode::Cover) && gravity.is_some() {
        fields.mistake("gravity", "it says which part is kept, and only fit = \"cover\" cuts; write that, or drop it");
    }
    if read && !boxed && fields.has("enlarge") {
        fields.mistake("enlarge", "only fit = \"cover\", \"contain\" and \"fill\" can enlarge; write one, or drop it");
    }
    fit(mode, width, height, gravity.unwrap_or_default(), enlarge)
}

fn fit(mode: Option<Mode>, width: Option<u32>, height: Option<u32>, gravity: Gravity, enlarge: bool) -> Option<Fit> {
    let both = width.zip(height).map(|(width, height)| BoxSize { width, height });
    match mode.unwrap_or(Mode::Inside) {
        Mode::Inside => both.or(width.map(BoxSize::of_width)).or(height.map(BoxSize::of_height)).map(Fit::Inside),
        Mode::Cover => both.map(|size| Fit::Cover { size, gravity, enlarge }),
        Mode::Contain => both.map(|size| Fit::Contain { size, enlarge }),
        Mode::Fill => both.map(|size| Fit::Fill { size, enlarge }),
    }
}

/// A number for all formats, or a table of some; what it leaves out is as in `base`.
pub fn read_quality(fields: &mut Fields<'_>, base: Quality) -> Quality {
    match fields.value("quality") {
        None => base,
        Some(table @ Value::Table(_)) => {
            let Some(mut inner) = fields.inner("quality", &table) else { return base };
            let mut of = |format, base: u8| inner.number(format, 1, 100).map_or(base, |quality| quality as u8);
            let quality =
                Quality { jpeg: of("jpeg", base.jpeg), webp: of("webp", base.webp), avif: of("avif", base.avif) };
            inner.finish();
            quality
        }
        Some(_) => fields.number("quality", 1, 100).map_or(base, |quality| Quality::all(quality as u8)),
    }
}

/// What is right alone but not together.
fn check(fields: &mut Fields<'_>, spec: &VariantSpec, format: Option<OutputFormat>) {
    if fields.has("blur") && fields.has("sharpen") {
        fields.mistake("sharpen", "a variant is blurred or sharpened, not both; drop one");
    }
    // Where a size or a format was written wrong, that has been told.
    let sized = ["fit", "width", "height", "blur", "sharpen"].iter().any(|key| fields.has(key));
    let unread = sized || fields.has("format") && format.is_none();
    if spec.is_verbatim() && !unread {
        for key in OF_ENCODED.into_iter().filter(|key| fields.has(key)).collect::<Vec<_>>() {
            let problem = "it has no effect: this variant is the original's own pixels, which are never encoded \
                           again; add a size or a format, or drop it";
            fields.mistake(key, problem);
        }
        return;
    }
    let never = |format: OutputFormat| spec.format.fixed().is_some_and(|fixed| Some(fixed) != format.fixed());
    if spec.progressive && never(OutputFormat::Jpeg) {
        fields.mistake("progressive", "only a JPEG is progressive; write format = \"jpeg\", or drop it");
    }
    if spec.lossless && never(OutputFormat::WebP) {
        fields.mistake("lossless", "it is said of WebP; write format = \"webp\", or drop it");
    }
}
