//! Sends metrics to an OpenTelemetry receiver, every so often: what Prometheus would scrape, and in the GenAI convention's
//! own names what that has names for.
//!
//! Invariant: what is sent is cumulative, so that what a receiver misses comes with the next message; nothing waits for it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar as OtlpExemplar, Gauge, Histogram, HistogramDataPoint,
    Metric as OtlpMetric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, exemplar,
    number_data_point,
};
use parking_lot::{Condvar, Mutex};
use prometheus::proto::{Metric, MetricFamily, MetricType};
use prost::Message;

use super::attributes::text;
use super::exemplars::{Exemplar, Known};
use super::gen_ai_0_1_0 as names;
use super::otlp::{Client, Receiver, Signal, scope};
use super::{Gathered, Metrics};
use tollgate_base::clock;
use tollgate_config::PushedMetrics;

const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// Sends metrics, until it is dropped with the process.
pub struct Push {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// How many messages are asked for at once, and how many have ended.
    counts: Mutex<(u64, u64)>,
    asked: Condvar,
    ended: Condvar,
}

impl Push {
    /// Starts the thread that sends metrics, with this client.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(
        settings: &PushedMetrics,
        client: Client,
        metrics: Arc<Metrics>,
    ) -> io::Result<Push> {
        let state = Arc::new(State::default());
        let receiver = Receiver::new(&settings.receiver, client, Signal::Metrics);
        let (every, own) = (settings.every, state.clone());
        std::thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || run(receiver, every, &metrics, &own))?;
        Ok(Push { state })
    }

    /// Sends what there is now, and waits for that, at most `patience`.
    pub fn flush(&self, patience: Duration) {
        let mut counts = self.state.counts.lock();
        counts.0 += 1;
        self.state.asked.notify_one();
        let pending = |counts: &mut (u64, u64)| counts.1 < counts.0;
        self.state
            .ended
            .wait_while_for(&mut counts, pending, patience);
    }
}

fn run(mut receiver: Receiver, every: Duration, metrics: &Metrics, state: &State) {
    let began = clock::wall();
    loop {
        let asked = {
            let mut counts = state.counts.lock();
            let idle = |counts: &mut (u64, u64)| counts.1 == counts.0;
            state.asked.wait_while_for(&mut counts, idle, every);
            counts.0
        };
        let body = encode(&metrics.gather(), &receiver, began, clock::wall());
        match receiver.post(&body) {
            Ok(_) => receiver.reached(),
            Err(trouble) => receiver.tell(&trouble),
        }
        state.counts.lock().1 = asked;
        state.ended.notify_all();
    }
}

fn encode(gathered: &Gathered, receiver: &Receiver, began: SystemTime, now: SystemTime) -> Vec<u8> {
    let at = At {
        began: nanos(began),
        now: nanos(now),
    };
    let families = gathered.families.iter();
    let metrics = families.filter_map(|family| at.metric(family, &gathered.exemplars));
    let metrics = ScopeMetrics {
        scope: Some(scope()),
        metrics: metrics.collect(),
        ..ScopeMetrics::default()
    };
    let all = ResourceMetrics {
        resource: Some(receiver.resource()),
        scope_metrics: vec![metrics],
        ..ResourceMetrics::default()
    };
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![all],
    };
    request.encode_to_vec()
}

/// When what is counted began, and now (Unix time, ns).
struct At {
    began: u64,
    now: u64,
}

impl At {
    fn metric(&self, family: &MetricFamily, exemplars: &Known) -> Option<OtlpMetric> {
        let known = names::metric(family.name());
        let attributes = |metric: &Metric| -> Vec<KeyValue> {
            let labels = metric.get_label().iter();
            let pairs = labels.map(|label| (label.name(), label.value()));
            match known {
                Some(_) => names::attributes(pairs),
                None => pairs.map(|(name, value)| text(name, value)).collect(),
            }
        };
        let number = |metric: &Metric, value: f64| NumberDataPoint {
            attributes: attributes(metric),
            start_time_unix_nano: self.began,
            time_unix_nano: self.now,
            value: Some(number_data_point::Value::AsDouble(value)),
            ..NumberDataPoint::default()
        };
        let metrics = family.get_metric().iter();
        let data = match family.get_field_type() {
            MetricType::COUNTER => Data::Sum(Sum {
                data_points: metrics
                    .map(|metric| number(metric, metric.get_counter().get_value()))
                    .collect(),
                aggregation_temporality: CUMULATIVE,
                is_monotonic: true,
            }),
            MetricType::GAUGE => Data::Gauge(Gauge {
                data_points: metrics
                    .map(|metric| number(metric, metric.get_gauge().get_value()))
                    .collect(),
            }),
            MetricType::HISTOGRAM => Data::Histogram(Histogram {
                data_points: metrics
                    .map(|metric| {
                        let exemplars = exemplars.of(family, metric);
                        self.buckets(metric, attributes(metric), exemplars)
                    })
                    .collect(),
                aggregation_temporality: CUMULATIVE,
            }),
            MetricType::SUMMARY | MetricType::UNTYPED => return None,
        };
        let (name, unit) = match known {
            Some((name, unit)) => (name.to_owned(), unit),
            None => own_name(family.name()),
        };
        Some(OtlpMetric {
            name,
            description: family.help().to_owned(),
            unit: unit.to_owned(),
            data: Some(data),
            ..OtlpMetric::default()
        })
    }

    fn buckets(
        &self,
        metric: &Metric,
        attributes: Vec<KeyValue>,
        exemplars: &[Option<Exemplar>],
    ) -> HistogramDataPoint {
        let histogram = metric.get_histogram();
        let buckets = histogram.get_bucket().iter();
        let finite: Vec<_> = buckets
            .filter(|bucket| bucket.upper_bound().is_finite())
            .collect();
        let below = finite.iter().map(|bucket| bucket.cumulative_count());
        let all = below.chain([histogram.get_sample_count()]);
        // Each of its own, not with those below it.
        let own = all.scan(0_u64, |before, count| {
            let own = count.saturating_sub(*before);
            *before = count;
            Some(own)
        });
        HistogramDataPoint {
            attributes,
            start_time_unix_nano: self.began,
            time_unix_nano: self.now,
            count: histogram.get_sample_count(),
            sum: Some(histogram.get_sample_sum()),
            bucket_counts: own.collect(),
            explicit_bounds: finite.iter().map(|bucket| bucket.upper_bound()).collect(),
            exemplars: exemplars.iter().flatten().map(sent).collect(),
            ..HistogramDataPoint::default()
        }
    }
}

fn sent(one: &Exemplar) -> OtlpExemplar {
    OtlpExemplar {
        time_unix_nano: nanos(one.at),
        span_id: one.span.to_be_bytes().into(),
        trace_id: one.trace.to_be_bytes().into(),
        value: Some(exemplar::Value::AsDouble(one.seconds)),
        ..OtlpExemplar::default()
    }
}

/// A metric's name without what Prometheus puts at its end for unit and kind, and its unit, so that a receiver that puts
/// them there has the name that is scraped.
fn own_name(name: &str) -> (String, &'static str) {
    let name = name.strip_suffix("_total").unwrap_or(name);
    let (name, unit) = match (name.strip_suffix("_seconds"), name.strip_suffix("_bytes")) {
        (Some(name), _) => (name, "s"),
        (_, Some(name)) => (name, "By"),
        (None, None) => (name, ""),
    };
    let name = match name.strip_prefix("tollgate_") {
        Some(name) => format!("tollgate.{name}"),
        None => name.to_owned(),
    };
    (name, unit)
}

/// Unix time in ns.
fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
