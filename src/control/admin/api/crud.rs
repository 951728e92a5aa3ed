//! Creating, listing, showing, updating and deleting every kind of resource that clients make.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::known::Known;
use super::managed::{Change, Create, ListQuery, Managed, Seen, Shown, Update};
use super::resource::time;
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::input::{Body, Id, Query};
use crate::admin::operation::{self, Operation, delete, get, patch, post};
use crate::{Action, Actor, Draft, Found, View};
use tollgate_config::Config;

/// A resource that is referred to, with its name.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Named {
    /// Resource identifier.
    id: String,
    /// URI for locating the resource.
    uri: String,
    /// Its name.
    name: String,
}

/// Listing, creating, showing, updating and deleting a kind.
pub(super) fn operations<K: Managed>() -> Vec<Operation> {
    let words = K::WORDS;
    let [all, one] = words.paths;
    let [creates, updates, deletes] = K::ERRORS;
    let said = |place: usize, draft: fn(&'static str, &'static str) -> operation::Draft, path| {
        draft(path, words.ids[place])
            .tag(K::TAG)
            .summary(words.summaries[place])
            .description(words.descriptions[place])
            .scope(K::SCOPE)
    };
    let declared = &[Code::Declared];
    vec![
        said(0, get, all).handler(list::<K>),
        said(1, post, all).errors(creates).handler(create::<K>),
        said(2, get, one).handler(show::<K>),
        said(3, patch, one)
            .errors(declared)
            .errors(updates)
            .handler(update::<K>),
        said(4, delete, one)
            .errors(declared)
            .errors(deletes)
            .handler(remove::<K>),
    ]
}

/// Whoever changes something, and what the configuration says meanwhile.
struct Author<'a> {
    context: &'a Context,
    actor: Actor,
    config: Arc<Config>,
}

impl<'a> Author<'a> {
    fn of(context: &'a Context) -> Author<'a> {
        Author {
            context,
            actor: context.actor(),
            config: context.control().config(),
        }
    }

    fn change<K>(&'a self, view: View<'a>, id: &'a str, old: Option<&'a K>) -> Change<'a, K> {
        let known = Known {
            context: self.context,
            config: &self.config,
            view,
        };
        Change {
            known,
            actor: &self.actor,
            id,
            old,
        }
    }
}

async fn list<K: Managed>(
    context: Context,
    Query(query): Query<ListQuery<K::Filter>>,
) -> Result<K::List, ApiError> {
    context.refresh().await;
    let page = context.look(|view| {
        let all = view.below::<K>(query.page.before_id.as_deref());
        let own = all.filter(|found| {
            found.resource.is_visible(&context) && found.resource.passes(&query.filter)
        });
        context.page(&query.page, own, |found| &found.id)
    });
    let mut used = last_used(&context, &page.items).await.into_iter();
    let page = context
        .look(|view| page.map(|found| shown(&context, view, &found, used.next().flatten(), None)));
    Ok(page.into())
}

/// Shows the acting account's resource with this id.
///
/// # Errors
/// 404; 503 if it cannot be read.
pub(super) async fn show<K: Managed>(context: Context, id: Id) -> Result<Shown<K>, ApiError> {
    context.refresh().await;
    show_once(context, id, None).await
}

/// The same, with a token that is shown only this once.
///
/// # Errors
/// As [`show`].
pub(super) async fn show_once<K: Managed>(
    context: Context,
    Id(id): Id,
    token: Option<String>,
) -> Result<Shown<K>, ApiError> {
    let found = [context.look(|view| context.find::<K>(view, &id))?];
    let used = last_used(&context, &found).await.into_iter().flatten();
    Ok(context.look(|view| shown(&context, view, &found[0], used.last(), token)))
}

async fn create<K: Managed>(
    context: Context,
    Body(Create(sent)): Body<Create<K>>,
) -> Result<Shown<K>, ApiError> {
    let author = Author::of(&context);
    let new = K::begin(&context, &sent)?;
    let resource = context
        .change(|view, draft| {
            let mut resource = new.resource.clone();
            resource.apply(&sent, &author.change(view, &new.id, None), draft)?;
            draft.create(&author.actor, &new.id, &resource);
            Ok(resource)
        })
        .await?;
    resource.applied(&new.id, &sent);
    let found = Found {
        id: new.id.into(),
        resource: resource.into(),
        declared: false,
    };
    Ok(context.look(|view| shown(&context, view, &found, None, new.token)))
}

