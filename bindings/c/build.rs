//! How the shared library is linked: its name for the loader, and that it is never unloaded while its threads may run.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let system = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let arguments: &[&str] = match system.as_str() {
        "macos" => &["-Wl,-install_name,@rpath/libcasehook.0.dylib"],
        _ => &["-Wl,-soname,libcasehook.so.0", "-Wl,-z,nodelete"],
    };
    for argument in arguments {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
}
