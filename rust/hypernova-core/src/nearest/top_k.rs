//! Keep the few nearest of all centroids that a search meets.
//!
//! Not here: the search, and the order of equal distances, which is that of the offers.

use super::{Keep, Nearest};

/// The most that are kept.
pub const MAX_TOP_K: usize = 16;

/// The nearest centroids of a query, the nearest first. Allocates nothing.
#[derive(Clone, Copy, Debug)]
pub struct TopK {
    kept: [Nearest; MAX_TOP_K],
    len: usize,
    count: usize,
}

impl TopK {
    pub(super) fn new(count: usize) -> Self {
        assert!((1..=MAX_TOP_K).contains(&count));
        let none = Nearest {
            index: 0,
            squared: f32::INFINITY,
        };
        Self {
            kept: [none; MAX_TOP_K],
            len: 0,
            count,
        }
    }

    /// Those that were found: at least one.
    #[must_use]
    pub fn as_slice(&self) -> &[Nearest] {
        &self.kept[..self.len]
    }

    fn insert(&mut self, index: usize, squared: f32) {
        self.len = self.count.min(self.len + 1);
        let mut at = self.len - 1;
        // Strictly smaller: an equal one that came before stays before.
        while at > 0 && squared < self.kept[at - 1].squared {
            self.kept[at] = self.kept[at - 1];
            at -= 1;
        }
        self.kept[at] = Nearest {
            index: index as u32,
            squared,
        };
    }
}

impl Keep for TopK {
    #[inline]
    fn offer(&mut self, index: usize, squared: f32) {
        if self.len < self.count || squared < self.kept[self.count - 1].squared {
            self.insert(index, squared);
        }
    }

    #[inline]
    fn worst(&self) -> f32 {
        if self.len < self.count {
            return f32::INFINITY;
        }
        self.kept[self.count - 1].squared
    }
}
