//! Which traced request stands for a bucket of a latency histogram: its exemplar.
//!
//! Invariant: only requests that are traced come here, so that exemplars cost nothing where there are no traces.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use prometheus::proto::{Metric, MetricFamily};

use super::traces::Trace;

/// A traced request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Exemplar {
    pub trace: u128,
    pub span: u64,
    pub seconds: f64,
    pub at: SystemTime,
}

/// The last traced request of each bucket of one series.
#[derive(Debug)]
pub(super) struct Exemplars {
    bounds: &'static [f64],
    /// The last one is of what is above all bounds; empty until there is any.
    last: Mutex<Vec<Option<Exemplar>>>,
}

impl Exemplars {
    /// Returns those of a histogram with these bounds, ascending.
    pub fn new(bounds: &'static [f64]) -> Exemplars {
        Exemplars {
            bounds,
            last: Mutex::default(),
        }
    }

    /// Has a request stand for the bucket that it is in.
    pub fn note(&self, trace: &Trace, took: Duration, at: SystemTime) {
        let seconds = took.as_secs_f64();
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        let mut last = self.last.lock();
        last.resize(self.bounds.len() + 1, None);
        last[bucket] = Some(Exemplar {
            trace: trace.id,
            span: trace.span,
            seconds,
            at,
        });
    }

    fn all(&self) -> Vec<Option<Exemplar>> {
        self.last.lock().clone()
    }
}

/// The exemplars of all series, to be written beside them.
#[derive(Default)]
pub(super) struct Known(HashMap<(&'static str, [String; 3]), Vec<Option<Exemplar>>>);

impl Known {
    /// Adds those of the series of a family with these labels, in the order of the family's.
    pub fn add(&mut self, family: &'static str, labels: &[String; 3], exemplars: &Exemplars) {
        let all = exemplars.all();
        if all.is_empty() {
            return;
        }
        // A route that was configured anew has two.
        let known = self.0.entry((family, labels.clone())).or_default();
        known.resize(all.len(), None);
        for (known, more) in known.iter_mut().zip(all) {
            let is_newer = |one: &Exemplar| known.is_none_or(|known| known.at < one.at);
            if more.as_ref().is_some_and(is_newer) {
                *known = more;
            }
        }
    }

    /// Returns the one of each bucket of a series, the last one of what is above all bounds; empty if there are none.
    pub fn of(&self, family: &MetricFamily, metric: &Metric) -> &[Option<Exemplar>] {
        let label = |name: &str| {
            let mut labels = metric.get_label().iter();
            labels.find(|label| label.name() == name)
        };
        let found = super::families::EXEMPLIFIED
            .into_iter()
            .find(|name| family.name().strip_prefix("tollgate_") == Some(*name));
        let (Some(name), true) = (found, !self.0.is_empty()) else {
            return &[];
        };
        let labels = super::families::ROUTE.map(|name| {
            let label = label(name);
            label.map_or_else(String::new, |label| label.value().to_owned())
        });
        self.0.get(&(name, labels)).map_or(&[], Vec::as_slice)
    }
}
