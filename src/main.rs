//! The binary. All of it is in the library's `cli`.

use std::process::ExitCode;

/// Batches are allocated on one thread and freed on another all the time, which the system's allocator answers with
/// contention and with memory that it does not give back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    portolan::cli::main()
}
