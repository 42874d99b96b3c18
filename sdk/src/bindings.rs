//! What wit-bindgen makes of `wit/provider-0.1`. Everything a plugin needs is re-exported under
//! its own name at the crate root; nobody else should name this module.
#![expect(
    clippy::same_length_and_capacity,
    clippy::unsafe_derive_deserialize,
    reason = "generated code; the types are plain data"
)]

wit_bindgen::generate!({
    path: "wit/provider-0.1",
    world: "provider",
    pub_export_macro: true,
    default_bindings_module: "aiv_sdk::bindings",
    additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
});
