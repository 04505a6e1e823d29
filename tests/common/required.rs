//! Whether a test that cannot run here may be left out.

/// Whether all tests must run: `NBKP_REQUIRE_ALL` is there, and neither empty nor `0`.
#[expect(clippy::disallowed_methods, reason = "a test reads what its caller demands")]
pub fn all_must_run() -> bool {
    std::env::var_os("NBKP_REQUIRE_ALL").is_some_and(|value| value != "0" && !value.is_empty())
}
