//! How an answer was asked for, or served, where that changes its price.

use std::fmt;

/// What a price may depend on besides the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// The provider's service tier: `flex`, `priority`, `fast`, …
    ServiceTier,
    /// Anthropic's `speed`: `fast`.
    Speed,
    /// Where the model runs, as Anthropic's `inference_geo` says: `us`.
    InferenceGeo,
    /// How the request is processed: `batch`.
    Processing,
    /// Perplexity's kind of search.
    SearchType,
    /// Who serves it behind an aggregator.
    Route,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Dimension; 6] = [
        Dimension::ServiceTier,
        Dimension::Speed,
        Dimension::InferenceGeo,
        Dimension::Processing,
        Dimension::SearchType,
        Dimension::Route,
    ];

    /// Returns its name in configurations, and in requests where they have it.
    pub const fn name(self) -> &'static str {
        match self {
            Dimension::ServiceTier => "service_tier",
            Dimension::Speed => "speed",
            Dimension::InferenceGeo => "inference_geo",
            Dimension::Processing => "processing",
            Dimension::SearchType => "search_type",
            Dimension::Route => "route",
        }
    }

    /// Returns the dimension with this name.
    pub fn named(name: &str) -> Option<Dimension> {
        Dimension::ALL
            .into_iter()
            .find(|known| known.name() == name)
    }
}

/// Whether a value of a dimension is the usual one, which has the standard price.
fn is_standard(value: &str) -> bool {
    matches!(
        value,
        "" | "auto"
            | "default"
            | "standard"
            | "standard_only"
            | "standard-only"
            | "on_demand"
            | "normal"
            | "realtime"
            | "global"
            | "not_available"
    )
}

/// The longest value kept, in bytes.
const LONGEST: usize = 32;

/// What is not standard about how an answer was asked for, or served: at most one value a dimension, in the order of
/// dimensions. Empty is the standard.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Context(Vec<(Dimension, Box<str>)>);

impl Context {
    /// The standard.
    pub const STANDARD: Context = Context(Vec::new());

    /// Sets a dimension: a value is compared without regard to case, and a usual one (`default`, `standard`,
    /// `global`, …) is none.
    pub fn set(&mut self, dimension: Dimension, value: &str) {
        if self.0.is_empty() && is_standard(value) {
            return; // nearly always
        }
        // One word, as its text has blanks between dimensions.
        let words = value[..super::floor_boundary(value, LONGEST)].split_whitespace();
        let value = words.collect::<Vec<_>>().join("_").to_ascii_lowercase();
        // Anthropic calls a batch a service tier.
        let dimension = match (dimension, &*value) {
            (Dimension::ServiceTier, "batch") => Dimension::Processing,
            _ => dimension,
        };
        self.0.retain(|(known, _)| *known != dimension);
        if !is_standard(&value) {
            let place = self.0.partition_point(|(known, _)| *known < dimension);
            self.0.insert(place, (dimension, value.into()));
        }
    }

    /// Returns the same with a dimension set.
    #[must_use]
    pub fn with(mut self, dimension: Dimension, value: &str) -> Context {
        self.set(dimension, value);
        self
    }

    /// Returns the value of a dimension; `None` if it is the standard one.
    pub fn get(&self, dimension: Dimension) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| *known == dimension);
        found.map(|(_, value)| &**value)
    }

    /// Returns whether nothing is other than standard.
    pub fn is_standard(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns what is not standard, in the order of dimensions.
    pub fn iter(&self) -> impl Iterator<Item = (Dimension, &str)> {
        self.0
            .iter()
            .map(|(dimension, value)| (*dimension, &**value))
    }

    /// Returns whether every value of `other` is the same here.
    pub fn includes(&self, other: &Context) -> bool {
        other
            .iter()
            .all(|(dimension, value)| self.get(dimension) == Some(value))
    }
}

/// `service_tier=priority speed=fast`; `standard` if nothing is other than that.
impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_standard() {
            return f.write_str("standard");
        }
        for (place, (dimension, value)) in self.iter().enumerate() {
            let gap = if place == 0 { "" } else { " " };
            write!(f, "{gap}{}={value}", dimension.name())?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Context {
    type Err = String;

    fn from_str(text: &str) -> Result<Context, String> {
        let mut context = Context::default();
        for part in text.split_whitespace().filter(|part| *part != "standard") {
            let known = part
                .split_once('=')
                .and_then(|(name, value)| Some((Dimension::named(name)?, value)));
            let (dimension, value) =
                known.ok_or_else(|| format!("`{part}` is not `dimension=value`"))?;
            context.set(dimension, value);
        }
        Ok(context)
    }
}

/// As its text. What is not understood of a stored one is passed over: earlier versions kept blanks within values, and
/// later ones may know more dimensions.
impl serde::Serialize for Context {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_standard() {
            return serializer.serialize_str("");
        }
        serializer.serialize_str(&self.to_string())
    }
}

impl<'de> serde::Deserialize<'de> for Context {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let mut context = Context::default();
        let parts = text.split_whitespace();
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            if let Some(dimension) = Dimension::named(name) {
                context.set(dimension, value);
            }
        }
        Ok(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_values_are_the_standard() {
        for value in [
            "auto",
            "default",
            "Standard",
            "standard_only",
            "on_demand",
            "",
            "global",
            "not_available",
        ] {
            let mut context = Context::default().with(Dimension::ServiceTier, "priority");
            context.set(Dimension::ServiceTier, value);
            assert!(context.is_standard(), "{value}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let context = Context::default()
            .with(Dimension::Speed, "fast")
            .with(Dimension::ServiceTier, "PRIORITY");
        assert_eq!(context.to_string(), "service_tier=priority speed=fast");
        assert_eq!(context.to_string().parse(), Ok(context.clone()));
        assert_eq!("standard".parse(), Ok(Context::STANDARD));
        assert!("fast".parse::<Context>().is_err());
        assert_eq!(
            Context::default()
                .with(Dimension::ServiceTier, "batch")
                .to_string(),
            "processing=batch"
        );
    }
}
