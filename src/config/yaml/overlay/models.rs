//! The models of one provider of the YAML: new ones, and changes to known ones.

use std::sync::Arc;

use super::{Faults, added_parameters, deduplicated, prices};
use crate::catalog::{Capabilities, Model};
use crate::yaml::types;
use tollgate_wire::Surface;

/// Lays `declared` over `models`, whose provider has the path `path` and offers `surfaces`. New models go to
/// the end, in the YAML's order; `price` gives them the prices that lie below the YAML's.
pub(super) fn lay(
    models: &mut Vec<Model>,
    declared: &[types::Model],
    surfaces: &[Surface],
    path: &str,
    price: impl Fn(&mut Model),
    faults: &mut Faults,
) {
    let mut positions = Vec::with_capacity(declared.len());
    for (position, change) in declared.iter().enumerate() {
        let path = format!("{path}.models[{position}]");
        let same = |other: &types::Model| other.id.eq_ignore_ascii_case(&change.id);
        if change.id.is_empty()
            || change
                .id
                .chars()
                .any(|c| c.is_whitespace() || c.is_control())
        {
            faults.at(format!("{path}.id"), "a model needs an id, without spaces");
        } else if let Some(other) = declared.iter().take(position).position(same) {
            let message = format!(
                "`{}` is declared already as models[{other}]: ids are compared without regard to case",
                change.id
            );
            faults.at(format!("{path}.id"), message);
        }
        let target = target(models, &change.id, &price);
        apply(&mut models[target], change, surfaces, &path, faults);
        positions.push(target);
    }
    // Aliases last, when every id is known.
    for (position, (change, target)) in declared.iter().zip(positions).enumerate() {
        for (number, alias) in change.aliases.iter().enumerate() {
            let place = format!("{path}.models[{position}].aliases[{number}]");
            add_alias(models, target, alias, place, faults);
        }
    }
}

/// The position of the model with this id. An id that so far was an alias becomes a model of its own, about
/// which the same is known.
fn target(models: &mut Vec<Model>, id: &str, price: &impl Fn(&mut Model)) -> usize {
    if let Some(known) = models
        .iter()
        .position(|model| model.id.eq_ignore_ascii_case(id))
    {
        return known;
    }
    let mut model = Model::new(id);
    for other in models.iter_mut().filter(|other| other.has_alias(id)) {
        other
            .aliases
            .retain(|alias| !alias.eq_ignore_ascii_case(id));
        model = Model {
            id: Arc::from(id),
            display_name: id.into(),
            aliases: Vec::new(),
            ..other.clone()
        };
    }
    price(&mut model);
    models.push(model);
    models.len() - 1
}

fn apply(
    model: &mut Model,
    change: &types::Model,
    offered: &[Surface],
    path: &str,
    faults: &mut Faults,
) {
    // Who declares a model means it, whatever names it looks like.
    model.bare = true;
    if let Some(name) = &change.display_name {
        model.display_name = name.as_str().into();
    }
    for (field, declared, known) in [
        (
            "context_window",
            change.context_window,
            &mut model.context_window,
        ),
        (
            "max_output_tokens",
            change.max_output_tokens,
            &mut model.max_output_tokens,
        ),
    ] {
        match declared {
            Some(0) => faults.at(
                format!("{path}.{field}"),
                "must be more than 0; leave it out if it is not known",
            ),
            Some(tokens) => *known = Some(tokens),
            None => {}
        }
    }
    if let Some(modalities) = &change.modalities {
        model.modalities.clone_from(modalities);
    }
    if let Some(declared) = &change.capabilities {
        learn(&mut model.capabilities, declared, path, faults);
    }
    if let Some(declared) = &change.prices {
        prices::lay(
            &mut model.prices,
            declared,
            &format!("{path}.prices"),
            faults,
        );
    }
    if let Some(surfaces) = &change.surfaces {
        check_surfaces(surfaces, offered, path, faults);
        model.surfaces = Some(deduplicated(surfaces));
    }
    model.unsupported_parameters = added_parameters(
        &model.unsupported_parameters,
        &change.unsupported_parameters,
        path,
        faults,
    );
    model.timeouts = change.timeouts.overrides().over(model.timeouts);
}

fn check_surfaces(surfaces: &[Surface], offered: &[Surface], path: &str, faults: &mut Faults) {
    if surfaces.is_empty() {
        let message = "a model without a surface cannot be called";
        faults.at(format!("{path}.surfaces"), message);
    }
    for (number, surface) in surfaces.iter().enumerate() {
        if !offered.contains(surface) {
            let message = format!(
                "the provider does not offer {}: add it to the provider's surfaces",
                surface.name()
            );
            faults.at(format!("{path}.surfaces[{number}]"), message);
        }
    }
}

/// Lays what is declared of a model's capabilities over what is known of them.
fn learn(
    known: &mut Capabilities,
    declared: &types::Capabilities,
    path: &str,
    faults: &mut Faults,
) {
    let path = format!("{path}.capabilities");
    if let Some(efforts) = &declared.efforts {
        if efforts.is_empty() {
            let message = "name at least one effort, or say `reasoning: false`";
            faults.at(format!("{path}.efforts"), message);
        } else if declared.reasoning == Some(false) {
            let message = "a model that does not reason takes no effort: leave it out";
            faults.at(format!("{path}.efforts"), message);
        }
        known.efforts = Some(efforts.iter().copied().collect());
    }
    known.reasoning = declared.reasoning.or(known.reasoning);
    known.toggle = declared.toggle.or(known.toggle);
    known.thoughts = declared.thoughts.or(known.thoughts);
    known.temperature = declared.temperature.or(known.temperature);
    known.structured_output = declared.structured_output.or(known.structured_output);
}

fn add_alias(models: &mut [Model], target: usize, alias: &str, place: String, faults: &mut Faults) {
    if alias.is_empty() || alias.chars().any(|c| c.is_whitespace() || c.is_control()) {
        faults.at(place, "an alias is an id, without spaces");
        return;
    }
    let owner = models
        .iter()
        .position(|model| model.id.eq_ignore_ascii_case(alias) || model.has_alias(alias));
    match owner {
        Some(owner) if owner == target => {}
        Some(owner) => faults.at(
            place,
            format!("`{alias}` names the model `{}` already", models[owner].id),
        ),
        None => models[target].aliases.push(alias.to_owned()),
    }
}
