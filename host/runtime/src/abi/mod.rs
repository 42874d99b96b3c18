//! The interface versions this host speaks: one module per released series.
//!
//! **Invariant:** generated types stay in here; everything else sees [`crate::types`].

mod v0_1;

use semver::Version;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre, Linker};

use crate::error::Export;
use crate::guest::Guest;
use crate::types::{Event, HttpRequest, Manifest, Query, Step};

/// The interface a provider exports.
pub(crate) const ENGINE: &str = "aiv:provider/engine";
/// Interfaces of ours that a provider may import.
pub(crate) const IMPORTS: [&str; 2] = ["aiv:provider/types", "aiv:provider/log"];
/// The supported series, for messages.
pub(crate) const SUPPORTED: &str = "aiv:provider@0.1";

/// Whether a component built for this version runs here.
pub(crate) fn supports(version: &Version) -> bool {
    (version.major, version.minor) == (0, 1)
}

/// Links the host's side of every supported series.
pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    v0_1::link(linker)
}

/// A call into a guest.
#[derive(Clone, Copy)]
pub(crate) enum Call<'a> {
    Describe,
    HealthCheck(&'a str),
    Start(&'a Query),
    Resume(&'a [u8], &'a Event),
}

impl Call<'_> {
    pub(crate) fn export(self) -> Export {
        match self {
            Self::Describe => Export::Describe,
            Self::HealthCheck(_) => Export::HealthCheck,
            Self::Start(_) => Export::Start,
            Self::Resume(..) => Export::Resume,
        }
    }
}

/// What a guest answered.
pub(crate) enum Reply {
    Manifest(Manifest),
    HealthCheck(Option<HttpRequest>),
    Step(Step),
}

/// The exports of one component, looked up once.
pub(crate) enum Bindings {
    V0_1(v0_1::Bindings),
}

impl Bindings {
    pub(crate) fn new(pre: &InstancePre<Guest>) -> wasmtime::Result<Self> {
        v0_1::Bindings::new(pre).map(Self::V0_1)
    }

    pub(crate) async fn call(
        &self,
        store: &mut Store<Guest>,
        instance: &Instance,
        call: Call<'_>,
    ) -> wasmtime::Result<Reply> {
        match self {
            Self::V0_1(bindings) => bindings.call(store, instance, call).await,
        }
    }
}
