//! An identity provider: what it says of itself, where it is asked, and whether it is believed.
//!
//! All of it blocks. Invariant: nobody is believed whose ID token this provider has not signed, for this client, for this
//! sign-in (its nonce), with a key that is not ours, and in time. Tokens are read and dropped, but for the ID token, which goes
//! back to the provider when its owner signs out.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClientAuthMethod,
    CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm as Algorithm, CoreRevocableToken, CoreRevocationErrorResponse,
    CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret,
    CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, IdTokenFields, IssuerUrl, LogoutRequest, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, PkceCodeVerifier, ProviderMetadataWithLogout, RedirectUrl,
    RequestTokenError, Scope, SignatureVerificationError, StandardErrorResponse,
    StandardTokenResponse, TokenResponse as _, UserInfoClaims,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::admin::console::person::{Person, groups, plain};
use crate::admin::console::sessions::Id;
use crate::admin::state::Fetch;
use tollgate_base::clock;
use tollgate_config::Oidc;

/// How long what a provider says of itself is believed.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// How long a provider that could not be reached is not asked what it says of itself.
const PAUSE: Duration = Duration::from_secs(2);
/// How far the provider's clock may be behind ours.
const SKEW: Duration = Duration::from_secs(60);
/// What an ID token may be signed with: whoever knows the client's secret must not be able to make one.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RsaSsaPkcs1V15Sha256,
    Algorithm::RsaSsaPkcs1V15Sha384,
    Algorithm::RsaSsaPkcs1V15Sha512,
    Algorithm::RsaSsaPssSha256,
    Algorithm::RsaSsaPssSha384,
    Algorithm::RsaSsaPssSha512,
    Algorithm::EcdsaP256Sha256,
    Algorithm::EcdsaP384Sha384,
    Algorithm::EdDsa,
];

type Fields = IdTokenFields<
    Claims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    Algorithm,
>;
type Tokens = StandardTokenResponse<Fields, CoreTokenType>;
type Client = openidconnect::Client<
    Claims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// All claims but the standard ones.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    #[serde(flatten)]
    all: Map<String, Value>,
}

impl AdditionalClaims for Claims {}

/// Why a provider does not help: one phrase each, without tokens.
#[derive(Debug)]
pub(super) enum Failure {
    /// It cannot be reached, or does not say what a provider says.
    Away(String),
    /// It gives nothing for the code: its error code.
    Refused(String),
    /// What it gives is not believed.
    Unbelievable(String),
}

/// A request that was not answered.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unanswered(String);

/// A sign-in, as it goes to a provider and comes back.
pub(super) struct Sign<'a> {
    pub(super) oidc: &'a Oidc,
    pub(super) fetch: &'a Fetch,
    /// Where it comes back.
    pub(super) redirect: String,
    /// What only its browser knows.
    pub(super) id: Id,
}

impl Sign<'_> {
    fn nonce(&self) -> Nonce {
        Nonce::new(self.id.text_of("nonce"))
    }

    fn verifier(&self) -> PkceCodeVerifier {
        PkceCodeVerifier::new(self.id.text_of("verifier"))
    }

    fn http(&self) -> impl Fn(HttpRequest) -> Result<HttpResponse, Unanswered> {
        move |request| (self.fetch)(self.oidc.ca.as_deref(), request).map_err(Unanswered)
    }

    fn client(&self, metadata: &ProviderMetadataWithLogout) -> Result<Client, Failure> {
        let secret = self.oidc.client_secret.as_ref();
        let client = Client::from_provider_metadata(
            metadata.clone(),
            ClientId::new(self.oidc.client_id.clone()),
            secret.map(|secret| ClientSecret::new(secret.expose().to_owned())),
        );
        let redirect = RedirectUrl::new(self.redirect.clone());
        let redirect = redirect.map_err(|error| Failure::Away(told(&error)))?;
        let ways = metadata.token_endpoint_auth_methods_supported();
        let offers = |way| ways.is_some_and(|ways| ways.contains(&way));
        let in_body = offers(CoreClientAuthMethod::ClientSecretPost)
            && !offers(CoreClientAuthMethod::ClientSecretBasic);
        let auth = match in_body {
            true => AuthType::RequestBody,
            false => AuthType::BasicAuth,
        };
        Ok(client.set_redirect_uri(redirect).set_auth_type(auth))
    }
}

