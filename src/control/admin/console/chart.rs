//! Charts, drawn here as SVG. What a chart shows stands in a table, too.

use maud::{Markup, html};

/// One bar: what it is for, its height, the part of it that is bad, and all that in words.
pub(super) struct Bar {
    pub(super) value: f64,
    pub(super) bad: f64,
    pub(super) words: String,
}

/// Of a drawing, whose units are a hundredth of its height; a bar is 10 wide.
const HEIGHT: f64 = 100.0;

/// Bars over time. `most` is the highest one in words, `ends` what stands below the first and the last.
pub(super) fn bars(title: &str, bars: &[Bar], most: &str, ends: (&str, &str)) -> Markup {
    let highest = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let scale = if highest > 0.0 { HEIGHT / highest } else { 0.0 };
    let mut width = 0.0;
    let drawn: Vec<(f64, f64, f64, &str)> = bars
        .iter()
        .map(|bar| {
            let left = width;
            width += 10.0;
            // What is not nothing can be seen.
            let visible = |height: f64| if height > 0.0 { height.max(1.5) } else { 0.0 };
            let height = visible(bar.value * scale);
            (
                left,
                height,
                visible(bar.bad * scale).min(height),
                &*bar.words,
            )
        })
        .collect();
    html! {
        figure.chart {
            figcaption { (title) }
            p.most aria-hidden="true" { (most) }
            svg viewBox=(format!("0 0 {width} {HEIGHT}")) preserveAspectRatio="none" role="img" aria-label=(title) {
                @for line in [0.5, 50.0, 99.5] {
                    line.grid x1="0" x2=(width) y1=(line) y2=(line) vector-effect="non-scaling-stroke" {}
                }
                @for (left, height, bad, words) in drawn {
                    g {
                        title { (words) }
                        rect.hit x=(left) y="0" width="10" height=(HEIGHT) {}
                        rect.bar x=(left + 1.0) y=(HEIGHT - height) width="8" height=(height) {}
                        @if bad > 0.0 {
                            rect.bad x=(left + 1.0) y=(HEIGHT - bad) width="8" height=(bad) {}
                        }
                    }
                }
            }
            p.ends aria-hidden="true" { span { (ends.0) } span { (ends.1) } }
        }
    }
}

/// A part of a whole, as a bar in a table's row.
pub(super) fn share(part: f64, whole: f64) -> Markup {
    let width = if whole > 0.0 {
        part / whole * 100.0
    } else {
        0.0
    };
    html! {
        svg.share viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
            rect.track x="0" y="0" width="100" height="10" {}
            rect.bar x="0" y="0" width=(format!("{width:.1}")) height="10" {}
        }
    }
}

/// When something happened within a whole: from `begin` for `waited`, then for `answered`; all in one unit.
pub(super) fn span(whole: u64, begin: u64, waited: u64, answered: u64, good: bool) -> Markup {
    let part = |amount: u64| {
        let whole = whole.max(1);
        u64::try_from(u128::from(amount) * 1_000 / u128::from(whole)).unwrap_or(1_000)
    };
    let (wait, answer) = if good {
        ("wait", "bar")
    } else {
        ("bad", "bad")
    };
    html! {
        svg.span viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {
            rect.track x="0" y="4" width="1000" height="2" {}
            rect class=(wait) x=(part(begin)) y="1" width=(part(waited).max(4)) height="8" {}
            rect class=(answer) x=(part(begin + waited)) y="1" width=(part(answered).max(4)) height="8" {}
        }
    }
}
