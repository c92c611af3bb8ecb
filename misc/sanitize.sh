# shellcheck shell=sh
# What misc/dev does to look for errors that tests alone do not show, and to prove where a module comes from. Read by
# misc/dev, which defines the functions that are not here.

TARGET_ROOT=${CARGO_TARGET_DIR:-target}

# nightly COMMAND COMPONENT...: there is a nightly toolchain with the components.
nightly() {
    need_cargo
    asking=$1
    shift
    cargo +nightly --version >/dev/null 2>&1 ||
        fail "$asking needs a nightly toolchain: rustup toolchain install nightly --profile minimal$(printf ' --component %s' "$@")"
    for component in "$@"; do
        rustup component list --toolchain nightly 2>/dev/null | grep -q "^$component.*(installed)" ||
            fail "$asking needs $component: rustup component add --toolchain nightly $*"
    done
}

host_triple() {
    rustc -vV | sed -n 's/^host: //p'
}

# ---- AddressSanitizer ----------------------------------------------------------------------------------------------

# Tests that the sanitizer has nothing to do with, or that it makes meaningless. Part of their names, and why.
ASAN_SKIP='package::=build and read packages and documents
policy::=read the sources
build::=look at what the build script says
decode::=count allocations in the test program, without httpd
harness::=are about the test programs
bench::=measure beside other modules
faults::guard=build a module of their own
cost::=count system calls and memory with a preloaded library of their own
faults::growth::=measure memory, and the sanitizer keeps back what is freed
s21_a_slow_client_does_not_fill_the_memory=measure memory as well
another_file_of_the_module_begins_anew=load the module from a file of their own, without the runtime in httpd
status::work::a_page_costs=run httpd under callgrind, which cannot run what the sanitizer has made'

# The module under AddressSanitizer, in httpd, through the integration tests; then what it wrote. Stable Rust is enough:
# the sanitizer's runtime must be in httpd before the module is, and gcc has it as a library.
cmd_asan() {
    need test
    runtime=$(gcc -print-file-name=libasan.so)
    [ -f "$runtime" ] || fail 'the runtime of AddressSanitizer is missing: on Debian, it comes with gcc (libasan8)'
    triple=$(host_triple)
    say 'Building the module with AddressSanitizer'
    flags=CFLAGS_$(printf '%s' "$triple" | tr - _)
    # RUSTC_BOOTSTRAP: the option has no stable name yet. The target is named so that only what is for it has the flags,
    # not the build script.
    env RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$TARGET_ROOT/asan" RUSTFLAGS='-Zsanitizer=address -Cforce-frame-pointers=yes' \
        "$flags=-fsanitize=address -fno-omit-frame-pointer" \
        cargo build --locked --lib --target "$triple" --features test-memory
    JK_MODULE=$(cd "$TARGET_ROOT/asan/$triple/debug" && pwd -P)/libmod_jk.so

    JK_SANITIZER=$runtime
    JK_SANITIZER_REPORTS=$(mktemp -d "${TMPDIR:-/tmp}/mod_jk-asan.XXXXXX")
    trap 'rm -rf "$JK_SANITIZER_REPORTS"' EXIT
    trap 'exit 1' INT TERM HUP
    chmod 1777 "$JK_SANITIZER_REPORTS" # children of httpd are another user
    JK_ASAN_OPTIONS=log_path=$JK_SANITIZER_REPORTS/report:detect_leaks=1:detect_stack_use_after_return=1
    JK_LSAN_OPTIONS=suppressions=$PWD/tests/data/asan/leaks.txt:print_suppressions=0
    export JK_MODULE JK_SANITIZER JK_SANITIZER_REPORTS JK_ASAN_OPTIONS JK_LSAN_OPTIONS

    say 'Proof: a use after free, a leak and a value that httpd never lets go of are reported'
    cargo test --quiet --locked --test it -- --ignored asan::
    asan_reports
    say 'The tests'
    log=$TARGET_ROOT/asan/tests.log
    # shellcheck disable=SC2046 # a list of words
    { cargo test --locked --test it -- $(asan_skip) "$@" || :; } 2>&1 | tee "$log"
    asan_reports
    counts=$(sed -n 's/^test result: [^0-9]*\([0-9]*\) passed; \([0-9]*\) failed.*/\1 \2/p' "$log")
    [ -n "$counts" ] || fail 'the tests have not come to an end (above)'
    # The list at the end: the line of each test may be mixed with what others write.
    failed=$(sed -n '/^failures:$/,$ s/^    \([a-z_0-9:]*\)$/\1/p' "$log" | sort -u)
    again=$(printf '%s' "$failed" | wc -w)
    [ "$again" -eq "${counts#* }" ] || fail "${counts#* } tests have failed, $again of them have a name (above)"
    # A deadline that was missed once, on a machine that is busy, is no finding.
    if [ -n "$failed" ]; then
        say 'What has failed, once more and one by one'
        # shellcheck disable=SC2086 # a list of words
        { cargo test --locked --test it -- --include-ignored --test-threads=1 --exact $failed || :; } 2>&1 |
            tee "$log"
        asan_reports
        grep -q "^test result: ok. $again passed" "$log" ||
            fail 'these tests fail (above); the sanitizer has reported nothing'
        say "Passed the second time: $(printf '%s ' $failed)"
    fi
    [ "$#" -gt 0 ] || asan_skipped
    say "$((${counts% *} + again)) passed, $again of them the second time; the sanitizer has reported nothing"
}

