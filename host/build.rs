//! Cargo rebuilds the host when a migration or the built dashboard changes; both are embedded.

fn main() {
    println!("cargo::rerun-if-changed=../migrations");
    println!("cargo::rerun-if-changed=ui/dist");
}
