//! Configurations: what access keys may call, and how much of it.

use axum::http::Method;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::api::Fault;
use super::format::{day, list, text, texts};
use super::forms::{Form, put, put_or_clear, split};
use super::limits;
use super::view::{self, badge, facts};
use super::visit::{self, Answer, Answered, Visit};
use super::{plans, rules, serving, tag_budgets};

const HERE: &str = "/console/configurations";
const SEGMENT: &str = "access-key-configurations";
const FIELDS: [&str; 8] = [
    "name",
    "description",
    "access.providers",
    "access.models",
    "access.options",
    "access.tags",
    rules::FIELDS,
    tag_budgets::FIELDS,
];

/// What an allow list may be about, its words, and what a line of it is.
const LISTS: [(&str, &str, &str); 4] = [
    ("providers", "Providers", "One a line, as in openai"),
    ("models", "Models", "One a line, as in openai:gpt-4o"),
    (
        "options",
        "Options that cost more",
        "One a line, as in service_tier, web_search or audio",
    ),
    ("tags", "Tags", "One a line, as in customer"),
];

pub(super) async fn answer(visit: &Visit, post: bool, rest: &[&str]) -> Answered {
    match (post, rest) {
        (false, []) => all(visit, None).await,
        (true, []) => create(visit).await,
        (false, [id]) => one(visit, id, None).await,
        (true, [id]) => update(visit, id).await,
        (false, [id, "delete"]) => {
            let found = visit.own(&visit::resource(SEGMENT, id), &[]).await?;
            let user = "an access key refers to it";
            let back = visit::page("configurations", id);
            Ok(view::confirm_deletion(visit, ("configuration", &found), user, &back).await)
        }
        (true, [id, "delete"]) => {
            visit
                .send(Method::DELETE, &visit::resource(SEGMENT, id), None)
                .await?;
            Ok(Answer::See(visit.to(HERE, &[("done", "deleted")])))
        }
        _ => Err(super::not_there(post)),
    }
}

async fn all(visit: &Visit, fault: Option<&Fault>) -> Answered {
    let pairs = [("beforeId", visit.asked("beforeId"))];
    let answer = visit.own(&format!("/{SEGMENT}"), &pairs).await?;
    let found = list(&answer, "aiGatewayAccessKeyConfigurations");
    let keys = keys(visit, visit.may_change()).await?;
    let columns = [
        ("Name", ""),
        ("Allows", ""),
        ("Limits", "wide"),
        ("Rules", "n"),
        ("Made", "wide"),
    ];
    let main = html! {
        @if found.is_empty() {
            (view::empty("No configurations yet", &html! {
                p { "An access key without one may call every model. A configuration allows some, limits what is spent, and says whose provider keys serve it." }
            }))
        } @else {
            (view::to_form(visit, "New configuration"))
            (view::table("The newest first", &columns, &html! {
                @for one in found {
                    tr {
                        th scope="row" {
                            a href=(visit.to(&visit::page("configurations", text(one, "id")), &[])) { (text(one, "name")) }
                            @if view::is_declared(one) { " " (badge("plain", "in the file")) }
                        }
                        td { (allowed(one).join("; ")) }
                        td.wide { (limits::shown(one)) }
                        td.n { (list(&one["router"], "rules").len()) }
                        td.wide { (day(text(one, "createdAt"))) }
                    }
                }
            }))
        }
        (view::paging(visit, &answer))
        @if visit.may_change() {
            section.card aria-labelledby="new" {
                h2 #new { "New configuration" }
                (fields(visit, HERE, fault, (&Value::Null, &keys), "Create"))
            }
        }
    };
    Ok(view::with_form(visit, fault, "Configurations", main).await)
}

