//! Links flite, the speech synthesiser. A missing library is said in words, before the linker says it in symbols.

use std::{env, path::PathBuf};

/// In the order of need: each library uses those after it.
const LIBRARIES: [&str; 7] = [
    "flite_cmu_us_rms",
    "flite_cmu_us_slt",
    "flite_cmu_us_awb",
    "flite_cmu_us_kal",
    "flite_usenglish",
    "flite_cmulex",
    "flite",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=FLITE_LIB_DIR");
    let places = places();
    let missing: Vec<&str> = LIBRARIES.into_iter().filter(|name| !present(name, &places)).collect();
    if !missing.is_empty() {
        println!(
            "cargo::error=flite is not installed: no lib{}.so or .a was found. Install Debian's flite1-dev \
             (apt-get install flite1-dev) or set FLITE_LIB_DIR to the folder that holds the libraries",
            missing.join(".so, lib")
        );
        return;
    }
    if let Some(own) = env::var_os("FLITE_LIB_DIR") {
        println!("cargo::rustc-link-search=native={}", PathBuf::from(own).display());
    }
    for library in LIBRARIES {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
    println!("cargo::rustc-link-lib=dylib=m");
}

/// Where linkers look on the systems we build for.
fn places() -> Vec<PathBuf> {
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let mut places: Vec<PathBuf> = env::var_os("FLITE_LIB_DIR").map(PathBuf::from).into_iter().collect();
    places.push(PathBuf::from(format!("/usr/lib/{architecture}-linux-gnu")));
    places.extend(
        ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64", "/opt/homebrew/lib"]
            .map(PathBuf::from),
    );
    places
}

fn present(library: &str, places: &[PathBuf]) -> bool {
    ["so", "a", "dylib"]
        .iter()
        .any(|ending| places.iter().any(|place| place.join(format!("lib{library}.{ending}")).exists()))
}
