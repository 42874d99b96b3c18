//! The compiling child of a host: `compile < component.wasm > code.cwasm`.
//!
//! A host gives its own binary and a hidden subcommand that does the same to
//! `aiv_runtime::Compiler::child`.

use std::process::ExitCode;

fn main() -> ExitCode {
    match aiv_runtime::compile_child(std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
