//! One newtype per identifier, so that a prompt can never be looked up by a workspace's id.

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize, sqlx::Type,
        )]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(pub uuid::Uuid);

        impl $name {
            /// A new id. UUIDv7: ids made later sort later.
            pub fn generate() -> Self {
                Self(uuid::Uuid::now_v7())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    )+};
}

ids! {
    /// A tenant.
    WorkspaceId,
    /// A credential for the API.
    ApiKeyId,
    /// A person, as an issuer of tokens knows them.
    UserId,
    /// An offer to become a member of a workspace.
    InvitationId,
    /// Tokens that were ended before their time.
    RevocationId,
    /// A tracked brand: own or competitor.
    BrandId,
    /// Why people ask: one intent owns several phrasings.
    IntentId,
    /// What questions are about.
    TopicId,
    /// Who asks.
    PersonaId,
    /// A question tracked across engines.
    PromptId,
    /// One immutable text of a prompt.
    PromptVersionId,
    /// One expansion of prompts × engines × samples.
    BatchId,
    /// One prompt version asked once of one engine; also names its answer.
    RunId,
    /// A second reading of stored answers.
    AnalysisId,
    /// A workspace's data as one file.
    ExportId,
    /// The wish to remove a workspace.
    DeletionRequestId,
    /// That a person was forgotten.
    ErasureId,
    /// A unit of background work.
    JobId,
    /// A process of the platform; what it claims is signed with it.
    ProcessId,
    /// A line of the cost ledger.
    LedgerEntryId,
    /// What happens again and again, by the clock.
    ScheduleId,
    /// What happened.
    EventId,
    /// Where a workspace wants to be told of events.
    WebhookId,
    /// An event on its way to a webhook.
    DeliveryId,
    /// A system of somebody else's that a workspace works with.
    ConnectionId,
    /// When a workspace wants to be alerted.
    AlertRuleId,
    /// A condition that holds, or held.
    AlertId,
    /// A time in which nobody is told of alerts.
    MuteWindowId,
    /// Something an answer says of a brand, held against what is known.
    FindingId,
    /// Something that could be done about a gap.
    ActionId,
    /// What a window came to.
    ReportId,
}
