//! Prometheus' newer text form, OpenMetrics 1.0, which has exemplars
//! (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).

use std::fmt::{self, Write};
use std::time::UNIX_EPOCH;

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use super::exemplars::{Exemplar, Known};

/// Returns every family as text.
pub(super) fn encode(families: &[MetricFamily], exemplars: &Known) -> String {
    let mut text = String::with_capacity(16 * 1024);
    for family in families {
        if write_family(&mut text, family, exemplars).is_err() {
            log::error!("metrics: cannot render {}", family.name());
        }
    }
    text.push_str("# EOF\n");
    text
}

fn write_family(text: &mut String, family: &MetricFamily, exemplars: &Known) -> fmt::Result {
    let (kind, name) = match family.get_field_type() {
        MetricType::COUNTER => match family.name().strip_suffix("_total") {
            Some(name) => ("counter", name),
            None => ("unknown", family.name()),
        },
        MetricType::GAUGE => ("gauge", family.name()),
        MetricType::HISTOGRAM => ("histogram", family.name()),
        MetricType::SUMMARY | MetricType::UNTYPED => return Ok(()),
    };
    writeln!(text, "# TYPE {name} {kind}")?;
    writeln!(text, "# HELP {name} {}", escaped(family.help()))?;
    for metric in family.get_metric() {
        let labels = metric.get_label();
        match family.get_field_type() {
            MetricType::HISTOGRAM => {
                write_buckets(text, name, metric, exemplars.of(family, metric))?;
                let histogram = metric.get_histogram();
                write_series(text, &format!("{name}_sum"), labels, None)?;
                writeln!(text, " {}", Number(histogram.get_sample_sum()))?;
                write_series(text, &format!("{name}_count"), labels, None)?;
                writeln!(text, " {}", histogram.get_sample_count())?;
            }
            MetricType::COUNTER => {
                write_series(text, family.name(), labels, None)?;
                writeln!(text, " {}", Number(metric.get_counter().get_value()))?;
            }
            _ => {
                write_series(text, name, labels, None)?;
                writeln!(text, " {}", Number(metric.get_gauge().get_value()))?;
            }
        }
    }
    Ok(())
}

fn write_buckets(
    text: &mut String,
    name: &str,
    metric: &Metric,
    exemplars: &[Option<Exemplar>],
) -> fmt::Result {
    let (name, histogram) = (format!("{name}_bucket"), metric.get_histogram());
    let buckets = histogram.get_bucket().iter();
    let finite = buckets.filter(|bucket| bucket.upper_bound().is_finite());
    let all = finite
        .map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()))
        .chain([(f64::INFINITY, histogram.get_sample_count())]);
    for (index, (bound, count)) in all.enumerate() {
        write_series(text, &name, metric.get_label(), Some(bound))?;
        write!(text, " {count}")?;
        if let Some(Some(one)) = exemplars.get(index) {
            let at = one.at.duration_since(UNIX_EPOCH).unwrap_or_default();
            write!(
                text,
                " # {{trace_id=\"{:032x}\",span_id=\"{:016x}\"}} {} {}.{:03}",
                one.trace,
                one.span,
                Number(one.seconds),
                at.as_secs(),
                at.subsec_millis()
            )?;
        }
        text.push('\n');
    }
    Ok(())
}

fn write_series(
    text: &mut String,
    name: &str,
    labels: &[LabelPair],
    bound: Option<f64>,
) -> fmt::Result {
    text.push_str(name);
    let mut separator = '{';
    for label in labels {
        let value = escaped(label.value());
        write!(text, "{separator}{}=\"{value}\"", label.name())?;
        separator = ',';
    }
    if let Some(bound) = bound {
        write!(text, "{separator}le=\"{}\"", canonical(bound))?;
        separator = ',';
    }
    if separator == ',' {
        text.push('}');
    }
    Ok(())
}

/// A number as both forms write it.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            number if number == f64::INFINITY => f.write_str("+Inf"),
            number if number == f64::NEG_INFINITY => f.write_str("-Inf"),
            number => write!(f, "{number}"),
        }
    }
}

/// A bound in the one way that it may be written, which is Go's: `0.05`, `1.0`, `5e-05`, `4.194304e+06`.
fn canonical(bound: f64) -> String {
    let scientific = format!("{bound:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return Number(bound).to_string();
    };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => format!("{bound:?}"),
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_written_in_one_way() {
        for (bound, text) in [
            (0.000_05, "5e-05"),
            (0.000_1, "0.0001"),
            (0.05, "0.05"),
            (1.0, "1.0"),
            (600.0, "600.0"),
            (262_144.0, "262144.0"),
            (4_194_304.0, "4.194304e+06"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(canonical(bound), text);
        }
    }
}
