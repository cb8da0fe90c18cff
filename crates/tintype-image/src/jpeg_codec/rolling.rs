//! One row of MCUs of coefficients at a time, in place of libjpeg's arrays of them all.
//!
//! libjpeg fills the arrays of a lone scan from the top, and never comes back to a row: a window that moves down is enough.

use mozjpeg_sys as sys;

use super::{BlockRow, quantiser};
use crate::error::Error;

/// What rows are handed to.
type Each<'a> = Box<dyn FnMut(BlockRow<'_>) + 'a>;

/// The windows of all components.
pub(super) struct Rolling<'a> {
    each: Each<'a>,
    windows: Vec<Window>,
}

/// Rows of blocks of one component.
struct Window {
    /// Blocks of a row.
    across: usize,
    blocks: Vec<sys::JBLOCK>,
    /// Where each row begins, as libjpeg wants it.
    rows: Vec<sys::JBLOCKROW>,
    /// The row of the picture that is the first here, once one is that has not been handed over.
    first: Option<u32>,
}

impl<'a> Rolling<'a> {
    pub(super) fn new(each: impl FnMut(BlockRow<'_>) + 'a) -> Self {
        Self { each: Box::new(each), windows: Vec::new() }
    }

    /// Adds the window of the next component, and gives its number, from 1.
    pub(super) fn add(&mut self, across: usize, at_once: usize) -> usize {
        self.windows.push(Window::new(across, at_once));
        self.windows.len()
    }

    /// Hands over what a window held, and moves it to so many rows from one on. Rows that nobody is to see are not handed
    /// over later. `None` where there is no such window, or it is too small.
    pub(super) fn move_to(
        &mut self,
        number: usize,
        rows: (u32, u32),
        is_seen: bool,
        components: &[sys::jpeg_component_info],
    ) -> Result<Option<sys::JBLOCKARRAY>, Error> {
        let (first, count) = rows;
        let Some(index) = number.checked_sub(1) else { return Ok(None) };
        self.hand_over(index, components)?;
        let fits = |window: &&mut Window| count as usize * window.across <= window.blocks.len();
        let window = self.windows.get_mut(index).filter(fits);
        Ok(window.map(|window| window.begin(is_seen.then_some(first))))
    }

    /// Hands over what each window still holds.
    pub(super) fn finish(&mut self, components: &[sys::jpeg_component_info]) -> Result<(), Error> {
        (0..self.windows.len()).try_for_each(|index| self.hand_over(index, components))
    }

    fn hand_over(&mut self, index: usize, components: &[sys::jpeg_component_info]) -> Result<(), Error> {
        let lacks = |what: &str| Error::internal(format!("libjpeg lacks {what}"));
        let about = components.get(index).ok_or_else(|| lacks("a component"))?;
        let window = self.windows.get_mut(index).ok_or_else(|| lacks("a window"))?;
        let Some(first) = window.first.take() else { return Ok(()) };
        let steps = quantiser(about)?;
        for (row, y) in window.blocks.chunks_exact(window.across).zip(first..about.height_in_blocks) {
            let blocks = &row[..window.across.min(about.width_in_blocks as usize)];
            (self.each)(BlockRow { component: index, steps, y: y as usize, blocks });
        }
        Ok(())
    }
}

impl Window {
    fn new(across: usize, down: usize) -> Self {
        Self { across, blocks: vec![[0; 64]; across * down], rows: Vec::with_capacity(down), first: None }
    }

    /// Moves on; what is not written is zero, as in an array of libjpeg's.
    fn begin(&mut self, first: Option<u32>) -> sys::JBLOCKARRAY {
        self.first = first;
        self.blocks.fill([0; 64]);
        self.rows.clear();
        self.rows.extend(self.blocks.chunks_exact_mut(self.across).map(<[sys::JBLOCK]>::as_mut_ptr));
        self.rows.as_mut_ptr()
    }
}
