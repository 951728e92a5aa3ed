//! How what is stored is read and written: the form of a type of the YAML.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::newer::Open;
use tollgate_config::catalog::{Auth, Effort, ErrorRule, Modality, Thoughts, Vendor};
use tollgate_config::types::{Commit, Per, Priority, StopOn, UnitPrices, Weekday, Zone};
use tollgate_config::units::{Span, Usd};
use tollgate_wire::Surface;

/// A stored form of `Y`, which is what the rest of the program works with.
pub(crate) trait Form<Y>: Sized {
    /// The form of what the YAML says.
    fn of(yaml: &Y) -> Self;
    /// What this gateway understands of it: unknown members and unknown entries of lists are left out. `None` if that
    /// is nothing.
    fn read(&self) -> Option<Y>;
}

macro_rules! plain {
    ($($type:ty),+) => {$(
        impl Form<$type> for $type {
            fn of(yaml: &$type) -> Self {
                yaml.clone()
            }

            fn read(&self) -> Option<$type> {
                Some(self.clone())
            }
        }
    )+};
}

plain!(
    String, bool, u32, u64, PathBuf, Span, Usd, Per, Surface, Modality, Auth, Effort, Thoughts,
    Vendor, UnitPrices, Commit, StopOn, Priority, ErrorRule, Zone, Weekday
);

impl<Y, T: Form<Y>> Form<Y> for Open<T> {
    fn of(yaml: &Y) -> Self {
        Open::Known(T::of(yaml))
    }

    fn read(&self) -> Option<Y> {
        self.known()?.read()
    }
}

impl<Y, T: Form<Y>> Form<Option<Y>> for Option<T> {
    fn of(yaml: &Option<Y>) -> Self {
        yaml.as_ref().map(T::of)
    }

    fn read(&self) -> Option<Option<Y>> {
        Some(self.as_ref().and_then(T::read))
    }
}

impl<Y, T: Form<Y>> Form<Vec<Y>> for Vec<T> {
    fn of(yaml: &Vec<Y>) -> Self {
        yaml.iter().map(T::of).collect()
    }

    fn read(&self) -> Option<Vec<Y>> {
        Some(self.iter().filter_map(T::read).collect())
    }
}

impl<Y, T: Form<Y>> Form<BTreeMap<String, Y>> for BTreeMap<String, T> {
    fn of(yaml: &BTreeMap<String, Y>) -> Self {
        yaml.iter()
            .map(|(name, value)| (name.clone(), T::of(value)))
            .collect()
    }

    fn read(&self) -> Option<BTreeMap<String, Y>> {
        let known = self
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.read()?)));
        Some(known.collect())
    }
}

/// Forms that say what a type of the YAML says, member by member; those with `if` are nothing unless that holds.
macro_rules! forms {
    ($(
        $(#[$doc:meta])*
        $name:ident = $yaml:path $(, if $understood:ident)? {
            $($(#[$note:meta])* $member:ident: $type:ty,)+
        }
    )+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub(crate) struct $name {
            $($(#[$note])* pub(crate) $member: $type,)+
            /// What is not known here.
            #[serde(flatten)]
            pub(crate) rest: Rest,
        }

        impl Form<$yaml> for $name {
            fn of(yaml: &$yaml) -> Self {
                $name {
                    $($member: Form::of(&yaml.$member),)+
                    rest: Rest::default(),
                }
            }

            fn read(&self) -> Option<$yaml> {
                $(if !self.$understood() {
                    return None;
                })?
                let mut yaml = <$yaml>::default();
                $(if let Some(value) = self.$member.read() {
                    yaml.$member = value;
                })+
                Some(yaml)
            }
        }
    )+};
}

pub(super) use forms;
