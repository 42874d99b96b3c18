//! Cargo rebuilds the host when what is embedded changes: migrations, the built dashboard, and what
//! new provider projects are made of.

fn main() {
    println!("cargo::rerun-if-changed=../migrations");
    println!("cargo::rerun-if-changed=ui/dist");
    for folder in ["templates", "src", "js", "python", "go"] {
        println!("cargo::rerun-if-changed=../sdk/{folder}");
    }
}
