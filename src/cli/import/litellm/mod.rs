//! LiteLLM's proxy: `model_list`, and `litellm_settings`, `router_settings`, `general_settings`.

mod deployments;
mod details;
mod settings;

use std::collections::BTreeMap;

use tollgate_config::foreign::{Foreign, Node};
use tollgate_config::{Faults, did_you_mean};

use super::plan::{Route, join};
use super::reader::Reader;
use super::{Import, Note};
use deployments::Deployment;

/// What one failure may lead to: LiteLLM follows the fallbacks of fallbacks so far.
const DEEPEST: usize = 5;

/// Reads a configuration.
///
/// # Errors
///
/// Everything in it that cannot be read, with its line.
pub fn read(foreign: &Foreign) -> Result<Import, Faults> {
    let top = foreign.top();
    let mut reader = Reader::new("os.environ/");
    let known = [
        "model_list",
        "litellm_settings",
        "router_settings",
        "general_settings",
    ];
    if !known.iter().any(|section| top.get(section).is_some()) {
        let hint = "give the file of `litellm --config`, which has a `model_list`";
        let fault = top.fault("this is no configuration of LiteLLM's proxy", hint);
        reader.faults.push(fault);
    }
    let list = top.items_of("credential_list").into_iter();
    let named = list.filter_map(|node| Some((node.text_of("credential_name")?, node)));
    let credentials: BTreeMap<&str, Node<'_>> = named.collect();
    let models = top.get("model_list");
    let deployments = models
        .as_ref()
        .map(|list| deployments::read(list, &credentials, &mut reader));
    let deployments = deployments.unwrap_or_default();
    settings::read(&top, &mut reader);
    if deployments.is_empty() && reader.faults.is_empty() {
        reader.settings.notes.push(Note::general(
            "the file names no models: those in LiteLLM's database are not in it",
        ));
    }
    let groups = groups(deployments, &mut reader);
    reader.chains = chains(&top, &groups, &mut reader);
    reader.done("LiteLLM", "litellm")
}

/// A public name with its routes, in order.
type Group = (String, Vec<Route>);

/// Entries by their names, in the order of the file.
fn groups(mut deployments: Vec<Deployment>, reader: &mut Reader) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for deployment in &deployments {
        reader.settings.notes.extend(deployment.left_out.clone());
        if !groups.iter().any(|(name, _)| *name == deployment.name) {
            groups.push((deployment.name.clone(), Vec::new()));
        }
    }
    // Stable: what weighs the same stays in the file's order.
    deployments.sort_by(|a, b| a.order.cmp(&b.order).then(b.weight.total_cmp(&a.weight)));
    for deployment in deployments {
        let group = groups.iter_mut().find(|(name, _)| *name == deployment.name);
        if let (Some((_, routes)), Some(route)) = (group, deployment.route) {
            join(routes, route);
        }
    }
    groups
}

/// What each name falls back on.
#[derive(Default)]
struct Fallbacks<'f> {
    of: BTreeMap<&'f str, Vec<&'f str>>,
    otherwise: Vec<&'f str>,
}

/// Groups, and aliases of groups, each with what follows when all of it has failed.
fn chains(top: &Node<'_>, groups: &[Group], reader: &mut Reader) -> Vec<Group> {
    let fallbacks = fallbacks(top, groups, reader);
    let mut chains: Vec<Group> = groups
        .iter()
        .map(|(name, _)| (name.clone(), chain(name, groups, &fallbacks)))
        .collect();
    for (alias, node) in sections(top)
        .filter_map(|section| section.get("model_group_alias"))
        .flat_map(|node| node.members())
    {
        let target = match node.get("model") {
            Some(model) => model.text(),
            None => node.text(),
        };
        match target.and_then(|target| chains.iter().find(|(name, _)| name == target)) {
            Some((_, routes)) if !chains.iter().any(|(name, _)| name == alias) => {
                let routes = routes.clone();
                chains.push((alias.to_owned(), routes));
            }
            Some(_) => {
                let words = "is a model's name as well, which wins";
                reader.note(&node, format!("the alias `{}` {words}", short(alias)));
            }
            None => {
                let words = "stands for no model of the file";
                reader.note(&node, format!("the alias `{}` {words}", short(alias)));
            }
        }
    }
    for (name, routes) in &mut chains {
        // A name with `*` has no alias, and one without it none of a whole provider.
        routes.retain(|route| name.contains('*') == route.model.is_none());
        let first = routes.iter_mut().find(|route| route.model.is_none());
        if let Some(route) = first {
            route.notes.push(Note::general(format!(
                "`{}`: any of its models by `provider:model`, and by the id alone where the catalog knows it",
                short(name)
            )));
        }
    }
    chains
}

