//! Numbers, money and times as people read them.

use maud::{Markup, html};
use serde_json::Value;
use tollgate_base::clock;
use tollgate_base::time::instant;

/// The text of a member; empty if it is none.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The number of a member; 0 if it is none.
pub(super) fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or(0)
}

/// The items of a member; none if it has none.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// The texts of a list.
pub(super) fn texts<'a>(value: &'a Value, name: &str) -> Vec<&'a str> {
    list(value, name).iter().filter_map(Value::as_str).collect()
}

/// A count, as in `1,234,567`.
pub(super) fn count(count: u64) -> String {
    grouped(&count.to_string())
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count in few letters, as in `12.3 M`.
pub(super) fn short(count: u64) -> String {
    const STEPS: [(u64, &str); 4] = [
        (1_000_000_000_000, "T"),
        (1_000_000_000, "B"),
        (1_000_000, "M"),
        (1_000, "K"),
    ];
    match STEPS.iter().find(|(step, _)| count >= *step * 10) {
        Some((step, name)) => format!(
            "{}.{} {name}",
            grouped(&(count / step).to_string()),
            count % step * 10 / step
        ),
        None => self::count(count),
    }
}

/// US dollars from an exact decimal: four digits after the point at most, and all of less than a cent.
pub(super) fn usd(decimal: &str) -> String {
    let (sign, plain) = match decimal.strip_prefix('-') {
        Some(plain) => ("−", plain),
        None => ("", decimal),
    };
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let trimmed = fraction.trim_end_matches('0').len();
    // Less than a cent has all its digits, so that columns of such line up.
    let kept = match whole {
        "0" if trimmed > 0 && fraction.starts_with("00") => fraction.len(),
        _ => trimmed.clamp(2, 4),
    };
    let fraction = format!("{fraction:0<kept$}");
    let fraction: String = fraction.chars().take(kept).collect();
    format!("{sign}${}.{fraction}", grouped(whole))
}

/// US dollars, every digit.
pub(super) fn exact(decimal: &str) -> String {
    match decimal.strip_prefix('-') {
        Some(plain) => format!("−${plain}"),
        None => format!("${decimal}"),
    }
}

/// US dollars from cents.
pub(super) fn cents(cents: i64) -> String {
    let sign = if cents < 0 { "−" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}${}.{:02}", count(cents / 100), cents % 100)
}

/// A decimal as a number, for charts.
pub(super) fn rough(decimal: &str) -> f64 {
    decimal.parse().unwrap_or(0.0)
}

/// Milliseconds, as in `340 ms` or `2.1 s`.
pub(super) fn millis(ms: u64) -> String {
    match ms {
        0..=9_999 => format!("{} ms", count(ms)),
        _ => format!("{}.{} s", count(ms / 1_000), ms % 1_000 / 100),
    }
}

/// A time (RFC 3339, UTC) to the second.
pub(super) fn time(text: &str) -> Markup {
    let shown = text.get(..19).unwrap_or(text).replacen('T', " ", 1);
    html! { time datetime=(text) { (shown) } }
}

/// The day of a time (RFC 3339, UTC).
pub(super) fn day(text: &str) -> Markup {
    html! { time datetime=(text) { (text.get(..10).unwrap_or(text)) } }
}

/// How long it is to a time, counted down on the page.
pub(super) fn countdown(text: &str) -> Markup {
    html! { span data-until=(text) { (away(text)) } }
}

/// How long ago a time was, or how long it is to it, as in `3 min ago`.
pub(super) fn away(text: &str) -> Markup {
    let now = i128::from(clock::wall_ms());
    let then = instant(text).map_or(now, |nanos| nanos.div_euclid(1_000_000));
    let seconds = (now - then).abs() / 1_000;
    let amount = match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    };
    let shown = if then > now {
        format!("in {amount}")
    } else {
        format!("{amount} ago")
    };
    html! { time datetime=(text) title=(text) { (shown) } }
}

/// How a number compares with one before, in whole percent; `None` if there is nothing to compare with.
pub(super) fn change(now: f64, before: f64) -> Option<String> {
    if before <= 0.0 {
        return None;
    }
    let percent = ((now - before) / before * 100.0).round();
    Some(if percent > 999.0 {
        "more than 10 times".to_owned()
    } else if percent > 0.0 {
        format!("+{percent:.0} %")
    } else if percent < 0.0 {
        format!("−{:.0} %", percent.abs())
    } else {
        "as much".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_money_are_said_as_people_read_them() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(short(9_999), "9,999");
        assert_eq!(short(12_345), "12.3 K");
        assert_eq!(short(u64::MAX), "18,446,744.0 T");
        for (decimal, shown) in [
            ("0.00000", "$0.00"),
            ("0.00001", "$0.00001"),
            ("0.00040", "$0.00040"),
            ("0.5", "$0.50"),
            ("1234.5", "$1,234.50"),
            ("1.23456", "$1.2345"),
            ("-2.50000", "−$2.50"),
            ("7", "$7.00"),
        ] {
            assert_eq!(usd(decimal), shown, "{decimal}");
        }
        assert_eq!(cents(-123_456), "−$1,234.56");
        assert_eq!(
            (millis(340), millis(12_345)),
            ("340 ms".into(), "12.3 s".into())
        );
    }

    #[test]
    fn changes_are_percents_of_what_was_before() {
        for (now, before, said) in [
            (1.0, 0.0, None),
            (3.0, 2.0, Some("+50 %")),
            (1.0, 2.0, Some("−50 %")),
            (2.0, 2.0, Some("as much")),
            (100.0, 1.0, Some("more than 10 times")),
        ] {
            assert_eq!(change(now, before).as_deref(), said, "{now} after {before}");
        }
    }
}
