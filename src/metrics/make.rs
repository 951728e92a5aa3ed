//! Makes metrics, each with the gateway's prefix, and registers them.

use prometheus::core::Collector;
use prometheus::{
    CounterVec, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, Result,
};

/// Declares metrics, a row each: the field, then what [`Maker`] is asked for, namely the kind, the name, the help text, and
/// labels and buckets where the kind has them.
macro_rules! families {
    ($(#[$doc:meta])* pub(super) struct $name:ident { $($field:ident: $kind:ident($($of:expr),+ $(,)?);)+ }) => {
        $(#[$doc])*
        pub(super) struct $name {
            $(pub(super) $field: $crate::metrics::make::family!($kind),)+
        }

        impl $name {
            /// Makes and registers them.
            pub(super) fn new(make: &$crate::metrics::make::Maker<'_>) -> Result<$name, prometheus::Error> {
                Ok($name { $($field: make.$kind($($of),+)?,)+ })
            }
        }
    };
}

/// The type of a family, by the method of [`Maker`] that makes it.
macro_rules! family {
    (counter) => {
        prometheus::IntCounter
    };
    (counters) => {
        prometheus::IntCounterVec
    };
    (costs) => {
        prometheus::CounterVec
    };
    (gauge) => {
        prometheus::IntGauge
    };
    (gauges) => {
        prometheus::IntGaugeVec
    };
    (dollars) => {
        prometheus::GaugeVec
    };
    (histogram) => {
        prometheus::Histogram
    };
    (histograms) => {
        prometheus::HistogramVec
    };
}

pub(super) use {families, family};

/// Makes and registers metrics.
pub(super) struct Maker<'a>(pub &'a Registry);

impl Maker<'_> {
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter> {
        self.register(IntCounter::with_opts(opts(name, help))?)
    }

    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.register(IntCounterVec::new(opts(name, help), labels)?)
    }

    pub fn costs(&self, name: &str, help: &str, labels: &[&str]) -> Result<CounterVec> {
        self.register(CounterVec::new(opts(name, help), labels)?)
    }

    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge> {
        self.register(IntGauge::with_opts(opts(name, help))?)
    }

    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        self.register(IntGaugeVec::new(opts(name, help), labels)?)
    }

    pub fn dollars(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec> {
        self.register(GaugeVec::new(opts(name, help), labels)?)
    }

    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram> {
        self.register(Histogram::with_opts(histogram(name, help, buckets))?)
    }

    pub fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec> {
        self.register(HistogramVec::new(histogram(name, help, buckets), labels)?)
    }

    fn register<M: Collector + Clone + 'static>(&self, metric: M) -> Result<M> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("tollgate")
}

fn histogram(name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
    HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec())
}
