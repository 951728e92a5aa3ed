//! Pages of a list: descending ids, `beforeId` and `limit`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::context::Context;

/// Items on a page, at most and by default.
const LIMIT: usize = 100;

/// The query parameters of a list. Other parameters go beside it: `#[serde(flatten)] page: PageQuery`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PageQuery {
    /// Returns items before this resource identifier in descending ID order.
    #[schemars(length(max = 200))]
    pub(crate) before_id: Option<String>,
    /// Maximum number of items to return. Defaults to 100 and may not exceed 100.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) limit: Option<u8>,
}

/// A page.
#[derive(Clone, Debug)]
pub(crate) struct Paged<T> {
    /// The items, the highest id first.
    pub(crate) items: Vec<T>,
    /// Of the list.
    pub(crate) uri: String,
    /// Of the next page; `None` on the last one.
    pub(crate) next_page_uri: Option<String>,
}

impl<T> Paged<T> {
    /// The page with `map` of every item.
    pub(crate) fn map<U>(self, map: impl FnMut(T) -> U) -> Paged<U> {
        Paged {
            items: self.items.into_iter().map(map).collect(),
            uri: self.uri,
            next_page_uri: self.next_page_uri,
        }
    }
}

impl PageQuery {
    /// Most items to return.
    pub(crate) fn limit(&self) -> usize {
        self.limit.map_or(LIMIT, usize::from)
    }
}

impl Context {
    /// The page of `descending`, which are all items (or all below `beforeId`), the highest id first.
    pub(crate) fn page<T>(
        &self,
        query: &PageQuery,
        descending: impl IntoIterator<Item = T>,
        id: impl Fn(&T) -> &str,
    ) -> Paged<T> {
        let before = query.before_id.as_deref();
        let mut rest = descending
            .into_iter()
            .skip_while(|item| before.is_some_and(|before| id(item) >= before));
        let items: Vec<T> = rest.by_ref().take(query.limit()).collect();
        let next = match rest.next() {
            Some(_) => items
                .last()
                .map(|last| self.here_with("beforeId", id(last))),
            None => None,
        };
        Paged {
            items,
            uri: self.here(),
            next_page_uri: next,
        }
    }
}

/// Declares the answer of a list: `page! { "What it is." AccessKeyList { ai_gateway_access_keys: AccessKey } }`, made
/// from a [`Paged`].
macro_rules! page {
    ($doc:literal $list:ident { $items:ident: $item:ty }) => {
        #[doc = $doc]
        #[derive(::serde::Serialize, ::schemars::JsonSchema)]
        #[serde(rename_all = "camelCase")]
        pub(crate) struct $list {
            /// The items, in descending ID order.
            $items: Vec<$item>,
            /// URI of this list resource.
            uri: String,
            /// URI of the next page of results, or null if there is no next page.
            next_page_uri: Option<String>,
        }

        impl From<$crate::admin::page::Paged<$item>> for $list {
            fn from(page: $crate::admin::page::Paged<$item>) -> $list {
                $list {
                    $items: page.items,
                    uri: page.uri,
                    next_page_uri: page.next_page_uri,
                }
            }
        }
    };
}
pub(crate) use page;
