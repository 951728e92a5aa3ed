//! Where traces and metrics may be sent.

use crate::yaml::{Config, OtlpProtocol, parse};

fn traces(section: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, String> {
    let yaml = format!("telemetry: {{ traces: {section} }}");
    parse(&yaml, env).map_err(|faults| faults.to_string())
}

#[test]
fn a_receiver_is_where_its_address_says() {
    let secret = "{ endpoint: 'https://otlp.example.com/in?key=hidden' }";
    for (section, sent_to, shown) in [
        (
            "{ endpoint: 'http://127.0.0.1:4318' }",
            "http://127.0.0.1:4318/v1/traces",
            "http://127.0.0.1:4318",
        ),
        (
            "{ endpoint: 'http://localhost:4318/' }",
            "http://localhost:4318/v1/traces",
            "http://localhost:4318",
        ),
        (
            "{ endpoint: 'http://10.0.0.1/v1' }",
            "http://10.0.0.1/v1",
            "http://10.0.0.1",
        ),
        (
            secret,
            "https://otlp.example.com/in?key=hidden",
            "https://otlp.example.com",
        ),
    ] {
        let traces = traces(section, &|_| None).unwrap().traces.unwrap();
        assert_eq!(traces.receiver.endpoint.expose(), sent_to);
        assert_eq!(traces.receiver.shown, shown);
        assert!(!format!("{traces:?}").contains("hidden"), "{traces:?}");
    }
}

#[test]
fn the_environment_says_what_the_section_does_not() {
    let env = |name: &str| {
        let value = match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => "http://localhost:4318/base",
            "OTEL_EXPORTER_OTLP_HEADERS" => "authorization=Bearer%20secret, X-Team = a",
            "OTEL_SERVICE_NAME" => "edge",
            "OTEL_RESOURCE_ATTRIBUTES" => "service.name=x,deployment.environment.name=test,a=1",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let filled = traces("{ resource: { a: '2' } }", &env).unwrap();
    let filled = filled.traces.unwrap().receiver;
    assert_eq!(
        filled.endpoint.expose(),
        "http://localhost:4318/base/v1/traces"
    );
    let headers: Vec<_> = filled
        .headers
        .iter()
        .map(|(name, value)| (&**name, value.expose()))
        .collect();
    assert_eq!(
        headers,
        [("authorization", "Bearer secret"), ("x-team", "a")]
    );
    assert_eq!(filled.service_name, "edge");
    let pairs = [("a", "2"), ("deployment.environment.name", "test")];
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(filled.resource, pairs);
    // Without the section nothing is traced, whatever the environment says.
    assert_eq!(parse("failover: true", &env).unwrap().traces, None);
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    let at = "endpoint: 'http://127.0.0.1:4318'";
    for (section, told) in [
        ("{}".to_owned(), "does not say where traces are sent"),
        ("{ endpoint: 'localhost:4318' }".to_owned(), "not a URL"),
        (
            "{ endpoint: 'http://8.8.8.8:4318' }".to_owned(),
            "neither loopback nor private",
        ),
        (
            "{ endpoint: 'http://169.254.169.254' }".to_owned(),
            "must not be called",
        ),
        (
            "{ endpoint: 'http://user:secret@127.0.0.1' }".to_owned(),
            "no user, password or fragment",
        ),
        (format!("{{ {at}, sample: 1.5 }}"), "too large"),
        (format!("{{ {at}, sample: -1 }}"), "too small"),
        (format!("{{ {at}, sample: often }}"), "traces.sample"),
        (
            format!("{{ {at}, keep: {{ slow: 0s }} }}"),
            "keep.slow: must be more than 0",
        ),
        (
            format!("{{ {at}, keep: {{ error: true }} }}"),
            "did you mean `errors`",
        ),
        (
            format!("{{ {at}, headers: {{ 'a b': x }} }}"),
            "not a header's name",
        ),
        (
            format!("{{ {at}, headers: {{ x-key: '' }} }}"),
            "the credential is empty",
        ),
        (format!("{{ {at}, headers: {{ host: x }} }}"), "itself"),
        (format!("{{ {at}, service_name: '' }}"), "name is empty"),
        (
            format!("{{ {at}, resource: {{ service.name: x }} }}"),
            "write `service_name` instead",
        ),
        (
            format!("{{ {at}, baggage: [tollgate.cost_usd] }}"),
            "baggage[0]: an attribute of this name is the gateway's own",
        ),
        (
            format!("{{ {at}, baggage: ['a b'] }}"),
            "baggage[0]: this is not the name of a member",
        ),
    ] {
        let faults = traces(&section, &|_| None).map(drop).expect_err(&section);
        assert!(faults.contains(told), "{section}: {faults}");
        assert!(!faults.contains("secret"), "{section}: {faults}");
    }
    let left_out = format!("{{ {at}, headers: {{ x-key: '${{NONE:-}}' }} }}");
    let traces = traces(&left_out, &|_| None).unwrap().traces.unwrap();
    assert_eq!(traces.receiver.headers, []);
}

#[test]
fn metrics_have_a_receiver_of_their_own() {
    let env = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://localhost:4318/base".to_owned()),
        _ => None,
    };
    let metrics = |section: &str| {
        let yaml = format!("telemetry: {{ metrics: {section} }}");
        let config = parse(&yaml, &env).map_err(|faults| faults.to_string());
        config.map(|config| config.pushed_metrics.unwrap())
    };
    let usual = metrics("{}").unwrap();
    let sent_to = usual.receiver.endpoint.expose();
    assert_eq!(sent_to, "http://localhost:4318/base/v1/metrics");
    assert_eq!(usual.every.as_secs(), 60);
    let own = metrics("{ endpoint: 'http://127.0.0.1:9', every: 10s }").unwrap();
    let sent_to = own.receiver.endpoint.expose();
    assert_eq!(sent_to, "http://127.0.0.1:9/v1/metrics");
    assert_eq!(own.every.as_secs(), 10);
    for every in ["0s", "2h"] {
        let faults = metrics(&format!("{{ every: {every} }}")).unwrap_err();
        assert!(faults.contains("is not between 1s and 1h"), "{faults}");
    }
    let faults = metrics("{ headers: { x-key: '' } }").unwrap_err();
    assert!(faults.contains("the credential is empty"), "{faults}");
}

#[test]
fn a_receiver_may_speak_grpc() {
    for (endpoint, sent_to) in [
        ("http://127.0.0.1", "http://127.0.0.1:4317"),
        ("http://127.0.0.1:80/", "http://127.0.0.1:80"),
        ("http://[::1]", "http://[::1]:4317"),
        ("https://otlp.example.com", "https://otlp.example.com:443"),
        (
            "https://otlp.example.com:4317",
            "https://otlp.example.com:4317",
        ),
    ] {
        let section = format!("{{ endpoint: '{endpoint}', protocol: grpc }}");
        let receiver = traces(&section, &|_| None)
            .unwrap()
            .traces
            .unwrap()
            .receiver;
        assert_eq!(receiver.protocol, OtlpProtocol::Grpc);
        assert_eq!(
            (receiver.endpoint.expose(), &*receiver.shown),
            (sent_to, sent_to)
        );
    }
    for (section, told) in [
        (
            "endpoint: 'http://127.0.0.1:4317/v1/traces', protocol: grpc",
            "has no path",
        ),
        (
            "endpoint: 'http://127.0.0.1:4317?a=b', protocol: grpc",
            "has no path",
        ),
        ("endpoint: 'http://127.0.0.1', protocol: http", "protocol"),
        (
            "endpoint: 'http://127.0.0.1', headers: { te: gzip }",
            "itself",
        ),
        (
            "endpoint: 'http://127.0.0.1', headers: { grpc-timeout: 1S }",
            "itself",
        ),
    ] {
        let faults = traces(&format!("{{ {section} }}"), &|_| None);
        let faults = faults.map(drop).expect_err(section);
        assert!(faults.contains(told), "{section}: {faults}");
    }
}

#[test]
fn the_environment_says_how_a_receiver_is_spoken_to() {
    let own = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
    let all = "OTEL_EXPORTER_OTLP_PROTOCOL";
    for (set, written, spoken, warnings) in [
        (vec![], "", OtlpProtocol::Http, 0),
        (vec![(all, "grpc")], "", OtlpProtocol::Grpc, 0),
        (
            vec![(all, "grpc"), (own, "http/protobuf")],
            "",
            OtlpProtocol::Http,
            0,
        ),
        (
            vec![(all, "grpc")],
            ", protocol: http/protobuf",
            OtlpProtocol::Http,
            0,
        ),
        (vec![(all, "http/json")], "", OtlpProtocol::Http, 1),
        (
            vec![(all, "http/json")],
            ", protocol: grpc",
            OtlpProtocol::Grpc,
            0,
        ),
    ] {
        let env = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let section = format!("{{ endpoint: 'http://127.0.0.1:1'{written} }}");
        let config = traces(&section, &env).unwrap();
        let about = config
            .warnings
            .iter()
            .filter(|warning| warning.path.contains("protocol"));
        assert_eq!(about.count(), warnings, "{set:?}{written}");
        assert_eq!(
            config.traces.unwrap().receiver.protocol,
            spoken,
            "{set:?}{written}"
        );
    }
}