/// What is known of the provider.
#[derive(Default)]
pub(super) struct Provider(Mutex<Known>);

#[derive(Default)]
struct Known {
    issuer: String,
    metadata: Option<(Arc<ProviderMetadataWithLogout>, Instant)>,
    /// When it was last asked in vain, and why that was.
    failed: Option<(Instant, String)>,
}

impl Provider {
    /// Where a browser is sent to sign in.
    ///
    /// # Errors
    ///
    /// When the provider cannot be reached, and was not before.
    pub(super) fn address(&self, sign: &Sign<'_>) -> Result<String, Failure> {
        let client = self.client(sign, FRESH)?;
        let (state, nonce) = (sign.id.text_of("state"), sign.nonce());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&sign.verifier());
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let request = client
            .authorize_url(flow, || CsrfToken::new(state), || nonce)
            .add_scopes(sign.oidc.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(challenge);
        let (address, ..) = request.url();
        Ok(address.into())
    }

    /// Where a browser is sent to sign somebody out there as well, as far as the provider has said so.
    ///
    /// # Errors
    ///
    /// When the provider has said nothing since the start, and cannot be reached.
    pub(super) fn farewell(
        &self,
        sign: &Sign<'_>,
        person: &Person,
    ) -> Result<Option<String>, Failure> {
        let metadata = self.metadata(sign, Duration::MAX)?;
        let Some(end) = &metadata.additional_metadata().end_session_endpoint else {
            return Ok(None);
        };
        let client = ClientId::new(sign.oidc.client_id.clone());
        let request = LogoutRequest::from(end.clone()).set_client_id(client);
        let mut address = request.http_get_url();
        if let Some(token) = person.token() {
            let mut query = address.query_pairs_mut();
            query.append_pair("id_token_hint", token.expose());
        }
        Ok(Some(address.into()).filter(|_| is_safe(sign, end.url().scheme())))
    }

    /// Who has signed in, by the code that the browser brings back.
    ///
    /// # Errors
    ///
    /// When the provider cannot be reached, gives nothing for the code, or is not believed.
    pub(super) fn person(&self, sign: &Sign<'_>, code: String) -> Result<Person, Failure> {
        let client = self.client(sign, FRESH)?;
        let tokens = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|error| Failure::Away(told(&error)))?
            .set_pkce_verifier(sign.verifier())
            .request(&sign.http())
            .map_err(refused)?;
        let mut person = believed(sign, &client, &tokens);
        if let Err(ClaimsVerificationError::SignatureVerification(
            SignatureVerificationError::NoMatchingKey,
        )) = &person
        {
            // Its keys may be new.
            let client = self.client(sign, Duration::ZERO)?;
            person = believed(sign, &client, &tokens);
        }
        person.map_err(|error| Failure::Unbelievable(told(&error)))
    }

    /// A client of the provider, as it was read within `age`.
    fn client(&self, sign: &Sign<'_>, age: Duration) -> Result<Client, Failure> {
        let metadata = self.metadata(sign, age)?;
        sign.client(&metadata)
    }

    /// What the provider says of itself: as it was read within `age`, or else anew. What it said earlier goes on while it is
    /// away.
    fn metadata(
        &self,
        sign: &Sign<'_>,
        age: Duration,
    ) -> Result<Arc<ProviderMetadataWithLogout>, Failure> {
        let mut known = self.0.lock();
        let now = clock::now();
        let since = |then: Instant| now.saturating_duration_since(then);
        if known.issuer != sign.oidc.issuer {
            *known = Known {
                issuer: sign.oidc.issuer.clone(),
                ..Known::default()
            };
        }
        let earlier = known.metadata.clone();
        if let Some((metadata, read)) = &earlier
            && since(*read) < age
        {
            return Ok(metadata.clone());
        }
        let recent = known.failed.as_ref().filter(|(at, _)| since(*at) < PAUSE);
        let why = match recent.map(|(_, why)| why.clone()) {
            Some(why) => why,
            None => match discovered(sign) {
                Ok(metadata) => {
                    let metadata = Arc::new(metadata);
                    known.metadata = Some((metadata.clone(), now));
                    known.failed = None;
                    return Ok(metadata);
                }
                Err(why) => {
                    known.failed = Some((now, why.clone()));
                    why
                }
            },
        };
        let earlier = earlier.map(|(metadata, _)| metadata);
        earlier.ok_or(Failure::Away(why))
    }
}

