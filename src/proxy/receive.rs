//! From the request's head to a plan: each step may refuse, and a refusal is a value.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use pingora_error::{Error, Result};
use pingora_proxy::Session;

use super::context::{Caller, Context, Received};
use super::local::Destination;
use super::retries::{Begun, Turn};
use super::shared::Shared;
use super::shares::{COUNT_EVERY, COUNTS};
use super::websocket::kept;
use super::{
    admit, authenticate, body, conversation, cors, credits, local, names, quota, reply, retries,
    route, tags,
};
use tollgate_base::clock;
use tollgate_config::access::Snapshot;
use tollgate_wire::tags::Tags;
use tollgate_wire::{Endpoint, GatewayError};

/// Longest `x-request-id` that is taken over from a client.
const REQUEST_ID_MAX: usize = 128;

/// Pingora's `request_filter`: true when the request has been answered here.
pub async fn request(
    shared: &Arc<Shared>,
    session: &mut Session,
    ctx: &mut Context,
) -> Result<bool> {
    let snapshot = shared.snapshot.load_full();
    ctx.dialect = local::dialect(session.req_header());
    let headers = &session.req_header().headers;
    ctx.request_id = request_id(headers);
    ctx.trace = shared.traces.as_ref().map(|traces| traces.begin(headers));
    ctx.cors = cors::headers(snapshot.config.proxy.cors.as_ref(), session.req_header());
    let patience = snapshot.config.proxy.read_timeout;
    session.set_write_timeout(Some(patience));
    // Pingora's own is a minute, which would end the pauses that a longer one allows.
    session.set_read_timeout(Some(patience));
    // Off already if the client wants it closed, or its framing makes it unsafe to go on.
    if shared.drain.ends().is_some() {
        session.set_keepalive(None);
    } else if session.downstream_session.get_keepalive().is_some() {
        session.set_keepalive(Some(snapshot.config.proxy.keepalive.as_secs().max(1)));
    }
    if let Some(kept) = kept(session.req_header_mut()) {
        (ctx.keeps, ctx.turn) = (kept.busy, Some(kept.turn));
    }
    if snapshot.config.proxy.max_connections.is_some() && session.is_http2() {
        let address = session.client_addr().and_then(|address| address.as_inet());
        ctx.keeps = address.and_then(|address| shared.crowd.busy(*address));
    }
    match walk(shared, snapshot, session, ctx).await {
        Ok(Walked::Planned) => Ok(false),
        Ok(Walked::Answered) => Ok(true),
        Ok(Walked::Broken(error)) => Err(error),
        Err(refusal) => {
            reply::refusal(session, ctx, &refusal).await?;
            Ok(true)
        }
    }
}

enum Walked {
    Planned,
    Answered,
    /// What was begun cannot be ended.
    Broken(Box<Error>),
}

