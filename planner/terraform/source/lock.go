package source

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// LockName is the name of the lock file in a root module's directory.
const LockName = ".terraform.lock.hcl"

// SameLock compares what lock files say.
func SameLock(a, b []byte) bool {
	return slices.Equal(LockLines(a), LockLines(b))
}

// LockLines are the lines of a lock file that say something.
func LockLines(lock []byte) []string {
	var said []string
	for line := range strings.Lines(string(lock)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			said = append(said, line)
		}
	}
	return said
}

// LockedProviders are the providers of a lock file with their versions.
func LockedProviders(lock []byte) map[string]string {
	file, diags := hclsyntax.ParseConfig(lock, LockName, hcl.InitialPos)
	if diags.HasErrors() {
		return nil
	}
	providers := map[string]string{}
	for _, block := range file.Body.(*hclsyntax.Body).Blocks { //nolint:errcheck // promised by ParseConfig
		if version, ok := block.Body.Attributes["version"]; ok && block.Type == "provider" {
			providers[first(block.Labels)] = literal(version.Expr)
		}
	}
	return providers
}

// Versions are the providers of a lock file with their versions, one a line.
func Versions(lock []byte) string {
	var all []string
	for source, version := range LockedProviders(lock) {
		all = append(all, source+" "+version)
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}
