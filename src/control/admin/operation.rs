//! An operation of the API: its path, its words, its schemas and its handler, all in one value.
//!
//! The router, the OpenAPI document and the page at `/docs` are made from these and from nothing else.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::error::{ApiError, Code};
use super::input::{Input, Received, Takes};
use super::schema::{Shape, shape};

/// A group of operations.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    /// As in `AI Gateway Access Keys`.
    pub(crate) name: &'static str,
    /// One sentence.
    pub(crate) description: &'static str,
    /// What an `{id}` in a path identifies, as in `an AI Gateway access key`.
    pub(crate) one: &'static str,
}

/// What a caller's role must allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// To read usage and balances.
    Usage,
    /// To read.
    Read,
    /// To change.
    Write,
}

/// Whose resources an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One account's: [`super::Context::account`].
    Account,
    /// Nobody's in particular; any caller may ask.
    Shared,
    /// All accounts', or one's if one is named or the caller is for one: [`super::Context::only`].
    Every,
    /// Several accounts'; a caller for one account is refused.
    AllAccounts,
}

type Answered = Pin<Box<dyn Future<Output = Result<Option<Value>, ApiError>> + Send>>;
type Handle = Arc<dyn Fn(Received) -> Answered + Send + Sync>;

/// One method of one path.
pub(crate) struct Operation {
    pub(crate) method: Method,
    /// As in `/access-keys/{id}`; `{id}` is the only parameter there is.
    pub(crate) path: &'static str,
    /// As in `ListAIGatewayAccessKeys`; unique.
    pub(crate) id: &'static str,
    pub(crate) tag: &'static Tag,
    pub(crate) summary: &'static str,
    /// Markdown; empty: the summary says it all.
    pub(crate) description: &'static str,
    pub(crate) needs: Needs,
    pub(crate) scope: Scope,
    /// Of success.
    pub(crate) status: StatusCode,
    /// Beyond what follows from the rest.
    pub(crate) errors: Vec<Code>,
    pub(super) takes: Takes,
    pub(super) answer: Shape,
    pub(super) handle: Handle,
}

/// An operation that has no handler yet.
pub(crate) struct Draft {
    method: Method,
    path: &'static str,
    id: &'static str,
    tag: &'static Tag,
    summary: &'static str,
    description: &'static str,
    needs: Needs,
    scope: Scope,
    status: StatusCode,
    errors: Vec<Code>,
}

const UNTAGGED: Tag = Tag {
    name: "Tollgate",
    description: "Everything else.",
    one: "a resource",
};

/// Reads, and answers 200. `HEAD` comes with it.
pub(crate) fn get(path: &'static str, id: &'static str) -> Draft {
    Draft::new(Method::GET, path, id, Needs::Read, StatusCode::OK)
}

/// Creates, and answers 201 unless [`Draft::status`] says otherwise.
pub(crate) fn post(path: &'static str, id: &'static str) -> Draft {
    Draft::new(Method::POST, path, id, Needs::Write, StatusCode::CREATED)
}

/// Updates, and answers 200.
pub(crate) fn patch(path: &'static str, id: &'static str) -> Draft {
    Draft::new(Method::PATCH, path, id, Needs::Write, StatusCode::OK)
}

/// Deletes, and answers 204; the handler returns `()`.
pub(crate) fn delete(path: &'static str, id: &'static str) -> Draft {
    Draft::new(
        Method::DELETE,
        path,
        id,
        Needs::Write,
        StatusCode::NO_CONTENT,
    )
}

impl Draft {
    fn new(
        method: Method,
        path: &'static str,
        id: &'static str,
        needs: Needs,
        status: StatusCode,
    ) -> Draft {
        Draft {
            method,
            path,
            id,
            tag: &UNTAGGED,
            summary: id,
            description: "",
            needs,
            scope: Scope::Account,
            status,
            errors: Vec::new(),
        }
    }

    /// The group.
    pub(crate) fn tag(mut self, tag: &'static Tag) -> Draft {
        self.tag = tag;
        self
    }

    /// A few words, as in `List access keys`.
    pub(crate) fn summary(mut self, summary: &'static str) -> Draft {
        self.summary = summary;
        self
    }

    /// Whole sentences, Markdown.
    pub(crate) fn description(mut self, description: &'static str) -> Draft {
        self.description = description;
        self
    }

