//! The context that a price depends on, under one name for every provider's words.

/// The ordinary one.
pub(crate) const STANDARD: &str = "standard";

/// Returns one name for a tier, a speed and a place: `standard`, `priority`, `batch`, `fast`, `batch+us`. Words that
/// mean the ordinary are left out: `default`, `auto`, `standard`, `global`, `not_available`.
pub fn variant(tier: Option<&str>, speed: Option<&str>, place: Option<&str>) -> String {
    let words = [tier, speed, place].map(|word| word.map(str::trim).map(str::to_lowercase));
    let mut kept: Vec<&str> = Vec::new();
    for word in words.iter().flatten() {
        match word.as_str() {
            "" | "default" | "auto" | "standard" | "global" | "not_available" | "message"
            | "messages" | "none" | "null" => {}
            // What Anthropic calls the same tier when it is not committed to.
            "priority_on_demand" => kept.push("priority"),
            "flex_discount" => kept.push("flex"),
            other => kept.push(other),
        }
    }
    if kept.is_empty() {
        return STANDARD.to_owned();
    }
    kept.join("+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_has_one_name() {
        for (tier, speed, place, name) in [
            (None, None, None, "standard"),
            (Some("default"), None, None, "standard"),
            (Some("auto"), Some("standard"), Some("global"), "standard"),
            (Some("Batch"), None, Some("not_available"), "batch"),
            (Some("priority_on_demand"), None, None, "priority"),
            (Some("flex_discount"), None, None, "flex"),
            (Some("standard"), Some("fast"), Some("us"), "fast+us"),
            (Some("message"), Some(""), None, "standard"),
        ] {
            assert_eq!(
                variant(tier, speed, place),
                name,
                "{tier:?} {speed:?} {place:?}"
            );
        }
    }
}
