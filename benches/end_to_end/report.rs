//! The tables: medians of both sides, the comparison within pairs, and the target it is held to.
//!
//! A target that is missed is marked, never an error: figures of a busy machine must not break a build.

use std::fmt;

/// How the two sides are compared.
#[derive(Clone, Copy)]
pub enum Compare {
    /// The second divided by the first.
    Ratio,
    /// The second less the first, in the metric's unit.
    Difference,
    /// There is no first: the second is held to the target by itself.
    Alone,
}

/// One thing that is measured.
pub struct Metric {
    label: String,
    /// Of the figures, and of the difference.
    pub unit: &'static str,
    /// How the sides are compared.
    pub compare: Compare,
    /// The most that the median comparison should be.
    target: Option<f64>,
}

impl Metric {
    /// Compared by ratio.
    pub fn ratio(label: impl Into<String>, unit: &'static str, target: Option<f64>) -> Metric {
        Metric {
            label: label.into(),
            unit,
            compare: Compare::Ratio,
            target,
        }
    }

    /// Compared by difference.
    pub fn difference(label: impl Into<String>, unit: &'static str, target: Option<f64>) -> Metric {
        Metric {
            compare: Compare::Difference,
            ..Metric::ratio(label, unit, target)
        }
    }

    /// Of the second side only.
    pub fn alone(label: impl Into<String>, unit: &'static str, target: Option<f64>) -> Metric {
        Metric {
            compare: Compare::Alone,
            ..Metric::ratio(label, unit, target)
        }
    }
}

/// A metric and its samples.
pub struct Row {
    /// What was measured.
    pub metric: Metric,
    /// One (first, second) a repetition.
    pub pairs: Vec<(f64, f64)>,
}

impl Row {
    /// Without samples yet.
    pub fn new(metric: Metric) -> Row {
        Row {
            metric,
            pairs: Vec::new(),
        }
    }

    fn comparisons(&self) -> Vec<f64> {
        self.pairs
            .iter()
            .map(|(first, second)| match self.metric.compare {
                Compare::Ratio => second / first,
                Compare::Difference => second - first,
                Compare::Alone => *second,
            })
            .collect()
    }
}

/// A table: what its two sides are called, and its rows.
pub struct Report {
    /// The first and the second.
    pub sides: [&'static str; 2],
    /// What was measured.
    pub rows: Vec<Row>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .rows
            .iter()
            .map(|row| row.metric.label.chars().count() + row.metric.unit.chars().count() + 2)
            .max()
            .unwrap_or(0);
        writeln!(
            f,
            "{:width$}  {:>12}  {:>12}  {:>26}  {:>9}",
            "measure", self.sides[0], self.sides[1], "compared: median (min–max)", "target"
        )?;
        for row in &self.rows {
            let metric = &row.metric;
            let (first, second): (Vec<f64>, Vec<f64>) = row.pairs.iter().copied().unzip();
            let compared = row.comparisons();
            let (middle, least, most) = (
                median(&compared),
                compared.iter().copied().fold(f64::INFINITY, f64::min),
                compared.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            );
            let (compared, target) = match metric.compare {
                Compare::Ratio => (
                    format!("× {middle:.3} ({least:.3}–{most:.3})"),
                    metric.target.map(|target| format!("≤ {target}")),
                ),
                Compare::Difference => (
                    format!("{middle:+.1} {} ({least:+.1}–{most:+.1})", metric.unit),
                    metric
                        .target
                        .map(|target| format!("≤ {target} {}", metric.unit)),
                ),
                Compare::Alone => (
                    format!("({}–{})", figure(least), figure(most)),
                    metric.target.map(|target| format!("≤ {target}")),
                ),
            };
            let mark = match metric.target {
                Some(target) if middle <= target => "reached",
                Some(_) => "MISSED",
                None => "",
            };
            let line = format!(
                "{:width$}  {:>12}  {:>12}  {compared:>26}  {:>9}  {mark}",
                format!("{}, {}", metric.label, metric.unit),
                figure(median(&first)),
                figure(median(&second)),
                target.unwrap_or_default(),
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Three or more digits, none that mean nothing.
fn figure(value: f64) -> String {
    if value.is_nan() {
        String::new()
    } else if value.abs() >= 1000.0 {
        format!("{value:.0}")
    } else if value.abs() >= 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// The middle value, or the mean of the two in the middle; NaN of nothing.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (Some(high), 0) => (high + sorted[middle - 1]) / 2.0,
        (Some(value), _) => *value,
        (None, _) => f64::NAN,
    }
}
