//! What a request's first step costs: finding the access key of a token among few and among many. And what a change
//! of one key costs, and building everything anew.

use std::borrow::Cow;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tollgate_base::id;
use tollgate_config::access::{Contents, Snapshot, WrittenKey};
use tollgate_config::secrets::Token;
use tollgate_config::types;

struct Known {
    tokens: Vec<Token>,
    ids: Vec<String>,
    digests: Vec<[u8; 32]>,
}

fn known(count: u64) -> Known {
    let ids: Vec<String> = (0..count)
        .map(|n| id::new("ak_", 1_700_000_000_000 + n / 10))
        .collect();
    let tokens: Vec<Token> = ids
        .iter()
        .filter_map(|id| Token::generate(id).ok())
        .collect();
    Known {
        digests: tokens.iter().map(Token::digest).collect(),
        tokens,
        ids,
    }
}

fn build(known: &Known, limits: &types::RateLimits, last: Option<&Snapshot>) -> Snapshot {
    let config = Arc::new(tollgate_config::parse("", &|_| None).expect("an empty one is valid"));
    let keys = known.ids.iter().zip(&known.digests);
    let contents = Contents {
        catalog: config.catalog.clone(),
        config,
        providers: Vec::new(),
        configurations: Vec::new(),
        budgets: Vec::new(),
        access_keys: keys
            .map(|(id, digest)| written(id, digest, limits))
            .collect(),
        settings: Vec::new(),
        complete: true,
    };
    Snapshot::of(contents, 1, last)
}

fn written<'a>(id: &'a str, digest: &'a [u8; 32], limits: &'a types::RateLimits) -> WrittenKey<'a> {
    WrittenKey {
        id,
        name: None,
        account: "default",
        configuration: None,
        digest,
        budget: None,
        limits: Cow::Borrowed(limits),
        newer: false,
        former: None,
    }
}

fn bench(c: &mut Criterion) {
    let limits = types::RateLimits::default();
    let mut group = c.benchmark_group("authenticate");
    group.throughput(Throughput::Elements(1));
    for count in [1_000, 100_000] {
        let known = known(count);
        let snapshot = build(&known, &limits, None);
        // A stride that visits all of them, far apart.
        let mut place = 0;
        let mut next = || {
            place = (place + 7_919) % known.tokens.len();
            known.tokens[place].expose()
        };
        group.bench_function(BenchmarkId::new("known", count), |b| {
            b.iter(|| snapshot.authenticate(black_box(next())).is_ok());
        });
        let unknown = Token::generate("ak_00000000000000000000000000");
        let unknown = unknown.as_ref().map_or("", Token::expose);
        group.bench_function(BenchmarkId::new("unknown", count), |b| {
            b.iter(|| snapshot.authenticate(black_box(unknown)).is_err());
        });
    }
    group.finish();

    let mut group = c.benchmark_group("100,000 keys");
    group.sample_size(20);
    let known = known(100_000);
    let snapshot = build(&known, &limits, None);
    group.bench_function("built anew", |b| {
        b.iter(|| build(black_box(&known), &limits, Some(&snapshot)));
    });
    let new = id::new("ak_", 1_800_000_000_000);
    let digest = [7; 32];
    group.bench_function("one more", |b| {
        b.iter(|| {
            let key = written(&new, &digest, &limits);
            snapshot.with_access_keys([(black_box(&*new), Some(key))], 2)
        });
    });
    group.bench_function("one less", |b| {
        b.iter(|| snapshot.with_access_keys([(black_box(&*known.ids[500]), None)], 2));
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
