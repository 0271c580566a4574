//! `media.inband_keys`: where keys are looked for in the sound itself.

use serde::{Deserialize, Serialize};

/// `media.inband_keys`: where keys are looked for in the sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum InbandKeys {
    /// Where telephone-event was not agreed on.
    #[default]
    Auto,
    /// On every leg.
    Always,
    /// Nowhere.
    Never,
}

impl From<InbandKeys> for segue_media::InBandKeys {
    fn from(keys: InbandKeys) -> Self {
        match keys {
            InbandKeys::Auto => Self::Auto,
            InbandKeys::Always => Self::Always,
            InbandKeys::Never => Self::Never,
        }
    }
}
