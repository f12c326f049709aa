package terraform

import (
	"os"
	"os/exec"
	"path/filepath"
)

// Find names the binary that runs: the configured one, or the first
// of terraform and tofu on the PATH, or the tofu beside weir itself, where
// `make` puts it. What is not there is told when it is needed, on the pull
// request, so that everything else works.
func Find(configured string) string {
	if configured != "" {
		return configured
	}
	for _, name := range []string{"terraform", "tofu"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if self, err := os.Executable(); err == nil {
		if beside := filepath.Join(filepath.Dir(self), "tofu"); isFile(beside) {
			return beside
		}
	}
	return "terraform"
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}
