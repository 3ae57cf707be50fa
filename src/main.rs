//! The `hedgecore` binary: everything is in the library's [`cli`](hedgecore::cli).

use std::process::ExitCode;

use hedgecore::runtime::alloc::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> ExitCode {
    hedgecore::cli::run()
}
