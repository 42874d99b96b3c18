use std::process::ExitCode;
use tikv_jemallocator::Jemalloc;

/// A run takes thousands of small allocations on whichever thread it happens to be.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    aiv::cli::run().await
}
