use http::HeaderValue;

use super::*;

fn map(names: &[&'static str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in names {
        headers.append(*name, HeaderValue::from_static("1"));
    }
    headers
}

/// What arrives of these names, and what is left out and worth a word.
fn translation(
    names: &[&'static str],
    called: Surface,
    calls: Surface,
    forwarded: &[&str],
) -> (String, String) {
    let forwarded: Vec<String> = forwarded.iter().map(|name| (*name).to_owned()).collect();
    let mut left = Vec::new();
    let kept = asked(&map(names), (called, calls), &forwarded, 0, |name| {
        left.push(name.to_string());
    });
    let kept: Vec<&str> = kept.iter().map(|(name, _)| name.as_str()).collect();
    (kept.join(" "), left.join(" "))
}

#[test]
fn what_is_the_connections_or_the_callers_own_stays_here() {
    let mut sent = map(&[
        "host",
        "content-type",
        "authorization",
        "x-api-key",
        "keep-alive",
        "te",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
        "proxy-authenticate",
        "user-agent",
        "openai-beta",
        "openai-beta",
        "x-codex-hop",
    ]);
    for named in ["keep-alive, X-Codex-Hop", "x-other"] {
        sent.append("connection", HeaderValue::from_static(named));
    }
    let chat = Surface::ChatCompletions;
    let kept = asked(&sent, (chat, chat), &[], 0, |_| {});
    let kept: Vec<&str> = kept.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        kept,
        ["content-type", "user-agent", "openai-beta", "openai-beta"]
    );
}

#[test]
fn who_calls_and_from_where_stays_here() {
    let told = [
        "openai-organization",
        "openai-project",
        "chatgpt-account-id",
        "x-goog-api-key",
        "x-goog-user-project",
        "x-amz-security-token",
        "x-amz-date",
        "origin",
        "referer",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-real-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "cf-ipcountry",
        "via",
        "x-whatever",
        "x-tollgate-provider",
        "originators",
    ];
    for called in Surface::ALL {
        for calls in Surface::ALL {
            let (kept, left) = translation(&told, called, calls, &[]);
            assert_eq!(kept, "", "{called:?} {calls:?}");
            assert_eq!(left, told.join(" "));
        }
    }
}

#[test]
fn what_a_configuration_names_is_let_through_but_no_credential() {
    let sent = [
        "openai-organization",
        "x-team-id",
        "x-teams",
        "authorization",
        "cookie",
    ];
    let chat = Surface::ChatCompletions;
    let forwarded = ["openai-organization", "x-team-", "authorization", "cookie"];
    let (kept, left) = translation(&sent, chat, chat, &forwarded);
    assert_eq!(kept, "openai-organization x-team-id");
    assert_eq!(left, "x-teams");
}

#[test]
fn what_is_about_the_clients_api_stays_behind_when_it_crosses() {
    let sent = [
        "accept",
        "anthropic-beta",
        "anthropic-version",
        "content-type",
        "http-referer",
        "openai-beta",
        "originator",
        "session-id",
        "thread-id",
        "traceparent",
        "user-agent",
        "version",
        "x-app",
        "x-claude-code-session-id",
        "x-client-request-id",
        "x-codex-turn-state",
        "x-openai-subagent",
        "x-stainless-lang",
        "x-title",
    ];
    let all = "accept content-type traceparent user-agent x-client-request-id";
    let kept = |called, calls| {
        let (kept, _) = translation(&sent, called, calls, &[]);
        let rest = kept
            .split(' ')
            .filter(|name| !all.split(' ').any(|n| n == *name));
        rest.collect::<Vec<_>>().join(" ")
    };
    let openai = "http-referer originator session-id thread-id version x-codex-turn-state \
                  x-openai-subagent x-stainless-lang x-title";
    let chat = Surface::ChatCompletions;
    assert_eq!(kept(Surface::Messages, Surface::Responses), "");
    assert_eq!(kept(Surface::Responses, Surface::Messages), "");
    assert_eq!(kept(Surface::Responses, chat), openai);
    assert_eq!(
        kept(chat, chat),
        openai.replace("originator", "openai-beta originator")
    );
    assert_eq!(
        kept(Surface::Messages, Surface::Messages),
        "anthropic-beta anthropic-version x-app x-claude-code-session-id x-stainless-lang"
    );
}

#[test]
fn a_client_reads_of_an_answer_what_its_sdk_does_and_limits_of_its_own_key() {
    let returned = |own_key: bool| {
        let names = [
            "content-type",
            "retry-after",
            "x-should-retry",
            "openai-processing-ms",
            "x-ratelimit-remaining-tokens",
            "anthropic-ratelimit-tokens-reset",
            "openai-organization",
            "anthropic-organization-id",
            "set-cookie",
            "strict-transport-security",
            "access-control-allow-origin",
            "location",
            "refresh",
            "link",
            "alt-svc",
            "server",
            "x-tollgate-provider",
            "x-request-id",
        ];
        let names = names.into_iter().map(HeaderName::from_static);
        let names = names.filter(|name| may_return(name, own_key));
        let names: Vec<String> = names.map(|name| name.to_string()).collect();
        names.join(" ")
    };
    let always = "content-type retry-after x-should-retry openai-processing-ms";
    assert_eq!(returned(false), always);
    let limits = "x-ratelimit-remaining-tokens anthropic-ratelimit-tokens-reset";
    assert_eq!(returned(true), format!("{always} {limits}"));
}
