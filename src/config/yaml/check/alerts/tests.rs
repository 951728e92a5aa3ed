use std::time::Duration;

use crate::yaml::types::{AlertEvent, SmtpSecurity};
use crate::yaml::valid::{AlertWay, Alerts};
use crate::yaml::{Config, parse};

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn alerts(section: &str) -> Result<Config, String> {
    let yaml = format!("alerts: {section}");
    parse(&yaml, &|_| None).map_err(|faults| faults.to_string())
}

#[test]
fn what_is_not_written_has_a_default_and_zero_is_never() {
    assert_eq!(alerts("{}").unwrap().alerts, Alerts::default());
    let section = "{ every: 0, forecast: 0s, prices_older_than: 0, thresholds: [90, 10, 90] }";
    let none = alerts(section).unwrap().alerts;
    assert_eq!((none.every, none.forecast), (None, None));
    assert_eq!(none.prices_older_than, None);
    assert_eq!(none.thresholds, [10, 90]);
    assert_eq!(none.repeat, Duration::from_secs(24 * 60 * 60));
}

#[test]
fn each_kind_of_channel_is_understood() {
    let section = format!(
        "{{ channels: [
            {{ id: ops, events: [budget, bank], webhook: {{ url: 'https://example.com/in?key=hidden', secret: '{SECRET}' }} }},
            {{ id: chat, slack: {{ url: 'http://127.0.0.1:1/hidden' }} }},
            {{ id: mail, email: {{ host: '[::1]', security: none, from: a@example.com, to: [b@example.com] }} }} ] }}"
    );
    let config = alerts(&section).unwrap();
    assert!(config.needs_store(), "what was sent must be known");
    let [ops, chat, mail] = &config.alerts.channels[..] else {
        panic!("{:?}", config.alerts)
    };
    assert!(ops.takes(AlertEvent::Bank) && !ops.takes(AlertEvent::Credits));
    assert!(chat.takes(AlertEvent::Credits));
    let AlertWay::Email(mail) = &mail.way else {
        panic!("{mail:?}")
    };
    assert_eq!((&*mail.host, mail.port), ("::1", 25));
    assert_eq!(mail.security, SmtpSecurity::None);
    let shown = format!("{:?}", config.alerts);
    assert!(
        !shown.contains("hidden") && !shown.contains(SECRET),
        "{shown}"
    );
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    let mail = |more: &str| format!("email: {{ from: a@b.c, to: [a@b.c], {more} }}");
    let url = "url: 'https://example.com'";
    for (channel, told) in [
        ("webhook: {}".to_owned(), "webhook: `url` is missing"),
        (format!("webhook: {{ {url} }}"), "`secret` is missing"),
        (
            format!("webhook: {{ {url}, secret: whsec_c2hvcnQ= }}"),
            "webhook.secret: a secret is `whsec_`",
        ),
        (
            format!("slack: {{ {url} }}, webhook: {{ {url}, secret: '{SECRET}' }}"),
            "write one of `webhook`, `slack` and `email`",
        ),
        ("events: [budget]".to_owned(), "how alerts are sent"),
        (
            format!("events: [], slack: {{ {url} }}"),
            "nothing would be sent",
        ),
        (
            format!("events: [budgets], slack: {{ {url} }}"),
            "did you mean `budget`",
        ),
        (
            "slack: { url: 'http://169.254.169.254/' }".to_owned(),
            "must not be called",
        ),
        (
            "slack: { url: 'http://8.8.8.8/' }".to_owned(),
            "neither loopback nor private",
        ),
        (mail(""), "email.host: this is not a server's name"),
        (
            mail("host: 'a:25'"),
            "email.host: this is not a server's name",
        ),
        (mail("host: 169.254.169.254"), "must not be called"),
        (mail("host: 8.8.8.8, security: none"), "so it needs TLS"),
        (mail("host: a.example, username: u"), "belong together"),
        (
            mail("host: 10.0.0.1, security: none, username: u, password: hidden"),
            "sent in clear text",
        ),
        (
            "email: { host: a.example, from: a@b.c, to: [nobody] }".to_owned(),
            "email.to[0]: this is not a mail address",
        ),
        (
            "email: { host: a.example, from: a@b.c }".to_owned(),
            "1 to 32 addresses",
        ),
    ] {
        let section = format!("{{ channels: [{{ id: x, {channel} }}] }}");
        let faults = alerts(&section).map(drop).expect_err(&section);
        assert!(faults.contains(told), "{section}: {faults}");
        assert!(!faults.contains("hidden"), "{section}: {faults}");
    }
    for (section, told) in [
        (
            "{ channels: [{ id: 'A b', slack: { url: 'https://a.example' } }] }",
            "channel's id",
        ),
        (
            "{ channels: [{ id: a, slack: { url: 'https://a.example' } }, { id: a, slack: { url: 'https://b.example' } }] }",
            "a second channel `a`",
        ),
        ("{ every: 500ms }", "alerts.every: is not between 1s and 1h"),
        ("{ repeat: 1s }", "alerts.repeat: must be at least 1m"),
        (
            "{ thresholds: [0] }",
            "alerts.thresholds[0]: is not between",
        ),
        (
            "{ thresholds: [101] }",
            "alerts.thresholds[0]: is not between",
        ),
        (
            "{ unusual_spend: { times: 1 } }",
            "unusual_spend.times: is not between",
        ),
        ("{ chanels: [] }", "did you mean `channels`"),
    ] {
        let faults = alerts(section).map(drop).expect_err(section);
        assert!(faults.contains(told), "{section}: {faults}");
    }
}
