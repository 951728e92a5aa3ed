//! What is sent of an alert, by kind of channel. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::json;

use crate::Alert;
use tollgate_base::Timestamp;

/// What a signed request carries besides its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// `webhook-timestamp`: Unix time, s.
    pub timestamp: String,
    /// `webhook-signature`.
    pub signature: String,
}

/// Signs what is sent under an id, as Standard Webhooks has it: HMAC-SHA256 of id, time and body. `secret` is `whsec_` and
/// its bytes in base64; of another text the bytes are none.
pub fn sign(secret: &str, id: &str, unix: u64, body: &str) -> Signed {
    let bytes = secret
        .strip_prefix("whsec_")
        .map(|text| STANDARD.decode(text));
    let bytes = bytes.and_then(Result::ok).unwrap_or_default();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
    let timestamp = unix.to_string();
    let signed = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
    Signed {
        timestamp,
        signature: format!("v1,{}", STANDARD.encode(signed)),
    }
}

/// The body of a webhook: `type`, `timestamp` and `data`, as Standard Webhooks has it.
pub fn webhook(alert: &Alert, at_ms: u64) -> String {
    json!({
        "type": format!("alert.{}", alert.event),
        "timestamp": time(at_ms),
        "data": alert,
    })
    .to_string()
}

/// The body of a message in Slack's form.
pub fn slack(alert: &Alert) -> String {
    let (title, text) = (escaped(&alert.title), escaped(&alert.text));
    json!({"text": format!("*{title}*\n{text}")}).to_string()
}

/// The subject and the text of a mail.
pub fn mail(alert: &Alert, at_ms: u64) -> (String, String) {
    let subject = format!("[Tollgate] {}", one_line(&alert.title));
    let mut text = format!("{}\n\n{}\n", alert.title, alert.text);
    let about = [
        ("about", Some(&alert.subject)),
        ("account", alert.account.as_ref()),
        ("id", Some(&alert.id)),
    ];
    text.push_str(&format!("\ntime: {}\n", time(at_ms)));
    let about = about
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let facts = alert.facts.iter().map(|(name, value)| (&**name, value));
    for (name, value) in about.chain(facts) {
        text.push_str(&format!("{name}: {}\n", one_line(value)));
    }
    (subject, text)
}

fn time(at_ms: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(at_ms);
    Timestamp(time).to_string()
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// What Slack reads as itself.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_published_example() {
        // From the libraries of Standard Webhooks.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let signed = sign(secret, id, 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signed.timestamp, "1614265330");
        assert_eq!(
            signed.signature,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn each_kind_says_what_has_happened() {
        let alert = Alert::new(
            "budget",
            "key:a",
            "<A> & b".to_owned(),
            "More\nof it".to_owned(),
        )
        .of("acme")
        .fact("percent", 80);
        let body: serde_json::Value = serde_json::from_str(&webhook(&alert, 1_000)).unwrap();
        assert_eq!(body["type"], "alert.budget");
        assert_eq!(body["timestamp"], "1970-01-01T00:00:01.000Z");
        assert_eq!(body["data"]["id"], alert.id);
        assert_eq!(body["data"]["facts"]["percent"], "80");
        let body: serde_json::Value = serde_json::from_str(&slack(&alert)).unwrap();
        assert_eq!(body["text"], "*&lt;A&gt; &amp; b*\nMore\nof it");
        let injected = Alert {
            title: "a\r\nBcc: x".to_owned(),
            ..alert
        };
        let (subject, text) = mail(&injected, 0);
        assert_eq!(subject, "[Tollgate] a  Bcc: x");
        assert!(
            text.contains("\naccount: acme\n") && text.contains("\npercent: 80\n"),
            "{text}"
        );
    }
}
