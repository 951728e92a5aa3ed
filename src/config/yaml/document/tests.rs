//! What texts are read as: an operator's file means the same in every version.

use std::fmt::Write;

use super::*;

/// What is read of a text, with each value's line, and what is wrong with it.
fn told(text: &str) -> String {
    let mut document = Document::empty(Path::new("f"));
    let mut told = format!("{text:?}\n");
    if let Some(value) = document.content(text) {
        writeln!(told, "    {value}").unwrap();
        let lines = lines(&document.lines, &value, &Place::default());
        if lines.iter().any(|line| !line.ends_with("@1")) {
            writeln!(told, "    {}", lines.join(" ")).unwrap();
        }
    }
    for fault in document.faults {
        writeln!(told, "    {fault}").unwrap();
    }
    told
}

fn lines(lines: &Lines, value: &Value, place: &Place) -> Vec<String> {
    let mut told = Vec::new();
    if let Some(line) = lines.line(place).filter(|_| !place.0.is_empty()) {
        told.push(format!("{place}@{line}"));
    }
    for (i, value) in value.as_array().into_iter().flatten().enumerate() {
        told.extend(self::lines(lines, value, &place.index(i)));
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        told.extend(self::lines(lines, value, &place.key(key)));
    }
    told
}

fn all(texts: &[&str]) -> String {
    texts.iter().map(|text| told(text)).collect()
}

/// What a scalar is read as: as a value, quoted, as a key, and with the tags of YAML's types.
#[test]
fn scalars_stand_for_what_they_always_did() {
    let scalars = "~ null Null NULL nUll true True TRUE tRUE false False FALSE yes no on off y n Yes OFF
        0 1 -1 +1 00 01 007 -01 +01 0o17 0O17 017 -0o17 +0o17 0o 0o8 0x1F 0X1F 0x1f -0x1F +0x1F 0x 0xG 0x-1 0x+1
        0b101 -0b101 +0b11 0b 0b2 1_000 0x1_0 1,000 -0 +0 -0.0
        18446744073709551615 9223372036854775808 -9223372036854775808 0xFFFFFFFFFFFFFFFF -0x8000000000000000
        1.0 1. .5 -.5 +.5 00.5 01.5 1e3 1E3 1e+3 1e-3 1e400 -1e400 1e-400 .1e1 1.e1 e5 1e 1.2.3.4 2.50
        12:30:45 12:30 2026-11-30 2026-11-30T01:02:03Z 5% 1k 10MiB 90s $5 gpt-4o
        .inf .Inf .INF .iNF -.inf -.INF +.inf ++.inf +-.inf inf infinity nan .nan .NaN .NAN +.nan -.nan
        +-5 -+5 --5 ++5 + . .. ... +. -. << =";
    let mut table = String::new();
    for scalar in scalars.split_whitespace() {
        write!(table, "{scalar:<22}").unwrap();
        for form in [
            "a: @",
            "a: '@'",
            "@: a",
            "a: !!str @",
            "a: !!int @",
            "a: !!float @",
            "a: !!bool @",
            "a: !!null @",
        ] {
            let mut document = Document::empty(Path::new("f"));
            let value = document.content(&form.replace('@', scalar));
            let first = value
                .as_ref()
                .and_then(|value| value.as_object()?.iter().next());
            let shown = match first {
                Some((key, _)) if form.starts_with('@') => format!("{key:?}"),
                Some((_, value)) => value.to_string(),
                None => "-".to_owned(),
            };
            write!(table, " {shown:<22}").unwrap();
        }
        table = table.trim_end().to_owned() + "\n";
    }
    insta::assert_snapshot!(table);
}

#[test]
fn documents_say_what_they_always_did() {
    insta::assert_snapshot!(all(&[
        "",
        "\n",
        "# nothing",
        "---\n",
        "---\n...\n",
        "---\na: 1\n...\n# c\n",
        "%YAML 1.2\n---\na: yes\n",
        "%YAML 1.1\n---\na: yes\n",
        "a: 1\n---\nb: 2\n",
        "a: 1\n---\n",
        "\u{feff}a: 1\n",
        "\u{feff}",
        "a: 1\r\nb:\r\n  - 2\r\n",
        "a:\tx\n",
        "a: x\t# c\n",
        "a:\n\tb: 1\n",
        "\ta: 1\n",
        "a: [\n\t1,\n\t2 ]\n",
        "a: b # c\n",
        "a: b#c\n",
        "a: x\n  y\n\n  z\n",
        "a: |\n  x\n  y\n\nb: >-\n  x\n  y\n\n  z\n",
        "a: |+\n  x\n\nb: |2\n    x\n",
        "a: 'it''s\n  so'\n",
        "a: \"\\x41\\u0042\\U00000043\\n\\t\\e\\0\\/\\_\\N\\L\\P\\\\\\\"\\\n  x\"\n",
        "a: \"\\q\"\n",
        "a: 'é 😀'\n",
        "a: http://x:80/y\nb: [http://x:80/y, {c: d:e}]\n",
        "a: [1, 'b', ~, ]\nb: {c: , d: {}, e}\nf:\ng: ''\n",
        "a:\n- 1\n-\n- - 2\n  - b: 3\n",
        "a: x\n",
        "# c\n\nproxy:\n  listen:\n    - a\n    - b\nproviders:\n  - id: x\n    keys: [{ id: k,\n      value: v }]\n  - { id: y }\n",
        "- a\n- b: 1\n",
        "5",
        "text",
        "[]",
    ]));
}