/// The allow lists in words.
fn allowed(one: &Value) -> Vec<String> {
    let lists = LISTS.iter().filter_map(|(name, label, _)| {
        let allowed = &one["access"][*name];
        allowed["allow"].as_array()?;
        let allowed = texts(allowed, "allow");
        let shown = match &allowed[..] {
            [] => "none".to_owned(),
            some if some.len() <= 3 => some.join(", "),
            many => format!("{} of them", many.len()),
        };
        Some(format!("{label}: {shown}"))
    });
    let all: Vec<String> = lists.collect();
    if all.is_empty() {
        vec!["all".to_owned()]
    } else {
        all
    }
}

async fn one(visit: &Visit, id: &str, fault: Option<&Fault>) -> Answered {
    let found = visit.own(&visit::resource(SEGMENT, id), &[]).await?;
    let limits = limits::words(&found);
    let here = visit::page("configurations", id);
    let keys = keys(visit, visit.may_change() && !view::is_declared(&found)).await?;
    let example = texts(&found["access"]["models"], "allow");
    let example = example.first().copied().unwrap_or_default();
    let plan = plans::section(visit, ("accessKeyConfigurationId", id), example).await?;
    let serving = serving::words(&found);
    let main = html! {
        (facts(&[
            ("Id", html! { code { (id) } }),
            ("Allows", html! { @for line in allowed(&found) { p { (line) } } }),
            ("Limits", html! { @if limits.is_empty() { "none" } @else { (limits.join(", ")) } }),
            ("Served", html! { @if serving.is_empty() { "as the gateway has it" } @else { (serving.join("; ")) } }),
            ("Made", view::made(&found)),
        ]))
        (routes(&found))
        (plan)
        (view::changes(visit, &found, &here, &fields(visit, &here, fault, (&found, &keys), "Save")))
    };
    Ok(view::with_form(visit, fault, text(&found, "name"), main).await)
}

/// The provider keys that a form offers, if there is one.
async fn keys(visit: &Visit, is_form: bool) -> Result<Vec<Value>, Fault> {
    match is_form {
        true => rules::keys(visit).await,
        false => Ok(Vec::new()),
    }
}

fn routes(found: &Value) -> Markup {
    let rules = list(&found["router"], "rules");
    let columns = [("For", ""), ("Whose keys, in this order", "")];
    let step = |step: &Value| {
        let keys: Vec<&str> = list(step, "keys")
            .iter()
            .map(|key| text(key, "name"))
            .collect();
        match &keys[..] {
            [] => format!("{}: all", text(step, "type")),
            keys => format!("{}: {}", text(step, "type"), keys.join(", ")),
        }
    };
    html! {
        @if rules.is_empty() {
            p.quiet { "It has no routing rules: the account's own provider keys serve, and then the operator's." }
        } @else {
            (view::table("Routing rules", &columns, &html! {
                @for rule in rules {
                    tr {
                        th scope="row" { (rule["model"].as_str().unwrap_or_else(|| text(rule, "provider"))) }
                        td { ol.steps { @for one in list(rule, "steps") { li { (step(one)) } } } }
                    }
                }
            }))
        }
    }
}

fn fields(
    visit: &Visit,
    to: &str,
    fault: Option<&Fault>,
    (now, keys): (&Value, &[Value]),
    word: &str,
) -> Markup {
    const LIMITS: &[&[(&str, &str, &str)]] = &[limits::SIZES, limits::RATES];
    let mut begin = limits::begin(now, LIMITS);
    begin.extend(rules::begin(now));
    begin.extend(tag_budgets::begin(now));
    begin.extend(serving::begin(now));
    for name in ["name", "description"] {
        begin.push((name.to_owned(), text(now, name).to_owned()));
    }
    for (name, ..) in LISTS {
        let allowed = &now["access"][name];
        let only = if allowed["allow"].is_array() {
            "only"
        } else {
            ""
        };
        begin.push((mode(name), only.to_owned()));
        begin.push((lines(name), texts(allowed, "allow").join("\n")));
    }
    let form = Form::new(visit, fault, &begin);
    let names = limits::names(LIMITS);
    let names = names.iter().map(String::as_str).chain(FIELDS);
    let names: Vec<&str> = names.chain(serving::names()).collect();
    html! {
        (form.others(&names))
        form method="post" action=(visit.to(to, &plans::asked(visit))) {
            (view::token(visit))
            (form.line("name", "Name", "", true))
            (form.line("description", "Description", "", false))
            fieldset {
                legend { "What it allows" }
                @for (name, label, hint) in LISTS {
                    div.pair {
                        (form.choice(&mode(name), label, "", &[("", "All"), ("only", "Only these")]))
                        (form.lines(&lines(name), &format!("{label} that are allowed"), hint))
                    }
                }
            }
            (rules::fields(visit, &form, fault.is_some(), now, keys))
            (limits::fields(&form, LIMITS))
            (tag_budgets::fields(visit, &form, now))
            (serving::fields(&form))
            button.primary type="submit" { (word) }
        }
    }
}

