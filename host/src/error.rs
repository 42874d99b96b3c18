//! What can go wrong, named by what the caller can do about it.

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot be understood: 400.
    #[error("{0}")]
    Malformed(String),
    /// No principal, or one we do not accept: 401.
    #[error("{0}")]
    Unauthenticated(String),
    /// The budget does not allow it: 402.
    #[error("{0}")]
    Budget(String),
    /// The principal may not do this: 403.
    #[error("{0}")]
    Forbidden(String),
    /// There is none, or it belongs to somebody else: 404.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// It exists already: 409.
    #[error("{0} already exists")]
    Exists(&'static str),
    /// The state of the resource does not allow it: 409.
    #[error("{0}")]
    Conflict(String),
    /// `If-Match` names another version: 412.
    #[error("the {0} has changed since you read it: read it again and repeat")]
    Changed(&'static str),
    /// Valid JSON that breaks rules, each with a JSON pointer: 422.
    #[error("{}", Violation::summary(.0))]
    Invalid(Vec<Violation>),
    /// Something we need is away: 503.
    #[error("{0}")]
    Unavailable(String),
    /// Logged in full, never shown to the caller.
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer into the request body, such as `/aliases/0/text`.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub detail: String,
}

impl Violation {
    fn summary(violations: &[Self]) -> String {
        match violations {
            [one] => format!("{}: {}", one.pointer, one.detail),
            many => format!("{} fields are not valid", many.len()),
        }
    }
}

impl Error {
    /// One broken rule at `pointer`.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Error::Invalid(vec![Violation { pointer: pointer.into(), detail: detail.into() }])
    }
}

impl From<sqlx::Error> for Error {
    fn from(err: sqlx::Error) -> Self {
        match err {
            sqlx::Error::PoolTimedOut => {
                Error::Unavailable("the database has no free connection: try again".into())
            }
            err if is_away(&err) => Error::Unavailable("the database is away: try again".into()),
            err => Error::Internal(anyhow::Error::new(err).context("database")),
        }
    }
}

/// The statement was fine; the same one may succeed in a moment.
fn is_away(err: &sqlx::Error) -> bool {
    match err {
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        // Connections (08), transactions that lost to others (40), means (53), locks that are
        // taken (55P03), a server that goes down or comes up (57P01 to 57P05); SQLite that is busy.
        sqlx::Error::Database(db) => db.code().is_some_and(|code| {
            let classes = ["08", "40", "53", "57P"];
            code == "5"
                || code == "55P03"
                || code.len() == 5 && classes.iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

/// Names the one outcome of a statement that is not an accident.
pub(crate) trait Expected<T> {
    /// A broken unique constraint means that `what` is already there.
    fn unique(self, what: &'static str) -> Result<T>;
}

impl<T> Expected<T> for Result<T, sqlx::Error> {
    fn unique(self, what: &'static str) -> Result<T> {
        self.map_err(|err| match err.as_database_error() {
            Some(db) if db.is_unique_violation() => Error::Exists(what),
            _ => err.into(),
        })
    }
}
