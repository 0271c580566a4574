//! From a leg's name to its place, in one step for nearly all of them.

use std::collections::BTreeMap;

use crate::command::LegId;

/// Names and what they stand for. Names are given in turn, so few legs that are open share a remainder.
#[derive(Clone, Debug)]
pub struct Places<T> {
    all: BTreeMap<LegId, T>,
    near: Vec<Option<(LegId, T)>>,
}

const NEAR: usize = 8192;

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self { all: BTreeMap::new(), near: Vec::new() }
    }
}

impl<T: Copy> Places<T> {
    /// What a name stands for.
    #[must_use]
    pub fn get(&self, leg: LegId) -> Option<T> {
        match self.near.get(remainder(leg)) {
            Some(Some((near, place))) if *near == leg => Some(*place),
            Some(_) | None => self.all.get(&leg).copied(),
        }
    }

    /// Gives a name a place.
    pub fn insert(&mut self, leg: LegId, place: T) {
        self.all.insert(leg, place);
        self.near.resize(NEAR, None);
        if let Some(near) = self.near.get_mut(remainder(leg)) {
            *near = Some((leg, place));
        }
    }

    /// Takes the place away.
    pub fn remove(&mut self, leg: LegId) -> Option<T> {
        if let Some(near) = self.near.get_mut(remainder(leg)) {
            *near = near.filter(|(near, _)| *near != leg);
        }
        self.all.remove(&leg)
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

const fn remainder(leg: LegId) -> usize {
    leg.0 as usize % NEAR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_share_a_remainder_keep_their_own_places() {
        let mut places = Places::default();
        let (one, other) = (LegId(5), LegId(5 + NEAR as u64));
        places.insert(one, 1);
        places.insert(other, 2);
        assert_eq!((places.get(one), places.get(other), places.len()), (Some(1), Some(2), 2));
        assert_eq!(places.remove(one), Some(1));
        assert_eq!((places.get(one), places.get(other)), (None, Some(2)));
        assert_eq!(places.remove(other), Some(2));
        assert!(places.is_empty() && places.get(other).is_none());
    }
}