async fn walk(
    shared: &Arc<Shared>,
    snapshot: Arc<Snapshot>,
    session: &mut Session,
    ctx: &mut Context,
) -> std::result::Result<Walked, GatewayError> {
    let limits = &snapshot.config.proxy;
    body::check_head(session.req_header(), limits.max_headers)?;
    let options = cors::preflight(limits.cors.as_ref(), session.req_header())
        .or_else(|| local::options(session.req_header()));
    if let Some(options) = options {
        let answered = reply::nothing(session, ctx, options).await;
        answered.map_err(|_| GatewayError::internal())?;
        return Ok(Walked::Answered);
    }
    let destination = local::destination(session.req_header())?;
    let key = authenticate::caller(&session.req_header().headers, &snapshot)?;
    let tags = match destination {
        Destination::Provider(Endpoint::Generate(_)) => {
            tags::tags(&session.req_header().headers, &key)?
        }
        _ => Tags::default(),
    };
    let caller = &*ctx.caller.insert(Caller {
        tags,
        priority: quota::priority(&session.req_header().headers, &key),
        aside: shared.room.of(&key.account),
        key,
        snapshot: snapshot.clone(),
    });

    let endpoint = match destination {
        Destination::Models(query) => {
            let list = local::models(caller, ctx.dialect, &query)?;
            return answer(session, ctx, list).await;
        }
        Destination::Provider(endpoint) => endpoint,
    };
    ctx.endpoint = Some(endpoint);

    let (head, keeps) = (session.req_header(), ctx.keeps.as_mut());
    let in_flight = admit::enter(shared, caller, head, keeps, &mut ctx.has)?;
    if endpoint == Endpoint::CountTokens {
        let counts = &shared.scarce.counts;
        let taken = counts.take(&caller.key.account, clock::now());
        taken.map_err(|wait| {
            let most = format!("{COUNTS} counts of tokens at once, then one each {COUNT_EVERY:?}");
            GatewayError::limit_reached(&most, Some(wait))
        })?;
    }
    let bytes = body::read(shared, session, caller, &mut ctx.has).await?;
    let parsed = body::parse(&caller.aside, endpoint, bytes).await?;
    ctx.received = Some(Received {
        body: parsed,
        at: clock::now(),
    });
    let turn = match retries::begin(shared, session, ctx).await? {
        Begun::Runs(turn) => turn,
        Begun::Answered => return Ok(Walked::Answered),
        Begun::Broken(error) => return Ok(Walked::Broken(error)),
    };
    let (Some(caller), Some(received)) = (&mut ctx.caller, &ctx.received) else {
        return Err(GatewayError::internal());
    };
    let headers = &session.req_header().headers;
    caller.tags = conversation::tags(headers, caller, &received.body);

    let caller = &*caller;
    let (key, body) = (&caller.key, &received.body);
    let mut planned = match route::plan(shared, session.req_header(), caller, body) {
        Err(refusal) => {
            let Some(model) = route::countable(caller, body, refusal.code) else {
                return Err(refusal);
            };
            caller.aside.has_room()?;
            let count = local::count(&caller.aside, &model, body).await?;
            return answer(session, ctx, count).await;
        }
        Ok(planned) => planned,
    };
    let aside = &caller.aside;
    let asked = credits::asked(shared, caller, body);
    admit::check(aside, key, body, asked.unseen, &planned).await?;
    let at = credits::now();
    credits::payable(shared, caller, body, &asked, &mut planned, at)?;
    let translation = &mut ctx.translation;
    let head = session.req_header();
    translation.hints = conversation::hints(head, caller, body, &planned);
    translation.prepare(aside, body, key, &mut planned).await?;
    let (id, named) = (&ctx.request_id, turn.as_ref().is_some_and(Turn::is_named));
    let bill = credits::open(shared, caller, id, body, asked, &planned, (at, named)).await?;
    if let Err(refusal) = admit::place(shared, caller, &mut ctx.has) {
        bill.abandon();
        return Err(refusal);
    }
    admit::start(shared, session, ctx, planned, bill, turn, in_flight);
    Ok(Walked::Planned)
}

/// Answers what needs no provider.
async fn answer(
    session: &mut Session,
    ctx: &mut Context,
    body: Bytes,
) -> std::result::Result<Walked, GatewayError> {
    let answered = reply::json(session, ctx, StatusCode::OK, body).await;
    answered.map_err(|_| GatewayError::internal())?;
    Ok(Walked::Answered)
}

/// Returns the client's own id for the request, or one that is made.
pub fn request_id(headers: &HeaderMap) -> Arc<str> {
    headers
        .get(&names::X_REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| {
            (1..=REQUEST_ID_MAX).contains(&id.len())
                && id
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
        })
        .map_or_else(new_request_id, Arc::from)
}

/// `req_` and 24 random hexadecimal digits.
pub fn new_request_id() -> Arc<str> {
    let mut id = String::with_capacity(28);
    id.push_str("req_");
    tollgate_base::random::push_hex96(&mut id);
    id.into()
}
