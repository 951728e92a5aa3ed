//! The kinds of content that models read and make.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a model reads or makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Modality {
    Text,
    Image,
    Audio,
    Video,
    File,
    Embedding,
}

impl Modality {
    /// All modalities.
    pub const ALL: [Modality; 6] = [
        Modality::Text,
        Modality::Image,
        Modality::Audio,
        Modality::Video,
        Modality::File,
        Modality::Embedding,
    ];

    /// Returns the name, the same wherever one is written.
    pub const fn name(self) -> &'static str {
        match self {
            Modality::Text => "text",
            Modality::Image => "image",
            Modality::Audio => "audio",
            Modality::Video => "video",
            Modality::File => "file",
            Modality::Embedding => "embedding",
        }
    }

    /// Returns the modality of this name.
    ///
    /// # Errors
    /// If no modality has this name, a text that repeats it.
    pub fn named(name: &str) -> Result<Modality, String> {
        let mut all = Modality::ALL.into_iter();
        let found = all.find(|modality| modality.name() == name);
        found.ok_or_else(|| format!("unknown modality `{name}`"))
    }
}