    /// What the caller's role must allow; `GET` reads and all else writes unless this says otherwise.
    pub(crate) fn needs(mut self, needs: Needs) -> Draft {
        self.needs = needs;
        self
    }

    /// Whose resources; an account's unless this says otherwise.
    pub(crate) fn scope(mut self, scope: Scope) -> Draft {
        self.scope = scope;
        self
    }

    /// The status of success.
    pub(crate) fn status(mut self, status: StatusCode) -> Draft {
        self.status = status;
        self
    }

    /// Errors that do not follow from the method, the path and what the handler takes, such as [`Code::InUse`].
    pub(crate) fn errors(mut self, errors: &[Code]) -> Draft {
        self.errors.extend_from_slice(errors);
        self
    }

    /// `handler` is `async fn(Context, …) -> Result<A, ApiError>` with up to three of [`super::Id`],
    /// [`super::Query`] and [`super::Body`] in any order.
    pub(crate) fn handler<Args, H: Handler<Args>>(self, handler: H) -> Operation {
        let mut takes = Takes::default();
        H::describe(&mut takes);
        let empty = self.status == StatusCode::NO_CONTENT;
        let handle = move |received: Received| -> Answered {
            let answer = handler.clone().call(received);
            Box::pin(async move {
                let answer = answer.await?;
                if empty {
                    return Ok(None);
                }
                serde_json::to_value(&answer)
                    .map(Some)
                    .map_err(ApiError::internal)
            })
        };
        Operation {
            method: self.method,
            path: self.path,
            id: self.id,
            tag: self.tag,
            summary: self.summary,
            description: self.description,
            needs: self.needs,
            scope: self.scope,
            status: self.status,
            errors: self.errors,
            takes,
            answer: shape::<H::Answer>(),
            handle: Arc::new(handle),
        }
    }
}

impl Operation {
    /// The operation id of the `HEAD` beside a `GET`, as in `HeadAIGatewayAccessKeys`.
    pub(crate) fn head_id(&self) -> String {
        let rest = self
            .id
            .strip_prefix("List")
            .or_else(|| self.id.strip_prefix("Get"));
        format!("Head{}", rest.unwrap_or(self.id))
    }

    /// Every error it may answer, by status.
    pub(crate) fn all_errors(&self) -> Vec<Code> {
        let mut all = self.errors.clone();
        all.extend([
            Code::BadRequest,
            Code::Unauthorized,
            Code::Forbidden,
            Code::Throttled,
            Code::Internal,
            Code::StoreAway,
            // Query parameters that nobody knows.
            Code::Invalid,
        ]);
        if self.scope != Scope::Shared {
            all.push(Code::OtherAccount);
        }
        if self.needs == Needs::Write {
            all.push(Code::NotImplemented);
        }
        if self.takes.id || matches!(self.scope, Scope::Account | Scope::Every) {
            all.push(Code::NotFound);
        }
        if self.takes.body.is_some() {
            all.extend([Code::TooSlow, Code::TooLarge, Code::NotJson]);
            if self.needs == Needs::Write {
                all.push(Code::OverQuota);
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// An `async fn` that answers an operation.
pub(crate) trait Handler<Args>: Clone + Send + Sync + 'static {
    /// What it answers.
    type Answer: Serialize + JsonSchema + Send + 'static;

    /// Notes what it takes.
    fn describe(takes: &mut Takes);

    /// Answers.
    fn call(
        self,
        received: Received,
    ) -> impl Future<Output = Result<Self::Answer, ApiError>> + Send + 'static;
}

macro_rules! handlers {
    ($(($($input:ident),*);)+) => {
        $(
            impl<F, Fut, A, $($input),*> Handler<($($input,)*)> for F
            where
                F: Fn(super::Context, $($input),*) -> Fut + Clone + Send + Sync + 'static,
                Fut: Future<Output = Result<A, ApiError>> + Send + 'static,
                A: Serialize + JsonSchema + Send + 'static,
                $($input: Input,)*
            {
                type Answer = A;

                #[allow(unused_variables, reason = "a handler may take nothing")]
                fn describe(takes: &mut Takes) {
                    $($input::describe(takes);)*
                }

                #[allow(unused_mut, reason = "a handler may take nothing")]
                async fn call(self, mut received: Received) -> Result<A, ApiError> {
                    self(received.context.clone(), $($input::take(&mut received)?),*).await
                }
            }
        )+
    };
}

handlers! {
    ();
    (One);
    (One, Two);
    (One, Two, Three);
}
