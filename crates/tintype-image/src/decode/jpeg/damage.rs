//! What is missing of a JPEG, by what libjpeg had to do without.

use super::frame::Frame;
use super::pattern::SIDE;
use crate::damage::Damage;
use crate::error::Error;
use crate::jpeg_codec::Losses;
use crate::limits::Limits;

const EARLY: &str = "the JPEG ends early";
const NO_END: &str = "the JPEG's end marker is missing";
const ODD: &str = "a segment of the JPEG is damaged";
const EXCESS: &str = "the JPEG has more image data than its size takes";

/// Refuses a file that is too short for the rows that must be there, before anything of the size is made that it claims.
///
/// A row is there when the mean of each of its blocks is. Each mean has a code of its own, which is a bit at least (T.81,
/// annex C): alone what is finer can be told of many blocks in one code, by a progressive file.
pub(super) fn check_length(frame: &Frame<'_>, limits: &Limits) -> Result<(), Error> {
    let (widest, tallest) = frame.most();
    let blocks = |component: &super::frame::Component| {
        let across = (frame.width * component.across).div_ceil(widest).div_ceil(SIDE as u32);
        u64::from(across * component.down)
    };
    let blocks: u64 = frame.components.iter().map(blocks).sum();
    let bits = frame.entropy.iter().map(|entropy| entropy.len() as u64 * 8).sum::<u64>();
    // The last one may have fewer blocks down, and what was counted may end amid a row.
    let mcus = bits / blocks.max(1) + 1;
    let there = mcus * u64::from(tallest) * SIDE as u64;
    let all = u64::from(frame.height);
    limits.damaged.judge((there < all).then(|| Damage::new(there, all, EARLY))).map(|_| ())
}

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
