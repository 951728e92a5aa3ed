//! Where traces and metrics are sent, and which.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use super::Checker;
use crate::catalog::BaseUrl;
use crate::yaml::place::Place;
use crate::yaml::types::{self, OtlpProtocol};
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

/// Headers that the gateway itself writes, or that are a connection's; besides those of gRPC.
const OWN_HEADERS: [&str; 8] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// How often metrics may be sent.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
const PAUSE: Duration = Duration::from_secs(60);

/// Where receivers listen for gRPC, by custom.
const GRPC_PORT: u16 = 4317;

/// What names a receiver.
struct Endpoint {
    written: Secret,
    /// Whether the signal's path comes after its own.
    appends: bool,
}

/// What is written of a receiver.
struct Written<'a> {
    endpoint: Option<&'a Secret>,
    protocol: Option<OtlpProtocol>,
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
            protocol: traces.protocol,
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
            protocol: metrics.protocol,
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
        let protocol = self.protocol(place, signal, written.protocol);
        let endpoint = self.endpoint(place, signal, written.endpoint);
        let endpoint = endpoint.and_then(|(endpoint, url)| {
            let at = place.key("endpoint");
            match protocol {
                OtlpProtocol::Http => Some(over_http(signal, &endpoint, &url)),
                OtlpProtocol::Grpc => self.over_grpc(&at, &endpoint.written, &url),
            }
        });
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
            protocol,
            endpoint,
            shown,
            headers,
            service_name: service_name.unwrap_or_else(|| "tollgate".to_owned()),
            resource,
        })
    }

    /// How the receiver is spoken to.
    fn protocol(
        &mut self,
        place: &Place,
        signal: &str,
        written: Option<OtlpProtocol>,
    ) -> OtlpProtocol {
        let of_signal = of_signal(signal, "PROTOCOL");
        let mut named = [&*of_signal, "OTEL_EXPORTER_OTLP_PROTOCOL"].into_iter();
        let named = named.find_map(|name| Some((name, self.variable(name)?)));
        match (written, named.as_ref().map(|(_, value)| &**value)) {
            (Some(written), _) => return written,
            (None, None | Some("http/protobuf")) => {}
            (None, Some("grpc")) => return OtlpProtocol::Grpc,
            (None, Some(_)) => {
                let name = named.as_ref().map_or("", |(name, _)| *name);
                let message = format!("{name} names a protocol that the gateway does not speak");
                let hint = "http/protobuf is spoken; write `protocol: grpc` for the other one";
                self.warn(&place.key("protocol"), &message, Some(hint.to_owned()));
            }
        }
        OtlpProtocol::Http
    }

    /// What names the receiver, and its parts.
    fn endpoint(
        &mut self,
        place: &Place,
        signal: &str,
        written: Option<&Secret>,
    ) -> Option<(Endpoint, BaseUrl)> {
        let own = |name: &str| self.variable(name).map(Secret::new);
        let of_signal = of_signal(signal, "ENDPOINT");
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
        let url = self.called(&place.key("endpoint"), &written)?;
        Some((Endpoint { written, appends }, url))
    }

    /// The address of a receiver that speaks gRPC, all of which may be shown.
    fn over_grpc(
        &mut self,
        at: &Place,
        written: &Secret,
        url: &BaseUrl,
    ) -> Option<(Secret, String)> {
        let text = written.expose();
        let rest = text.split_once("://").map_or("", |(_, rest)| rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if !path.trim_matches('/').is_empty() {
            let hint = "write scheme, host and port only, or `protocol: http/protobuf`";
            let message = "a receiver that speaks gRPC has no path";
            self.fault(at, message, Some(hint.to_owned()));
            return None;
        }
        let has_port = authority
            .rsplit(']')
            .next()
            .is_some_and(|end| end.contains(':'));
        let port = match (has_port, url.tls) {
            (false, false) => GRPC_PORT,
            _ => url.port,
        };
        let scheme = if url.tls { "https" } else { "http" };
        let host = match url.host.contains(':') {
            true => format!("[{}]", url.host),
            false => url.host.clone(),
        };
        let shown = format!("{scheme}://{host}:{port}");
        Some((Secret::new(shown.clone()), shown))
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
            } else if OWN_HEADERS.contains(&&*lower) || lower.starts_with("grpc-") {
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

/// OpenTelemetry's variable about one signal.
fn of_signal(signal: &str, what: &str) -> String {
    format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.to_ascii_uppercase())
}

/// The whole address of a receiver that speaks HTTP, and the part of it that may be shown.
fn over_http(signal: &str, endpoint: &Endpoint, url: &BaseUrl) -> (Secret, String) {
    let text = endpoint.written.expose();
    let (before, query) = text.split_once('?').unwrap_or((text, ""));
    let path = before.split_once("://").map_or("", |(_, rest)| rest);
    let path = path.find('/').map_or("", |slash| &path[slash..]);
    let path = match path.trim_end_matches('/') {
        "" => format!("/v1/{signal}"),
        base if endpoint.appends => format!("{base}/v1/{signal}"),
        _ => path.to_owned(),
    };
    let scheme = if url.tls { "https" } else { "http" };
    let shown = format!("{scheme}://{}", url.authority);
    let query = if query.is_empty() {
        String::new()
    } else {
        format!("?{query}")
    };
    (Secret::new(format!("{shown}{path}{query}")), shown)
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
mod tests;
