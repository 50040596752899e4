//! Keep the few nearest of all centroids that a search meets.
//!
//! Not here: the search, and the order of equal distances, which is that of the offers.

/// A centroid and its squared distance from the query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearest {
    /// Index of the centroid.
    pub index: u32,
    /// Squared Euclidean distance, in f32.
    pub squared: f32,
}

/// What a search keeps of the distances that it meets. They come by rising index,
/// and none is NaN.
pub(super) trait Keep {
    fn offer(&mut self, index: usize, squared: f32);

    /// A distance above this one would not be kept; infinite as long as all would be.
    fn worst(&self) -> f32;
}

/// The smallest; of equal ones the one seen first.
#[derive(Clone, Copy)]
pub(super) struct Best(pub(super) Nearest);

impl Best {
    pub(super) fn new() -> Self {
        Self(Nearest {
            index: 0,
            squared: f32::INFINITY,
        })
    }
}

impl Keep for Best {
    #[inline]
    fn offer(&mut self, index: usize, squared: f32) {
        if squared < self.0.squared {
            self.0 = Nearest {
                index: index as u32,
                squared,
            };
        }
    }

    #[inline]
    fn worst(&self) -> f32 {
        self.0.squared
    }
}

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
