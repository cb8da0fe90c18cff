//! EXIF orientation is applied to what is derived, and kept on what is not.
#![allow(clippy::unwrap_used)]

mod common;

use common::{BLUE, GREEN, RED, WHITE, assert_quarters, decode, oriented, render_all};
use tintype_image::{Limits, probe};

#[test]
fn all_eight_and_the_two_that_mean_nothing() {
    let stored = [RED, GREEN, BLUE, WHITE];
    // Which stored quarter is seen top left, top right, bottom left, bottom right.
    let seen = [
        (0, [0, 1, 2, 3]),
        (1, [0, 1, 2, 3]),
        (2, [1, 0, 3, 2]),
        (3, [3, 2, 1, 0]),
        (4, [2, 3, 0, 1]),
        (5, [0, 2, 1, 3]),
        (6, [2, 0, 3, 1]),
        (7, [3, 1, 2, 0]),
        (8, [1, 3, 0, 2]),
        (9, [0, 1, 2, 3]),
    ];
    for (orientation, quarters) in seen {
        let bytes = oriented(orientation);
        let rendered = render_all(&bytes);
        let turned = (5..=8).contains(&orientation);
        let read = if (1..=8).contains(&orientation) { orientation } else { 1 };
        assert_eq!(rendered.facts.orientation, read);
        assert_eq!(probe(&bytes, &Limits::default()).unwrap().orientation, read);
        for variant in &rendered.variants {
            let what = format!("orientation {orientation}, {}", variant.name);
            assert_eq!(variant.width < variant.height, turned, "{what}");
            let image = decode(&variant.bytes);
            if variant.name == "original" {
                // The image crate does not turn: the pixels lie as they lay, and the tag is there.
                assert_quarters(&what, &image, stored, 10);
                assert_eq!(probe(&variant.bytes, &Limits::default()).unwrap().orientation, read, "{what}");
            } else {
                assert_quarters(&what, &image, quarters.map(|i| stored[i]), 10);
            }
        }
    }
}
