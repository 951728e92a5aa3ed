//! The facts of models.dev: US dollars per million tokens. A zero there is what nobody looked up, or a plan that is paid
//! otherwise: it says nothing.

use super::json::Json;
use super::number::{Per, set};
use super::{Found, Wanted, at};
use tollgate_ledger::tariff::{Prices, Rates};
use tollgate_wire::report::Unit;

/// What our providers are called there, where that is not their id.
const PROVIDERS: [(&str, &str); 3] = [
    ("z-ai", "zai"),
    ("inceptionlabs", "inception"),
    ("inference-net", "inference"),
];

const UNITS: [(&str, Unit); 7] = [
    ("input", Unit::Input),
    ("output", Unit::Output),
    ("reasoning", Unit::Reasoning),
    ("cache_read", Unit::CachedRead),
    ("cache_write", Unit::CacheWrite),
    ("input_audio", Unit::InputAudio),
    ("output_audio", Unit::OutputAudio),
];

/// Above what length the older way of writing a tier holds.
const OVER: (&str, u64) = ("context_over_200k", 200_000);

pub(super) fn read(text: &str, wanted: &Wanted<'_>, found: &mut Found) -> Result<(), String> {
    Json::parse(text)?.members(|provider, value| {
        let Some(known) = wanted.called(provider, &PROVIDERS) else {
            return Ok(());
        };
        let Some(models) = value.member("models")? else {
            return Ok(());
        };
        models.members(|id, model| {
            found.count()?;
            let Some(name) = known.model(id) else {
                return Ok(());
            };
            match prices(model) {
                // Nobody looked its prices up.
                Ok(rates) if rates.is_empty() => {}
                read => found.put(name, read.map(Prices::flat)),
            }
            Ok(())
        })
    })
}

fn prices(model: Json<'_>) -> Result<Rates, String> {
    let mut rates = Rates::default();
    let Some(cost) = model.member("cost")? else {
        return Ok(rates);
    };
    at("cost", priced(cost, None, &mut rates))?;
    match (cost.member("tiers")?, cost.member(OVER.0)?) {
        (Some(tiers), _) => {
            let mut read = |tier: Json<'_>| {
                let Some(bound) = tier.member("tier")? else {
                    return Err("a tier does not say when it holds".to_owned());
                };
                // Other kinds of tiers do not depend on the prompt's length.
                if bound
                    .member("type")?
                    .map_or(Ok(true), |it| it.text().map(|it| it == "context"))?
                {
                    let size = bound
                        .member("size")?
                        .ok_or("a tier has no `size`")?
                        .whole()?;
                    priced(tier, Some(size), &mut rates)?;
                }
                Ok(())
            };
            at("cost: tiers", tiers.elements(&mut read))?;
        }
        (None, Some(over)) => at(OVER.0, priced(over, Some(OVER.1), &mut rates))?,
        (None, None) => {}
    }
    Ok(rates)
}

fn priced(cost: Json<'_>, above: Option<u64>, rates: &mut Rates) -> Result<(), String> {
    cost.members(|name, price| {
        let Some((_, unit)) = UNITS.iter().find(|(known, _)| *known == name) else {
            return Ok(());
        };
        if price.is_null() {
            return Ok(());
        }
        let mut read = Rates::default();
        set(&mut read, *unit, None, price, Per::Million)?;
        let free = read.price(*unit, 0) == Some(0);
        // What costs nothing known for short prompts has nothing to be more than.
        let stands = above.is_none() || rates.get(*unit).is_some();
        match free || !stands {
            true => Ok(()),
            false => set(rates, *unit, above, price, Per::Million),
        }
    })
}