# Names to be skipped, as cargo test wants them.
asan_skip() {
    printf '%s\n' "$ASAN_SKIP" | sed 's/^\([^=]*\)=.*/--skip \1/'
}

# What was skipped, how many tests those are, and why.
asan_skipped() {
    all=$(cargo test --quiet --locked --test it -- --list 2>/dev/null | sed -n 's/: test$//p')
    printf '%s\n' "$ASAN_SKIP" | while IFS='=' read -r name why; do
        say "Skipped: $(printf '%s\n' "$all" | grep -cF "$name") tests with $name in their names, which $why"
    done
}

# Fails, and prints the reports, if there are any.
asan_reports() {
    count=$(find "$JK_SANITIZER_REPORTS" -type f | wc -l)
    [ "$count" -gt 0 ] || return 0
    rm -rf "$TARGET_ROOT/asan/reports"
    cp -R "$JK_SANITIZER_REPORTS/." "$TARGET_ROOT/asan/reports"
    find "$JK_SANITIZER_REPORTS" -type f -exec sh -c 'sort "$@" | grep "^SUMMARY" | uniq -c' sh {} +
    find "$JK_SANITIZER_REPORTS" -type f | head -n 3 | xargs head -n 60
    fail "the sanitizer has reported $count errors; the first are above, all are in $TARGET_ROOT/asan/reports"
}

# ---- Miri ----------------------------------------------------------------------------------------------------------

# What Miri runs: what reads bytes of others, and what is shared. Not the border to C and the network, which Miri cannot run,
# and not the rest of config, which has no unsafe code and whose tests read whole configurations, seconds for each in Miri.
MIRI_TESTS='ajp:: mapping:: shared:: status:: config::properties:: config::value:: config::text:: config::line::
config::ivy::yaml::'
# Of these, not those that set the times of files, which Miri cannot, and not the three that set threads against each other
# for thousands of rounds; misc/dev tsan runs them all.
MIRI_SKIP='mapping::live:: shared::edits::tests::nobody_reads_half_of_a_change
shared::inflight::tests::no_more_come_in_than_may
shared::requests::tests::requests_that_come_and_go_meanwhile_are_left_alone'
# And not those of thousands of lines or keys, of words that are compared with all keys, or of whole documents in all
# states, in code that has nothing unsafe.
MIRI_SKIP="$MIRI_SKIP thousands_of_mistakes_stay_readable hostile_files_are_errors config::properties::tests::explains_
shows_no_secret_where_its_equals_sign_is_mistyped has_no_length_limit ten_thousand_rules_cost_what_ten_cost
status::tests::"

cmd_miri() {
    nightly 'misc/dev miri' miri rust-src
    skip=''
    for name in $MIRI_SKIP; do
        skip="$skip --skip $name"
    done
    # The clock and files are those of this machine. Of generated cases, which are hundreds otherwise, a few.
    # shellcheck disable=SC2048,SC2086 # lists of words
    MIRIFLAGS="-Zmiri-disable-isolation ${MIRIFLAGS-}" PROPTEST_CASES=${PROPTEST_CASES:-3} \
        CARGO_TARGET_DIR="$TARGET_ROOT/miri" \
        cargo +nightly miri test --locked --lib -- $skip ${*:-$MIRI_TESTS}
}

# ---- ThreadSanitizer -----------------------------------------------------------------------------------------------

# All that threads and processes share, and the pool. The standard library is built too: the sanitizer takes locks that it
# does not know for none.
TSAN_TESTS='shared:: worker:: net:: log:: mapping::live::'

cmd_tsan() {
    nightly 'misc/dev tsan' rust-src
    # shellcheck disable=SC2086 # a list of words
    CARGO_TARGET_DIR="$TARGET_ROOT/tsan" RUSTFLAGS='-Zsanitizer=thread' TSAN_OPTIONS="halt_on_error=1 ${TSAN_OPTIONS-}" \
        cargo +nightly test --locked -Zbuild-std --target "$(host_triple)" --lib -- ${*:-$TSAN_TESTS}
}

# ---- supply chain --------------------------------------------------------------------------------------------------