async fn update<K: Managed>(
    context: Context,
    Id(id): Id,
    Body(Update(sent)): Body<Update<K>>,
) -> Result<Shown<K>, ApiError> {
    let apply =
        |new: &mut K, change: &Change<'_, K>, draft: &mut Draft| new.apply(&sent, change, draft);
    let new = change(&context, &id, Action::Update, apply).await?;
    new.applied(&id, &sent);
    show(context, Id(id)).await
}

/// Changes the acting account's resource with this id.
///
/// # Errors
/// 404; 409 when the configuration file declares it; those of `apply`.
pub(super) async fn change<K: Managed>(
    context: &Context,
    id: &str,
    action: Action,
    apply: impl Fn(&mut K, &Change<'_, K>, &mut Draft) -> Result<(), ApiError>,
) -> Result<K, ApiError> {
    let author = Author::of(context);
    context
        .change(|view, draft| {
            let old = context.find_own::<K>(view, id)?;
            let mut new = (*old).clone();
            apply(&mut new, &author.change(view, id, Some(&*old)), draft)?;
            context.touch(new.meta_mut());
            draft.update(&author.actor, action, id, &*old, &new);
            Ok(new)
        })
        .await
}

async fn remove<K: Managed>(context: Context, Id(id): Id) -> Result<(), ApiError> {
    K::may_leave(&context, &id).await?;
    let author = Author::of(&context);
    context
        .change(|view, draft| {
            let old = context.find_own::<K>(view, &id)?;
            old.leave(&author.change(view, &id, Some(&*old)), draft)?;
            draft.delete(&author.actor, &id, &*old);
            Ok(())
        })
        .await
}

impl Context {
    /// What clients see of a resource that is referred to; of one that is gone its id.
    pub(super) fn named<K: Managed>(&self, view: View<'_>, id: &str) -> Named {
        Named {
            id: id.to_owned(),
            uri: self.uri(&[K::WORDS.segment, id]),
            name: match view.get::<K>(id) {
                Some(found) => found.resource.label(id),
                None => id.to_owned(),
            },
        }
    }

    /// The acting account's resource with this id.
    ///
    /// # Errors
    /// 404; 503 if it cannot be read.
    pub(super) fn find<K: Managed>(&self, view: View<'_>, id: &str) -> Result<Found<K>, ApiError> {
        self.readable::<K>(view, id)?;
        view.get::<K>(id)
            .filter(|found| found.resource.is_visible(self))
            .ok_or_else(|| K::missing(self, id))
    }

    /// The same, to be changed.
    ///
    /// # Errors
    /// 403; 404; 409 when the configuration file declares it; 503.
    pub(super) fn find_own<K: Managed>(
        &self,
        view: View<'_>,
        id: &str,
    ) -> Result<Arc<K>, ApiError> {
        let found = self.find::<K>(view, id)?;
        if found.declared {
            return Err(ApiError::declared(K::WORDS.what));
        }
        found.resource.may_change(self)?;
        Ok(found.resource)
    }
}

/// When resources were last used, in their order; nothing of those for which that is not noted.
async fn last_used<K: Managed>(context: &Context, found: &[Found<K>]) -> Vec<Option<String>> {
    if !K::IS_USED {
        return Vec::new();
    }
    let ids: Vec<&str> = found.iter().map(|one| &*one.id).collect();
    let used = context.control().last_used(K::KIND, &ids).await;
    used.into_iter().map(|used| used.map(time)).collect()
}

fn shown<K: Managed>(
    context: &Context,
    view: View<'_>,
    found: &Found<K>,
    last_used: Option<String>,
    token: Option<String>,
) -> Shown<K> {
    let (id, resource) = (&*found.id, &*found.resource);
    let seen = Seen { token, last_used };
    let name = match K::IS_NAMED {
        true => Some(resource.label(id)),
        false => resource.meta().name.clone(),
    };
    let uri = context.uri(&[K::WORDS.segment, id]);
    let own = resource.own(context, view, seen);
    Shown::new(context.head(id, uri, name, resource.meta()), own)
}
