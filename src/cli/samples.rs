//! What `/metrics` says, as far as our own metrics use the text form of Prometheus.

use std::collections::BTreeMap;

/// One line of the metrics.
pub struct Sample<'t> {
    /// With `tollgate_` in front.
    pub name: &'t str,
    /// Its labels.
    pub labels: BTreeMap<&'t str, &'t str>,
    /// What it is now; of a histogram, that of one bucket, of the sum or of the count.
    pub value: f64,
}

impl<'t> Sample<'t> {
    /// The value of a label; empty without it.
    pub fn label(&self, name: &str) -> &'t str {
        self.labels.get(name).copied().unwrap_or_default()
    }
}

/// Reads the metrics; lines that are none are passed over.
pub fn samples(text: &str) -> Vec<Sample<'_>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (name, inside) = series.split_once('{').unwrap_or((series, "}"));
            let pairs = inside.trim_end_matches('}').split("\",");
            let labels = pairs.filter_map(|pair| pair.split_once("=\""));
            Some(Sample {
                name,
                labels: labels
                    .map(|(label, value)| (label, value.trim_end_matches('"')))
                    .collect(),
                value: value.parse().ok()?,
            })
        })
        .collect()
}