# Ends with 2 where the database cannot be reached, which says nothing about the dependencies.
cmd_advisories() {
    [ "$#" -eq 0 ] || fail 'usage: misc/dev advisories'
    need_deny
    # All crates must be here, those of other platforms too, as for misc/dev check.
    cargo fetch --quiet --locked || fail 'the dependencies cannot be fetched (above): NOTHING was checked'
    say 'Fetching the advisory database (github.com/rustsec/advisory-db)'
    log=$(mktemp)
    if ! cargo deny --locked --config .deny.toml fetch db >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        rm -f "$log"
        say 'The advisory database cannot be reached: NOTHING was checked. Try again where github.com can be reached'
        exit 2
    fi
    rm -f "$log"
    cargo deny --locked --offline --config .deny.toml check advisories
}

# What goes out is built twice, in directories of other names and lengths, and must be the same to the byte.
cmd_reproducible() {
    [ "$#" -eq 0 ] || fail 'usage: misc/dev reproducible'
    need build
    unset JK_MODULE
    command -v git >/dev/null || fail 'git is missing'
    [ -z "$(git status --porcelain)" ] || say 'What is not committed is left out'
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
    export SOURCE_DATE_EPOCH
    builds=$(mktemp -d "${TMPDIR:-/tmp}/mod_jk-reproducible.XXXXXX")
    trap 'rm -rf "$builds"' EXIT
    trap 'exit 1' INT TERM HUP
    packages=dist
    ! command -v dpkg-deb >/dev/null || packages='dist deb'
    for place in one another/with/a/longer/name; do
        mkdir -p "$builds/$place/source" "$builds/$place/out"
        git archive HEAD | tar -xf - -C "$builds/$place/source"
        for package in $packages; do
            (unset CARGO_TARGET_DIR && cd "$builds/$place/source" && CARGO_TARGET_DIR=$builds/$place/target \
                sh misc/dev "$package" "$builds/$place/out")
        done
    done
    first=$builds/one/out
    (cd "$first" && sha256sum -- *) >&2
    diff -r "$first" "$builds/another/with/a/longer/name/out" >&2 || fail 'the two builds are not the same'
    # A name of this machine would be a difference on another one.
    module=$builds/one/target/release/libmod_jk.so
    strip --strip-unneeded -o "$builds/module" "$module"
    for path in "$builds" "${CARGO_HOME:-$HOME/.cargo}"; do
        ! grep -qaF "$path" "$builds/module" || fail "the module names $path"
    done
    say 'Two builds in different directories are identical'
}

# sbom FILE: what the module is made of, as CycloneDX 1.5. Only what is linked into it: no build or test dependencies. The
# same Cargo.lock gives the same bytes, so there is neither a time nor a random number in it.
sbom() {
    need_cargo
    cargo tree --locked --quiet --edges normal,no-proc-macro --no-default-features --target "$(host_triple)" \
        --prefix none --no-dedupe --format '{p}|{l}' >"$1.tree"
    {
        printf '{\n  "bomFormat": "CycloneDX",\n  "specVersion": "1.5",\n  "version": 1,\n  "metadata": {\n'
        printf '    "component": {"type": "library", "bom-ref": "mod_jk", "name": "mod_jk", "version": "%s",\n' "$(package_version)"
        printf '      "licenses": [{"expression": "Apache-2.0"}]}\n  },\n  "components": [\n'
        # The first line is the module itself.
        sed -e 1d -e 's/ (proc-macro)//' -e 's/ (\*)//' "$1.tree" | LC_ALL=C sort -u | while IFS='|' read -r crate licence; do
            name=${crate% v*}
            version=${crate##* v}
            sum=$(awk -v name="name = \"$name\"" -v version="version = \"$version\"" \
                '$0 == name { found = 1; next } found && $1 == "version" { found = ($0 == version) }
                 found && $1 == "checksum" { gsub("\"", "", $3); print $3; exit }' Cargo.lock)
            printf '    {"type": "library", "bom-ref": "%s@%s", "name": "%s", "version": "%s",\n' "$name" "$version" "$name" "$version"
            printf '      "purl": "pkg:cargo/%s@%s",\n' "$name" "$version"
            printf '      "hashes": [{"alg": "SHA-256", "content": "%s"}],\n' "$sum"
            # The slash is an old way to say OR.
            printf '      "licenses": [{"expression": "%s"}]},\n' "$(printf '%s' "$licence" | sed 's|\([^ ]\)/\([^ ]\)|\1 OR \2|g')"
        done
        rust=$(rustc -vV | sed -n 's/^release: //p')
        printf '    {"type": "library", "bom-ref": "rust-std@%s", "name": "rust-std", "version": "%s",\n' "$rust" "$rust"
        printf '      "licenses": [{"expression": "MIT OR Apache-2.0"}]}\n  ]\n}\n'
    } >"$1"
    rm -f "$1.tree"
}
