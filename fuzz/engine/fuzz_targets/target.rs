//! The fuzz target that has the binary's name.
#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<posthaste_fuzz::Target> = LazyLock::new(|| {
    posthaste_fuzz::target(env!("CARGO_BIN_NAME")).expect("each binary here is named after a target")
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