fn mode(list: &str) -> String {
    format!("mode.{list}")
}

fn lines(list: &str) -> String {
    format!("access.{list}")
}

/// What was sent of a configuration that is `now` as it is. What is empty clears what there is.
fn sent(visit: &Visit, now: &Value) -> Value {
    let clears = !now.is_null();
    let mut body = Map::new();
    if let Some(router) = rules::sent(visit, now) {
        body.insert("router".to_owned(), router);
    }
    put(&mut body, "name", visit.sent("name"));
    match clears {
        true => put_or_clear(&mut body, "description", visit.sent("description")),
        false => put(&mut body, "description", visit.sent("description")),
    }
    let mut access = Map::new();
    for (name, ..) in LISTS {
        if visit.sent(&mode(name)) == "only" {
            let allow = split(visit.sent(&lines(name)));
            access.insert(name.to_owned(), json!({"allow": allow}));
        }
    }
    let access = (!access.is_empty()).then(|| access.into());
    let mut limits = limits::sent(visit, &[limits::SIZES, limits::RATES]);
    if let Some(tags) = tag_budgets::sent(visit) {
        let all = limits.get_or_insert_with(|| Map::new().into());
        all["tags"] = tags;
    }
    serving::put(visit, &mut body, clears);
    for (name, value) in [("access", access), ("limits", limits)] {
        match value {
            Some(value) => drop(body.insert(name.to_owned(), value)),
            None if clears => drop(body.insert(name.to_owned(), Value::Null)),
            None => {}
        }
    }
    body.into()
}

async fn create(visit: &Visit) -> Answered {
    let path = format!("/{SEGMENT}");
    match visit
        .send(Method::POST, &path, Some(&sent(visit, &Value::Null)))
        .await
    {
        Ok(made) => {
            let page = visit::page("configurations", text(&made, "id"));
            Ok(Answer::See(visit.to(&page, &[("done", "created")])))
        }
        Err(fault) => all(visit, Some(&at_fields(visit, &Value::Null, fault)?)).await,
    }
}

async fn update(visit: &Visit, id: &str) -> Answered {
    let path = visit::resource(SEGMENT, id);
    let now = visit.own(&path, &[]).await?;
    match visit
        .send(Method::PATCH, &path, Some(&sent(visit, &now)))
        .await
    {
        Ok(_) => {
            let page = visit::page("configurations", id);
            let [model, surface] = plans::asked(visit);
            Ok(Answer::See(
                visit.to(&page, &[model, surface, ("done", "saved")]),
            ))
        }
        Err(fault) => one(visit, id, Some(&at_fields(visit, &now, fault)?)).await,
    }
}

/// The fault of a form for a configuration that is `now` as it is, with what is wrong called as the form's fields are.
fn at_fields(visit: &Visit, now: &Value, fault: Fault) -> Result<Fault, Fault> {
    let fault = limits::at_fields(visit, fault.of_form()?);
    let fault = tag_budgets::at_fields(visit, fault);
    Ok(rules::at_fields(visit, now, fault))
}