fn sections<'f>(top: &Node<'f>) -> impl Iterator<Item = Node<'f>> + use<'f> {
    let top = top.clone();
    ["router_settings", "litellm_settings"]
        .into_iter()
        .filter_map(move |section| top.get(section))
}

fn fallbacks<'f>(top: &Node<'f>, groups: &[Group], reader: &mut Reader) -> Fallbacks<'f> {
    let mut all = Fallbacks::default();
    let known = |name: &str| groups.iter().any(|(group, _)| group == name);
    let names = |node: &Node<'f>, reader: &mut Reader| -> Vec<&'f str> {
        let one = node.text().into_iter();
        let listed = node.items();
        let all = one.chain(listed.iter().filter_map(Node::text));
        let (there, missing): (Vec<&str>, Vec<&str>) = all.partition(|name| known(name));
        for name in missing {
            let hint = did_you_mean(name, groups.iter().map(|(group, _)| group.as_str()))
                .unwrap_or_default();
            let words = format!(
                "falls back on `{}`, which is no model of the file {hint}",
                short(name)
            );
            reader.note(node, words);
        }
        there
    };
    for section in sections(top) {
        for kind in [
            "fallbacks",
            "context_window_fallbacks",
            "content_policy_fallbacks",
        ] {
            let Some(list) = section.get(kind) else {
                continue;
            };
            if !list.value().is_array() && !list.value().is_object() {
                let hint = "write `- model: [other, …]`";
                let fault = list.fault(format!("`{kind}` is no list"), hint);
                reader.faults.push(fault);
            }
            let entries = list
                .items()
                .into_iter()
                .chain([list.clone()])
                .flat_map(|entry| entry.members());
            let mut any = false;
            for (name, node) in entries {
                let mut others = names(&node, reader);
                any |= !others.is_empty();
                if name == "*" {
                    all.otherwise.append(&mut others);
                } else {
                    all.of.entry(name).or_default().append(&mut others);
                }
            }
            if any && kind != "fallbacks" {
                let words =
                    format!("`{kind}` are tried after every failure, not after that one alone");
                reader.note(&list, words);
            }
        }
        if let Some(list) = section.get("default_fallbacks") {
            all.otherwise.extend(names(&list, reader));
        }
    }
    all
}

/// What serves a name: its own routes, and then those of what it falls back on, each followed by its own fallbacks.
fn chain(name: &str, groups: &[Group], fallbacks: &Fallbacks<'_>) -> Vec<Route> {
    let mut routes = Vec::new();
    let mut seen = Vec::new();
    follow(name, groups, fallbacks, 0, &mut seen, &mut routes);
    routes
}

fn follow<'g>(
    name: &'g str,
    groups: &'g [Group],
    fallbacks: &'g Fallbacks<'_>,
    depth: usize,
    seen: &mut Vec<&'g str>,
    routes: &mut Vec<Route>,
) {
    if depth > DEEPEST || seen.contains(&name) {
        return;
    }
    seen.push(name);
    let own = groups.iter().filter(|(group, _)| group == name);
    for route in own.flat_map(|(_, routes)| routes) {
        join(routes, route.clone());
    }
    let next = fallbacks.of.get(name).unwrap_or(&fallbacks.otherwise);
    for other in next {
        follow(other, groups, fallbacks, depth + 1, seen, routes);
    }
}

/// A name of the file in a comment: bounded.
fn short(name: &str) -> String {
    name.chars().take(80).collect()
}
