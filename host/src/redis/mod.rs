//! What processes share beside the database: rate limits, caches and hints.
//!
//! **Invariant:** all of it may be lost at any moment; the database is the truth.
