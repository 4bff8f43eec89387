//! Tells the sources that they are being modelled: the model checker's atomics are not for constants.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cfg=loom");
}
