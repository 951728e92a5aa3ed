//! Whether answers may be kept, and how many.

use super::Checker;
use crate::secrets::Keyring;
use crate::yaml::place::Place;
use crate::yaml::types;
use crate::yaml::units::ByteSize;
use tollgate_store::Bounds;

/// Most answers of an account.
const MOST: u64 = 1_000_000;

/// The longest answer that is kept, sealed, fits in.
const LEAST_BYTES: u64 = 16 << 20;

const DEFAULT: Bounds = Bounds {
    names: 10_000,
    bytes: 256 << 20,
};

impl Checker<'_> {
    pub(super) fn kept_answers(&mut self, file: &types::File, secrets: &Keyring) -> Bounds {
        for (i, configuration) in file.configurations.iter().enumerate() {
            let place = Place::top("configurations").index(i);
            let place = place.key("idempotency").key("store");
            let store = configuration.idempotency.store;
            if store.is_some() && secrets.current_id().is_none() {
                let message = "answers are kept sealed, and there is no master key";
                let hint = "set TOLLGATE_MASTER_KEY (make one with `tollgate secrets generate`)";
                self.fault(&place, message, Some(hint.to_owned()));
            }
        }
        let (top, written) = (Place::top("kept_answers"), &file.kept_answers);
        let names = written.most.unwrap_or(DEFAULT.names);
        if !(1..=MOST).contains(&names) {
            let message = format!("must be 1 to {MOST}");
            self.fault(&top.key("most"), message, None);
        }
        let bytes = written.max_bytes.map_or(DEFAULT.bytes, |size| size.0);
        if bytes < LEAST_BYTES {
            let message = format!("must be at least {}", ByteSize(LEAST_BYTES));
            self.fault(&top.key("max_bytes"), message, None);
        }
        Bounds { names, bytes }
    }
}
