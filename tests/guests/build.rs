//! Tells the linker how the image is laid out; nothing to do for the development machine.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let script = format!("{}/image.ld", std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    println!("cargo::rerun-if-changed={script}");
    let arguments = [
        &format!("-T{script}"),
        // Position-independent: the image relocates itself to where it was loaded.
        "-pie",
        "--no-dynamic-linker",
        "--pack-dyn-relocs=relr",
        "-znotext",
        "-zmax-page-size=4096",
        "--build-id=none",
    ];
    for argument in arguments {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
