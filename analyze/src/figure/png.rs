//! SVG → PNG, with the vendored fonts first so that every machine draws the same picture.
//!
//! Scripts those fonts lack (CJK, Arabic, Hebrew …) come from the machine's own fonts, if it has any.

use std::sync::{Arc, LazyLock};

use resvg::{tiny_skia, usvg};

use super::FigureError;

/// Pixels of a PNG per pixel of its SVG.
const PIXELS_PER_UNIT: f32 = 2.0;

static INTER_REGULAR: &[u8] = include_bytes!("../../assets/font/Inter-Regular.ttf");
static INTER_SEMIBOLD: &[u8] = include_bytes!("../../assets/font/Inter-SemiBold.ttf");

static VENDORED_FONTS: LazyLock<Arc<usvg::fontdb::Database>> = LazyLock::new(|| Arc::new(vendored_fonts()));

static ALL_FONTS: LazyLock<Arc<usvg::fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = vendored_fonts();
    fonts.load_system_fonts();
    Arc::new(fonts)
});

fn vendored_fonts() -> usvg::fontdb::Database {
    let mut fonts = usvg::fontdb::Database::new();
    for data in [INTER_REGULAR, INTER_SEMIBOLD] {
        fonts.load_font_source(usvg::fontdb::Source::Binary(Arc::new(data)));
    }
    fonts.set_sans_serif_family("Inter");
    fonts
}

/// Draws `svg`, the markup of figure `stem`, at twice its size.
pub fn render(stem: &'static str, svg: &str) -> Result<Vec<u8>, FigureError> {
    let tree = parse(stem, svg)?;
    let size = tree.size().to_int_size().scale_by(PIXELS_PER_UNIT);
    let mut pixmap = size
        .and_then(|size| tiny_skia::Pixmap::new(size.width(), size.height()))
        .ok_or(FigureError::Size { stem })?;
    let scale = tiny_skia::Transform::from_scale(PIXELS_PER_UNIT, PIXELS_PER_UNIT);
    resvg::render(&tree, scale, &mut pixmap.as_mut());
    pixmap.encode_png().map_err(|source| FigureError::Png { stem, message: source.to_string() })
}

/// Parses markup as the PNG renderer sees it; an error means that it is not well-formed.
pub fn parse(stem: &'static str, svg: &str) -> Result<usvg::Tree, FigureError> {
    let fonts = if svg.chars().all(in_vendored_fonts) { &VENDORED_FONTS } else { &ALL_FONTS };
    let options = usvg::Options {
        font_family: "Inter".to_owned(),
        fontdb: Arc::clone(fonts),
        // A figure refers to nothing outside itself.
        image_href_resolver: usvg::ImageHrefResolver {
            resolve_data: Box::new(|_, _, _| None),
            resolve_string: Box::new(|_, _| None),
        },
        ..usvg::Options::default()
    };
    usvg::Tree::from_str(svg, &options).map_err(|source| FigureError::Markup { stem, source })
}

/// Latin, Greek, Cyrillic, punctuation and the signs that figures use.
fn in_vendored_fonts(character: char) -> bool {
    matches!(character, '\0'..='\u{52f}' | '\u{1e00}'..='\u{1fff}' | '\u{2000}'..='\u{22ff}' | '□')
}
