//! An account's limits by their meters: a request looks for each of its own once, and then goes by their places.
//!
//! Invariant: a [`Place`] leads to the bucket that it is of, or, once that was let go, to none or a new one of the same limit.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::super::bucket::Bucket;
use crate::bank::{Limit, Meter};

/// Where the account's overdraft is: nearly every request takes of it.
const OVERDRAFT: usize = 0;

/// What a till has of one limit.
#[derive(Default)]
pub(super) struct MeterBucket {
    /// Units of it.
    pub bucket: Bucket,
    /// The start of its window (Unix time, s, by the bank's clock); 0 if it has none.
    pub window: u64,
    /// The end of it.
    pub end: u64,
    /// How often it has begun a window: what was taken before is not given back into this one.
    pub begun: u64,
    /// The limit that was in force last.
    pub most: i64,
    /// By all replicas in the window, as the bank said last.
    pub used: i64,
}

/// The buckets of an account.
pub(super) struct Buckets {
    places: HashMap<Meter, usize, RandomState>,
    all: Vec<(Meter, MeterBucket)>,
    /// How often some were let go: the others have other places since.
    age: u64,
}

/// Where a request has found the bucket of one of its limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    at: usize,
    age: u64,
    /// How often its bucket had begun a window: what was taken before is not given back into a later one.
    pub begun: u64,
}

impl Default for Buckets {
    fn default() -> Buckets {
        Buckets {
            places: HashMap::from_iter([(Meter::overdraft(), OVERDRAFT)]),
            all: vec![(Meter::overdraft(), MeterBucket::default())],
            age: 0,
        }
    }
}

impl Buckets {
    /// How many limits have a bucket.
    pub(super) fn len(&self) -> usize {
        self.all.len() - 1
    }

    /// Whether this one has.
    pub(super) fn contains(&self, meter: &Meter) -> bool {
        self.places.contains_key(meter)
    }

    /// What the account's requests in flight may cost beyond what is held for them.
    pub(super) fn overdraft(&mut self) -> &mut MeterBucket {
        &mut self.all[OVERDRAFT].1
    }

    /// The bucket of a meter, if it has one.
    pub(super) fn get_mut(&mut self, meter: &Meter) -> Option<&mut MeterBucket> {
        let at = *self.places.get(meter)?;
        self.all.get_mut(at).map(|(_, bucket)| bucket)
    }

    /// The place of a limit's bucket, which is made if there is none, and that bucket.
    pub(super) fn find(&mut self, limit: &Limit) -> (usize, &mut MeterBucket) {
        let at = match self.places.get(&limit.meter) {
            Some(at) => *at,
            None => {
                let at = self.all.len();
                self.places.insert(limit.meter.clone(), at);
                self.all.push((limit.meter.clone(), MeterBucket::default()));
                at
            }
        };
        (at, &mut self.all[at].1)
    }

    /// As requests keep it.
    pub(super) fn place(&self, at: usize) -> Place {
        Place {
            at,
            age: self.age,
            begun: self.all[at].1.begun,
        }
    }

    fn now_at(&self, limit: &Limit, place: &Place) -> Option<usize> {
        match place.age == self.age {
            true => Some(place.at),
            false => self.places.get(&limit.meter).copied(),
        }
    }

    /// The bucket at the place that was found for a limit.
    pub(super) fn at(&self, limit: &Limit, place: &Place) -> Option<&MeterBucket> {
        let (_, bucket) = self.all.get(self.now_at(limit, place)?)?;
        Some(bucket)
    }

    /// The same, to change it.
    pub(super) fn at_mut(&mut self, limit: &Limit, place: &Place) -> Option<&mut MeterBucket> {
        let at = self.now_at(limit, place)?;
        self.all.get_mut(at).map(|(_, bucket)| bucket)
    }

    /// All of them.
    pub(super) fn values(&self) -> impl Iterator<Item = &MeterBucket> {
        self.all.iter().map(|(_, bucket)| bucket)
    }

    /// All of them, with their meters, to change them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Meter, &mut MeterBucket)> {
        self.all.iter_mut().map(|(meter, bucket)| (&*meter, bucket))
    }

    /// Lets go of those of which nothing is lent, used or needed.
    pub(super) fn let_go(&mut self) {
        let (before, mut at) = (self.all.len(), 0);
        self.all.retain(|(_, bucket)| {
            at += 1;
            at - 1 == OVERDRAFT || !bucket.bucket.is_quiet()
        });
        if self.all.len() == before {
            return;
        }
        let meters = self.all.iter().map(|(meter, _)| meter.clone());
        self.places = meters.zip(0..).collect();
        self.age += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::Measure;

    #[test]
    fn a_place_leads_to_its_own_bucket_whatever_is_let_go() {
        let limits = ["key:a", "key:b", "key:c"].map(|subject| {
            let (subject, measure) = (subject.into(), Measure::ConcurrentRequests);
            Limit::new(Meter { subject, measure }, 10)
        });
        let mut buckets = Buckets::default();
        let places = limits.each_ref().map(|limit| {
            let (at, _) = buckets.find(limit);
            buckets.place(at)
        });
        let taken = |buckets: &mut Buckets, which: usize| {
            let bucket = buckets.at_mut(&limits[which], &places[which]);
            bucket.map(|meter| meter.bucket.held)
        };
        for which in [0, 2] {
            let meter = buckets.at_mut(&limits[which], &places[which]);
            meter
                .unwrap()
                .bucket
                .take(i64::try_from(which).unwrap() + 1, 0);
        }
        buckets.let_go();
        assert_eq!(buckets.len(), 2, "and the overdraft's");
        let held = [0, 1, 2].map(|which| taken(&mut buckets, which));
        assert_eq!(held, [Some(1), None, Some(3)]);
        buckets.find(&limits[1]).1.bucket.take(7, 0);
        assert_eq!(
            taken(&mut buckets, 1),
            Some(7),
            "a new one of the same limit"
        );
        assert_eq!(buckets.overdraft().bucket.held, 0);
    }
}
