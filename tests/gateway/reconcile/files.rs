//! Reports that cannot be compared, and usage as files.

use super::*;

/// A gateway that served a few requests.
async fn used(requests: usize) -> (Gateway, Vendor, Fake) {
    let (vendor, fake) = Vendor::start().await;
    let gateway = gateway(&fake).start().await;
    traffic(&[&gateway], &vendor, requests).await;
    (gateway, vendor, fake)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_compared_is_refused_with_its_place_and_changes_nothing() {
    let (gateway, vendor, _fake) = used(6).await;
    let days = Days::around_now();
    let [costs, usage] = vendor.openai(Billing::HONEST, days.span());
    let mut euros = costs.clone();
    euros["data"][1]["results"][0]["amount"]["currency"] = json!("eur");
    let mut holes = costs.clone();
    holes["data"].as_array_mut().unwrap().remove(0);
    let mut more = costs.clone();
    more["has_more"] = json!(true);
    more["next_page"] = json!("page_2");
    let mut words = usage.clone();
    words["data"][1]["results"][0]["input_tokens"] = json!("many");
    let cases = [
        (
            euros,
            "data[1].results[0].amount.currency: the currency is `eur`",
        ),
        (holes, "the cost report has nothing of"),
        (more, "has_more is true"),
        (
            words,
            "data[1].results[0].input_tokens: expected a decimal number",
        ),
        (json!({"error": {"message": "no"}}), "a request that failed"),
        (json!([]), "no file was given"),
    ];
    for (page, expected) in cases {
        let files = save(&gateway, "bad", std::slice::from_ref(&page));
        let (output, report) = reconcile(&gateway, "acme", &days, &files, &[]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "expected {expected}: {said}");
        assert!(output.stdout.is_empty() && report.is_null(), "{said}");
    }
    let files = save(&gateway, "good", &[costs.clone(), usage]);
    let missing = gateway.path("nowhere.json").to_str().unwrap().to_owned();
    let binary = gateway.path("binary.json");
    std::fs::write(&binary, [0xff, 0xfe, 0]).unwrap();
    let binary = binary.to_str().unwrap().to_owned();
    for (provider, files, more, expected) in [
        (
            "acme",
            &[missing][..],
            &[][..],
            "nowhere.json: it cannot be read",
        ),
        ("acme", &[binary][..], &[][..], "it is not UTF-8 text"),
        (
            "nobody",
            &files[..],
            &[][..],
            "there is no provider `nobody`",
        ),
        (
            "acme",
            &files[..],
            &["--from", "2026-13-01"][..],
            "cannot be used multiple times",
        ),
        (
            "acme",
            &files[..],
            &["--tolerance", "much"][..],
            "expected per cent, such as 0.1",
        ),
        (
            "acme",
            &files[..],
            &["--key", "acme-1"][..],
            "such as house=key_abc",
        ),
        ("acme", &files[..], &["--fetch"][..], "cannot be used with"),
    ] {
        let (output, _) = reconcile(&gateway, provider, &days, files, more);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "expected {expected}: {said}");
    }
    let (first, last) = (days.first(), days.last());
    let output = gateway.command(&[
        "reconcile",
        "--provider",
        "acme",
        "--from",
        &last,
        "--to",
        &first,
        "--report",
        &files[0],
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("is after --to"), "{}", said(&output));
    // After all that, both sides are what they were.
    let (output, _) = reconcile(&gateway, "acme", &days, &files, &["--all"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("matched"), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_is_exported_in_every_format_and_adds_up() {
    let (gateway, _vendor, _fake) = used(30).await;
    let days = Days::around_now();
    let (first, last) = (days.first(), days.last());
    let export = |more: &[&str]| {
        let mut args = vec!["usage", "export", "--from", &first, "--to", &last];
        args.extend(more);
        gateway.command(&args)
    };
    let lines = |output: &Output| -> Vec<String> {
        assert!(output.status.success(), "{}", said(output));
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    let objects: Vec<Value> = lines(&export(&["--format", "jsonl"]))
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let finals = objects
        .iter()
        .filter(|one| one["isFinalAttempt"] == true)
        .count();
    assert_eq!(finals, 30);
    let nanos = |text: &str| tollgate_reconcile::parse_usd(text).unwrap().0;
    let total: i64 = objects
        .iter()
        .map(|one| nanos(one["totalCost"].as_str().unwrap()))
        .sum();
    let books = bank::on(&gateway.database())
        .books("default")
        .await
        .unwrap();
    assert_eq!(total, books.spent.0, "what is exported is what was charged");
    let ids: std::collections::BTreeSet<&str> = objects
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), objects.len(), "nothing twice");

    let rows = lines(&export(&[]));
    assert_eq!(
        rows.len(),
        objects.len() + 1,
        "a row an attempt, under its headings"
    );
    assert!(
        rows[0].starts_with("time,id,request_id,account"),
        "{}",
        rows[0]
    );

    let path = gateway.path("focus.csv");
    let output = export(&[
        "--format",
        "focus",
        "--account",
        "default",
        "-o",
        path.to_str().unwrap(),
    ]);
    assert!(
        output.status.success() && output.stdout.is_empty(),
        "{}",
        said(&output)
    );
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("BilledCost,BillingAccountId,"), "{text}");
    // The first column, twelve decimals of it.
    let picos: i128 = text
        .lines()
        .skip(1)
        .map(|line| {
            let cost = line.split(',').next().unwrap();
            let (whole, fraction) = cost.split_once('.').unwrap_or((cost, ""));
            format!("{whole}{fraction:0<12}").parse::<i128>().unwrap()
        })
        .sum();
    assert_eq!(picos, i128::from(books.spent.0) * 1_000);
    let left: Vec<_> = std::fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("partial"))
        .collect();
    assert!(left.is_empty(), "{left:?}");

    for (more, expected) in [
        (&["--account", "nobody"][..], "there is no account `nobody`"),
        (&["-o", "/nowhere/x.csv"][..], "cannot be written"),
        (&["--format", "xml"][..], "invalid value 'xml'"),
    ] {
        let output = export(more);
        assert!(
            !output.status.success() && said(&output).contains(expected),
            "{}",
            said(&output)
        );
    }
    // What lists usage still does.
    assert!(
        gateway
            .command(&["usage", "--by", "model"])
            .status
            .success()
    );
}
