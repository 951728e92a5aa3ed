//! Where traces and metrics are sent, and which.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use super::Checker;
use crate::yaml::place::Place;
use crate::yaml::types;
use crate::yaml::units::Span;
use crate::yaml::valid::{Keep, PushedMetrics, Receiver, Traces};
use tollgate_base::Secret;

/// The most that is said of the process besides its name.
const MOST_RESOURCE: usize = 64;
/// The most members of `baggage`.
const MOST_BAGGAGE: usize = 16;
/// The longest key or value, in bytes.
const LONGEST: usize = 256;

/// What keys begin with that the gateway itself writes.
const OURS: [&str; 6] = ["error.", "gen_ai.", "http.", "server.", "tollgate.", "url."];

/// How often metrics may be sent.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
const PAUSE: Duration = Duration::from_secs(60);

/// What is written of a receiver.
struct Written<'a> {
    endpoint: Option<&'a Secret>,
    headers: &'a BTreeMap<String, Secret>,
    service_name: Option<&'a String>,
    resource: &'a BTreeMap<String, String>,
}

impl Checker<'_> {
    /// What the section does not say is looked for in the environment, under the names that OpenTelemetry has for it.
    pub(super) fn traces(&mut self, written: &types::Telemetry) -> Option<Traces> {
        let traces = written.traces.as_ref()?;
        let place = Place::top("telemetry").key("traces");
        let of_receiver = Written {
            endpoint: traces.endpoint.as_ref(),
            headers: &traces.headers,
            service_name: traces.service_name.as_ref(),
            resource: &traces.resource,
        };
        let receiver = self.receiver(&place, "traces", &of_receiver);
        let slow = traces.keep.slow.map(Span::duration);
        if slow.is_some_and(|slow| slow.is_zero()) {
            let hint = Some("leave it out to keep none for being slow".to_owned());
            let at = place.key("keep").key("slow");
            self.fault(&at, "must be more than 0", hint);
        }
        self.baggage(&place.key("baggage"), &traces.baggage);
        Some(Traces {
            receiver: receiver?,
            sample: traces.sample.unwrap_or(0.1),
            keep: Keep {
                errors: traces.keep.errors.unwrap_or(true),
                failed_over: traces.keep.failed_over.unwrap_or(true),
                slow,
            },
            baggage: traces.baggage.clone(),
        })
    }

    /// As for traces.
    pub(super) fn pushed_metrics(&mut self, written: &types::Telemetry) -> Option<PushedMetrics> {
        let metrics = written.metrics.as_ref()?;
        let place = Place::top("telemetry").key("metrics");
        let of_receiver = Written {
            endpoint: metrics.endpoint.as_ref(),
            headers: &metrics.headers,
            service_name: metrics.service_name.as_ref(),
            resource: &metrics.resource,
        };
        let receiver = self.receiver(&place, "metrics", &of_receiver);
        let every = metrics.every.map_or(PAUSE, Span::duration);
        if !(SHORTEST..=LONGEST_PAUSE).contains(&every) {
            let message = format!(
                "is not between {} and {}",
                Span(SHORTEST),
                Span(LONGEST_PAUSE)
            );
            self.fault(&place.key("every"), message, None);
        }
        Some(PushedMetrics {
            receiver: receiver?,
            every,
        })
    }

    fn receiver(&mut self, place: &Place, signal: &str, written: &Written<'_>) -> Option<Receiver> {
        let endpoint = self.endpoint(place, signal, written.endpoint);
        let headers = self.receiver_headers(&place.key("headers"), written.headers);
        let service_name = written.service_name.cloned();
        if service_name.as_deref().is_some_and(str::is_empty) {
            let hint = Some("leave it out for `tollgate`".to_owned());
            self.fault(&place.key("service_name"), "the name is empty", hint);
        }
        let service_name = service_name.or_else(|| self.variable("OTEL_SERVICE_NAME"));
        let resource = self.resource(&place.key("resource"), written.resource);
        let (endpoint, shown) = endpoint?;
        Some(Receiver {
            endpoint,
            shown,
            headers,
            service_name: service_name.unwrap_or_else(|| "tollgate".to_owned()),
            resource,
        })
    }

    /// The receiver's whole address, and the part of it that may be shown.
    fn endpoint(
        &mut self,
        place: &Place,
        signal: &str,
        written: Option<&Secret>,
    ) -> Option<(Secret, String)> {
        let at = place.key("endpoint");
        let own = |name: &str| self.variable(name).map(Secret::new);
        let of_signal = format!(
            "OTEL_EXPORTER_OTLP_{}_ENDPOINT",
            signal.to_ascii_uppercase()
        );
        let (written, appends) = match written.cloned().or_else(|| own(&of_signal)) {
            Some(written) => (written, false),
            None => match own("OTEL_EXPORTER_OTLP_ENDPOINT") {
                Some(written) => (written, true),
                None => {
                    let message = format!("it does not say where {signal} are sent");
                    let hint = "add `endpoint: \"http://127.0.0.1:4318\"`, or set OTEL_EXPORTER_OTLP_ENDPOINT";
                    self.fault(place, message, Some(hint.to_owned()));
                    return None;
                }
            },
        };
        let url = self.called(&at, &written)?;
        let text = written.expose();
        let (before, query) = text.split_once('?').unwrap_or((text, ""));
        let path = before.split_once("://").map_or("", |(_, rest)| rest);
        let path = path.find('/').map_or("", |slash| &path[slash..]);
        let path = match path.trim_end_matches('/') {
            "" => format!("/v1/{signal}"),
            base if appends => format!("{base}/v1/{signal}"),
            _ => path.to_owned(),
        };
        let scheme = if url.tls { "https" } else { "http" };
        let shown = format!("{scheme}://{}", url.authority);
        let query = if query.is_empty() {
            String::new()
        } else {
            format!("?{query}")
        };
        Some((Secret::new(format!("{shown}{path}{query}")), shown))
    }

    fn receiver_headers(
        &mut self,
        place: &Place,
        written: &BTreeMap<String, Secret>,
    ) -> Vec<(String, Secret)> {
        let mut headers = Vec::new();
        let of_environment = match written.is_empty() {
            true => self.variable("OTEL_EXPORTER_OTLP_HEADERS"),
            false => None,
        };
        let named = written
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()));
        let listed = members(of_environment.as_deref().unwrap_or_default());
        let listed = listed.map(|(name, value)| (name, Secret::new(value)));
        for (name, value) in named.chain(listed).collect::<Vec<_>>() {
            let at = place.key(&name);
            // An optional credential that is absent.
            if value.expose().is_empty() {
                continue;
            }
            let lower = name.to_ascii_lowercase();
            if HeaderName::from_bytes(lower.as_bytes()).is_err() {
                self.fault(&at, "this is not a header's name", None);
            } else if ["content-length", "content-type", "host"].contains(&&*lower) {
                let message = "the gateway writes this header itself";
                self.fault(&at, message, Some("remove it".to_owned()));
            } else if HeaderValue::from_str(value.expose()).is_err() {
                // It may be a credential: it is not repeated.
                self.fault(&at, "this is not a header's value", None);
            } else {
                headers.push((lower, value));
            }
        }
        headers
    }

    fn resource(
        &mut self,
        place: &Place,
        written: &BTreeMap<String, String>,
    ) -> Vec<(String, String)> {
        let named = |key: &str| written.contains_key(key);
        let of_environment = self
            .variable("OTEL_RESOURCE_ATTRIBUTES")
            .unwrap_or_default();
        // `service.name` has a setting of its own.
        let listed = members(&of_environment)
            .filter(|(key, _)| !named(key) && !key.is_empty() && key != "service.name");
        let own = written
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()));
        let mut resource: Vec<_> = own.chain(listed).collect();
        for key in written.keys() {
            let at = place.key(key);
            let length = key.len().max(written[key].len());
            if key == "service.name" {
                let hint = Some("write `service_name` instead".to_owned());
                self.fault(&at, "this has a setting of its own", hint);
            } else if key.is_empty() || length > LONGEST {
                let message = format!("a key has 1 to {LONGEST} bytes, and its value no more");
                self.fault(&at, message, None);
            }
        }
        if written.len() > MOST_RESOURCE {
            self.fault(place, format!("more than {MOST_RESOURCE} attributes"), None);
        }
        resource.truncate(MOST_RESOURCE);
        resource
    }

    fn baggage(&mut self, place: &Place, names: &[String]) {
        if names.len() > MOST_BAGGAGE {
            self.fault(place, format!("more than {MOST_BAGGAGE} members"), None);
        }
        for (index, name) in names.iter().enumerate() {
            let at = place.index(index);
            if HeaderName::from_bytes(name.as_bytes()).is_err() || name.len() > LONGEST {
                self.fault(&at, "this is not the name of a member", None);
            } else if OURS.iter().any(|beginning| name.starts_with(beginning)) {
                let message = "an attribute of this name is the gateway's own";
                let hint = Some("let clients send it under another name".to_owned());
                self.fault(&at, message, hint);
            }
        }
    }
}

/// The members of a list as OpenTelemetry's variables have it: `key=value,key=value`, with percent signs for what may not
/// stand there.
fn members(list: &str) -> impl Iterator<Item = (String, String)> + '_ {
    list.split(',').filter_map(|member| {
        let (key, value) = member.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8_lossy();
        Some((key.trim().to_owned(), value.into_owned()))
    })
}

#[cfg(test)]
mod tests {
    use crate::yaml::{Config, parse};

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
}
