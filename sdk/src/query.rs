//! What the host asks, in the forms that vendors want it.

use serde::de::DeserializeOwned;

use crate::{Failure, Query};

impl Query {
    /// The configuration, read into the plugin's own type. No configuration is an empty object.
    ///
    /// # Errors
    /// When the JSON does not fit the type.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let text = if self.config.trim().is_empty() { "{}" } else { &self.config };
        serde_json::from_str(text)
            .map_err(|error| Failure::invalid(format!("configuration cannot be used: {error}")))
    }

    /// The primary subtag of the language, lower-case: `pt` for `pt-BR`.
    pub fn primary_language(&self) -> Option<String> {
        let language = self.language.as_deref()?.trim();
        let primary = language.split(['-', '_']).next()?;
        (!primary.is_empty()).then(|| primary.to_ascii_lowercase())
    }

    /// The country, upper-case.
    pub fn upper_country(&self) -> Option<String> {
        let country = self.country.as_deref()?.trim();
        (!country.is_empty()).then(|| country.to_ascii_uppercase())
    }

    /// The place, unless it is blank.
    pub fn place(&self) -> Option<&str> {
        self.location.as_deref().map(str::trim).filter(|place| !place.is_empty())
    }
}
