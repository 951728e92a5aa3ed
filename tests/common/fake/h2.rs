//! HTTP/2, close enough to the frames to break them.

use std::future::poll_fn;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::{Reading, Seen, Shared};
use crate::common::script::{Act, Framing, Script};

/// Flow control never stands in the way of a request.
const WINDOW: u32 = 64 << 20;
/// Before a connection is broken, so that what was written has left.
const LINGER: Duration = Duration::from_millis(20);

/// How a stream wants its connection to end.
enum Break {
    Cut,
    Reset,
}

/// The peer left.
struct Gone;

/// Serves one connection to its end.
pub(super) async fn serve(
    io: impl AsyncRead + AsyncWrite + Unpin,
    hand: &TcpStream,
    shared: &std::sync::Arc<Shared>,
) {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(io).await else {
        return;
    };
    let (broken, mut breaks) = mpsc::unbounded_channel();
    let mut streams = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(Ok((request, respond))) = accepted else { break };
                let (shared, broken) = (std::sync::Arc::clone(shared), broken.clone());
                streams.spawn(async move { stream(request, respond, &shared, &broken).await });
            }
            Some(how) = breaks.recv() => {
                // Only polling the connection writes; give what is queued a moment to leave.
                drop(tokio::time::timeout(LINGER, poll_fn(|context| connection.poll_closed(context))).await);
                if matches!(how, Break::Reset) {
                    hand.set_zero_linger().unwrap();
                }
                return;
            }
        }
    }
    // The peer left: every stream still playing learns of it, and says so.
    drop(connection);
    drop(tokio::time::timeout(Duration::from_secs(1), streams.join_all()).await);
}

async fn stream(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    shared: &Shared,
    broken: &mpsc::UnboundedSender<Break>,
) {
    let (head, mut incoming) = request.into_parts();
    let mut body = BytesMut::new();
    if shared.reading == Reading::Whole {
        while let Some(data) = incoming.data().await {
            let Ok(data) = data else { return };
            incoming
                .flow_control()
                .release_capacity(data.len())
                .unwrap();
            body.extend_from_slice(&data);
        }
    }
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| {
        (
            name.to_string(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    });
    let seen = Seen {
        path: head
            .uri
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        headers: headers.collect(),
        body: body.freeze(),
        version: "HTTP/2",
        at: tollgate_base::clock::now(),
        gone: None,
    };
    let (index, script) = shared.record(seen);
    match play(&mut respond, &script).await {
        Ok(Some(how)) => drop(broken.send(how)),
        Ok(None) => {}
        Err(Gone) => shared.gone(index),
    }
}

/// Plays a script; how the connection is to be broken, if it is.
async fn play(respond: &mut SendResponse<Bytes>, script: &Script) -> Result<Option<Break>, Gone> {
    let mut body: Option<SendStream<Bytes>> = None;
    for act in &script.acts {
        match act {
            Act::Wait(time) => wait(respond, body.as_mut(), Some(*time)).await?,
            Act::Gate(gate) => {
                let mut gate = gate.clone();
                tokio::select! {
                    gone = wait(respond, body.as_mut(), None) => gone?,
                    open = gate.wait_for(|open| *open) => drop(open),
                }
            }
            Act::Silence => wait(respond, body.as_mut(), None).await?,
            Act::Interim(status) => {
                let mut interim = Response::new(());
                *interim.status_mut() = StatusCode::from_u16(*status).unwrap();
                respond.send_informational(interim).map_err(|_| Gone)?;
            }
            Act::Head(status, headers) => {
                let mut head = Response::builder().status(*status);
                for (name, value) in headers {
                    head = head.header(name, value);
                }
                if script.framing == Framing::Length {
                    head = head.header("content-length", script.body().len());
                }
                body = Some(
                    respond
                        .send_response(head.body(()).unwrap(), false)
                        .map_err(|_| Gone)?,
                );
            }
            Act::Data(data) => send(body.as_mut(), data.clone()).await?,
            Act::Bytewise(data) => {
                for index in 0..data.len() {
                    send(body.as_mut(), data.slice(index..=index)).await?;
                    tokio::task::yield_now().await;
                }
            }
            Act::Forever(data, interval) => loop {
                send(body.as_mut(), data.clone()).await?;
                wait(respond, body.as_mut(), Some(*interval)).await?;
            },
            Act::Cut | Act::Close(_) => return Ok(Some(Break::Cut)),
            Act::Reset => return Ok(Some(Break::Reset)),
            Act::ResetStream => {
                tokio::time::sleep(LINGER).await;
                match body {
                    Some(mut body) => body.send_reset(Reason::INTERNAL_ERROR),
                    None => respond.send_reset(Reason::INTERNAL_ERROR),
                }
                return Ok(None);
            }
        }
    }
    if let Some(mut body) = body {
        body.send_data(Bytes::new(), true).map_err(|_| Gone)?;
    }
    Ok(None)
}

/// Waits, for ever if `None`.
async fn wait(
    respond: &mut SendResponse<Bytes>,
    body: Option<&mut SendStream<Bytes>>,
    time: Option<Duration>,
) -> Result<(), Gone> {
    let gone = async {
        match body {
            Some(body) => drop(poll_fn(|context| body.poll_reset(context)).await),
            None => drop(poll_fn(|context| respond.poll_reset(context)).await),
        }
    };
    match time {
        Some(time) => match tokio::time::timeout(time, gone).await {
            Ok(()) => Err(Gone),
            Err(_) => Ok(()),
        },
        None => {
            gone.await;
            Err(Gone)
        }
    }
}

async fn send(body: Option<&mut SendStream<Bytes>>, mut data: Bytes) -> Result<(), Gone> {
    let body = body.expect("a script sends its head before data");
    while !data.is_empty() {
        body.reserve_capacity(data.len());
        match poll_fn(|context| body.poll_capacity(context)).await {
            Some(Ok(capacity)) => {
                let now = data.split_to(capacity.min(data.len()));
                body.send_data(now, false).map_err(|_| Gone)?;
            }
            _ => return Err(Gone),
        }
    }
    Ok(())
}
