use super::*;

const SHAPES: [(u32, u32); 12] = [
    (1, 1),
    (1, 7),
    (1, 5000),
    (5000, 1),
    (3, 2),
    (64, 64),
    (63, 65),
    (640, 480),
    (480, 640),
    (4160, 3120),
    (3120, 4160),
    (999, 1001),
];
const BOXES: [(u32, u32); 6] = [(1, 1), (64, 64), (300, 200), (200, 300), (1000, 10), (37, 411)];
const CENTER: (f64, f64) = (0.5, 0.5);

fn size((width, height): (u32, u32)) -> BoxSize {
    BoxSize { width, height }
}

fn each(check: impl Fn((u32, u32), (u32, u32), bool)) {
    for image in SHAPES {
        for target in BOXES {
            for enlarge in [false, true] {
                check(image, target, enlarge);
            }
        }
    }
}

fn is_large_enough(image: (u32, u32), target: (u32, u32)) -> bool {
    image.0 >= target.0 && image.1 >= target.1
}

#[track_caller]
fn assert_near(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-6 * b.abs().max(1.0), "{a} instead of {b}");
}

/// CSS: the picture is scaled until it covers the box; the box is a window on its middle.
#[test]
fn cover_is_that_of_css() {
    each(|image, target, enlarge| {
        let fit = Fit::Cover { size: size(target), gravity: Gravity::Center, enlarge };
        let made = geometry(Some(fit), image, CENTER);
        assert_eq!(made.size, made.canvas);
        if enlarge || is_large_enough(image, target) {
            assert_eq!(made.size, target, "{image:?}");
        }
        let (w, h) = (f64::from(image.0), f64::from(image.1));
        let (x, y) = (f64::from(made.size.0), f64::from(made.size.1));
        // The box in pixels of the image, by the side that binds.
        let (width, height) = if x * h >= y * w { (w, y * w / x) } else { (x * h / y, h) };
        assert_near(made.crop.width, width);
        assert_near(made.crop.height, height);
        assert_near(made.crop.left, (w - width) / 2.0);
        assert_near(made.crop.top, (h - height) / 2.0);
    });
}

#[test]
fn a_small_image_shrinks_the_box_and_its_ratio_stays() {
    each(|image, target, _| {
        let fits = [
            Fit::Cover { size: size(target), gravity: Gravity::Center, enlarge: false },
            Fit::Fill { size: size(target), enlarge: false },
        ];
        for fit in fits {
            let (width, height) = geometry(Some(fit), image, CENTER).size;
            assert!(is_large_enough(image, (width, height)), "{image:?} {target:?} grew to {width}x{height}");
            // Each side is off by half a pixel at most, or was rounded up to its one.
            let off = |a: u32, b: u32, c: u32, d: u32| f64::from(a) * f64::from(b) / f64::from(c) - f64::from(d);
            let ratio_holds =
                off(width, target.1, target.0, height).abs() <= 0.5 + 0.5 * f64::from(target.1) / f64::from(target.0);
            assert!(ratio_holds || width == 1 || height == 1, "{image:?} {target:?}: {width}x{height}");
        }
    });
    let cover = |image, target| {
        geometry(Some(Fit::Cover { size: size(target), gravity: Gravity::Center, enlarge: false }), image, CENTER).size
    };
    assert_eq!(cover((100, 30), (64, 64)), (30, 30));
    assert_eq!(cover((100, 50), (200, 150)), (67, 50));
    assert_eq!(cover((1, 9), (64, 64)), (1, 1));
}

#[test]
fn contain_holds_all_of_the_picture_in_the_box() {
    each(|image, target, enlarge| {
        let made = geometry(Some(Fit::Contain { size: size(target), enlarge }), image, CENTER);
        assert_eq!(made.crop, Area::whole(image));
        let scale = (f64::from(target.0) / f64::from(image.0)).min(f64::from(target.1) / f64::from(image.1));
        if enlarge || scale <= 1.0 {
            assert_eq!(made.canvas, target);
            // Within a pixel of the exact size, and touching the box.
            let exact = (f64::from(image.0) * scale, f64::from(image.1) * scale);
            assert!((f64::from(made.size.0) - exact.0).abs() < 1.0, "{image:?} {target:?} {made:?}");
            assert!((f64::from(made.size.1) - exact.1).abs() < 1.0, "{image:?} {target:?} {made:?}");
        } else {
            assert_eq!(made.size, image);
        }
        assert!(made.size.0 <= made.canvas.0 && made.size.1 <= made.canvas.1);
        assert!(made.size.0 == made.canvas.0 || made.size.1 == made.canvas.1, "{image:?} {target:?} {made:?}");
    });
}

#[test]
fn fill_is_the_box_and_no_fit_is_the_image() {
    each(|image, target, enlarge| {
        let made = geometry(Some(Fit::Fill { size: size(target), enlarge }), image, CENTER);
        assert_eq!((made.crop, made.size), (Area::whole(image), made.canvas));
        if enlarge || is_large_enough(image, target) {
            assert_eq!(made.size, target);
        }
        assert_eq!(geometry(None, image, CENTER), Geometry { crop: Area::whole(image), size: image, canvas: image });
    });
}

#[test]
fn one_side_alone_gives_the_other_by_the_ratio() {
    let inside = |image, limit| geometry(Some(Fit::Inside(limit)), image, CENTER).size;
    assert_eq!(inside((4160, 3120), BoxSize::of_width(400)), (400, 300));
    assert_eq!(inside((4160, 3120), BoxSize::of_height(50)), (67, 50));
    assert_eq!(inside((1, 5000), BoxSize::of_height(100)), (1, 100));
    assert_eq!(inside((5000, 1), BoxSize::of_width(100)), (100, 1));
    assert_eq!(inside((30, 20), BoxSize::of_width(100)), (30, 20));
}

#[test]
fn gravity_moves_the_cut_to_its_edge() {
    let fit = |gravity| Fit::Cover { size: BoxSize { width: 50, height: 50 }, gravity, enlarge: false };
    let corner = |gravity, image| {
        let crop = geometry(Some(fit(gravity)), image, anchor(gravity).expect("a point of the compass")).crop;
        (crop.left, crop.top)
    };
    let expected = [
        (Gravity::Center, 50.0, 50.0),
        (Gravity::North, 50.0, 0.0),
        (Gravity::NorthEast, 100.0, 0.0),
        (Gravity::East, 100.0, 50.0),
        (Gravity::SouthEast, 100.0, 100.0),
        (Gravity::South, 50.0, 100.0),
        (Gravity::SouthWest, 0.0, 100.0),
        (Gravity::West, 0.0, 50.0),
        (Gravity::NorthWest, 0.0, 0.0),
    ];
    for (gravity, x, y) in expected {
        assert_eq!(corner(gravity, (200, 100)), (x, 0.0), "{gravity:?}");
        assert_eq!(corner(gravity, (100, 200)), (0.0, y), "{gravity:?}");
    }
    assert_eq!(anchor(Gravity::Smart), None);
}

#[test]
fn no_side_passes_what_a_format_holds() {
    let made = |fit| geometry(bounded(fit, 16_383), (40_000, 300), CENTER).size;
    assert_eq!(made(None), (16_383, 123));
    assert_eq!(made(Some(Fit::Inside(BoxSize::of_height(400)))), (16_383, 123));
    assert_eq!(made(Some(Fit::Inside(BoxSize::of_width(400)))), (400, 3));
    assert_eq!(geometry(bounded(None, 16_383), (30, 20), CENTER).size, (30, 20));
}
