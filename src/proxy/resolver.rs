//! Host names and their addresses, remembered.
//!
//! The system's resolver says neither how long an answer holds nor that it will come. So a name is asked for once at a
//! time, however many requests wait for it, and what was known before serves while the answer is late or none.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt as _, Shared};
use parking_lot::Mutex;

use tollgate_base::clock;
use tollgate_failover::ConnectFailure;

/// How long an address is believed.
const FRESH: Duration = Duration::from_secs(30);

/// How long it serves when the resolver is late or fails, and how long that is waited for.
const STALE: Duration = Duration::from_secs(10 * 60);
const LATE: Duration = Duration::from_secs(1);

/// Most names that are remembered.
const MOST_NAMES: usize = 1024;

/// A host and a port.
type Host = (String, u16);

/// What a resolver says; the best address first.
type Answer = Result<Vec<IpAddr>, ()>;

type Asks = Box<dyn Fn(Host) -> BoxFuture<'static, Answer> + Send + Sync>;

/// Looks up host names, and remembers their addresses.
pub struct Resolver {
    names: Arc<Mutex<HashMap<Host, Name>>>,
    asks: Asks,
}

/// A name.
#[derive(Default)]
struct Name {
    /// Its addresses, and when they were heard.
    known: Option<(Instant, Vec<IpAddr>)>,
    /// The question under way.
    asked: Option<Shared<BoxFuture<'static, Answer>>>,
}

impl Name {
    /// Its addresses, if they were heard no longer ago than `age`.
    fn within(&self, age: Duration, now: Instant) -> Option<Vec<IpAddr>> {
        let (heard, ips) = self.known.as_ref()?;
        (now.saturating_duration_since(*heard) < age).then(|| ips.clone())
    }
}

impl Default for Resolver {
    fn default() -> Resolver {
        Resolver::asking(|(host, port)| {
            async move {
                let found = tokio::net::lookup_host((host.as_str(), port)).await;
                let mut ips: Vec<IpAddr> = Vec::new();
                for address in found.map_err(drop)? {
                    if !ips.contains(&address.ip()) {
                        ips.push(address.ip());
                    }
                }
                Ok(ips)
            }
            .boxed()
        })
    }
}

impl Resolver {
    fn asking(asks: impl Fn(Host) -> BoxFuture<'static, Answer> + Send + Sync + 'static) -> Self {
        Resolver {
            names: Arc::default(),
            asks: Box::new(asks),
        }
    }

