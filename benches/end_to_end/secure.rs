//! What the way to the provider costs: the gateway over plain HTTP/1.1, over TLS with HTTP/1.1, and over TLS with HTTP/2, which is
//! what it speaks with a provider that offers both.
//!
//! The provider of this measure is a process of its own, on hyper, so that it costs the same for all three: it answers every
//! request with the provider's whole answer.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tollgate_wire::Surface;

use crate::answers::Answers;
use crate::child::Child;
use crate::lab::{Credits, Lab, Proxy};
use crate::{Outcome, child, wire};

/// The role that answers requests over TLS, or without.
pub const ROLE: &str = "secure-provider";
/// The name of this measure.
pub const NAME: &str = "upstream";

/// What the role is asked for.
#[derive(clap::Args)]
pub struct Options {
    /// The folder with `certificate.pem` and `key.pem`; without it there is no TLS.
    #[arg(long)]
    certificate: Option<PathBuf>,
    /// What it offers besides HTTP/1.1.
    #[arg(long)]
    http2: bool,
}

/// The gateway with each way to its provider, and that provider.
pub async fn gateways(lab: &Lab) -> Outcome<Vec<(&'static str, Proxy, Child)>> {
    let folder = lab.state()?;
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    std::fs::write(folder.join("certificate.pem"), made.cert.pem())?;
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem())?;
    let certificate = folder.display().to_string();
    let mut gateways = Vec::new();
    for (label, tls, more) in [
        ("HTTP/1.1", false, &[][..]),
        (
            "HTTP/1.1 over TLS",
            true,
            &["--certificate", &*certificate][..],
        ),
        (
            "HTTP/2 over TLS",
            true,
            &["--certificate", &*certificate, "--http2"][..],
        ),
    ] {
        let (provider, address) = lab.start_role(ROLE, more)?;
        let plain = format!(r#"base_url: "http://{}/v1""#, lab.provider());
        let there = match tls {
            false => format!(r#"base_url: "http://{address}/v1""#),
            true => format!(
                "base_url: \"https://{address}/v1\"\n    ca: \"{certificate}/certificate.pem\""
            ),
        };
        let changed = |config: String| config.replace(&plain, &there);
        let proxy = lab.start_changed(Credits::Off, None, changed).await?;
        gateways.push((label, proxy, provider));
    }
    Ok(gateways)
}

/// Serves on a free loopback port, which it prints as its first line, until its parent ends.
pub fn run(options: &Options) -> Outcome<()> {
    child::exit_with_parent();
    let whole = Answers::of(Surface::ChatCompletions).whole;
    let head = wire::head_end(&whole).ok_or("the answer has no head")?;
    let body = Bytes::from(whole[head..].to_vec());
    let tls = options
        .tls()?
        .map(|config| TlsAcceptor::from(Arc::new(config)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?.port());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (tls, body) = (tls.clone(), body.clone());
            tokio::spawn(async move {
                match tls {
                    None => serve(stream, body).await,
                    Some(tls) => {
                        // A proxy that has ended needs no answer.
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream, body).await;
                        }
                    }
                }
            });
        }
    })
}

impl Options {
    fn tls(&self) -> Outcome<Option<ServerConfig>> {
        let Some(folder) = &self.certificate else {
            return Ok(None);
        };
        let certificate = CertificateDer::from_pem_file(folder.join("certificate.pem"))?;
        let key = PrivateKeyDer::from_pem_file(folder.join("key.pem"))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        let mut offered: Vec<Vec<u8>> = vec![b"http/1.1".to_vec()];
        if self.http2 {
            offered.insert(0, b"h2".to_vec());
        }
        config.alpn_protocols = offered;
        Ok(Some(config))
    }
}

/// One connection, whichever version of HTTP it speaks.
async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, body: Bytes) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let body = body.clone();
        async move {
            let asked = request.into_body().collect().await;
            let answer = Response::builder().header("content-type", "application/json");
            let answer = answer.body(Full::new(asked.map_or_else(|_| Bytes::new(), |_| body)));
            Ok::<_, Infallible>(answer.expect("a head that can be written"))
        }
    });
    // That a proxy ends a connection is no fault of the provider's.
    let served = auto::Builder::new(TokioExecutor::new());
    served
        .serve_connection(TokioIo::new(stream), answer)
        .await
        .ok();
}
