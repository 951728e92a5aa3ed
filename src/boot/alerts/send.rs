//! Sends an alert to a channel: within deadlines and bounds, only where may be called, and nothing secret in what is said of
//! a failure.

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Address, SmtpTransport, Transport as _};

use crate::boot::fetch::{self, Call};
use crate::boot::trust;
use tollgate_alerts::{Alert, Signed, mail, sign, slack, webhook};
use tollgate_base::{Secret, clock};
use tollgate_config::types::SmtpSecurity;
use tollgate_config::{AlertChannel, AlertEmail, AlertWay};

/// How long a receiver may take for a request; and a mail server for each of its answers.
const PATIENCE: Duration = Duration::from_secs(10);
const MAIL_PATIENCE: Duration = Duration::from_secs(5);

/// The most that is read of a receiver's answer, in bytes.
const SAID: u64 = 200;

/// The longest pause that a receiver may ask for.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Why an alert was not taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// In words, without addresses and credentials.
    pub why: String,
    /// What the receiver asks to wait for, if it does.
    pub after: Option<Duration>,
}

impl Refused {
    pub fn because(why: impl Into<String>) -> Refused {
        Refused {
            why: why.into(),
            after: None,
        }
    }
}

/// Sends an alert that was raised at a time (Unix time, ms), and waits for the answer. Returns what the receiver said.
///
/// # Errors
/// When it was not taken.
pub fn send(channel: &AlertChannel, alert: &Alert, at_ms: u64) -> Result<String, Refused> {
    match &channel.way {
        AlertWay::Webhook { url, secret } => {
            let body = webhook(alert, at_ms);
            let unix = clock::unix().as_secs();
            let Signed {
                timestamp,
                signature,
            } = sign(secret.expose(), &alert.id, unix, &body);
            let own = [
                ("webhook-id", alert.id.clone()),
                ("webhook-timestamp", timestamp),
                ("webhook-signature", signature),
            ];
            tell(url, &own, &body)
        }
        AlertWay::Slack(url) => tell(url, &[], &slack(alert)),
        AlertWay::Email(email) => post(email, alert, at_ms),
    }
}

fn tell(url: &Secret, own: &[(&str, String)], body: &str) -> Result<String, Refused> {
    let agent = concat!("tollgate/", env!("CARGO_PKG_VERSION"));
    let own = own.iter().map(|(name, value)| (*name, value.clone()));
    let headers = own.chain([("user-agent", agent.to_owned())]);
    let headers: Vec<(String, String)> = headers
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let answer = fetch::call(&Call {
        url: url.expose(),
        headers: &headers,
        body: Some(body),
        ca: None,
        public_only: false,
        patience: PATIENCE,
        most: SAID,
    });
    let answer = answer.map_err(Refused::because)?;
    let said = String::from_utf8_lossy(&answer.body).replace(char::is_control, " ");
    let words = match said.trim() {
        "" => format!("it answers {}", answer.status),
        said => format!("it answers {}: {said}", answer.status),
    };
    if (200..300).contains(&answer.status) {
        return Ok(words);
    }
    Err(Refused {
        why: words,
        after: answer.retry_after.map(|after| after.min(LONGEST)),
    })
}

fn post(email: &AlertEmail, alert: &Alert, at_ms: u64) -> Result<String, Refused> {
    let message = message(email, alert, at_ms).map_err(Refused::because)?;
    let plain = email.security == SmtpSecurity::None;
    let addresses = fetch::addresses(&email.host, email.port, !plain).map_err(Refused::because)?;
    let mut refused = Refused::because("its name stands for no address");
    for address in addresses {
        let mut server = SmtpTransport::builder_dangerous(address.ip().to_string())
            .port(email.port)
            .tls(protection(email).map_err(Refused::because)?)
            .timeout(Some(MAIL_PATIENCE));
        if let Some((username, password)) = &email.login {
            let password = password.expose().to_owned();
            server = server.credentials(Credentials::new(username.clone(), password));
        }
        match server.build().send(&message) {
            Ok(answer) => {
                let said: Vec<&str> = answer.message().collect();
                return Ok(format!("it answers {}: {}", answer.code(), said.join(" ")));
            }
            Err(error) => {
                let more = std::error::Error::source(&error);
                let more = more.map(|more| format!(": {more}")).unwrap_or_default();
                refused =
                    Refused::because(format!("the mail server did not take it: {error}{more}"));
                // Who has answered is there.
                if error.is_permanent() || error.is_transient() {
                    break;
                }
            }
        }
    }
    Err(refused)
}

fn message(email: &AlertEmail, alert: &Alert, at_ms: u64) -> Result<Message, String> {
    let mailbox = |name: Option<String>, address: &str| {
        let address = address.parse::<Address>();
        address
            .map(|address| Mailbox::new(name, address))
            .map_err(|_| "a mail address is not understood".to_owned())
    };
    let (subject, text) = mail(alert, at_ms);
    let from = mailbox(Some("Tollgate".to_owned()), &email.from)?;
    let mut message = Message::builder()
        .from(from)
        .subject(subject)
        .message_id(Some(format!("<{}@tollgate>", alert.id)));
    for to in &email.to {
        message = message.to(mailbox(None, to)?);
    }
    message
        .header(ContentType::TEXT_PLAIN)
        .body(text)
        .map_err(|error| format!("the mail cannot be written: {error}"))
}

fn protection(email: &AlertEmail) -> Result<Tls, String> {
    if email.security == SmtpSecurity::None {
        return Ok(Tls::None);
    }
    let mut tls = TlsParameters::builder(email.host.clone());
    for authority in trust::bundled() {
        let authority = Certificate::from_der(authority.to_vec());
        tls = tls.add_root_certificate(authority.map_err(|error| error.to_string())?);
    }
    let tls = tls
        .build()
        .map_err(|error| format!("its certificate cannot be checked: {error}"))?;
    Ok(match email.security {
        SmtpSecurity::StartTls => Tls::Required(tls),
        _ => Tls::Wrapper(tls),
    })
}
