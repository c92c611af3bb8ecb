//! Faults seen over HTTP/2: a broken answer is a reset stream (spec/reliability.md H3, H4).

use super::stage::Stage;

#[test]
fn h3_a_broken_answer_is_never_a_clean_end() {
    let stage = Stage::with(|builder| builder.http2());
    for case in super::body::broken() {
        stage.run_http2(&case);
    }
}

#[test]
fn h4_other_answers_are_whole_or_an_error() {
    let stage = Stage::with(|builder| builder.http2());
    let others = super::head::representatives().into_iter();
    for case in others.chain(super::body::representatives()).chain(super::upload::representatives())
    {
        stage.run_http2(&case);
    }
}
