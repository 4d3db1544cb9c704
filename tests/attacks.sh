#!/bin/sh
# Plays every attack, on each kind of instance that is there, and prints what was tried and what failed. An attack is a test whose
# name begins with `attack_`: the test passes where the attack fails. With BLOBDELTA_TEST_SQLSERVER those of a server are played too.
cd "$(dirname "$0")/.." || exit 2
cargo test --no-fail-fast --lib --test suite --test cli --test bundles "$@" attack_ 2>&1 | awk '
    /^error(\[|:)/ && !/test failed/ && !/targets? failed/ { print; broken = 1 }
    /^test .*attack_.* \.\.\. / {
        name = $2; sub(/.*::/, "", name)
        if (!(name in order)) { order[name] = ++count; names[count] = name }
        if ($NF == "ok") { tried[name]++; failed[name]++ }
        else if ($NF == "FAILED") { tried[name]++; succeeded++ }
    }
    END {
        print "| attack | tried | failed |"
        print "|---|---|---|"
        for (nth = 1; nth <= count; nth++) {
            printf "| %s | %d | %d |\n", names[nth], tried[names[nth]], failed[names[nth]]
            all += tried[names[nth]]; held += failed[names[nth]]
        }
        printf "\n%d attacks, tried %d times, failed %d times, succeeded %d times\n", count, all, held, succeeded
        exit (broken || succeeded || !count) ? 1 : 0
    }'