#[test]
fn aliases_merge_keys_and_tags_say_what_they_always_did() {
    insta::assert_snapshot!(all(&[
        "a: &x 1\nb: *x\n",
        "a: &x\n  b: [1,\n    2]\nc:\n  *x\n",
        "a: &x 1\nb: &x 2\nc: *x\n",
        "a: &x k\n*x : 1\n",
        "&x a: *x\n",
        "a: &x\nb: *x\n",
        "a: *x\n",
        "a: &x [*x]\n",
        "a: &x {p: 1}\nb:\n  <<: *x\n  q: 2\n",
        "a: &x {p: 1}\nb: {p: 2, <<: *x}\n",
        "a: &x {p: 1}\nb: &y {p: 2, r: 3}\nc: {<<: [*x, *y], s: 4}\n",
        "a: &x {p: 1}\nb: {p: ~, <<: *x}\n",
        "a: &x {p: 1}\nb: &y {<<: *x, q: 2}\nc: {<<: *y}\n",
        "a: {<<: {b: 1}, '<<': {c: 1}}\n",
        "a: {'<<': {b: 1}}\n",
        "<<: {a: 1}\n",
        "a:\n  <<:\n",
        "a:\n  <<: 1\n",
        "a:\n  <<: [1]\n",
        "a:\n  <<: [[1]]\n",
        "a: {<<: []}\n",
        "a: !own\n  b: 1\nc: [!own 2]\n",
        "a: ! 1\n",
        "a: &x !own 1\nb: *x\n",
        "a: {<<: !own {b: 1}}\n",
        "!own a: 1\n",
        "a: !!map {b: !!seq [!!set {c}]}\nd: !!binary aGk=\n",
        "a: !<tag:yaml.org,2002:int> 1\nb: !!int '2'\nc: !!float |-\n  3\nd: !!str\n",
        "%TAG !e! tag:yaml.org,2002:\n---\na: !e!int 1\n",
        "a: !h!x 1\n",
        "a:\n  b: !!int x\n",
        "a: [!!null ~, !!null '']\n",
        "a: 1\nb: [18446744073709551616]\n",
        "a: -9223372036854775809\n",
    ]));
}

#[test]
fn keys_and_what_is_not_yaml_are_told_as_they_always_were() {
    insta::assert_snapshot!(all(&[
        "1: a\n0x1F: b\n1.0: c\n1e3: d\ntrue: e\n'': f\n",
        "~: a\nb: 1\n",
        ": a\n",
        "? a\n: b\n? c\n",
        "? [a]\n: {b: 1}\nb:\n  2\n",
        "{a: 1}: b\n",
        "{a: 1, \"b\":2, c}\n",
        "a: [b: 1, c]\n",
        "a: 1\nb: { c: 1, c: 2 }\na: 3\na: 4\n",
        "1: a\n'1': b\n",
        "a: 1\n\"a\": !!int x\n",
        "a: &x { c: 1, c: 2 }\nb: *x\n",
        "a: 1\nb: [1\nc: 2\n",
        "a: {b: 1\n",
        "a: 'x\n",
        "a: b: c\n",
        "a:\n  b: 1\n c: 2\n",
        "a: @x\n",
        "a: ]\n",
        "a: \u{1}\n",
        "a: x\u{7f}\n",
        "a: \u{1b}[31m\n",
    ]));
}

#[test]
fn what_would_take_gigabytes_is_refused() {
    let refused = |text: &str| {
        let mut document = Document::empty(Path::new("f"));
        let refused = document.content(text).is_none();
        refused.then(|| document.faults[0].to_string())
    };
    for (text, deepest) in [("[@]", 128), ("{a: @}", 128)] {
        let (open, close) = text.split_once('@').unwrap();
        let nested = |deep| format!("{}{}", open.repeat(deep), close.repeat(deep));
        assert_eq!(refused(&nested(deepest)), None, "{text}");
        let deeper = refused(&nested(deepest + 1)).unwrap();
        assert_eq!(deeper, "f:1: not YAML: nested more than 128 deep", "{text}");
    }
    assert!(refused(&"- ".repeat(30_000)).is_some());
    // Each line is ten of the one before.
    let mut text = "- &a0 x\n".to_owned();
    for i in 0..9 {
        text += &format!("- &a{} [{}]\n", i + 1, format!("*a{i},").repeat(10));
        assert_eq!(
            refused(&text).is_some(),
            i >= 4,
            "{i}: {:?}",
            refused(&text)
        );
    }
    let long = format!("- &x {}\n", "x".repeat(256_000));
    for (times, fine) in [(50, true), (100, false)] {
        let text = format!("{long}- [{}]\n", "*x,".repeat(times));
        assert_eq!(refused(&text).is_none(), fine, "{times} long texts");
    }
    let told = refused(&text).unwrap();
    assert!(
        told.contains("its aliases stand for more than 100000 values"),
        "{told}"
    );
}
