//! How hard to think, in the words of OpenAI's surfaces.

use super::neutral::{Conversation, Field, Reasoning};
use super::target::Thinks;
use super::{Lost, Target};
use crate::reasoning::Effort;
use crate::vendor::Switch;

/// What a request asks of thinking, in what the model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// Nothing: it does as it usually does.
    Nothing,
    /// Not to.
    Off,
    /// To, as hard as it likes.
    On,
    /// How hard.
    Effort(Effort),
}

/// Returns what the target is asked for. Efforts go to models that think only, and only those that the model takes; what was switched
/// off stays off for models that think unasked.
pub(super) fn setting(c: &Conversation, target: &Target<'_>, lost: &mut Lost) -> Setting {
    let r = &c.reasoning;
    if is_off(r) {
        return match target.thinks {
            Thinks::Never | Thinks::Asked => Setting::Nothing,
            Thinks::Unasked => Setting::Off,
            Thinks::Always => {
                lose(r, lost);
                let efforts = target.capabilities.efforts;
                let least = efforts.and_then(|efforts| efforts.nearest(Effort::None));
                least.map_or(Setting::Nothing, Setting::Effort)
            }
            // Only a word that is known to be taken.
            Thinks::Perhaps if r.effort == Some(Effort::None) => Setting::Off,
            Thinks::Perhaps if target.rules.switch != Switch::Effort => Setting::Off,
            Thinks::Perhaps => Setting::Nothing,
        };
    }
    let wanted = r.effort.or_else(|| r.budget.map(of_budget));
    if wanted.is_none() && r.enabled.is_none() {
        return Setting::Nothing;
    }
    if target.thinks == Thinks::Never {
        lose(r, lost);
        return Setting::Nothing;
    }
    let Some(wanted) = wanted else {
        return Setting::On;
    };
    let nearest = target.effort(wanted);
    lost.add_if(
        Field::Effort,
        r.effort.is_some_and(|said| nearest != Some(said)),
    );
    // The usual one of a model that has no such word.
    let usual = wanted == Effort::Default && nearest != Some(Effort::Default);
    nearest
        .filter(|_| !usual)
        .map_or(Setting::On, Setting::Effort)
}

/// Whether thinking was switched off.
pub(super) fn is_off(r: &Reasoning) -> bool {
    match r.enabled {
        Some(enabled) => !enabled,
        None => r.effort == Some(Effort::None),
    }
}

/// Names what was said of thinking.
pub(super) fn lose(r: &Reasoning, lost: &mut Lost) {
    lost.add_if(Field::Effort, r.effort.is_some());
    lost.add_if(Field::Thinks, r.enabled.is_some());
}

/// The effort that a budget of tokens amounts to.
fn of_budget(tokens: u64) -> Effort {
    match tokens {
        0..=1024 => Effort::Minimal,
        1025..=4096 => Effort::Low,
        4097..=16_384 => Effort::Medium,
        _ => Effort::High,
    }
}
