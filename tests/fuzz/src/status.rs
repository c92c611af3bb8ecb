pub fn status(_: &[u8]) {}
