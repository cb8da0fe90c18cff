//! What is missing of a JPEG, by what libjpeg had to do without.

use super::frame::Frame;
use super::pattern::SIDE;
use crate::damage::Damage;
use crate::jpeg_codec::Losses;

const NO_END: &str = "the JPEG's end marker is missing";
const ODD: &str = "a segment of the JPEG is damaged";
const EXCESS: &str = "the JPEG has more image data than its size takes";

/// What is wrong with a file whose rows were all read.
pub(super) fn beside_the_rows(frame: &Frame<'_>, excess: bool) -> Option<Damage> {
    let found = [(excess, EXCESS), (!frame.ends, NO_END), (frame.is_odd, ODD)];
    found.into_iter().find_map(|(found, why)| found.then(|| Damage::beside_the_rows(why)))
}

/// What is missing of a file that libjpeg read.
pub(super) fn of(frame: &Frame<'_>, losses: &Losses) -> Option<Damage> {
    let missing = missing(frame, losses);
    let height = (frame.most().1 as usize * SIDE) as u64;
    let rows = |mcu: usize| (u64::from(frame.height) - (mcu as u64 * height).min(frame.height.into())).min(height);
    let lost: u64 = (0..missing.len()).filter(|&mcu| missing[mcu]).map(rows).sum();
    match losses.why {
        None if lost == 0 => beside_the_rows(frame, false),
        Some(_) if lost == 0 && !frame.ends && losses.rows.is_empty() => beside_the_rows(frame, false),
        why => {
            let there = u64::from(frame.height) - lost;
            Some(Damage::new(there, frame.height.into(), why.unwrap_or("scans of the JPEG are missing")))
        }
    }
}

/// Which rows of MCUs are missing: those of which some component's means are, or the coarsest detail of brightness.
/// What finer detail is missing of a progressive file makes a row no less there.
fn missing(frame: &Frame<'_>, losses: &Losses) -> Vec<bool> {
    let mut missing = vec![false; losses.height as usize];
    let mut means = vec![false; frame.components.len()];
    let mut detail = false;
    for (scan, number) in frame.scans.iter().zip(1..=losses.scans) {
        let from = scan.len().checked_sub(3).map_or(0, |at| scan[at]);
        let to = scan.len().checked_sub(2).map_or(0, |at| scan[at]);
        let mut needed = false;
        for component in frame.components_of(scan) {
            if from == 0 {
                needed |= !std::mem::replace(&mut means[component], true);
            }
            if component == 0 && to > 0 {
                needed |= !std::mem::replace(&mut detail, true);
            }
        }
        for loss in losses.rows.iter().filter(|loss| needed && loss.scan == number) {
            missing[loss.first as usize..]
                .iter_mut()
                .take((loss.end - loss.first) as usize)
                .for_each(|row| *row = true);
        }
    }
    if means.contains(&false) || !detail {
        missing.fill(true);
    }
    missing
}
