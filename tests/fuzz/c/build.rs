//! Compiles the calls that the fuzz target makes.

fn main() {
    let calls = "../../../bindings/c/tests/random_calls.c";
    println!("cargo::rerun-if-changed={calls}");
    cc::Build::new()
        .file(calls)
        .include("../../../include")
        .define("CASEHOOK_FUZZ", None)
        .warnings(false)
        .compile("casehook_random_calls");
}
