//! Collect the nearest centroid, or the k nearest, from the distances of a search.
//!
//! Not here: the search.

/// A centroid and its squared distance from the query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearest {
    /// Index of the centroid.
    pub index: u32,
    /// Squared Euclidean distance, in f32.
    pub squared: f32,
}

impl Nearest {
    fn is_before(self, other: Self) -> bool {
        let ties = self.squared <= other.squared && self.index < other.index;
        self.squared < other.squared || ties
    }
}

/// Collects distances, none of which is NaN.
pub(super) trait Collector {
    /// Take a centroid if it is among the nearest so far. Each is offered once.
    fn offer(&mut self, index: usize, squared: f32);

    /// The distance above which a centroid is not taken; infinite until enough were offered.
    fn worst(&self) -> f32;
}

/// Collects the nearest; of equal distances, the one offered first: it is offered rows by rising
/// index.
#[derive(Clone, Copy)]
pub(super) struct Top1(pub(super) Nearest);

impl Top1 {
    pub(super) fn new() -> Self {
        Self(Nearest {
            index: 0,
            squared: f32::INFINITY,
        })
    }
}

impl Collector for Top1 {
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

/// Largest number of centroids that [`TopK`] collects.
pub const MAX_TOP_K: usize = 16;

/// Collects the k nearest centroids, sorted by distance and, where equal, by index, in whatever
/// order they are offered. Allocates nothing.
#[derive(Clone, Copy, Debug)]
pub struct TopK {
    collector: [Nearest; MAX_TOP_K],
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
            collector: [none; MAX_TOP_K],
            len: 0,
            count,
        }
    }

    /// The nearest centroids, sorted by distance: at least one.
    #[must_use]
    pub fn as_slice(&self) -> &[Nearest] {
        &self.collector[..self.len]
    }

    /// Keep those with a squared distance of at most `limit`.
    pub(super) fn keep_up_to(&mut self, limit: f32) {
        let of_all = self.as_slice().iter();
        self.len = of_all.take_while(|near| near.squared <= limit).count();
    }

    fn insert(&mut self, new: Nearest) {
        self.len = self.count.min(self.len + 1);
        let mut at = self.len - 1;
        while at > 0 && new.is_before(self.collector[at - 1]) {
            self.collector[at] = self.collector[at - 1];
            at -= 1;
        }
        self.collector[at] = new;
    }
}

impl Collector for TopK {
    #[inline]
    fn offer(&mut self, index: usize, squared: f32) {
        let index = index as u32;
        let new = Nearest { index, squared };
        if self.len < self.count || new.is_before(self.collector[self.count - 1]) {
            self.insert(new);
        }
    }

    #[inline]
    fn worst(&self) -> f32 {
        if self.len < self.count {
            return f32::INFINITY;
        }
        self.collector[self.count - 1].squared
    }
}
