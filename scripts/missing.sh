# shellcheck shell=bash
# To be sourced. missing WHAT ends the script: as a failure where a missing
# tool must not pass unseen (in CI, or with --required), else with a loud line,
# because the tests that need it then skip.
missing() {
	echo "!!! $1" >&2
	if [ -n "${CI:-}" ] || [ "${required:-}" = yes ]; then
		exit 1
	fi
	echo "!!! going on; the tests that need it will be skipped" >&2
	exit 0
}
