//! Calls and their results. Every API wants each result right behind the turn that made its call, each call answered
//! once, and no two calls of one id; histories that were cut, merged or answered by several providers have none of that.

use std::collections::{HashMap, HashSet, VecDeque};

use super::super::names;
use super::{Block, CallResult, Content, Conversation, Field, Proof, Role, Turn};

/// What the result says of a call that has none.
const UNANSWERED: &str = "(This call was not answered.)";

/// What is said before the result of a call that is not there.
const STRAY: &str = "(This is the result of a call that is not shown.)";

/// What of a history belongs together.
#[derive(Debug, Default)]
struct Pairs {
    /// The calls of an id that wait for results: the turn that made them, and their new ids.
    open: HashMap<String, (usize, VecDeque<String>)>,
    /// Every id that is given, and the turn that made its call.
    made: HashMap<String, usize>,
    answered: HashSet<String>,
    /// Of an id that was given before, the number that is tried next: each is tried once.
    next: HashMap<String, u32>,
    /// Ids in the order of their calls.
    order: Vec<String>,
}

impl Pairs {
    /// A call that a turn makes; its id if that is new, else another one.
    fn call(&mut self, at: usize, id: &str) -> String {
        let mut id_given = id.to_owned();
        if self.made.contains_key(id) {
            let next = self.next.entry(id.to_owned()).or_insert(2);
            while self.made.contains_key(&id_given) {
                id_given = format!("{id}_{next}");
                *next += 1;
            }
        }
        self.made.insert(id_given.clone(), at);
        self.order.push(id_given.clone());
        let open = self.open.entry(id.to_owned()).or_default();
        if open.0 != at {
            *open = (at, VecDeque::new());
        }
        open.1.push_back(id_given.clone());
        id_given
    }

    /// The call that a result of this id answers, by its new id.
    fn answer(&mut self, id: &str) -> Option<String> {
        let id = self.open.get_mut(id)?.1.pop_front()?;
        self.answered.insert(id.clone());
        Some(id)
    }
}

/// Lets what belongs to calls of a turn follow their ids. Clients know the ids as they received them.
fn rename_proofs(blocks: &mut [Block], renamed: &[(String, String)]) {
    let of_calls = blocks
        .iter_mut()
        .filter_map(|block| match &mut block.content {
            Content::Thinking(thinking) => match &mut thinking.proof {
                Proof::Extra { call, .. } => call.as_mut(),
                _ => None,
            },
            _ => None,
        });
    let mut by_id: Option<HashMap<String, &String>> = None;
    for call in of_calls {
        let by_id = by_id.get_or_insert_with(|| {
            // Of calls of the same id, the first.
            let known = renamed.iter().rev();
            known.map(|(id, new)| (names::call_id(id), new)).collect()
        });
        if let Some(new) = by_id.get(&names::call_id(call)) {
            call.clone_from(new);
        }
    }
}

impl Conversation {
    /// Brings calls and results into the order that every API takes. What has to be said otherwise is named.
    pub(crate) fn pair(&mut self) {
        let mut pairs = Pairs::default();
        let mut turns: Vec<Turn> = Vec::with_capacity(self.turns.len());
        let mut late: HashMap<usize, Vec<Block>> = HashMap::new();
        let mut stray = false;
        for (at, turn) in std::mem::take(&mut self.turns).into_iter().enumerate() {
            let mut kept = Vec::with_capacity(turn.blocks.len());
            let mut renamed: Vec<(String, String)> = Vec::new();
            for mut block in turn.blocks {
                match &mut block.content {
                    Content::Call(call) => {
                        let id = pairs.call(at, &call.id);
                        renamed.push((std::mem::replace(&mut call.id, id.clone()), id));
                    }
                    Content::Result(result) => match pairs.answer(&result.id) {
                        Some(id) => {
                            let by = pairs.made.get(&id).copied().unwrap_or(at);
                            result.id = id;
                            if at != by + 1 || turn.role != Role::User {
                                late.entry(by).or_default().push(block);
                                continue;
                            }
                        }
                        None => {
                            stray = true;
                            kept.push(Block::text(STRAY));
                            kept.append(&mut result.blocks);
                            continue;
                        }
                    },
                    _ => {}
                }
                kept.push(block);
            }
            rename_proofs(&mut kept, &renamed);
            turns.push(Turn {
                role: turn.role,
                blocks: kept,
            });
        }
        for id in pairs
            .order
            .iter()
            .filter(|id| !pairs.answered.contains(*id))
        {
            stray = true;
            let result = CallResult {
                id: id.clone(),
                blocks: vec![Block::text(UNANSWERED)],
                error: false,
            };
            let by = pairs.made.get(id).copied().unwrap_or_default();
            late.entry(by)
                .or_default()
                .push(Content::Result(result).into());
        }
        if stray {
            self.dropped.push(Field::Results);
        }
        for (at, turn) in turns.into_iter().enumerate() {
            if !turn.blocks.is_empty() {
                self.push(turn.role, turn.blocks);
            }
            if let Some(results) = late.remove(&at) {
                self.push(Role::User, results);
            }
        }
    }

    /// Returns whether every call has its result, right behind the turn that it was made in, and every result its call,
    /// all by unlike ids. Every request that is read has this, and then it must be kept.
    pub fn calls_are_answered(&self) -> bool {
        let mut open: Vec<&str> = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        for turn in &self.turns {
            for block in &turn.blocks {
                match (&block.content, turn.role) {
                    (Content::Result(result), Role::User) => {
                        let Some(at) = open.iter().position(|id| *id == result.id) else {
                            return false;
                        };
                        open.remove(at);
                    }
                    (Content::Call(call), Role::Assistant) if !seen.contains(&call.id.as_str()) => {
                        seen.push(&call.id);
                        open.push(&call.id);
                    }
                    (Content::Call(_) | Content::Result(_), _) => return false,
                    _ => {}
                }
            }
            if turn.role != Role::Assistant && !open.is_empty() {
                return false;
            }
        }
        open.is_empty()
    }

    /// The tools that calls among the turns name, each once, by group and name.
    pub(crate) fn called(&self) -> Vec<(Option<&str>, &str)> {
        let mut seen = HashSet::new();
        let blocks = self.turns.iter().flat_map(|turn| &turn.blocks);
        blocks
            .filter_map(|block| match &block.content {
                Content::Call(call) => Some((call.namespace.as_deref(), call.name.as_str())),
                _ => None,
            })
            .filter(|tool| seen.insert(*tool))
            .collect()
    }
}
