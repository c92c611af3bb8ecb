#![forbid(unsafe_code)]

#[test]
fn x() {}
