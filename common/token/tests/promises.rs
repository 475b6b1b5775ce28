//! Promises of the types that the compiler keeps.
//! Not here: behaviour; it is tested beside the code.

#[test]
fn what_must_not_compile_does_not() {
    trybuild::TestCases::new().compile_fail("tests/fail/*.rs");
}
