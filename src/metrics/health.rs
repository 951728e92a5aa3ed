//! What the metrics say of each provider, for people: attempts by outcome, and how long answers take.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::Metric;

use super::Metrics;

/// What the metrics say of a provider, since the process began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Attempts by how they ended.
    pub attempts: BTreeMap<String, u64>,
    /// From the request to the first content of a streamed answer.
    pub first_token: Spread,
    /// From the request to the end of its answer.
    pub duration: Spread,
}

/// How values are spread: how many there are up to each bound (s), in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spread {
    buckets: Vec<(f64, u64)>,
    count: u64,
}

impl Spread {
    fn add(&mut self, metric: &Metric) {
        let histogram = metric.get_histogram();
        let buckets = histogram.get_bucket().iter();
        self.join(&Spread {
            buckets: buckets
                .map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()))
                .collect(),
            count: histogram.get_sample_count(),
        });
    }

    /// Adds another one with the same bounds.
    pub fn join(&mut self, other: &Spread) {
        self.count += other.count;
        for (place, (bound, counted)) in other.buckets.iter().enumerate() {
            match self.buckets.get_mut(place) {
                Some((_, count)) => *count += counted,
                None => self.buckets.push((*bound, *counted)),
            }
        }
    }

    /// Returns about how long the given share (0 to 1) of all takes at most; `None` without any. Beyond the last bound it is
    /// that bound.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        if self.count == 0 {
            return None;
        }
        let wanted = share * count(self.count);
        let (mut below, mut before) = (0.0, 0.0);
        for (bound, counted) in &self.buckets {
            let counted = count(*counted);
            if counted >= wanted && counted > before {
                let part = (wanted - before) / (counted - before);
                return seconds(below + (bound.min(f64::MAX) - below) * part.clamp(0.0, 1.0));
            }
            (below, before) = (*bound, counted);
        }
        seconds(below)
    }
}

/// A count, as charts have it.
#[expect(clippy::cast_precision_loss, reason = "it is about shares of them")]
fn count(count: u64) -> f64 {
    count as f64
}

fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

impl Metrics {
    /// Returns what is known of each provider that was called; those that tenants made are one, `other`.
    pub fn seen(&self) -> BTreeMap<String, Seen> {
        let mut all: BTreeMap<String, Seen> = BTreeMap::new();
        let families = &self.families;
        each(&families.attempts, |provider, metric| {
            let attempts = &mut all.entry(provider).or_default().attempts;
            let counted = metric.get_counter().get_value();
            let counted = Duration::try_from_secs_f64(counted).map_or(0, |whole| whole.as_secs());
            *attempts.entry(label(metric, "outcome")).or_default() += counted;
        });
        each(&families.first_token, |provider, metric| {
            all.entry(provider).or_default().first_token.add(metric);
        });
        each(&families.duration, |provider, metric| {
            all.entry(provider).or_default().duration.add(metric);
        });
        all
    }
}

fn each(of: &impl Collector, mut with: impl FnMut(String, &Metric)) {
    for family in of.collect() {
        for metric in family.get_metric() {
            with(label(metric, "provider"), metric);
        }
    }
}

fn label(metric: &Metric, name: &str) -> String {
    let found = metric.get_label().iter().find(|label| label.name() == name);
    found.map_or_else(String::new, |label| label.value().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_told_from_buckets() {
        let spread = Spread {
            buckets: vec![(0.1, 50), (0.2, 90), (1.0, 100)],
            count: 110,
        };
        let millis = |share| spread.quantile(share).map(|time| time.as_millis());
        assert_eq!(millis(0.25), Some(55));
        assert_eq!(millis(0.8), Some(195));
        assert_eq!(millis(0.99), Some(1_000), "no more is known");
        let mut twice = spread.clone();
        twice.join(&spread);
        assert_eq!(
            (twice.count, twice.quantile(0.25)),
            (220, spread.quantile(0.25))
        );
        assert_eq!(Spread::default().quantile(0.5), None);
    }
}
