//! Planning a request: what every request pays before its first attempt.

#[path = "../src/failover/testing.rs"]
#[expect(dead_code, reason = "shared with the crate's own tests")]
mod testing;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use tollgate_base::clock;
use tollgate_config::access::ProviderKey;
use tollgate_config::catalog::Provider;
use tollgate_config::types::{KeySelection, Priority};
use tollgate_failover::headroom::Headroom;
use tollgate_failover::queue::{Flow, Queue};
use tollgate_failover::{
    Class, Health, Limits, Machine, Need, Outcome, Selection, Session, Target, plan,
};
use tollgate_ledger::KeyKind;
use tollgate_wire::Surface;

struct Upstream {
    provider: Arc<Provider>,
    model: Arc<str>,
    keys: Vec<Arc<ProviderKey>>,
}

fn upstream(id: &str, keys: usize) -> Upstream {
    let key = |n| testing::key(id, &format!("{id}-{n}"), KeyKind::User);
    Upstream {
        provider: testing::provider(id),
        model: format!("{id}-large").into(),
        keys: (0..keys).map(key).collect(),
    }
}

fn target(model_index: usize, upstream: &Upstream) -> Target<'_> {
    Target {
        provider: &upstream.provider,
        model: None,
        upstream_model: &upstream.model,
        surface: Surface::ChatCompletions,
        model_index,
        user_keys: &upstream.keys,
        managed_keys: &[],
        steps: None,
    }
}

fn needs() -> (Need, Need) {
    let need = Need {
        requests: 1,
        bytes: 4096,
        answer: 500,
    };
    (need, Need::default())
}

fn bench(c: &mut Criterion) {
    let now = clock::now();
    let warm = Health::new(1);
    let limited = Outcome::Status {
        status: 429,
        retry_after: Some(Duration::from_secs(30)),
    };
    let cold = Health::new(1);
    let (key, model) = ("a-0".into(), "a-large".into());
    cold.cooldowns
        .on_outcome(&key, &model, Class::Answers, &limited, now);
    let told = Health::new(1);
    let header = |name: &str| name.starts_with("x-ratelimit-").then_some("1000");
    let limits = Limits::read(header, clock::wall());
    let begun = told.headroom.begin(&key, &model, || needs().0, now);
    told.headroom.learn(&key, &model, &begun, &limits, now);

    let mut group = c.benchmark_group("plan");
    for (name, models, keys) in [
        ("1 candidate", vec!["a"], 1),
        ("8 candidates", vec!["a", "b", "c", "d"], 2),
    ] {
        let upstreams: Vec<Upstream> = models.iter().map(|id| upstream(id, keys)).collect();
        let targets: Vec<Target<'_>> = upstreams
            .iter()
            .enumerate()
            .map(|(i, u)| target(i, u))
            .collect();
        for (state, health) in [
            ("nothing cools", &warm),
            ("one cools", &cold),
            ("one tells its limits", &told),
        ] {
            group.bench_function(format!("{name}, {state}"), |b| {
                b.iter(|| {
                    plan(
                        black_box(&targets),
                        &Selection::ORDERED,
                        |candidate| health.wait(candidate, "a", Class::Answers, needs, now),
                        now,
                        true,
                    )
                });
            });
        }
        let made = plan(&targets, &Selection::ORDERED, |_| None, now, true);
        group.bench_function(format!("{name}, machine to commit"), |b| {
            b.iter(|| {
                let mut machine = Machine::new(black_box(&made), now, Duration::from_secs(120));
                let first = machine.next(now);
                machine.commit();
                (first, machine)
            });
        });
    }
    for keys in [2, 4, 16] {
        let upstream = upstream("a", keys);
        let session = Session::named("default", b"0199a213-81c0-7800-8aa1-bbab2a035a53");
        for (chosen, otherwise) in [
            ("in order", KeySelection::Ordered),
            ("by session", KeySelection::Session),
        ] {
            let selection = Selection {
                otherwise,
                session: &|| session,
            };
            group.bench_function(format!("{keys} keys {chosen}"), |b| {
                b.iter(|| {
                    let targets = [target(0, &upstream)];
                    plan(black_box(&targets), &selection, |_| None, now, true)
                });
            });
        }
    }
    group.finish();

    let upstream = upstream("a", 1);
    let made = plan(
        &[target(0, &upstream)],
        &Selection::ORDERED,
        |_| None,
        now,
        true,
    );
    let one = &made[0];
    for (state, health) in [
        ("nothing cools", &warm),
        ("one cools", &cold),
        ("its limits are told", &told),
    ] {
        c.bench_function(&format!("cool-down check, {state}"), |b| {
            b.iter(|| health.wait(black_box(one), "a", Class::Answers, needs, now));
        });
    }
}

/// What a request costs that looks at a key's quota, takes of it, and learns from its answer, while so many other threads do the
/// same with the same key, or with one each; and who stands before it, while so many wait.
fn quotas(c: &mut Criterion) {
    let header = |name: &str| name.starts_with("x-ratelimit-").then_some("1000000");
    let limits = Limits::read(header, clock::wall());
    let model: Arc<str> = "large".into();
    let request = |headroom: &Headroom, key: &Arc<str>| {
        let now = clock::now();
        let until = headroom.until(key, &model, needs, now);
        let begun = headroom.enter(key, &model, needs, now);
        let begun = begun.expect("there is room");
        (until, headroom.learn(key, &model, &begun, &limits, now))
    };
    let mut group = c.benchmark_group("quota");
    for (name, others, own_keys) in [
        ("alone", 0, false),
        ("another thread at the same key", 1, false),
        ("another thread at another key", 1, true),
    ] {
        let headroom = Headroom::default();
        let (ends, key) = (AtomicBool::new(false), Arc::from("key"));
        request(&headroom, &key);
        std::thread::scope(|scope| {
            for other in 0..others {
                let key: Arc<str> = if own_keys {
                    other.to_string().into()
                } else {
                    key.clone()
                };
                let (ends, headroom, request) = (&ends, &headroom, &request);
                scope.spawn(move || {
                    while !ends.load(Ordering::Relaxed) {
                        black_box(request(headroom, &key));
                    }
                });
            }
            group.bench_function(format!("a request, {name}"), |b| {
                b.iter(|| request(&headroom, black_box(&key)));
            });
            ends.store(true, Ordering::Relaxed);
        });
    }
    let (account, queue): (Arc<str>, Arc<Queue>) = ("account".into(), Arc::default());
    let line = || -> (Arc<str>, Arc<str>) { ("key".into(), "large".into()) };
    let flow = || Flow {
        account: &account,
        weight: 1,
        priority: Priority::Interactive,
    };
    let mut places = Vec::new();
    for waiting in [0, 16, 1024] {
        while places.len() < waiting {
            places.push(queue.join(line(), flow(), needs().0));
        }
        group.bench_function(format!("who stands before it, of {waiting}"), |b| {
            b.iter(|| queue.ahead(line, flow));
        });
    }
    group.finish();
}

criterion_group!(benches, bench, quotas);
criterion_main!(benches);
