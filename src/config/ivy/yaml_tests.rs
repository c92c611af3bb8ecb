#![forbid(unsafe_code)]

use proptest::prelude::*;

use super::*;

/// Keys with their values, `~` for nothing, `[]` for a list; and what is wrong.
fn read(text: &[u8]) -> (Vec<String>, Vec<String>) {
    let mut problems = Problems::new();
    let tree = Tree::read(text, "ivy.yaml", &mut problems);
    let shown = |key: &str| match tree.find(key) {
        None | Some((Node::Mapping(_), _)) => None,
        Some((node, _)) if node.is_null() => Some(format!("{key}=~")),
        Some((Node::Scalar { text, .. }, place)) => Some(format!("{key}={text}:{}", place.line)),
        Some((Node::List, _)) => Some(format!("{key}=[]")),
    };
    let keys: Vec<String> = tree.keys().filter_map(|(key, _)| shown(key)).collect();
    (keys, problems.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn is(text: &str, expected: &[&str]) {
    let (keys, problems) = read(text.as_bytes());
    assert_eq!((keys, problems), (expected.iter().map(|e| (*e).to_string()).collect(), vec![]));
}

/// What is wrong is this, in the given line.
#[track_caller]
fn wrong(text: &[u8], expected: &[&str]) {
    assert_eq!(read(text).1, expected);
}

#[test]
fn nested_dotted_and_mixed_keys_are_the_same() {
    is("Connector:\n  AJP:\n    Port: 8010\n", &["Connector.AJP.Port=8010:3"]);
    is("Connector.AJP.Port: 8010", &["Connector.AJP.Port=8010:1"]);
    is("# c\nConnector:\n  AJP.Port: 8010 # c", &["Connector.AJP.Port=8010:3"]);
    is(
        "Connector: {AJP: {Port: '8010', Secret: ~}}",
        &["Connector.AJP.Port=8010:1", "Connector.AJP.Secret=~"],
    );
}

#[test]
fn odd_but_good_files_are_read() {
    is("", &[]);
    is("# nothing\n---\n...\n", &[]);
    is("\u{feff}A: 1\r\nB:\r\n  C: 2\r\n", &["A=1:1", "B.C=2:3"]);
    is("%YAML 1.1\n---\nA: yes\n", &["A=yes:3"]);
    is("A: |\n  x\n  y\nB: [1, {C: 2}]\n? D\n: 3\n", &["A=x\ny\n:1", "B=[]", "D=3:5"]);
    is("A: !!str 1", &["A=1:1"]);
}

#[test]
fn anchors_aliases_and_merges_are_followed() {
    is(
        "a: &x {Port: 1, Host: h}\nb: *x\n",
        &["a.Port=1:1", "a.Host=h:1", "b.Port=1:1", "b.Host=h:1"],
    );
    is("a: &p 8010\nb:\n  Port: *p\n", &["a=8010:1", "b.Port=8010:3"]);
    is(
        "a: &x {Port: 1, Host: h}\nb:\n  <<: *x\n  Port: 2\n",
        &["a.Port=1:1", "a.Host=h:1", "b.Port=2:4", "b.Host=h:1"],
    );
    wrong(
        b"a: 1\nb:\n  <<: 5",
        &["ivy.yaml:3: b.<<: does not merge a mapping; write the keys out"],
    );
}

#[test]
fn keys_that_are_there_twice_are_errors() {
    let twice = |line: u32, key: &str, before: u32| {
        format!(
            "ivy.yaml:{line}: {key}: is there twice, in line {before} as well; keep one of them; \
             Key.Name and Name below Key are the same"
        )
    };
    for (text, expected) in [
        ("A: 1\nA: 1", twice(2, "A", 1)),
        ("C:\n  AJP:\n    Port: 1\nC.AJP.Port: 2", twice(4, "C.AJP.Port", 3)),
        ("C:\n  AJP.Port: 1\n  AJP:\n    Port: 1", twice(4, "C.AJP.Port", 2)),
        ("C:\n  A: 1\nC:\n  B: 2", twice(3, "C", 1)),
        ("C:\n  A: 1\nC: 1", twice(3, "C", 1)),
        ("C:\n  A: 1\nC:", twice(3, "C", 1)),
        ("'A': 1\nA: 1", twice(2, "A", 1)),
    ] {
        wrong(text.as_bytes(), &[&expected]);
    }
    // Below the same key, once nested and once dotted, other names may stand.
    is("C:\n  A: 1\nC.B: 2", &["C.A=1:2", "C.B=2:3"]);
}

#[test]
fn what_is_no_yaml_is_an_error_with_its_line() {
    for (text, line) in [
        (&b"A: 1\nB:\n\tC: 2"[..], 3),
        (b"A: 'x", 1),
        (b"A: [1, 2\nB: 1", 2),
        (b"A: 1\n  B: 2", 2),
        (b"A: *x", 1),
        (b"A: 1\n}", 2),
        (b"A: %x", 1),
        (b"A: @x", 1),
    ] {
        let problems = read(text).1;
        assert_eq!(problems.len(), 1, "{problems:?}");
        let begin = format!("ivy.yaml:{line}: is no valid YAML here: ");
        let shown = String::from_utf8_lossy(text);
        assert!(problems[0].starts_with(&begin), "{shown}: {}", problems[0]);
    }
    wrong(b"a: 1\n---\nb: 1", &["ivy.yaml:2: a second document begins; remove the line with ---"]);
    wrong(b"? [a]\n: 1", &["ivy.yaml:1: a key is a list or a mapping; write it as Key: value"]);
    wrong(b"just text", &["ivy.yaml:1: holds no keys; write it as Key: value"]);
}

#[test]
fn hostile_files_are_errors() {
    wrong(b"A: 1\nB: \xff", &["ivy.yaml:2: the line is not UTF-8; save the file as UTF-8"]);
    wrong(b"\xff\xfeA\0", &["ivy.yaml:1: the line has a NUL byte; save the file as UTF-8"]);
    let large = vec![b'#'; MAX_FILE + 1];
    wrong(
        &large,
        &["ivy.yaml: has 1048577 bytes, the limit is 1048576; name the engine's ivy.yaml"],
    );
    let deep = "more than 64 levels are nested; write the keys with dots";
    wrong("{a: ".repeat(70).as_bytes(), &[&format!("ivy.yaml:1: {deep}")]);
    for text in ["[".repeat(100_000), "- ".repeat(100_000), "? ".repeat(100_000)] {
        assert_eq!(read(text.as_bytes()).1.len(), 1);
    }
    wrong(b"a: &a {b: *a}", &[&format!("ivy.yaml:1: {deep}")]);
    wrong(b"a: &a {<<: *a}", &[&format!("ivy.yaml:1: {deep}")]);
    let bomb: String =
        (1..40).map(|n| format!("a{n}: &a{n} {{x: *a{0}, y: *a{0}}}\n", n - 1)).collect();
    let many = "there are more than 20000 keys, counting what aliases repeat; remove what the engine \
                does not need";
    let problems = read(format!("a0: &a0 1\n{bomb}").as_bytes()).1;
    assert!(problems.len() == 1 && problems[0].ends_with(many), "{problems:?}");
    let merges: String =
        (1..40).map(|n| format!("a{n}: &a{n} {{<<: *a{0}, <<: *a{0}}}\n", n - 1)).collect();
    let problems = read(format!("a0: &a0 {{}}\n{merges}").as_bytes()).1;
    assert!(problems.len() == 1 && problems[0].ends_with(many), "{problems:?}");
    let long = format!("a: &a {{{}: 1}}\nb: [{}]", "k".repeat(500_000), "*a, ".repeat(1000));
    assert_eq!(read(long.as_bytes()).1, [""; 0]);
}

proptest! {
    #![proptest_config(crate::generated(2000))]

    #[test]
    fn any_bytes_are_read_or_refused(text in prop::collection::vec(any::<u8>(), 0..80)) {
        read(&text);
    }

    #[test]
    fn anything_that_looks_like_yaml_is_read_or_refused(
        text in "([ab]|[ \t\n]|: |- |\\? |[&*!|>'\"%@`#\\[\\]{},]|&a|\\*a|<<: |---|\\.\\.\\.|\r\n|é){0,60}"
    ) {
        read(text.as_bytes());
    }
}

#[test]
fn the_parsers_words_are_shown_as_they_are() {
    let (_, said) = read(b"A:\n  B:\t1\n");
    assert!(said.len() == 1 && said[0].contains("':' must be"), "{said:?}");
}