    /// Returns a host's addresses, the best one first; at least one. Waits for them as long as `patience`.
    ///
    /// # Errors
    /// When there are none, or none in time.
    pub async fn lookup(
        &self,
        host: &Host,
        now: Instant,
        patience: Duration,
    ) -> Result<Vec<IpAddr>, ConnectFailure> {
        let (asked, stale) = {
            let mut names = self.names.lock();
            if let Some(fresh) = names.get(host).and_then(|name| name.within(FRESH, now)) {
                return Ok(fresh);
            }
            if names.len() >= MOST_NAMES && !names.contains_key(host) {
                names.retain(|_, name| name.asked.is_some() || name.within(FRESH, now).is_some());
            }
            let name = names.entry(host.clone()).or_default();
            let asked = name.asked.get_or_insert_with(|| self.ask(host.clone()));
            (asked.clone(), name.within(STALE, now))
        };
        let patience = match stale {
            Some(_) => patience.min(LATE),
            None => patience,
        };
        match pingora_timeout::timeout(patience, asked).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(())) => stale.ok_or(ConnectFailure::Dns),
            Err(_) => stale.ok_or(ConnectFailure::Timeout),
        }
    }

    /// Asks for a name in a task of its own, so that the answer is kept whoever still waits for it.
    fn ask(&self, host: Host) -> Shared<BoxFuture<'static, Answer>> {
        let (question, names) = ((self.asks)(host.clone()), self.names.clone());
        let task = tokio::spawn(async move {
            let answer = question.await.and_then(|ips| match ips.is_empty() {
                true => Err(()),
                false => Ok(ips),
            });
            let mut names = names.lock();
            if let Some(name) = names.get_mut(&host) {
                name.asked = None;
                if let Ok(ips) = &answer {
                    name.known = Some((clock::now(), ips.clone()));
                }
                if name.known.is_none() {
                    names.remove(&host);
                }
            }
            answer
        });
        let answer = async move { task.await.unwrap_or(Err(())) };
        answer.boxed().shared()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::watch;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn host() -> Host {
        ("models.example".to_owned(), 443)
    }

    /// A resolver that answers what `answers` holds once it holds something, and how often it was asked.
    fn resolver() -> (Resolver, watch::Sender<Option<Answer>>, Arc<AtomicUsize>) {
        let (answers, told) = watch::channel(None);
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let resolver = Resolver::asking(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            let mut told = told.clone();
            async move {
                let answer = told.wait_for(Option::is_some).await;
                answer
                    .ok()
                    .and_then(|answer| answer.clone())
                    .unwrap_or(Err(()))
            }
            .boxed()
        });
        (resolver, answers, asked)
    }

    #[tokio::test]
    async fn many_ask_once_and_believe_the_answer_for_a_while() {
        let (resolver, answers, asked) = resolver();
        let now = clock::now();
        let (host, wait) = (host(), Duration::from_millis(20));
        let late = resolver.lookup(&host, now, wait).await;
        assert_eq!(late, Err(ConnectFailure::Timeout));
        let all = (0..100).map(|_| resolver.lookup(&host, now, PATIENCE));
        let all = futures::future::join_all(all);
        answers.send(Some(Ok(vec![ip(1), ip(2)]))).unwrap();
        for found in all.await {
            assert_eq!(found, Ok(vec![ip(1), ip(2)]));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1, "also after one gave up");
        let heard = clock::now();
        let fresh = resolver.lookup(&host, heard + FRESH / 2, PATIENCE).await;
        assert_eq!((fresh.is_ok(), asked.load(Ordering::Relaxed)), (true, 1));

        // A new answer is preferred; the old one serves while there is none.
        answers.send(Some(Ok(vec![ip(3)]))).unwrap();
        let later = heard + FRESH * 2;
        assert_eq!(
            resolver.lookup(&host, later, PATIENCE).await,
            Ok(vec![ip(3)])
        );
        for answer in [None, Some(Err(())), Some(Ok(Vec::new()))] {
            answers.send(answer.clone()).unwrap();
            let found = resolver
                .lookup(&host, clock::now() + FRESH * 2, PATIENCE)
                .await;
            assert_eq!(found, Ok(vec![ip(3)]), "{answer:?}");
        }
        let old = clock::now() + STALE * 2;
        answers.send(Some(Err(()))).unwrap();
        let found = resolver.lookup(&host, old, PATIENCE).await;
        assert_eq!(found, Err(ConnectFailure::Dns), "not for ever");
    }

    #[tokio::test]
    async fn names_do_not_add_up() {
        let (resolver, answers, _) = resolver();
        answers.send(Some(Ok(vec![ip(1)]))).unwrap();
        let now = clock::now();
        for number in 0..2 * MOST_NAMES {
            let host = (format!("{number}.example"), 443);
            // Each is old by the time the next one is asked for.
            let then = now + FRESH * u32::try_from(2 * number).unwrap();
            assert!(resolver.lookup(&host, then, PATIENCE).await.is_ok());
        }
        assert!(resolver.names.lock().len() <= MOST_NAMES);
        answers.send(Some(Err(()))).unwrap();
        let before = resolver.names.lock().len();
        let unknown = resolver.lookup(&host(), now, PATIENCE).await;
        assert_eq!(unknown, Err(ConnectFailure::Dns));
        assert!(
            resolver.names.lock().len() <= before,
            "what is no name is not kept"
        );
    }
}
