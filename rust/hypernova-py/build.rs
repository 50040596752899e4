//! Refuse to build the module against anything but the stable ABI.
//!
//! Not here: flags for the linker; maturin and `PyO3` set them.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
}