fn discovered(sign: &Sign<'_>) -> Result<ProviderMetadataWithLogout, String> {
    let issuer = IssuerUrl::new(sign.oidc.issuer.clone()).map_err(|error| told(&error))?;
    let metadata = ProviderMetadataWithLogout::discover(&issuer, &sign.http());
    let metadata = metadata.map_err(|error| told(&error))?;
    match is_safe(sign, metadata.authorization_endpoint().url().scheme()) {
        true => Ok(metadata),
        false => Err("its authorization endpoint is not at https".to_owned()),
    }
}

/// Whether a browser may be sent to an address of this scheme: by TLS, as the provider itself is asked, or else not.
fn is_safe(sign: &Sign<'_>, scheme: &str) -> bool {
    scheme == "https" || scheme == "http" && sign.oidc.issuer.starts_with("http:")
}

/// Whose tokens these are, if they are believed.
fn believed(
    sign: &Sign<'_>,
    client: &Client,
    tokens: &Tokens,
) -> Result<Person, ClaimsVerificationError> {
    let verifier = client
        .id_token_verifier()
        .set_allowed_algs(ALGORITHMS)
        .set_time_fn(now);
    let none = || ClaimsVerificationError::Other("there is no ID token".to_owned());
    let token = tokens.id_token().ok_or_else(none)?;
    let claims = token.claims(&verifier, &sign.nonce())?;
    let claim = &sign.oidc.groups_claim;
    let mut found = groups(&claims.additional_claims().all, claim);
    let mut name = match claims.email_verified() {
        Some(false) => None,
        _ => claims.email().map(|email| email.to_string()),
    };
    name = name.or_else(|| claims.preferred_username().map(|name| name.to_string()));
    let (access, subject) = (tokens.access_token().clone(), claims.subject().clone());
    // Some providers tell groups there only.
    if found.is_none()
        && let Ok(request) = client.user_info(access, Some(subject))
    {
        let told_there: Result<UserInfoClaims<Claims, CoreGenderClaim>, _> =
            request.request(&sign.http());
        match told_there {
            Ok(more) => {
                found = groups(&more.additional_claims().all, claim);
                let email = more
                    .email()
                    .filter(|_| more.email_verified() != Some(false));
                name = name.or_else(|| email.map(|email| email.to_string()));
            }
            Err(error) => log::warn!("console: no userinfo: {}", told(&error)),
        }
    }
    let groups = found.unwrap_or_default();
    let person = Person::new(sign.oidc, claims.subject(), name, groups);
    Ok(person.with_token(token.to_string()))
}

/// The time, less what the provider's clock may be behind.
fn now() -> DateTime<Utc> {
    let seconds = clock::unix().saturating_sub(SKEW).as_secs();
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

type NoTokens = RequestTokenError<Unanswered, StandardErrorResponse<CoreErrorResponseType>>;

fn refused(error: NoTokens) -> Failure {
    match error {
        // Its description may repeat what was sent.
        RequestTokenError::ServerResponse(said) => Failure::Refused(plain(said.error())),
        RequestTokenError::Parse(error, _) => {
            let place = plain(error.path());
            Failure::Away(format!("its answer with tokens is none, at `{place}`"))
        }
        error => Failure::Away(told(&error)),
    }
}

/// An error with its causes, on one line.
fn told(error: &dyn Error) -> String {
    let mut all = plain(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        all = format!("{all}: {}", plain(error));
        cause = error.source();
    }
    all
}
