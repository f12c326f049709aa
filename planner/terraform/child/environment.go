package child

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// always are the variables of the server that every child gets: who and where
// it is, which certificates to trust, and terraform's own configuration file.
var always = []string{
	"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "TF_CLI_CONFIG_FILE",
}

// Variables that no pattern lets through: weir's own, those that print
// everything, and those that would change what weir asked for.
var (
	neverPrefix = []string{"WEIR_", "TF_LOG", "TF_CLI_ARGS", "TF_PLUGIN_CACHE_"}
	never       = []string{
		"TF_DATA_DIR", "TF_WORKSPACE", "TF_INPUT", "TF_IN_AUTOMATION", "TF_REATTACH_PROVIDERS",
		"TF_APPEND_USER_AGENT", "TF_SKIP_PROVIDER_VERIFY", "TF_DISABLE_PLUGIN_TLS", "CHECKPOINT_DISABLE", "TMPDIR",
	}
	// Credentials for Git and GitHub are let through when they are named in
	// full only, so that a wide pattern does not hand over the server's.
	namedOnly = []string{"GITHUB_", "GH_", "GIT_", "SSH_"}
)

// Allowed says whether a variable of the server's environment reaches
// terraform, given the configured patterns (`*` stands for any characters).
func Allowed(patterns []string, name string) bool {
	for _, prefix := range neverPrefix {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	if slices.Contains(never, name) {
		return false
	}
	if slices.Contains(always, name) || slices.Contains(patterns, name) {
		return true
	}
	for _, prefix := range namedOnly {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return err == nil && ok
	})
}

// CheckEnv says which configured pattern cannot be one.
func CheckEnv(patterns []string) error {
	for _, pattern := range patterns {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" || strings.ContainsAny(pattern, "=/") {
			return fmt.Errorf("environment pattern %q: not a variable's name, with * for any characters", pattern)
		}
	}
	return nil
}

// Inherit is what children see of the server's environment.
func Inherit(environ, patterns []string) map[string]string {
	env := map[string]string{}
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok && name != "" && Allowed(patterns, name) {
			env[name] = value
		}
	}
	return env
}

var secretName = regexp.MustCompile(`(?i)SECRET|TOKEN|PASSW|PASSPHRASE|PRIVATE|CREDENTIAL|_KEY$|ACCESS_KEY`)

// minSecret keeps short values such as "true" from being cut out of
// everything that is said.
const minSecret = 6

// Secrets are the values of a child's environment that no output may show:
// those whose name says so, variables that the configuration declares
// sensitive, and passwords of proxies.
func Secrets(env map[string]string, sensitive map[string]bool) *strings.Replacer {
	var values []string
	for name, value := range env {
		variable, isVariable := strings.CutPrefix(name, "TF_VAR_")
		if secretName.MatchString(name) || isVariable && sensitive[variable] {
			values = append(values, strings.Split(value, "\n")...)
			continue
		}
		if u, err := url.Parse(value); err == nil && u.User != nil {
			if password, ok := u.User.Password(); ok {
				values = append(values, password)
			}
		}
	}
	values = slices.DeleteFunc(values, func(v string) bool { return len(strings.TrimSpace(v)) < minSecret })
	// The longest first, so that no part of one is left by a shorter.
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(values))
	for _, value := range values {
		pairs = append(pairs, value, "(sensitive)")
	}
	return strings.NewReplacer(pairs...)
}
