#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test: all of them on the release build, most once
# more with the address and undefined-behaviour sanitizers, and those of threads in one process (the
# exchange, the loader) with the thread sanitizer. Ends with one line "N passed, N failed, N skipped".
# With CONVOY_NO_SKIP=1 a skipped test counts as a failure.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=.ci/packages.sh
. .ci/packages.sh

presets=(release sanitize thread)

cat <<END
This will, in $PWD,
  1. install what is missing with the package manager (apt-get),
  2. build build/release, build/sanitize and build/thread,
  3. run the tests of each (about twenty minutes on two cores).
END

install_packages "${build_packages[@]}" "${test_packages[@]}" "${data_packages[@]}"
prepare_mpi

passed=0 failed=0 skipped=0 broken=0
skipped_names=()

# attribute NAME FILE: the number that the test suite as a whole has for NAME.
attribute() {
    sed -n "/<testsuite /,/>/ s/.*[^a-z]$1=\"\([0-9]*\)\".*/\1/p" "$2" | head -n 1
}

for preset in "${presets[@]}"; do
    say "Building build/$preset"
    build "$preset"
done
# One more at a time than there are cores: many tests wait (for a heart that stops, a queue, a host).
# A thread that waits for another must not spin meanwhile.
jobs=$(($(nproc) + 1))
export OMP_WAIT_POLICY=passive
for preset in "${presets[@]}"; do
    say "Running the tests of build/$preset"
    results=$PWD/build/$preset/tests.xml
    rm -f "$results"
    ctest --preset "$preset" --no-tests=error -j "$jobs" --output-junit "$results" || broken=1
    [ -s "$results" ] || die "ctest of build/$preset left no results"
    tests=$(attribute tests "$results")
    # ctest calls a test whose program is missing skipped; it is a failure.
    lost=$(grep -c '<skipped message="Unable to find executable"' "$results" || true)
    failures=$(($(attribute failures "$results") + lost))
    skips=$(($(attribute skipped "$results") + $(attribute disabled "$results") - lost))
    passed=$((passed + tests - failures - skips))
    failed=$((failed + failures))
    skipped=$((skipped + skips))
    while IFS= read -r name; do
        skipped_names+=("$preset: $name")
    done < <(sed -n 's/.*<testcase name="\([^"]*\)".* status="\(notrun\|disabled\)".*/\1/p' "$results")
done

code=0
if [ "$broken" = 1 ] || [ "$failed" -gt 0 ]; then
    code=1
fi
if [ ${#skipped_names[@]} -gt 0 ]; then
    printf 'skipped: %s\n' "${skipped_names[@]}"
fi
if [ "$skipped" -gt 0 ] && [ "${CONVOY_NO_SKIP:-0}" = 1 ]; then
    echo "a skipped test counts as a failure here"
    code=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
exit $code
