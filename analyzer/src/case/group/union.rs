//! Sets that grow together (union-find).
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};

/// Places, each in one set; a set is named by its first place.
#[derive(Debug)]
pub(super) struct Union(Vec<usize>);

impl Union {
    /// Each place in a set of its own.
    pub(super) fn new(places: usize) -> Self {
        Self((0..places).collect())
    }

    /// The first place of the set that `place` is in.
    pub(super) fn root(&mut self, place: usize) -> usize {
        let mut root = place;
        while let Some(&above) = self.0.get(root)
            && above != root
        {
            root = above;
        }
        // Later walks are short: whatever was passed on the way now points to the root.
        let mut at = place;
        while let Some(above) = self.0.get_mut(at)
            && *above != root
        {
            at = std::mem::replace(above, root);
        }
        root
    }

    /// Makes the sets of two places one.
    pub(super) fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        let (first, last) = (one.min(other), one.max(other));
        if let Some(above) = self.0.get_mut(last) {
            *above = first;
        }
    }

    /// Makes one set of those that follow each other within `window`.
    pub(super) fn chain(&mut self, mut places: Vec<(Timestamp, usize)>, window: SignedDuration) {
        places.sort_unstable();
        for pair in places.windows(2) {
            if let [(began, one), (next, other)] = pair
                && next.duration_since(*began) <= window
            {
                self.join(*one, *other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::at;

    #[test]
    fn what_follows_within_the_window_is_one_and_what_comes_later_is_not() {
        let mut union = Union::new(4);
        let places = vec![(at(700), 3), (at(0), 1), (at(300), 0), (at(601), 2)];
        union.chain(places, SignedDuration::from_secs(300));
        let roots: Vec<_> = (0..4).map(|place| union.root(place)).collect();
        assert_eq!(roots, [0, 0, 2, 2]);
    }

    proptest! {
        #[test]
        fn two_places_are_together_just_when_a_chain_of_joins_leads_from_one_to_the_other(
            joins in proptest::collection::vec((0_usize..12, 0_usize..12), 0..20),
        ) {
            let mut union = Union::new(12);
            let mut naive: Vec<usize> = (0..12).collect();
            for (one, other) in joins {
                union.join(one, other);
                let (from, to) = (naive[one].max(naive[other]), naive[one].min(naive[other]));
                for name in &mut naive {
                    if *name == from { *name = to; }
                }
            }
            let roots: Vec<_> = (0..12).map(|place| union.root(place)).collect();
            prop_assert_eq!(roots, naive);
        }
    }
}
